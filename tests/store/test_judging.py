from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pytest
from msgspec.structs import replace

from auditor.errors import ConfigError, Unavailable
from auditor.model import (
    Absence,
    Change,
    Credential,
    FindingStatus,
    Resolution,
    RunStatus,
)
from auditor.store import OccurrenceTaken, Store
from tests.store.conftest import Line
from tests.store.test_findings import judge, opened

Build = Callable[..., Credential]
At = Callable[[float], datetime]
SOURCES = frozenset({"keycard-prod"})


@dataclass(frozen=True)
class Parcel:
    recipient: str
    message_id: str
    created_at: datetime


def remaining(
    store: Store, run_id: int, selected: set[str], configured: set[str]
) -> dict[str, Absence]:
    with store.judging(
        run_id, selected=frozenset(selected), configured=frozenset(configured)
    ) as book:
        list(book.judgeable())
        return {credential.provider_id: absence for _s, absence, credential in book.remaining()}


def test_a_credential_that_a_failed_source_used_to_show_is_unread(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    one = credential()
    judge(store, line.run(at(0), [one]), opened(one, at(0)))
    run_id = line.run(at(1), error=Unavailable("no answer"))
    assert remaining(store, run_id, {"keycard-prod"}, {"keycard-prod"}) == {"key-1": Absence.UNREAD}


def test_a_credential_is_removed_only_when_every_observer_has_read_its_scope_without_it(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    both = {"keycard-prod", "second"}
    one, other = credential("one"), credential("other")
    run_id = line.run(at(0), [one, other])
    line.write(run_id, at(0), [one, other], source="second")
    judge(store, run_id, opened(one, at(0)))
    run_id = line.run(at(1), [other])
    line.write(run_id, at(1), source="second", error=Unavailable("no answer"))
    assert remaining(store, run_id, both, both) == {"one": Absence.UNREAD}
    run_id = line.run(at(2), [other])
    assert remaining(store, run_id, {"keycard-prod"}, both) == {"one": Absence.NOT_SELECTED}
    run_id = line.run(at(3), [other])
    assert remaining(store, run_id, {"keycard-prod"}, {"keycard-prod"}) == {
        "one": Absence.OUT_OF_SCOPE
    }
    run_id = line.run(at(4), [other])
    line.write(run_id, at(4), [other], source="second")
    assert remaining(store, run_id, both, both) == {"one": Absence.REMOVED}


def test_a_removed_credential_is_shown_as_it_was_seen_last(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    one = credential("one", name="as last seen", observed_at=at(1), data_as_of=at(1))
    judge(store, line.run(at(0), [credential("one")]), opened(one, at(0)))
    line.run(at(1), [one, credential("two")])
    run_id = line.run(at(2), [credential("two", observed_at=at(2), data_as_of=at(2))])
    with store.judging(run_id, selected=SOURCES, configured=SOURCES) as book:
        ((state, absence, last),) = book.remaining()
        assert (absence, last) == (Absence.REMOVED, one)
        book.record(
            [
                replace(
                    state,
                    status=FindingStatus.RESOLVED,
                    change=Change.RESOLVED,
                    resolution=Resolution.REMOVED,
                )
            ]
        )
    ((state, last),) = store.findings_at(run_id)
    assert (state.resolution, last) == (Resolution.REMOVED, one)
    later = line.run(at(3), [credential("two")])
    judge(store, later)
    assert list(store.findings_at(later)) == []


def test_only_what_this_run_has_read_is_judged(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    run_id = line.run(at(0), [credential("one"), credential("two")])
    run_id = line.run(at(1), [credential("two")], error=Unavailable("cut"))
    with store.judging(run_id, selected=SOURCES, configured=SOURCES) as book:
        assert [one.provider_id for one, _prior in book.judgeable()] == ["two"]


def test_all_findings_of_a_credential_are_remembered_with_it(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    one = credential()
    states = [
        opened(one, at(0), "a"),
        replace(opened(one, at(0), "b"), status=FindingStatus.RESOLVED),
        replace(opened(one, at(0), "c"), status=FindingStatus.SUPPRESSED),
    ]
    judge(store, line.run(at(0), [one]), *states)
    run_id = line.run(at(1), [one])
    with store.judging(run_id, selected=SOURCES, configured=SOURCES) as book:
        ((_credential, prior),) = book.judgeable()
        assert list(prior) == states


def test_an_exception_undoes_the_whole_judgement(
    line: Line, store: Store, credential: Build, now: datetime
) -> None:
    one = credential()
    run_id = line.run(now, [one])

    def interrupted(error: type[BaseException]) -> None:
        with store.judging(run_id, selected=SOURCES, configured=SOURCES) as book:
            book.record([opened(one, now)])
            book.enqueue("mail", [Parcel("a@example.com", "<1@x>", now)])
            list(book.judgeable())
            raise error

    for error in (ZeroDivisionError, KeyboardInterrupt):
        with pytest.raises(error):
            interrupted(error)
    assert store.findings() == []
    assert store.outbox.list() == []
    assert not store.run(run_id).is_judged
    assert len(list(store.credentials(run_id))) == 1
    judge(store, run_id, opened(one, now))
    assert len(list(store.findings_at(run_id))) == 1


def test_judging_twice_changes_nothing(
    line: Line, store: Store, credential: Build, now: datetime
) -> None:
    one = credential()
    run_id = line.run(now, [one])
    state = opened(one, now)
    judge(store, run_id, state)
    before = (store.events(state.id), list(store.findings_at(run_id)))
    judge(store, run_id, state)
    assert (store.events(state.id), list(store.findings_at(run_id))) == before


def test_messages_exist_exactly_if_the_judgement_does_and_once(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    run_id = line.run(at(0), [credential()])
    parcels = [Parcel("a@example.com", "<1@x>", at(0)), Parcel("b@example.com", "<2@x>", at(0))]
    for _ in range(2):
        with store.judging(run_id, selected=SOURCES, configured=SOURCES) as book:
            book.enqueue("mail", parcels)
    assert [row.recipient for row in store.outbox.due(at(0))] == ["a@example.com", "b@example.com"]
    assert store.outbox.due(at(-1)) == []


def test_sources_that_a_run_left_out_are_told_as_not_selected(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    run_id = line.run(at(0), [credential()])
    judge(store, run_id)
    run_id = line.begin(at(1))
    with store.judging(
        run_id, selected=frozenset({"other"}), configured=SOURCES | {"other"}
    ) as book:
        assert list(book.judgeable()) == []
    ((coverage),) = store.coverage(run_id)
    assert (coverage.source, coverage.status) == ("keycard-prod", "not_selected")
    assert len(list(store.credentials(run_id))) == 1


def test_a_source_that_is_no_longer_configured_leaves_the_inventory(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    first = line.run(at(0), [credential()])
    judge(store, first)
    run_id = line.begin(at(1))
    with store.judging(run_id, selected=frozenset({"x"}), configured=frozenset({"x"})):
        pass
    assert list(store.credentials(run_id)) == []
    assert len(list(store.credentials(first))) == 1


def test_a_later_run_does_not_change_what_an_earlier_one_was_judged_on(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    early, late = line.begin(at(0)), line.begin(at(0.5))
    line.write(late, at(0.5), [credential(name="late")])
    judge(store, late)
    line.write(early, at(0), [credential(name="early")])
    assert [one.name for one in store.credentials(late)] == ["late"]
    judge(store, early)
    assert [one.name for one in store.credentials(early)] == ["early"]
    assert [one.name for one in store.credentials(late)] == ["late"]


# -- runs


def test_runs_are_remembered_with_what_they_were_judged_by(store: Store, at: At) -> None:
    run_id = store.begin_run(
        now=at(0),
        started_at=at(1),
        is_as_of=True,
        schedule="nightly",
        occurrence="2026-03-01",
        context=b"policies",
    )
    assert store.run(run_id).status is RunStatus.RUNNING
    store.finish_run(run_id, status=RunStatus.INCOMPLETE, finished_at=at(2), summary=b"{}")
    run = store.run(run_id)
    assert (run.now, run.started_at, run.finished_at) == (at(0), at(1), at(2))
    assert (run.is_as_of, run.status, run.context) == (True, RunStatus.INCOMPLETE, b"policies")
    assert (run.schedule, run.occurrence, run.summary) == ("nightly", "2026-03-01", b"{}")
    assert store.runs() == [run]


def test_an_occurrence_happens_once(store: Store, at: At) -> None:
    store.begin_run(now=at(0), started_at=at(0), schedule="nightly", occurrence="2026-03-01")
    with pytest.raises(OccurrenceTaken):
        store.begin_run(now=at(0), started_at=at(0), schedule="nightly", occurrence="2026-03-01")
    store.begin_run(now=at(0), started_at=at(0), schedule="nightly", occurrence="2026-03-02")
    store.begin_run(now=at(0), started_at=at(0))
    store.begin_run(now=at(0), started_at=at(0))
    assert len(store.runs()) == 4


def test_an_unknown_run_is_answered_with_the_known_ones(line: Line, store: Store, at: At) -> None:
    with pytest.raises(ConfigError, match="no run yet; run `auditor audit` first"):
        store.run("latest")
    judge(store, line.begin(at(0)))
    unjudged = line.begin(at(1))
    with pytest.raises(ConfigError, match="there is no run 77; the newest are 2, 1"):
        store.run(77)
    assert store.run("latest").id == unjudged - 1
