"""Pages of what changed are the whole difference, cut in pieces; on both databases."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from auditor.evidence import Gap
from auditor.findings.diff import (
    CredentialDiff,
    FindingDiff,
    diff_credential,
    diff_credentials,
    diff_findings,
)
from auditor.model import Change, Credential, FindingStatus, Resolution
from auditor.store import Store
from tests.store.conftest import ORGANIZATION, Line
from tests.store.test_findings import judge, opened

Build = Callable[..., Credential]
At = Callable[[float], datetime]


@pytest.fixture
def runs(line: Line, store: Store, credential: Build, at: At) -> list[int]:
    """Six judged runs over fifty credentials that come, go, change and are used; one partial."""
    dice = random.Random(5)
    known = {f"key-{number:02}": credential(f"key-{number:02}") for number in range(50)}
    states = {name: opened(one, at(0)) for name, one in known.items() if int(name[4:]) % 3 == 0}
    numbers = []
    for day in range(6):
        for name in dice.sample(sorted(known), 6):
            changes = dice.choice(
                (
                    {"name": f"{name} on {day}"},
                    {"owner": f"team-{day}"},
                    {"tags": {"day": str(day)}},
                )
            )
            known[name] = replace(known[name], **changes)
        present = [name for name in sorted(known) if dice.random() > 0.2 or day == 0]
        page = [
            replace(
                known[name],
                observed_at=at(day),
                data_as_of=at(day),
                last_used_at=at(day) - timedelta(minutes=dice.randint(1, 500)),
            )
            for name in present
        ]
        items: list[Any] = [page]
        if day == 3:
            items.append(Gap("stopped", "it stopped", ORGANIZATION))
        run_id = line.run(at(day), *items)
        now = []
        for name in sorted(states):
            before, lot = states[name], dice.random()
            if lot < 0.2 and before.status is FindingStatus.OPEN:
                after = replace(
                    before,
                    status=FindingStatus.RESOLVED,
                    change=Change.RESOLVED,
                    resolution=Resolution.CONDITION_CLEARED,
                )
            elif lot < 0.6 and before.status is FindingStatus.RESOLVED:
                after = replace(
                    before, status=FindingStatus.OPEN, change=Change.REOPENED, resolution=None,
                    opened_at=at(day),
                )  # fmt: skip
            elif day == 0:
                after = before
            else:
                continue
            states[name] = after
            now.append(after)
        judge(store, run_id, *now)
        numbers.append(run_id)
    return numbers


def pairs(runs: list[int]) -> list[tuple[int, int]]:
    return [(a, b) for a in runs for b in runs if a < b]


def test_pages_of_credentials_give_the_whole_difference(store: Store, runs: list[int]) -> None:
    for a, b in pairs(runs):
        start, stop = store.browse.judged(a), store.browse.judged(b)
        assert start is not None
        assert stop is not None
        paged: list[CredentialDiff] = []
        after = ""
        while batch := list(store.browse.touched(start, stop, 4, after=after)):
            after = batch[-1].uid
            paged += [found for one in batch if (found := diff_credential(one.before, one.after))]
        whole = list(diff_credentials(store.credentials(a), store.credentials(b)))

        assert [(one.credential.uid, one.deltas) for one in paged] == [
            (one.credential.uid, one.deltas) for one in whole
        ]


def test_what_changed_later_is_not_looked_at(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    names = [f"key-{number}" for number in range(5)]
    days = (
        [credential(name) for name in names],
        [credential(name) for name in names],
        [credential(name, name=f"{name} renamed") for name in names[1:]],
    )
    runs = []
    for day, page in enumerate(days):
        runs.append(line.run(at(day), page))
        judge(store, runs[-1])
    first, same, last = runs

    def touched(a: int, b: int) -> int:
        start, stop = store.browse.judged(a), store.browse.judged(b)
        assert start is not None
        assert stop is not None
        return len(list(store.browse.touched(start, stop, 9)))

    assert touched(first, same) == 0
    assert touched(same, last) == 5


def test_pages_of_findings_give_the_whole_difference(store: Store, runs: list[int]) -> None:
    for a, b in pairs(runs):
        start, stop = store.browse.judged(a), store.browse.judged(b)
        assert start is not None
        assert stop is not None
        paged: list[FindingDiff] = []
        after = 0
        while batch := store.browse.turned(start, stop, 3, after=after):
            after = batch[-1].mark
            for one in batch:
                paged += diff_findings([one.before] if one.before else [], [one.after])
        whole = diff_findings(
            (state for state, _ in store.findings_at(a)),
            (state for state, _ in store.findings_at(b)),
        )

        assert sorted((one.turn, one.state.id) for one in paged) == sorted(
            (one.turn, one.state.id) for one in whole
        )


def test_runs_come_newest_first_in_pages(store: Store, runs: list[int]) -> None:
    newest = store.browse.runs(2)
    older = store.browse.runs(2, before=newest[-1].id)
    back = store.browse.runs(2, after=older[0].id)

    assert [one.id for one in newest + older] == runs[::-1][:4]
    assert back == newest
    assert store.browse.latest() == runs[-1]


def test_one_credential_is_found_present_or_gone(store: Store, runs: list[int]) -> None:
    present = {one.uid: one for one in store.credentials(runs[-1])}
    gone = {one.uid for run in runs for one in store.credentials(run)} - present.keys()

    assert gone
    for uid, one in present.items():
        assert store.browse.credential(uid) == one
    assert all(store.browse.credential(uid) is not None for uid in gone)
    assert store.browse.credential("keycard:none") is None


def test_a_run_that_was_not_judged_has_no_marks(line: Line, store: Store, at: At) -> None:
    run_id = line.begin(at(0), schedule="nightly", occurrence="2026-03-01T03:00")

    assert store.browse.judged(run_id) is None
    assert store.browse.judged(99) is None
    assert store.browse.latest() is None
    assert store.browse.runs_of("nightly", ["2026-03-01T03:00", "none"]) == {
        "2026-03-01T03:00": run_id
    }
