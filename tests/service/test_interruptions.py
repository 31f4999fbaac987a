"""Daemons killed, stopped and started again do everything once and lose nothing."""

import signal
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from auditor.model import RunStatus
from auditor.signals import ECHO
from auditor.store import Store
from tests.service.conftest import LEASE, Service, plain, wait_for

TEN = {f"org-{number}" for number in range(10)}


def test_a_run_killed_midway_goes_on_where_it_stopped_and_reports_once(service: Service):
    service.mark("kill-3")
    assert service.once() == -signal.SIGKILL
    with service.store() as store:
        (run,) = store.runs()
        done = {part.organization.id for part in store.coverage(run.id) if part.organization}
    assert 3 <= len(done) < 10
    before = len(service.calls())
    assert service.once() == 0
    again = service.calls()[before:]
    assert set(again) == TEN - done
    assert len(again) == len(set(again))
    with service.store() as store:
        (ended,) = store.runs()
        assert (ended.id, ended.status) == (run.id, RunStatus.COMPLETE)
        assert ended.now == run.now
        assert {part.organization.id for part in store.coverage(run.id) if part.organization} == TEN
        assert [one.state for one in store.ledger.list("often")] == ["done"]
    (report,) = service.reports()
    assert report["summary"]["credentials"] == 10
    assert "T00:00:00Z: done" in service.log()
    assert service.once() == 0
    assert len(service.reports()) == 1


def test_a_run_killed_after_judging_still_writes_its_report(service: Service):
    assert service.once() == 0
    (report,) = service.reports()
    (service.root / "reports" / "report-1.json").unlink()
    with service.store() as store:  # as if the process had died before it wrote the report
        name = store.ledger.list("often")[0].key
        with store._database.write() as connection:
            connection.exec_driver_sql("UPDATE occurrence SET state = 'begun' WHERE key <> ''")
    calls = service.calls()
    assert service.once() == 0
    assert service.calls() == calls
    assert service.reports() == [report]
    with service.store() as store:
        (record,) = store.ledger.list("often")
        assert (record.key, record.state) == (name, "done")


def test_a_restart_loop_gets_to_the_end_with_one_run(service: Service):
    for number in (1, 4, 8):
        service.mark(f"kill-{number}")
    codes: list[int] = []
    while not codes or codes[-1] != 0:
        codes.append(service.once())
    assert codes[-1] == 0
    assert len(codes) <= 4
    with service.store() as store:
        assert [run.status for run in store.runs()] == [RunStatus.COMPLETE]
    assert len(service.reports()) == 1


def test_sigterm_lets_the_audit_end_and_a_second_daemon_finds_nothing_to_do(service: Service):
    hold = service.mark("hold-2")
    daemon = service.start()
    wait_for(lambda: len(service.calls()) == 10 or "org-2" in service.calls())
    daemon.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    hold.unlink()
    assert daemon.wait(40) == 0
    calls = service.calls()
    assert service.once() == 0
    assert service.calls() == calls
    assert len(service.reports()) == 1


def test_a_second_signal_stops_at_once_and_the_next_daemon_goes_on(service: Service):
    hold = service.mark("hold-2")
    daemon = service.start()
    wait_for(lambda: "org-2" in service.calls())
    time.sleep(0.5)
    daemon.send_signal(signal.SIGTERM)
    wait_for(lambda: "daemon.draining" in service.log())
    time.sleep(2 * ECHO)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(40) == 128 + signal.SIGTERM
    hold.unlink()
    time.sleep(LEASE + 0.2 if "postgresql" in service.url else 0)
    assert service.once() == 0
    with service.store() as store:
        (run,) = store.runs()
        assert run.status is RunStatus.COMPLETE
    assert len(service.reports()) == 1


def test_work_that_outlives_the_grace_period_is_cut_short_and_goes_on_later(on_sqlite: Service):
    service = on_sqlite
    service.timing = "tick: 1s, lease: 3s, grace: 1s"
    hold = service.mark("hold-2")
    daemon = service.start()
    wait_for(lambda: len(set(service.calls())) == 10)
    time.sleep(0.5)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(30) == 0
    with service.store() as store:
        (run,) = store.runs()
        assert run.status is RunStatus.INTERRUPTED
    hold.unlink()
    before = len(service.calls())
    assert service.once() == 0
    assert service.calls()[before:] == ["org-2"]
    assert len(service.reports()) == 1


@pytest.mark.parametrize(
    ("name", "code"), [("SystemExit", 0), ("KeyboardInterrupt", 130), ("MemoryError", 0)]
)
def test_whatever_is_thrown_inside_a_source_every_unit_ends_in_a_state(
    on_sqlite: Service, name: str, code: int
):
    service = on_sqlite
    service.mark("raise-4").write_text(name)
    assert service.once() == code
    (service.root / "raise-4").unlink()
    assert service.once() == 0
    with service.store() as store:
        (run,) = store.runs()
        parts = {
            part.organization.id: part.reason
            for part in store.coverage(run.id)
            if part.organization
        }
    assert parts.keys() == TEN
    is_caught = name == "MemoryError"
    assert run.status is (RunStatus.INCOMPLETE if is_caught else RunStatus.COMPLETE)
    assert parts["org-4"] == ("internal_error" if is_caught else None)


