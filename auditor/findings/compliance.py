"""Controls of the standards, as far as policies map to them: pass, fail, excepted, unknown.

A mapping says that a policy *maps to* a control, with a certainty. Nothing here says that anybody
complies: a control that passes is one whose mapped policies found nothing.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

from msgspec import Struct

from auditor.findings.supersession import PoliciesInForce
from auditor.model import Credential, FindingState, FindingStatus, Outcome, Verdict
from auditor.policy import Policy
from auditor.policy.controls import control_title, framework, framework_keys

ControlKey = tuple[str, str]
"""Framework and control id."""


class PolicyMapping(Struct, frozen=True):
    """One policy behind a control, and how certain the mapping is."""

    policy_id: str
    certainty: str


class ControlRow(Struct, frozen=True, kw_only=True):
    """One control; the four counts are credentials and add up to *credentials*."""

    id: str
    title: str | None
    policies: tuple[PolicyMapping, ...]
    credentials: int
    """Those that at least one of the policies is about."""
    passed: int
    failed: int
    excepted: int
    """Violated, under an exception in force."""
    not_evaluable: int


class FrameworkRow(Struct, frozen=True, kw_only=True):
    """One standard in one version, with the controls that an active policy maps to."""

    key: str
    title: str
    version: str
    controls: tuple[ControlRow, ...]


class _Result(IntEnum):
    """What a policy means for its controls; the worst of several counts."""

    NOT_EVALUABLE = 1
    EXCEPTED = 2
    FAILED = 3


_Kind = tuple[str, str]
"""Provider and type."""
_Said = tuple[tuple[str, Outcome], ...]
_Held = tuple[tuple[str, FindingStatus], ...]
_Judged = tuple[_Kind, _Said, _Held]
"""A kind of credential, what the policies said of it, and how its findings stand."""


class ComplianceBuilder:
    """Counts credentials by control while they stream by; holds numbers only.

    Few combinations differ among many credentials: what one means for the controls is asked once.
    """

    def __init__(self, policies: Iterable[Policy], in_force: PoliciesInForce) -> None:
        self._policies = tuple(policies)
        self._in_force = in_force
        self._plans: dict[_Kind, Mapping[str, tuple[ControlKey, ...]]] = {}
        self._passed: defaultdict[_Kind, int] = defaultdict(int)
        self._judged: defaultdict[_Judged, int] = defaultdict(int)
        self._remembered: defaultdict[_Judged, int] = defaultdict(int)

    def add(
        self, credential: Credential, verdicts: Sequence[Verdict], states: Sequence[FindingState]
    ) -> None:
        """Count a credential that was judged.

        *verdicts* hold superseded violations too, because their controls fail all the same;
        *states* are its findings after the run. A finding that is open fails its controls even
        where it could not be judged today.
        """
        kind = credential.provider, credential.type
        said = tuple([(one.policy_id, one.outcome) for one in verdicts])
        self._judged[kind, said, _held(states)] += 1

    def add_clean(self, provider: str, kind: str, number: int) -> None:
        """Count credentials of one type that pass everything and have no findings."""
        self._passed[provider, kind] += number

    def add_unread(self, credential: Credential, states: Iterable[FindingState]) -> None:
        """Count a credential that is only remembered: its live findings still fail controls."""
        self._remembered[(credential.provider, credential.type), (), _held(states)] += 1

    def build(self) -> tuple[FrameworkRow, ...]:
        """Return every standard that an active policy maps to, ids in their natural order."""
        results, applicable = self._controls()
        mappings: dict[ControlKey, list[PolicyMapping]] = {}
        for policy in self._policies:
            for key, controls in policy.controls.items():
                for control in controls:
                    mapping = PolicyMapping(policy.id, control.certainty)
                    mappings.setdefault((key, control.id), []).append(mapping)
        rows: dict[str, list[ControlRow]] = {}
        for place in sorted(mappings, key=lambda one: (one[0], _natural(one[1]))):
            row = _row(place, mappings[place], applicable[place], results)
            rows.setdefault(place[0], []).append(row)
        return tuple(_framework_row(key, found) for key, found in rows.items())

    def _policy_results(self, said: _Said, held: _Held) -> dict[str, _Result]:
        live = dict(held)
        results: dict[str, _Result] = {}
        for policy_id, outcome in said:
            if outcome is Outcome.VIOLATION:
                results[policy_id] = self._violation(policy_id, live)
            else:
                results[policy_id] = _Result.NOT_EVALUABLE
        for policy_id, status in live.items():
            if status is FindingStatus.OPEN:
                results[policy_id] = _Result.FAILED
            elif status is FindingStatus.SUPPRESSED:
                results[policy_id] = _Result.EXCEPTED
        return results

    def _violation(self, policy_id: str, live: Mapping[str, FindingStatus]) -> _Result:
        """Say what a violation means: an exception on the superior that tells it covers it."""
        telling = (policy_id, *self._in_force.superiors.get(policy_id, ()))
        told = {live[one] for one in telling if one in live}
        is_excepted = FindingStatus.SUPPRESSED in told and FindingStatus.OPEN not in told
        return _Result.EXCEPTED if is_excepted else _Result.FAILED

    def _worst(self, judged: _Judged) -> dict[ControlKey, _Result]:
        kind, said, held = judged
        plan = self._plan(kind)
        worst: dict[ControlKey, _Result] = {}
        for policy_id, result in self._policy_results(said, held).items():
            for control in plan.get(policy_id, ()):
                worst[control] = max(worst.get(control, result), result)
        return worst

    def _plan(self, kind: _Kind) -> Mapping[str, tuple[ControlKey, ...]]:
        """Return, by policy, the controls that credentials of one kind can pass or fail."""
        if kind not in self._plans:
            provider, _ = kind
            self._plans[kind] = {
                policy.id: tuple(
                    (key, control.id)
                    for key, controls in policy.controls.items()
                    if _covers(key, provider)
                    for control in controls
                )
                for policy in self._policies
                if policy.applies_to(*kind)
            }
        return self._plans[kind]

    def _controls(
        self,
    ) -> tuple[Counter[tuple[ControlKey, _Result]], Counter[ControlKey]]:
        """Return the results of every control, and how many credentials it is about."""
        results: Counter[tuple[ControlKey, _Result]] = Counter()
        applicable: Counter[ControlKey] = Counter()
        kinds = Counter(self._passed)
        for judged, number in self._judged.items():
            kinds[judged[0]] += number
        for kind, number in kinds.items():
            controls = {control for found in self._plan(kind).values() for control in found}
            for control in controls:
                applicable[control] += number
        for judged, number in self._judged.items():
            for control, result in self._worst(judged).items():
                results[control, result] += number
        for judged, number in self._remembered.items():
            for control, result in self._worst(judged).items():
                results[control, result] += number
                applicable[control] += number
        return results, applicable


def _held(states: Iterable[FindingState]) -> _Held:
    return tuple([(state.policy_id, state.status) for state in states])


def _row(
    control: ControlKey,
    policies: list[PolicyMapping],
    credentials: int,
    results: Mapping[tuple[ControlKey, _Result], int],
) -> ControlRow:
    failed, excepted, not_evaluable = (
        results.get((control, result), 0)
        for result in (_Result.FAILED, _Result.EXCEPTED, _Result.NOT_EVALUABLE)
    )
    return ControlRow(
        id=control[1],
        title=control_title(*control),
        policies=tuple(policies),
        credentials=credentials,
        passed=credentials - failed - excepted - not_evaluable,
        failed=failed,
        excepted=excepted,
        not_evaluable=not_evaluable,
    )


def _framework_row(key: str, controls: list[ControlRow]) -> FrameworkRow:
    if key not in framework_keys():
        return FrameworkRow(key=key, title=key, version="", controls=tuple(controls))
    known = framework(key)
    return FrameworkRow(key=key, title=known.title, version=known.version, controls=tuple(controls))


def _covers(key: str, provider: str) -> bool:
    return key not in framework_keys() or framework(key).covers(provider)


def _natural(control_id: str) -> list[tuple[int, str]]:
    """Return a sort key by which 1.9 stands before 1.10."""
    return [
        (int(part), "") if part.isdigit() else (-1, part)
        for part in re.findall(r"\d+|\D+", control_id)
    ]
