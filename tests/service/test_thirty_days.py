"""Thirty simulated days with faults: every occurrence is accounted for, and no mail is lost.

The store, the line, the reports and the mail server are real; only the clock is turned by hand.
"""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from aiosmtpd.handlers import Message
from structlog.testing import capture_logs

from auditor.cli.daemon import work_of
from auditor.daemon import Daemon
from auditor.model import RunStatus
from auditor.schedule import next_occurrence
from auditor.store import Store
from tests.fakes.smtp import AnyPort
from tests.house import DORMANT, House, key
from tests.service.conftest import Service, plain

DAYS = 30
STEP = timedelta(hours=1)
KILLS = 3
"""How often an audit is cut short before it is left alone; after twelve hours it is given up."""


class Letters(Message):
    """Keeps what it accepts, and refuses for now what it is told to refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.is_refusing = False

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        if self.is_refusing:
            return "451 try again later"
        answer: str = await super().handle_DATA(server, session, envelope)
        return answer

    def handle_message(self, message: Any) -> None:
        self.ids.append(str(message["message-id"]))


class Month:
    """A house, a store and daemons that come and go under a clock turned by hand."""

    def __init__(self, root: Path, url: str, letters: Letters, port: int) -> None:
        self.house = House(root)
        self.house.extra = (
            f'database: {{url: "{url}"}}\n'
            "deliveries: [{name: security, channel: email, host: 127.0.0.1, tls: none, attach: [],"
            f" port: {port}, from: a@example.com, to: [s@example.com]}}]\n"
            "schedules: [{name: nightly, daily: '03:00', timezone: Europe/Berlin}]"
        )
        self.url = url
        self.letters = letters
        self.rng = Random(11)
        self.store = Store.open(url)
        self.faults: list[str] = []
        self.daemon = self._start()

    def now(self) -> datetime:
        return self.house.now

    def restart(self) -> None:
        """End the daemon and start one as a new process would: nothing is known but the store."""
        self.daemon._leadership.release()
        self.daemon = self._start()

    def _start(self) -> Daemon:
        return Daemon(
            work_of(self.house.config(), self.store, self.now),
            ledger=self.store.ledger,
            leadership=self.store.leadership(lease=timedelta(seconds=1)),
            clock=self.now,
        )

    async def tick(self, fault: str = "") -> None:
        self.house.later(seconds=STEP.total_seconds())
        await self.daemon.tick()
        tasks: list[asyncio.Task[Any]] = [*self.daemon._running.values()]
        if fault and any(not task.done() for task in tasks):
            await asyncio.sleep(self.rng.uniform(0.0, 0.15))
            self.faults.append(fault)
            if fault == "terminate":
                terminate(self.url)
            else:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self.restart()
        if self.daemon._delivering is not None:
            tasks.append(self.daemon._delivering)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def day(self, number: int) -> None:
        fault = self.rng.choice(
            ["", "kill", "kill", "terminate", "down", "smtp", "source", "clock"]
        )
        if fault == "terminate" and self.url.startswith("sqlite"):
            fault = "kill"
        self.house.export(key(1), *(key(one, **DORMANT) for one in range(2, number + 3)))
        self.letters.is_refusing = fault == "smtp"
        before = len(self.faults)
        if fault == "source":
            (self.house.root / "exports.json").unlink()
        if fault == "down":
            self.house.later(days=1)
            self.restart()
        for hour in range(24):
            if fault == "clock" and hour in (1, 5):
                self.house.later(hours=2 if hour == 1 else -2)
            happens = fault in ("kill", "terminate") and len(self.faults) < before + KILLS
            await self.tick(fault if happens else "")
        self.letters.is_refusing = False


def terminate(url: str) -> None:
    with psycopg.connect(plain(url), autocommit=True) as link:
        link.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.slow
@pytest.mark.filterwarnings(  # a driver's connections that the server has terminated
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
async def test_every_occurrence_of_a_month_of_faults_has_one_end_and_no_mail_is_lost(
    service: Service, tmp_path: Path
):
    letters = Letters()
    server = AnyPort(letters, hostname="127.0.0.1", port=0)
    server.start()
    month = Month(tmp_path, service.url, letters, server.port)
    begun = month.now()
    try:
        with capture_logs():
            month.store.ledger.known_since("nightly", begun)
            for number in range(DAYS):
                await month.day(number)
            for _ in range(20):  # what waits is sent at last
                await month.tick()
    finally:
        server.stop()
    assert len(month.faults) >= 3
    with Store.open(service.url) as store:
        told = store.ledger.list("nightly")
        records = {record.key: record.state for record in told}
        runs = {run.occurrence: run for run in store.runs(limit=1000)}
        messages = store.outbox.list()
    plan = month.house.config().layout.schedules[0].plan
    expected, after = [], begun
    while (found := next_occurrence(plan, after)) and found.planned_at <= month.now():
        expected.append(found.key)
        after = found.planned_at
    assert sorted(records) == expected
    assert [record for record in told if record.state not in ("done", "missed")] == []
    done = {key for key, state in records.items() if state == "done"}
    assert runs.keys() == done
    assert len(runs) == len({run.id for run in runs.values()}) > 20
    assert {run.status for run in runs.values()} <= {RunStatus.COMPLETE, RunStatus.INCOMPLETE}
    assert all(run.is_judged for run in runs.values())
    assert [message for message in messages if message.state != "sent"] == []
    assert sorted(letters.ids) == sorted(message.message_id for message in messages)
    assert len(messages) > 20
    reports = {path.name for path in (tmp_path / "reports").glob("report-*.json")}
    assert reports == {f"report-{run.id}.json" for run in runs.values()}
    month.store.close()
