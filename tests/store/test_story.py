from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from auditor.model import (
    Change,
    Credential,
    FindingStatus,
    LastUsedState,
    Resolution,
)
from auditor.store import Store
from tests.store.conftest import Line
from tests.store.test_findings import judge, opened

Build = Callable[..., Credential]
At = Callable[[float], datetime]


def test_the_timeline_of_a_credential_tells_everything_once(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    other = credential("other")
    one = credential("one", permissions={"zones": {"read": True}})
    line.run(at(0), [one, other])
    line.run(at(1), [one, other])
    line.run(at(2), [replace(one, last_used_at=at(2)), other])
    wider = replace(one, last_used_at=at(2), permissions={"zones": {"write": True}}, owner="me@x")
    run_id = line.run(at(3), [wider, other])
    judge(store, run_id, opened(one, at(3)))
    line.run(at(4), [other])
    line.run(at(5), [one, other])
    told = [(entry.kind, entry.at, entry.source) for entry in store.timeline(one.uid)]
    assert told == [
        ("appeared", at(0), "keycard-prod"),
        ("used", at(2), "keycard-prod"),
        ("changed", at(3), "keycard-prod"),
        ("finding", at(3), None),
        ("disappeared", at(4), "keycard-prod"),
        ("appeared", at(5), "keycard-prod"),
        ("changed", at(5), "keycard-prod"),
        ("used", at(5), "keycard-prod"),
    ]
    changes = {entry.at: entry.changes for entry in store.timeline(one.uid)}
    assert changes[at(2)] == {
        "last_used_at": ("2026-02-28T03:00:00Z", "2026-03-03T03:00:00Z"),
    }
    (changed,) = [e.changes for e in store.timeline(one.uid) if e.kind == "changed"][:1]
    assert changed == {
        "owner": (None, "me@x"),
        "permissions": ({"zones": {"read": True}}, {"zones": {"write": True}}),
    }
    assert store.timeline("keycard:org-1:key:unheard-of") == []


def test_findings_are_listed_by_risk_and_found_by_what_they_are(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    one, two = credential("one"), credential("two")
    states = [
        replace(opened(one, at(0), "a"), risk_score=10),
        replace(opened(two, at(0), "a"), risk_score=90),
        replace(
            opened(two, at(0), "b"),
            status=FindingStatus.RESOLVED,
            change=Change.RESOLVED,
            resolution=Resolution.CONDITION_CLEARED,
        ),
    ]
    judge(store, line.run(at(0), [one, two]), *states)
    assert [record.state.id for record in store.findings()] == [
        states[1].id,
        states[2].id,
        states[0].id,
    ]
    assert len(store.findings(status="open")) == 2
    assert len(store.findings(policy_id="a", uid=two.uid)) == 1
    assert store.findings(severity=3) == []
    assert len(store.findings(limit=1, offset=1)) == 1
    assert store.finding("a/") is None
    found = store.finding(f"b/{two.uid}"[:-1])
    assert found is not None
    assert found.state == states[2]
    assert store.finding("%") is None


def test_every_state_of_a_finding_is_told_in_order(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    one = credential()
    state = opened(one, at(0))
    stale = replace(state, change=Change.UNCHANGED, stale_since=at(1))
    resolved = replace(
        stale,
        status=FindingStatus.RESOLVED,
        change=Change.RESOLVED,
        stale_since=None,
        resolution=Resolution.REMOVED,
        resolved_at=at(3),
    )
    for day, taken in enumerate((state, stale, stale, resolved)):
        judge(store, line.run(at(day), [one]), taken)
    told = store.events(state.id)
    assert [(event.at, event.state) for event in told] == [
        (at(0), state),
        (at(1), stale),
        (at(3), resolved),
    ]


# -- retention


def test_forgetting_old_runs_changes_nothing_about_the_others(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    expected = {}
    for day in range(12):
        listed = [
            credential(
                f"key-{number}",
                name=f"name {day // 4}",
                observed_at=at(day),
                data_as_of=at(day),
                last_used_state=LastUsedState.USED,
                last_used_at=at(0) + timedelta(hours=day if number % 2 else 0),
            )
            for number in range(6)
            if number != day
        ]
        run_id = line.run(at(day), listed)
        if day == 2:
            judge(store, run_id, opened(listed[4], at(day)))
        else:
            judge(store, run_id)
        expected[run_id] = (list(store.credentials(run_id)), list(store.findings_at(run_id)))
    pruned = store.prune(at(8))
    assert pruned.runs == 8
    assert pruned.versions > 0
    kept = [run.id for run in store.runs()]
    assert kept == sorted(expected)[:7:-1]
    for run_id in kept:
        assert (list(store.credentials(run_id)), list(store.findings_at(run_id))) == expected[
            run_id
        ]
    assert len(store.findings(status="open")) == 1
    assert len(store.events(store.findings()[0].state.id)) == 1
    assert store.timeline(store.findings()[0].state.credential_uid)
    again = store.prune(at(8))
    assert (again.runs, again.collections, again.versions) == (0, 0, 0)
    assert line.run(at(13), [credential("key-1")])


def test_what_is_gone_and_resolved_is_forgotten_with_its_runs(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    old, new = credential("old"), credential("new")
    state = opened(old, at(0))
    judge(store, line.run(at(0), [old, new]), state)
    resolved = replace(state, status=FindingStatus.RESOLVED, change=Change.RESOLVED)
    judge(store, line.run(at(1), [new]), resolved)
    for day in (2, 3):
        judge(store, line.run(at(day), [new]))
    pruned = store.prune(at(3))
    assert (pruned.findings, pruned.credentials, pruned.runs) == (1, 1, 3)
    assert store.timeline(old.uid) == []
    assert [one.provider_id for one in store.credentials(4)] == ["new"]


def test_the_newest_judged_run_is_never_forgotten(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    run_id = line.run(at(0), [credential()])
    judge(store, run_id)
    assert store.prune(at(100)).runs == 0
    assert store.run("latest").id == run_id
