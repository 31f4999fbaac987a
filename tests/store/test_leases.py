"""A run has one maker; whoever held it before can write no more. One daemon leads."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from auditor.errors import StoreError, Unavailable
from auditor.evidence import Page, Unit
from auditor.model import CoverageStatus, RunStatus
from auditor.store import FIRST_FENCE, Hold, Spool, StaleClaim, Store
from tests.conftest import NOW
from tests.store.conftest import ORGANIZATION, Line

LEASE = timedelta(minutes=5)
BRIEF = timedelta(milliseconds=1)
EVERYTHING = frozenset({"keycard-prod"})
ROOT = Path(__file__).parent.parent.parent


def take(store: Store, run_id: int, holder: str = "one", lease: timedelta = LEASE) -> Hold:
    return store.leases.take(run_id, holder=holder, lease=lease)


def claim(store: Store, hold: Hold, key: str):
    return store.claim(
        hold.run_id,
        source="keycard-prod",
        provider="keycard",
        unit=Unit(key, ORGANIZATION),
        owner=hold.holder,
        lease=LEASE,
    )


def test_taking_a_run_frees_what_its_former_maker_had_claimed(store: Store, line: Line):
    run_id = line.begin(NOW)
    old = take(store, run_id)
    stale = claim(store, old, "org-1")
    new = take(store, run_id, "two")
    assert claim(store, new, "org-1") is not None
    assert stale is not None
    with pytest.raises(StaleClaim):
        line.write(run_id, NOW, [], claim=stale)
    assert not store.leases.renew(old, LEASE)
    assert store.leases.renew(new, LEASE)


def test_only_the_newest_maker_judges_and_only_once(store: Store, line: Line):
    run_id = line.begin(NOW)
    old, new = take(store, run_id), take(store, run_id, "two")
    with pytest.raises(StaleClaim), _judging(store, old):
        pass
    with _judging(store, new) as book:
        book.finish(status=RunStatus.COMPLETE, finished_at=NOW, summary=b"")
    with pytest.raises(StaleClaim), _judging(store, new):
        pass
    assert store.run(run_id).is_judged


def _judging(store: Store, hold: Hold):
    return store.judging(hold.run_id, selected=EVERYTHING, configured=EVERYTHING, hold=hold)


def test_an_ended_run_keeps_the_end_that_counts(store: Store, line: Line):
    run_id = line.begin(NOW)
    old, new = take(store, run_id), take(store, run_id, "two")
    assert not store.leases.end(old, status=RunStatus.FAILED, finished_at=NOW)
    assert store.run(run_id).status is RunStatus.RUNNING
    assert store.leases.end(new, status=RunStatus.INTERRUPTED, finished_at=NOW)
    assert store.run(run_id).status is RunStatus.INTERRUPTED
    take(store, run_id)
    assert store.run(run_id).status is RunStatus.RUNNING


def test_a_run_that_nobody_makes_any_more_is_ended_with_its_units(store: Store, line: Line):
    dead, alive, awaited = (
        line.begin(NOW),
        line.begin(NOW),
        line.begin(NOW, schedule="nightly", occurrence="2026-03-01T03:00"),
    )
    store.ledger.begin("nightly", "2026-03-01T03:00", at=NOW)
    claim(store, take(store, dead, lease=BRIEF), "org-1")
    take(store, alive)
    take(store, awaited, lease=BRIEF)
    time.sleep(0.01)
    assert store.leases.reap(NOW) == [dead]
    (part,) = store.coverage(dead)
    assert (part.status, part.reason) == (CoverageStatus.FAILED, "interrupted")
    assert store.run(dead).status is RunStatus.INTERRUPTED
    store.ledger.finish("nightly", "2026-03-01T03:00", state="failed", reason="too old")
    assert store.leases.reap(NOW) == [awaited]
    assert store.leases.find("nightly", "2026-03-01T03:00") == awaited
    assert store.leases.find("nightly", "2026-03-02T03:00") is None


def test_a_run_whose_maker_fell_silent_reads_as_interrupted_until_it_speaks_again(
    store: Store, line: Line
):
    run_id = line.begin(NOW, holder="one", lease=BRIEF)
    hold = Hold(run_id=run_id, fence=FIRST_FENCE, holder="one")
    time.sleep(0.01)
    for read in (store.run(run_id), *store.runs(), *store.browse.runs(5)):
        assert read.status is RunStatus.INTERRUPTED
        assert read.lapsed_at is not None
        assert read.lapsed_at < datetime.now(UTC)
    assert store.leases.renew(hold, LEASE)
    for read in (store.run(run_id), *store.runs(), *store.browse.runs(5)):
        assert (read.status, read.lapsed_at) == (RunStatus.RUNNING, None)
    assert store.leases.end(hold, status=RunStatus.FAILED, finished_at=NOW)
    assert (store.run(run_id).status, store.run(run_id).lapsed_at) == (RunStatus.FAILED, None)


def test_what_an_ended_run_had_claimed_ends_with_it(store: Store, line: Line):
    run_id = line.begin(NOW)
    hold = take(store, run_id)
    claim(store, hold, "org-1")
    store.leases.end(hold, status=RunStatus.FAILED, finished_at=NOW)
    assert store.leases.reap(NOW) == []
    (part,) = store.coverage(run_id)
    assert (part.status, part.reason) == (CoverageStatus.FAILED, "interrupted")
    assert store.run(run_id).status is RunStatus.FAILED


def test_a_source_that_failed_before_the_interruption_is_not_noted_twice(store: Store, line: Line):
    line.run(NOW, [])
    run_id = line.begin(NOW)
    for _ in range(2):
        take(store, run_id)
        error = Unavailable("keycard-prod does not answer")
        store.fail_source(run_id, source="keycard-prod", provider="keycard", error=error)
        store.fail_source(run_id, source="new", provider="keycard", error=error)
    places = [
        (part.source, part.organization and part.organization.id) for part in store.coverage(run_id)
    ]
    assert places.count(("new", None)) == 1
    assert len(places) == len(set(places))


def test_an_occurrence_is_unfinished_until_it_ends(store: Store):
    store.ledger.begin("nightly", "2026-03-01T03:00", at=NOW)
    (record,) = store.ledger.unfinished()
    assert (record.schedule, record.key, record.recorded_at) == ("nightly", "2026-03-01T03:00", NOW)
    store.ledger.finish("nightly", "2026-03-01T03:00", state="done")
    assert not store.ledger.unfinished()
    store.ledger.finish("nightly", "2026-03-01T03:00", state="failed", reason="too late")
    assert store.ledger.list("nightly")[0].state == "done"


# One leader


@pytest.fixture
def postgres(postgres_url: str) -> str:
    plain = make_url(postgres_url).set(drivername="postgresql")
    with psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True) as link:
        link.execute("DROP SCHEMA public CASCADE")
        link.execute("CREATE SCHEMA public")
    return postgres_url


def test_one_process_leads_and_says_so(store: Store):
    leadership = store.leadership()
    assert leadership.leader() is None
    assert leadership.hold()
    assert leadership.hold()
    leader = leadership.leader()
    assert leader is not None
    assert str(os.getpid()) in leader.holder
    leadership.release()
    assert leadership.leader() is None
    leadership.release()


def test_a_second_daemon_on_sqlite_is_refused_with_the_holder_named(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/a.db"
    with Store.open(url) as store, Store.open(url) as other:
        first, second = store.leadership(), other.leadership()
        assert first.hold()
        with pytest.raises(StoreError, match=f"{os.getpid()}.*another daemon.*Stop it"):
            second.hold()
        seen = second.leader()
        assert seen is not None
        assert str(os.getpid()) in seen.holder
        first.release()
        assert second.hold()
        second.release()


def test_the_lock_of_a_killed_daemon_is_free_at_once(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/a.db"
    code = (
        "import sys, time; from auditor.store import Store; store = Store.open(sys.argv[1]);"
        "lead = store.leadership(); lead.hold(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with Store.open(url) as store:
            leadership = store.leadership()
            process.send_signal(signal.SIGSTOP)
            with pytest.raises(StoreError, match=str(process.pid)):
                leadership.hold()
            process.kill()
            process.wait()
            assert leadership.hold()
            leadership.release()


def test_an_in_memory_database_has_nobody_to_share_with():
    with Store.open("sqlite://") as store:
        leadership = store.leadership()
        assert leadership.hold()
        assert leadership.leader() is None
        leadership.release()


@pytest.mark.postgres
def test_a_leader_that_fell_silent_is_succeeded_and_told(postgres: str):
    brief = timedelta(seconds=3)
    with Store.open(postgres) as store, Store.open(postgres) as other:
        first, second = store.leadership(lease=brief), other.leadership(lease=brief)
        assert first.hold()
        assert not second.hold()
        time.sleep(brief.total_seconds() + 0.2)
        assert second.hold()
        assert not first.hold()
        leader = second.leader()
        assert leader is not None
        assert leader.expires_at is not None
        second.release()
        assert first.hold()


@pytest.mark.postgres
def test_a_leader_whose_connections_are_terminated_keeps_leading(postgres: str):
    with Store.open(postgres) as store, Store.open(postgres) as other:
        first, second = store.leadership(), other.leadership()
        assert first.hold()
        plain = make_url(postgres).set(drivername="postgresql").render_as_string(False)
        with psycopg.connect(plain, autocommit=True) as link:
            link.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert first.hold()
        assert not second.hold()


def test_a_write_of_a_stale_maker_leaves_no_trace(store: Store, line: Line, credential):
    run_id = line.begin(NOW)
    stale = claim(store, take(store, run_id), "org-1")
    take(store, run_id, "two")
    with Spool() as spool:
        spool.append(Page(ORGANIZATION, (credential(),)))
        with pytest.raises(StaleClaim):
            store.write_unit(
                run_id,
                source="keycard-prod",
                provider="keycard",
                unit=Unit("org-1", ORGANIZATION),
                spool=spool,
                error=None,
                now=NOW,
                claim=stale,
            )
    assert store.coverage(run_id) == []
    assert list(store.credentials(run_id)) == []
