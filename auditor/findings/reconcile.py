"""What a run does to the findings of one credential: pure, one credential at a time.

Rules, in the words of the tests:

* Only a violation opens a finding, and only evidence ends one. What is not evaluable, or passes
  in a collection that was not read whole, keeps a live finding as it is.
* A live finding is *open* or, under an exception that has not lapsed, *suppressed*.
* Where a superior policy stands, its inferiors hand their story over to it; when it ends while an
  inferior stands, the story is handed back. A hand-over changes no dates, is not news, and
  repairs nothing. People who had only seen the story suppressed are told when it opens.
* The finding of a credential that comes back is the old one, reopened.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from auditor.findings.case import Case, ExceptionLookup, ended, finding_id, is_live, risk_score_of
from auditor.findings.exceptions import has_lapsed
from auditor.findings.supersession import PoliciesInForce
from auditor.model import (
    Absence,
    Change,
    Credential,
    FindingState,
    FindingStatus,
    Outcome,
    Resolution,
    Severity,
    Verdict,
)

# Named here, because to look a member up in its class costs more than to compare it.
_OPEN, _SUPPRESSED = FindingStatus.OPEN, FindingStatus.SUPPRESSED
_OPENED, _NOW_SUPPRESSED, _UNCHANGED = Change.OPENED, Change.SUPPRESSED, Change.UNCHANGED
_VIOLATION = Outcome.VIOLATION


def reconcile(
    credential: Credential,
    prior: Sequence[FindingState],
    verdicts: Iterable[Verdict],
    *,
    now: datetime,
    policies: PoliciesInForce,
    exceptions: ExceptionLookup,
    is_whole: bool = True,
) -> list[FindingState]:
    """Return the findings of a credential that this run has read, as they stand after it.

    *prior* holds every remembered finding of the credential, whatever its status; *verdicts* what
    the policies in force say, passes left out and superseded violations included. *is_whole*
    tells whether a collection that was read whole listed the credential; a partial one opens
    findings but ends none. States come back for live findings, for those that ended now, and for
    superseded ones that still hold (with a newer ``last_seen_at``); others are as they were.
    """
    if not prior:
        return _opened(credential, verdicts, now, policies, exceptions)
    verdicts = tuple(verdicts)
    same = _seen_again(credential, prior, verdicts, now, policies, exceptions)
    if same is not None:
        return same
    case = Case(
        credential,
        prior,
        verdicts,
        now=now,
        policies=policies,
        exceptions=exceptions,
        is_whole=is_whole,
    )
    return case.states()


def absent(state: FindingState, absence: Absence, now: datetime) -> FindingState:
    """Return a finding whose credential this run has not read, as it stands after the run."""
    if not is_live(state):
        return state
    if absence is Absence.NOT_SELECTED:
        return replace(state, change=Change.UNCHANGED)
    if absence is Absence.REMOVED:
        return ended(state, Resolution.REMOVED, now)
    if absence is Absence.OUT_OF_SCOPE:
        return ended(state, Resolution.OUT_OF_SCOPE, now)
    stale_since = state.stale_since or now
    if state.exception is not None and has_lapsed(state.exception, now):
        return replace(
            state,
            status=FindingStatus.OPEN,
            change=Change.REOPENED,
            opened_at=now,
            exception=None,
            stale_since=stale_since,
        )
    return replace(state, change=Change.UNCHANGED, stale_since=stale_since)


def _opened(
    credential: Credential,
    verdicts: Iterable[Verdict],
    now: datetime,
    policies: PoliciesInForce,
    exceptions: ExceptionLookup,
) -> list[FindingState]:
    """Return the findings of a credential that never had any: what `Case` says, without a past."""
    observed = _observed(verdicts, policies)
    after: list[FindingState] = []
    for name in policies.uppermost(tuple(observed)):
        note = exceptions(name, credential, now)
        severity = observed[name].severity or Severity.INFORMATIONAL
        after.append(
            FindingState(
                id=finding_id(name, credential.uid),
                policy_id=name,
                credential_uid=credential.uid,
                status=_OPEN if note is None else _SUPPRESSED,
                change=_OPENED if note is None else _NOW_SUPPRESSED,
                severity=severity,
                risk_score=risk_score_of(credential, severity, policies.categories[name]),
                first_seen_at=now,
                last_seen_at=now,
                exception=note,
            )
        )
    return after


def _seen_again(
    credential: Credential,
    prior: Sequence[FindingState],
    verdicts: Iterable[Verdict],
    now: datetime,
    policies: PoliciesInForce,
    exceptions: ExceptionLookup,
) -> list[FindingState] | None:
    """Return the findings of a credential that is as it was: what `Case` says of that.

    That is, the violations observed today that nobody takes over from are exactly the remembered
    findings, every one of them open and under no exception. None where it is not so.
    """
    observed = _observed(verdicts, policies)
    uppermost = policies.uppermost(tuple(observed))
    if len(prior) != len(uppermost):
        return None
    remembered = {state.policy_id: state for state in prior}
    after: list[FindingState] = []
    for name in uppermost:
        before = remembered.get(name)
        if before is None or before.status is not _OPEN:
            return None
        if exceptions(name, credential, now) is not None:
            return None
        severity = observed[name].severity or before.severity
        first_seen_at, opened_at = before.first_seen_at, before.opened_at
        if opened_at is not None and opened_at <= first_seen_at:
            opened_at = None
        after.append(
            FindingState(
                id=before.id,
                policy_id=name,
                credential_uid=before.credential_uid,
                status=_OPEN,
                change=_UNCHANGED,
                severity=severity,
                risk_score=risk_score_of(credential, severity, policies.categories[name]),
                first_seen_at=first_seen_at,
                last_seen_at=now,
                opened_at=opened_at,
            )
        )
    return after


def _observed(verdicts: Iterable[Verdict], policies: PoliciesInForce) -> dict[str, Verdict]:
    """Return the violations of policies in force."""
    return {
        one.policy_id: one
        for one in verdicts
        if one.outcome is _VIOLATION and one.policy_id in policies.categories
    }
