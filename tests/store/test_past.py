"""What lies between two runs, the later one aside, whether it is judged yet or not."""

from collections.abc import Callable
from datetime import datetime

from auditor.evidence import Gap
from auditor.model import Credential, FindingState
from auditor.store import Store
from auditor.store.codec import micros
from auditor.store.past import Turn
from tests.store.conftest import ORGANIZATION, Line
from tests.store.test_browse import pairs, runs  # noqa: F401 - a fixture
from tests.store.test_findings import judge, opened

Build = Callable[..., Credential]
At = Callable[[float], datetime]


def _expected(store: Store, start: int, run_id: int) -> dict[str, tuple[bool, FindingState]]:
    """Return, by what the events say one by one, what changed in between."""
    found = {}
    for record in store.findings(limit=1000):
        events = store.events(record.state.id)
        between = [one for one in events if start < one.run_id < run_id]
        if between:
            was_there = any(one.run_id <= start for one in events)
            found[record.state.id] = (was_there, between[-1].state)
    return found


def test_turns_are_the_newest_events_in_between(store: Store, runs: list[int]) -> None:  # noqa: F811
    for start, run_id in pairs(runs):
        turns = list(store.browse.turns(start, run_id))
        found = {one.after.id: (one.before is not None, one.after) for one in turns}
        assert found == _expected(store, start, run_id)
        assert len(turns) == len(found)
        assert all(one.credential.uid == one.after.credential_uid for one in turns)
    assert any(list(store.browse.turns(a, b)) for a, b in pairs(runs))


def test_a_run_under_judgement_sees_what_it_will_see_later(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    one, two = credential("key-1"), credential("key-2")
    first = line.run(at(0), [one, two])
    judge(store, first)
    second = line.run(at(1), [one, two])
    judge(store, second, opened(one, at(1)))
    third = line.run(at(2), [one, two])

    before = list(store.browse.turns(first, third))
    judge(store, third, opened(two, at(2)))
    fourth = line.run(at(3), [one, two])
    judge(store, fourth)

    assert [turn.after.credential_uid for turn in before] == [one.uid]
    assert list(store.browse.turns(first, third)) == before
    assert before == [Turn(None, before[0].after, before[0].credential)]
    assert list(store.browse.turns(second, third)) == []


def test_readings_count_gaps_and_tell_the_first_whole_one(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    one, gap = credential(), Gap("stopped", "it stopped", ORGANIZATION)
    numbers = []
    for day, is_partial in enumerate((False, True, False, True, False)):
        run_id = line.run(at(day), [one], *([gap] if is_partial else []))
        judge(store, run_id)
        numbers.append(run_id)
    line.run(at(6), [one], gap)  # never judged: nobody was told of it

    (reading,) = store.browse.readings(numbers[0], numbers[-1] + 10)
    assert (reading.source, reading.organization_id) == ("keycard-prod", ORGANIZATION.id)
    assert (reading.gaps, reading.whole_at) == (2, micros(at(2)))
    assert store.browse.readings(numbers[3], numbers[4]) == []
    assert store.browse.count_judged(numbers[0], numbers[4]) == 3
