"""The life of one credential's findings in full: what was, what is said, what becomes of it.

The rules stand in `auditor.findings.reconcile`.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import Enum, auto
from hashlib import blake2b

from msgspec.structs import replace

from auditor.findings.risk import score
from auditor.findings.supersession import PoliciesInForce
from auditor.model import (
    Change,
    Credential,
    ExceptionNote,
    FindingState,
    FindingStatus,
    Outcome,
    Resolution,
    Severity,
    Verdict,
)

ExceptionLookup = Callable[[str, Credential, datetime], ExceptionNote | None]
"""(policy id, credential, now) → the exception under which it is suppressed, if any."""


def finding_id(policy_id: str, credential_uid: str) -> str:
    """Return the identity of a finding: 32 hexadecimal digits, the same in every database."""
    return blake2b(f"{policy_id}\0{credential_uid}".encode(), digest_size=16).hexdigest()


class _Standing(Enum):
    """Why a violation counts as there."""

    OBSERVED = auto()
    UNKNOWN = auto()
    """It was there, and today a fact is missing."""
    UNCONFIRMED = auto()
    """It was there, and what was read today was not read whole."""


class Case:
    """One credential before and after a run, whatever happened: the rules in full.

    Most credentials take a shorter path through `reconcile`, which comes to the same.
    """

    def __init__(
        self,
        credential: Credential,
        prior: Sequence[FindingState],
        verdicts: Iterable[Verdict],
        *,
        now: datetime,
        policies: PoliciesInForce,
        exceptions: ExceptionLookup,
        is_whole: bool,
    ) -> None:
        self.credential = credential
        self.now = now
        self.policies = policies
        self.exceptions = exceptions
        self.is_whole = is_whole
        self.prior = {state.policy_id: state for state in prior}
        self.live = {name: state for name, state in self.prior.items() if is_live(state)}
        self.verdicts = {one.policy_id: one for one in verdicts if one.policy_id in policies}
        self.standing: dict[str, _Standing] = {}
        self.endings: dict[str, Resolution] = {}

    def states(self) -> list[FindingState]:
        """Return what `reconcile` does."""
        self._judge()
        self._recall_handed_over()
        after = []
        for name in sorted(self.standing):
            superior = self.policies.superior_among(name, self.standing)
            state = self._stand(name) if superior is None else self._yield(name, superior)
            if state is not None:
                after.append(state)
        for name, resolution in sorted(self.endings.items()):
            after.append(ended(self.live[name], resolution, self.now))
        return after

    def _judge(self) -> None:
        """Decide for every violation, observed or remembered, whether it stands or ends."""
        for name, verdict in self.verdicts.items():
            if verdict.outcome is Outcome.VIOLATION:
                self.standing[name] = _Standing.OBSERVED
        for name in self.live.keys() - self.standing.keys():
            said = self.verdicts.get(name)
            if name not in self.policies:
                self.endings[name] = Resolution.POLICY_RETIRED
            elif said is not None and said.outcome is Outcome.NOT_EVALUABLE:
                self.standing[name] = _Standing.UNKNOWN
            elif not self.is_whole:
                self.standing[name] = _Standing.UNCONFIRMED
            elif said is not None:
                self.endings[name] = Resolution.NOT_JUDGED
            else:
                self.endings[name] = Resolution.CONDITION_CLEARED

    def _recall_handed_over(self) -> None:
        """Let a violation stand that its superior covered to the end and nobody can judge today."""
        for name, verdict in self.verdicts.items():
            state = self.prior.get(name)
            if verdict.outcome is not Outcome.NOT_EVALUABLE or state is None:
                continue
            if state.resolution is not Resolution.SUPERSEDED:
                continue
            covering = [one for other, one in self.live.items() if self._took_over(other, state)]
            if any(state.last_seen_at >= one.last_seen_at for one in covering):
                self.standing[name] = _Standing.UNKNOWN

    def _yield(self, name: str, superior: str) -> FindingState | None:
        """Return the finding of a policy from which *superior* takes over; None for none."""
        state = self.prior.get(name)
        if state is None:
            return None
        is_observed = self.standing[name] is _Standing.OBSERVED
        if name in self.live:
            if is_observed:
                state = replace(state, last_seen_at=self.now)
            return ended(state, Resolution.SUPERSEDED, self.now, superseded_by=superior)
        if state.resolution is Resolution.SUPERSEDED and is_observed:
            return replace(state, change=Change.UNCHANGED, last_seen_at=self.now)
        return None

    def _stand(self, name: str) -> FindingState:
        """Return the live finding of a policy that nobody takes over from."""
        own, story = self.prior.get(name), self._story(name)
        standing = self.standing[name]
        note = self.exceptions(name, self.credential, self.now)
        status = FindingStatus.OPEN if note is None else FindingStatus.SUPPRESSED
        change = _change(own, story, status)
        base = own or self._blank(name)
        severity, risk_score = self._weigh(name, base)
        first_seen_at = base.first_seen_at
        for one in story:
            first_seen_at = min(first_seen_at, one.first_seen_at)
        is_observed = standing is _Standing.OBSERVED
        return FindingState(
            id=base.id,
            policy_id=name,
            credential_uid=base.credential_uid,
            status=status,
            change=change,
            severity=severity,
            risk_score=risk_score,
            first_seen_at=first_seen_at,
            last_seen_at=self.now if is_observed else base.last_seen_at,
            opened_at=self._opened_at(story, change, first_seen_at),
            stale_since=self._since(standing, _Standing.UNCONFIRMED, base.stale_since),
            not_evaluable_since=self._since(standing, _Standing.UNKNOWN, base.not_evaluable_since),
            exception=note,
        )

    def _story(self, name: str) -> list[FindingState]:
        """Return what this finding continues: itself while live, and those that hand over to it."""
        if not self.live:
            return []
        own = [self.live[name]] if name in self.live else []
        taken_over = [
            state
            for other, state in self.live.items()
            if other in self.standing and name in self.policies.superiors.get(other, ())
        ]
        if own or taken_over or not self.endings:
            return own + taken_over
        blank = self.prior.get(name) or self._blank(name)
        return [
            state
            for other, state in self.live.items()
            if other in self.endings and self._took_over(other, blank)
        ]

    def _took_over(self, other: str, state: FindingState) -> bool:
        """Whether policy *other*, perhaps out of force by now, takes over from *state*'s."""
        if other in self.policies.former_superiors.get(state.policy_id, ()):
            return True
        return state.resolution is Resolution.SUPERSEDED and state.superseded_by == other

    def _blank(self, name: str) -> FindingState:
        return FindingState(
            id=finding_id(name, self.credential.uid),
            policy_id=name,
            credential_uid=self.credential.uid,
            status=FindingStatus.OPEN,
            change=Change.OPENED,
            severity=Severity.INFORMATIONAL,
            risk_score=0,
            first_seen_at=self.now,
            last_seen_at=self.now,
        )

    def _weigh(self, name: str, base: FindingState) -> tuple[Severity, int]:
        verdict = self.verdicts.get(name)
        if verdict is None or verdict.outcome is not Outcome.VIOLATION:
            return base.severity, base.risk_score
        severity = verdict.severity or base.severity
        return severity, risk_score_of(self.credential, severity, self.policies.categories[name])

    def _opened_at(
        self, story: Sequence[FindingState], change: Change, first_seen_at: datetime
    ) -> datetime | None:
        """Return when the present life of the story began, where not at *first_seen_at*."""
        begun = min((one.opened_at or one.first_seen_at for one in story), default=self.now)
        if change is Change.REOPENED:
            begun = self.now
        return None if begun <= first_seen_at else begun

    def _since(
        self, standing: _Standing, flag: _Standing, before: datetime | None
    ) -> datetime | None:
        return (before or self.now) if standing is flag else None


