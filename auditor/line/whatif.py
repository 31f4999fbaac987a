"""What other policies would make of a stored run: no provider is called, nothing is written."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from auditor.errors import ConfigError
from auditor.findings.case import ExceptionLookup
from auditor.findings.grace import Grace, with_grace
from auditor.findings.reconcile import reconcile
from auditor.findings.supersession import PoliciesInForce
from auditor.line.neighbours import Neighbourhood
from auditor.line.recall import run_number
from auditor.model import Change, Credential, FindingState, FindingStatus, Resolution
from auditor.policy import PolicySet
from auditor.store import Store


class Difference(Struct, frozen=True):
    """One finding that would open or close."""

    change: Change
    policy_id: str
    severity: str
    credential: Credential
    resolution: Resolution | None = None


class WhatIf(Struct, frozen=True):
    """What would change, and the counts before and after."""

    run_id: int
    now: datetime
    before: int
    after: int
    differences: tuple[Difference, ...]

    def by_owner(self, change: Change) -> Counter[str]:
        """Count the differences of one kind by owner; ``""`` stands for none."""
        return Counter(d.credential.owner or "" for d in self.differences if d.change is change)


def what_if(
    store: Store,
    run: str,
    policies: PolicySet,
    in_force: PoliciesInForce,
    exceptions: ExceptionLookup,
    now: datetime | None = None,
    grace: Grace | None = None,
) -> WhatIf:
    """Judge the credentials of a stored run again; *now* None means the run's own instant."""
    record = store.run(run_number(run))
    if not record.is_judged:
        raise ConfigError(f"Run {record.id} was not judged; choose another with --run.")
    prior: dict[str, list[FindingState]] = defaultdict(list)
    for state, _credential in store.findings_at(record.id):
        prior[state.credential_uid].append(state)
    before = sum(_is_open(state) for states in prior.values() for state in states)
    neighbourhood = Neighbourhood(
        store, record.id, policies, now=now or record.now, needs_siblings=grace is not None
    )
    neighbourhood.gather(store.coverage(record.id))
    if grace is not None:
        exceptions = with_grace(exceptions, grace, neighbourhood.newest_sibling)
    differences: list[Difference] = []
    after = 0
    for credential in store.credentials(record.id):
        at = now or credential.observed_at
        states = reconcile(
            credential,
            prior.get(credential.uid, ()),
            policies.evaluate(
                credential, at, neighbourhood.explore(credential, prior.get(credential.uid, ()))
            ),
            now=now or record.now,
            policies=in_force,
            exceptions=exceptions,
        )
        after += sum(_is_open(state) for state in states)
        differences += _differences(credential, prior.get(credential.uid, []), states)
    return WhatIf(record.id, now or record.now, before, after, tuple(differences))


def _differences(
    credential: Credential, before: list[FindingState], after: list[FindingState]
) -> Iterator[Difference]:
    """Hand-overs between policies count: who tries a policy wants to see what it takes over."""
    was = {state.policy_id for state in before if _is_open(state)}
    for state in after:
        is_open = _is_open(state)
        if is_open and state.policy_id not in was:
            yield Difference(Change.OPENED, state.policy_id, state.severity.value, credential)
        elif not is_open and state.policy_id in was:
            yield Difference(
                Change.RESOLVED,
                state.policy_id,
                state.severity.value,
                credential,
                state.resolution,
            )


def _is_open(state: FindingState) -> bool:
    return state.status is FindingStatus.OPEN
