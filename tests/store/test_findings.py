from collections.abc import Callable
from datetime import datetime

import msgspec
import pytest
from msgspec.structs import replace

from auditor.model import (
    Change,
    Credential,
    FindingState,
    FindingStatus,
    Severity,
)
from auditor.store import Store
from auditor.store.codec import micros
from auditor.store.findings import decode_finding, encode_finding
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


def test_what_one_run_records_twice_is_there_once_as_recorded_last(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    one = credential()
    run_id = line.run(at(0), [one])
    # So many that they are written before the second time.
    states = [opened(one, at(0), f"policy-{number}") for number in range(1000)]
    with store.judging(run_id, selected=SOURCES, configured=SOURCES) as book:
        assert [prior for _credential, prior in book.judgeable()] == [()]
        book.record(states)
        book.record(replace(state, severity=Severity.HIGH) for state in states)
    found = store.findings()
    assert len(found) == 1000
    assert {record.state.severity for record in found} == {Severity.HIGH}
    assert len(store.events(states[0].id)) == 2


def test_findings_of_many_credentials_stay_with_their_owners(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    many = [credential(f"key-{number:04}") for number in range(1, 1204)]
    judge(store, line.run(at(0), many), *(opened(one, at(0)) for one in many))
    run_id = line.run(at(1), many[1:])
    with store.judging(run_id, selected=SOURCES, configured=SOURCES) as book:
        read = [(one.uid, prior) for one, prior in book.judgeable()]
        assert [uid for uid, _prior in read] == [one.uid for one in many[1:]]
        assert all([state.credential_uid for state in prior] == [uid] for uid, prior in read)
        book.record(replace(prior[0], status=FindingStatus.RESOLVED) for _uid, prior in read)
        book.record(opened(one, at(1), "stale") for one in many[1:])
        assert [one.uid for _state, _absence, one in book.remaining()] == [many[0].uid]
    assert len(store.findings(status="resolved")) == 1202
    found = store.findings(policy_id="stale", uid=many[-1].uid)
    assert [record.state.credential_uid for record in found] == [many[-1].uid]


@pytest.mark.parametrize("is_stale", [False, True])
def test_what_a_finding_does_not_say_is_not_set(
    credential: Build, at: At, *, is_stale: bool
) -> None:
    state = replace(opened(credential(), at(0)), stale_since=at(1) if is_stale else None)
    seen_at = micros(at(0))
    assert decode_finding(encode_finding(state), seen_at) == state
    assert is_stale or b"null" not in encode_finding(state)
    assert decode_finding(msgspec.json.encode(state), seen_at) == state, "as it was written once"


def test_the_findings_of_a_credential_come_by_policy(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    some = [credential("a"), credential("b")]
    names = ["stale", "dormant", "expired"]
    judge(
        store,
        line.run(at(0), some),
        *(opened(one, at(0), name) for name in names for one in some),
    )
    with store.judging(line.run(at(1), some), selected=SOURCES, configured=SOURCES) as book:
        for _credential, prior in book.judgeable():
            assert [state.policy_id for state in prior] == sorted(names)