def risk_score_of(credential: Credential, severity: Severity, category: str) -> int:
    """Return the risk of a finding about *credential*, at the time its evidence ends."""
    return score(credential, severity, category, credential.observed_at)


def is_live(state: FindingState) -> bool:
    """Tell whether the finding stands, open or suppressed."""
    return state.status is not FindingStatus.RESOLVED


def _change(
    own: FindingState | None, story: Sequence[FindingState], status: FindingStatus
) -> Change:
    """Return what people are told: nothing, where they knew the story with this status."""
    was_known = [one.status for one in story]
    if own is not None and is_live(own):
        was_known = [own.status]
    if status is FindingStatus.SUPPRESSED:
        known_so = bool(was_known) and FindingStatus.OPEN not in was_known
        return Change.UNCHANGED if known_so else Change.SUPPRESSED
    if FindingStatus.OPEN in was_known:
        return Change.UNCHANGED
    return Change.OPENED if own is None else Change.REOPENED


def ended(
    state: FindingState, resolution: Resolution, now: datetime, superseded_by: str | None = None
) -> FindingState:
    """Return a finding that ends at *now*, and why."""
    return replace(
        state,
        status=FindingStatus.RESOLVED,
        change=Change.RESOLVED,
        resolution=resolution,
        resolved_at=now,
        stale_since=None,
        not_evaluable_since=None,
        superseded_by=superseded_by,
        exception=None,
    )
