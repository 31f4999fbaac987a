"""Downtime, a disk that fills up and an organization that hangs: told, survived, made up for."""

import resource
import signal
from datetime import UTC, datetime, timedelta

from click.testing import CliRunner

from auditor.cli import cli
from auditor.model import RunStatus
from tests.service.conftest import Service
from tests.service.test_interruptions import TEN


def test_three_days_of_downtime_are_caught_up_once_and_the_others_shown_as_missed(
    service: Service,
):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [f"{today - timedelta(days=back):%Y-%m-%dT00:00:00Z}" for back in (3, 2, 1, 0)]
    with service.store() as store:
        store.ledger.begin("often", days[0], at=today - timedelta(days=3))
        store.ledger.finish("often", days[0], state="done")
    for _ in range(2):
        assert service.once() == 0
    with service.store() as store:
        states = {one.key: one.state for one in store.ledger.list("often")}
        (run,) = store.runs()
    assert states == dict(zip(days, ("done", "missed", "missed", "done"), strict=True))
    assert run.occurrence == days[-1]
    status = CliRunner().invoke(cli, ["status", "-c", str(service.root / "config.yaml")])
    assert f"{days[1]}  missed  the auditor was down" in status.output


def small_files() -> None:
    """Let no file grow beyond 400 kB, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))


def test_a_disk_that_fills_up_in_the_middle_costs_the_attempt_and_nothing_else(
    on_sqlite: Service,
):
    service = on_sqlite
    service.write_config()
    with service.store() as store, store._database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE padding (it BLOB)")
        connection.exec_driver_sql("INSERT INTO padding VALUES (zeroblob(150000))")
    assert service.start("--once", before=small_files).wait(60) in (3, 4)
    assert "the disk is full" in service.log() or "I/O error" in service.log()
    assert service.reports() == []
    with service.store() as store, store._database.write() as connection:
        connection.exec_driver_sql("DROP TABLE padding")
    assert service.once() == 0
    with service.store() as store:
        assert {run.status for run in store.runs()} == {RunStatus.COMPLETE}
        assert [one.state for one in store.ledger.list("often")] == ["done"]
    assert len(service.reports()) == 1


def test_an_organization_that_hangs_keeps_nobody_else_waiting(on_sqlite: Service):
    service = on_sqlite
    service.options = ", deadline: 2s"
    service.mark("hold-2")
    assert service.once() == 0
    with service.store() as store:
        (run,) = store.runs()
        parts = {part.organization.id: part for part in store.coverage(run.id) if part.organization}
    assert run.status is RunStatus.INCOMPLETE
    assert {name for name, part in parts.items() if part.reason is None} == TEN - {"org-2"}
    assert "was not read within its deadline of" in str(parts["org-2"].error)
    assert len(service.reports()) == 1
