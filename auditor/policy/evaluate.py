"""Judging credentials: pure, one credential at one instant, compiled conditions only."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from auditor.model import Credential, Outcome, PermissionsSubject, Severity, Verdict
from auditor.policy.explain import Explainer
from auditor.policy.language.condition import Answers, compile_together
from auditor.policy.language.derived import ALONE, Derived, Neighbours, derive
from auditor.policy.match import Match
from auditor.policy.policy import Explanation, Policy
from auditor.policy.remedy import Kind
from auditor.policy.rule import Rule

_PLANS = 4_096
_TOLD = 1_024
_EXPLAINERS = 1_024
"""An export can name a type of its own for each credential."""


class Variant(Struct, frozen=True):
    """Other limits for the credentials that *match* covers."""

    match: Match
    position: int


class Entry:
    """One active policy: the limits for everybody, and others for some credentials.

    *build* compiles the policy under the overrides at the given positions.
    """

    def __init__(
        self,
        policy: Policy,
        scoped: Sequence[Variant],
        build: Callable[[tuple[int, ...]], Rule],
    ) -> None:
        self.policy = policy
        self._scoped = tuple(scoped)
        self._build = build
        self._rules: dict[tuple[int, ...], Rule] = {}
        self._explainers: dict[tuple[int, Kind], Explainer] = {}
        self.everybody = self._under(())
        for variant in self._scoped:
            self._under((variant.position,))

    @property
    def is_scoped(self) -> bool:
        """Whether the limits depend on the credential."""
        return bool(self._scoped)

    def rule_for(self, credential: Credential) -> Rule:
        """Return the rule that holds for *credential*."""
        if not self._scoped:
            return self.everybody
        return self._under(
            tuple(one.position for one in self._scoped if one.match.matches(credential))
        )

    def answer(self, credential: Credential, derived: Derived, now: datetime) -> bool | None:
        """Return what the condition that holds for *credential* says."""
        return self.rule_for(credential).condition.evaluate(credential, derived, now)

    def explainer_for(self, credential: Credential) -> Explainer:
        """Return what explains violations by *credential*."""
        rule = self.rule_for(credential)
        kind = Kind.of(credential)
        key = (id(rule), kind)
        explainer = self._explainers.get(key)
        if explainer is None:
            if len(self._explainers) >= _EXPLAINERS:
                self._explainers.clear()
            explainer = self._explainers[key] = Explainer(rule, kind)
        return explainer

    def _under(self, positions: tuple[int, ...]) -> Rule:
        rule = self._rules.get(positions)
        if rule is None:
            rule = self._rules[positions] = self._build(positions)
        return rule


_Told = tuple[tuple[Entry, bool | None], ...]
"""Policies that do not pass, and their answers: violated, or None for *unknown*."""


class _Plan:
    """What is asked of every credential of one provider, type and permissions' subject.

    Of *fixed* entries the condition is the same for all of them, and *answers* asks it; of
    *scoped* ones it depends on the credential.
    """

    def __init__(
        self,
        fixed: tuple[Entry, ...],
        answers: Answers,
        scoped: tuple[Entry, ...],
        not_judged: tuple[Verdict, ...],
    ) -> None:
        self.scoped = scoped
        self.not_judged = not_judged
        self._fixed = fixed
        self._answers = answers
        self._told: dict[tuple[bool | None, ...], _Told] = {}

    def ask(self, credential: Credential, derived: Derived, now: datetime) -> _Told:
        """Return what does not pass, by policy id."""
        answers = self._answers(credential, derived, now)
        told = self._told.get(answers)
        if told is None:
            if len(self._told) >= _TOLD:  # few combinations differ among many credentials
                self._told.clear()
            told = self._told[answers] = _failing(self._fixed, answers)
        if not self.scoped:
            return told
        own = [entry.answer(credential, derived, now) for entry in self.scoped]
        return tuple(sorted((*told, *_failing(self.scoped, own)), key=_policy_id))


def _failing(entries: Iterable[Entry], answers: Iterable[bool | None]) -> _Told:
    pairs = zip(entries, answers, strict=True)
    return tuple((entry, answer) for entry, answer in pairs if answer is not False)


def _policy_id(told: tuple[Entry, bool | None]) -> str:
    return told[0].policy.id


class PolicySet:
    """The active policies, compiled. Immutable; safe to use from several threads."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        ordered = sorted(entries, key=lambda one: one.policy.id)
        self.policies: tuple[Policy, ...] = tuple(entry.policy for entry in ordered)
        self._entries = {entry.policy.id: entry for entry in ordered}
        self._plans: dict[tuple[str, str, str], _Plan] = {}
        self._compiled: dict[tuple[str, ...], Answers] = {}
        self._derived: tuple[Credential, Neighbours, datetime, Derived] | None = None
        self._verdicts: dict[tuple[str, Severity | None, tuple[str, ...]], Verdict] = {}

    def __len__(self) -> int:
        return len(self.policies)

    def reads(self, policy_id: str) -> frozenset[str]:
        """Return the names of the fields that the conditions of an active policy mention."""
        conditions = self._entries[policy_id].everybody.conditions
        return frozenset(field.name for condition in conditions for field in condition.reads)

    def evaluate(
        self, credential: Credential, now: datetime, neighbours: Neighbours = ALONE
    ) -> list[Verdict]:
        """Return what the policies say of *credential* at *now*, passes left out.

        Violations that a superior policy covers are listed too: handing over is for the
        findings. Where the rights on record are the caller's, a policy that reads rights does not
        judge. Ordered by policy id; the same input gives the same list.
        """
        plan = self._plans.get(
            (credential.provider, credential.type, credential.permissions_subject)
        )
        if plan is None:
            plan = self._plan(credential)
        derived = derive(credential, now, neighbours)
        self._derived = (credential, neighbours, now, derived)
        verdicts = list(plan.not_judged)
        for entry, answer in plan.ask(credential, derived, now):
            verdicts.append(self._verdict(entry, credential, derived, now, answer=answer))
        return verdicts

    def explain(
        self,
        policy_id: str,
        credential: Credential,
        now: datetime,
        neighbours: Neighbours = ALONE,
    ) -> Explanation:
        """Return why the active policy *policy_id* flags *credential*, and what mends it."""
        explainer = self._entries[policy_id].explainer_for(credential)
        return explainer.explain(credential, self._derive(credential, now, neighbours), now)

    def _derive(self, credential: Credential, now: datetime, neighbours: Neighbours) -> Derived:
        """Return the derived fields; who is judged is explained right after, with the same ones."""
        known = self._derived
        if known and known[0] is credential and known[1] is neighbours and known[2] == now:
            return known[3]
        derived = derive(credential, now, neighbours)
        self._derived = (credential, neighbours, now, derived)
        return derived

    def _plan(self, credential: Credential) -> _Plan:
        fixed: list[Entry] = []
        scoped: list[Entry] = []
        not_judged: list[Verdict] = []
        is_callers = credential.permissions_subject == PermissionsSubject.CALLER
        for entry in self._entries.values():
            if not entry.policy.applies_to(credential.provider, credential.type):
                continue
            if is_callers and entry.everybody.condition.reads_grants:
                not_judged.append(Verdict(entry.policy.id, Outcome.NOT_JUDGED))
            else:
                (scoped if entry.is_scoped else fixed).append(entry)
        answers = self._answers(fixed)
        plan = _Plan(tuple(fixed), answers, tuple(scoped), tuple(not_judged))
        if len(self._plans) >= _PLANS:
            self._plans.clear()
            self._compiled.clear()
        self._plans[credential.provider, credential.type, credential.permissions_subject] = plan
        return plan

    def _answers(self, entries: Sequence[Entry]) -> Answers:
        """Compile what *entries* ask into one function; many kinds are asked the same."""
        names = tuple(entry.policy.id for entry in entries)
        found = self._compiled.get(names)
        if found is None:
            conditions = [entry.everybody.condition for entry in entries]
            found = self._compiled[names] = compile_together(conditions)
        return found

    def _verdict(
        self,
        entry: Entry,
        credential: Credential,
        derived: Derived,
        now: datetime,
        *,
        answer: bool | None,
    ) -> Verdict:
        rule = entry.rule_for(credential)
        severity: Severity | None = None
        missing: tuple[str, ...] = ()
        if answer is None:
            missing = rule.condition.missing(credential, derived)
        else:
            severity = rule.severity_of(credential, derived, now)
        key = entry.policy.id, severity, missing
        found = self._verdicts.get(key)
        if found is None:
            outcome = Outcome.NOT_EVALUABLE if answer is None else Outcome.VIOLATION
            found = self._verdicts[key] = Verdict(key[0], outcome, severity, missing)
        return found