@pytest.mark.parametrize("arguments", [(), ("--once",)])
def test_after_sigterm_nothing_new_starts_and_the_next_daemon_takes_it_up(
    service: Service, arguments: tuple[str, ...]
):
    service.more = ", {name: other, every: 1d}"
    hold = service.mark("hold-2")
    daemon = service.start(*arguments)
    wait_for(lambda: len(service.calls()) == 10)
    daemon.send_signal(signal.SIGTERM)
    if not arguments:
        wait_for(lambda: "daemon.draining" in service.log())
    time.sleep(0.3)
    hold.unlink()
    assert daemon.wait(40) == (3 if arguments else 0)
    assert len(service.calls()) == 10
    with service.store() as store:
        assert [run.schedule for run in store.runs()] == ["often"]
    assert service.once() == 0
    with service.store() as store:
        assert sorted(str(run.schedule) for run in store.runs()) == ["often", "other"]
        for name in ("often", "other"):
            assert [one.state for one in store.ledger.list(name)] == ["done"]
    assert len(service.reports()) == 2


def test_ctrl_c_ends_a_single_look_with_its_own_code(on_sqlite: Service):
    service = on_sqlite
    hold = service.mark("hold-2")
    daemon = service.start("--once")
    wait_for(lambda: len(service.calls()) == 10)
    daemon.send_signal(signal.SIGINT)
    time.sleep(0.3)
    hold.unlink()
    assert daemon.wait(40) == 130
    assert len(service.reports()) == 1


def test_a_single_look_says_what_came_of_it(on_sqlite: Service):
    service = on_sqlite
    service.limit = ", max_runtime: 1s"
    hold = service.mark("hold-2")
    assert service.once() == 3
    assert ": failed or cut short; `auditor status` and the log say why" in service.log()
    assert "stopped reading after max_runtime (1s); run 1 reports" in service.log()
    (report,) = service.reports()
    assert report["run"]["status"] == "incomplete"
    reasons = {one["organization"]["id"]: one.get("reason") for one in report["coverage"]}
    assert reasons["org-2"] == "max_runtime"
    hold.unlink()
    assert service.once() == 0
    assert "Nothing was due; next is often at 20" in service.log()


@pytest.mark.parametrize("zone", ["", "Pacific/Kiritimati"])
def test_the_zone_of_the_machine_changes_nothing(on_sqlite: Service, zone: str, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    assert on_sqlite.once() == 0
    with on_sqlite.store() as store:
        (run,) = store.runs()
    assert abs(datetime.now(UTC) - run.now) < timedelta(minutes=2)
    assert run.occurrence == f"{run.now:%Y-%m-%d}T00:00:00Z"


def test_a_daemon_reads_its_configuration_again_or_keeps_the_old_one(service: Service):
    daemon = service.start()
    wait_for(service.reports)
    path = service.root / "config.yaml"
    good = path.read_text()
    path.write_text(good + "policies: {disable: [no-such-policy]}\n")
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: "config.rejected" in service.log())
    assert "no-such-policy" in service.log()
    path.write_text(good.replace("name: often", "name: seldom"))
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: "config.reloaded" in service.log())
    wait_for(lambda: len(service.reports()) == 2)
    assert daemon.poll() is None
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(40) == 0


@pytest.mark.parametrize("is_restored", [False, True])
def test_a_daemon_whose_database_is_replaced_ends_and_says_so(
    on_sqlite: Service, is_restored: bool
):
    service = on_sqlite
    daemon = service.start()
    wait_for(service.reports)
    path = service.root / "store.db"
    for file in service.root.glob("store.db*"):
        if file.name != "store.db.lock":
            file.rename(file.with_name(f"moved-{file.name}"))
    if is_restored:
        Store.open(service.url).close()
    assert daemon.wait(40) == 4
    assert f"{path} was replaced or deleted while it was open; start again" in service.log()
    assert path.exists() == is_restored
    assert service.once() == 0
    assert "done" in service.log()


def test_on_sqlite_a_second_daemon_is_refused_and_told_by_whom(on_sqlite: Service):
    service = on_sqlite
    first = service.start()
    wait_for(service.reports)
    assert service.start("--once").wait(30) == 4
    assert f":{first.pid}: another daemon works on this database" in service.log()
    first.kill()
    first.wait()
    assert service.once() == 0


@pytest.mark.postgres
@pytest.mark.parametrize("fault", ["kill", "stop", "terminate"])
def test_of_two_daemons_one_leads_and_the_other_takes_over(on_postgres: Service, fault: str):
    service = on_postgres
    hold = service.mark("hold-2")
    first = service.start()
    wait_for(lambda: "org-2" in service.calls())
    time.sleep(0.5)
    second = service.start()
    wait_for(lambda: "daemon.started" in service.log(1))
    time.sleep(0.5)
    assert service.calls().count("org-2") == 1
    if fault == "kill":
        first.kill()
    elif fault == "stop":
        first.send_signal(signal.SIGSTOP)
    else:
        with psycopg.connect(plain(service.url), autocommit=True) as link:
            link.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    if fault != "terminate":  # a leader whose connection was cut goes on with a new one
        wait_for(lambda: service.calls().count("org-2") == 2)
    hold.unlink()
    wait_for(service.reports)
    if fault == "stop":
        first.send_signal(signal.SIGCONT)
        wait_for(lambda: "leadership.lost" in service.log(0))
    time.sleep(1)
    with service.store() as store:
        (run,) = store.runs()
        assert run.status is RunStatus.COMPLETE
        coverage = store.coverage(run.id)
        assert {part.organization.id for part in coverage if part.organization} == TEN
        assert len(coverage) == 10
    assert len(service.reports()) == 1
    second.send_signal(signal.SIGTERM)
    assert second.wait(40) == 0
