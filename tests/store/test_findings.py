from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from auditor.model import (
    Change,
    Credential,
    FindingState,
    FindingStatus,
    Severity,
)
from auditor.store import Store
from tests.store.conftest import Line

Build = Callable[..., Credential]
At = Callable[[float], datetime]
SOURCES = frozenset({"keycard-prod"})


def opened(credential: Credential, now: datetime, policy: str = "dormant") -> FindingState:
    return FindingState(
        id=f"{policy}/{credential.uid}",
        policy_id=policy,
        credential_uid=credential.uid,
        status=FindingStatus.OPEN,
        change=Change.OPENED,
        severity=Severity.MEDIUM,
        risk_score=40,
        first_seen_at=now,
        last_seen_at=now,
    )


def judge(store: Store, run_id: int, *states: FindingState) -> None:
    with store.judging(run_id, selected=SOURCES, configured=SOURCES) as book:
        book.record(states)


def test_a_finding_seen_again_costs_no_event_but_its_last_sighting_is_known_at_every_run(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    one = credential()
    state = opened(one, at(0))
    runs = []
    for day in range(3):
        run_id = line.run(at(day), [one])
        change = Change.UNCHANGED if day else Change.OPENED
        judge(store, run_id, replace(state, change=change, last_seen_at=at(day)))
        runs.append(run_id)
    assert len(store.events(state.id)) == 1
    for day, run_id in enumerate(runs):
        ((then, _credential),) = store.findings_at(run_id)
        assert then.last_seen_at == at(day)
        assert then.change == (Change.UNCHANGED if day else Change.OPENED)
    record = store.finding(state.id)
    assert record is not None
    assert record.state.last_seen_at == at(2)
