"""Daemons told to stop in the middle of a write, or of a mail: nothing is lost or done twice."""

import asyncio
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from email import message_from_bytes
from typing import Any

import psycopg
import pytest

from auditor.model import RunStatus
from auditor.signals import ECHO
from tests.fakes.smtp import AnyPort
from tests.service.conftest import LEASE, Service, plain, wait_for


class Slow:
    """A mail server that has a message and does not say so before it may."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.may_answer = True

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        self.arrived.append(str(message_from_bytes(envelope.content)["Message-ID"]))
        while not self.may_answer:  # noqa: ASYNC110 - a test's signal, from another thread
            await asyncio.sleep(0.02)
        return "250 taken"


@pytest.fixture
def letters(service: Service) -> Iterator[Slow]:
    handler = Slow()
    server = AnyPort(handler, hostname="127.0.0.1", port=0)
    server.start()
    service.extra = (
        "deliveries: [{name: security, channel: email, host: 127.0.0.1, tls: none, attach: [],"
        f" port: {server.port}, from: a@example.com, to: [s@example.com], when: always}}]"
    )
    yield handler
    handler.may_answer = True
    server.stop()


@contextmanager
def writers_held_up(service: Service) -> Iterator[Callable[[], object]]:
    """Let no credential be written; yields what tells whether a daemon is about to write one."""
    if service.url.startswith("sqlite"):
        file = sqlite3.connect(service.url.removeprefix("sqlite:///"), isolation_level=None)
        try:
            file.execute("BEGIN IMMEDIATE")
            until = time.monotonic() + 0.5  # by then it waits for the file
            yield lambda: time.monotonic() > until
            file.execute("ROLLBACK")
        finally:
            file.close()
        return
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'presence'::regclass"
    with psycopg.connect(plain(service.url)) as link, psycopg.connect(plain(service.url)) as look:
        look.autocommit = True
        link.execute("LOCK TABLE presence IN EXCLUSIVE MODE")
        yield lambda: look.execute(waiting).fetchone() != (0,)
        link.rollback()


def caught_writing(service: Service, stack: ExitStack) -> "subprocess.Popen[str]":
    """Return a daemon that is in the middle of writing what it has read, held up there."""
    hold = [service.mark(f"hold-{number}") for number in range(10)]
    daemon = service.start()
    wait_for(lambda: len(service.calls()) >= 8)
    is_writing = stack.enter_context(writers_held_up(service))
    for file in hold:
        file.unlink()
    wait_for(is_writing)
    return daemon


def everything_happened_once(service: Service, letters: Slow, *, mails: int = 1) -> None:
    with service.store() as store:
        (run,) = store.runs()
        assert run.status is RunStatus.COMPLETE
        assert len(store.coverage(run.id)) == 10
        assert [one.state for one in store.ledger.list("often")] == ["done"]
        (message,) = store.outbox.list()
    assert message.state == "sent"
    assert Counter(letters.arrived) == {message.message_id: mails}
    assert len(service.reports()) == 1


def its_lease_is_over(service: Service) -> None:
    if service.url.startswith("postgresql"):
        time.sleep(LEASE + 0.2)


def messages_are_due_again(service: Service) -> None:
    """Let the time pass for which the message of a sender that died is kept from others."""
    with service.store() as store, store._database.write() as connection:
        connection.exec_driver_sql("UPDATE outbox SET next_attempt_at = 0")


def test_sigterm_in_the_middle_of_a_write_lets_it_and_the_audit_end(
    service: Service, letters: Slow
):
    with ExitStack() as stack:
        daemon = caught_writing(service, stack)
        daemon.send_signal(signal.SIGTERM)
        wait_for(lambda: "daemon.draining" in service.log())
        assert daemon.poll() is None
    assert daemon.wait(40) == 0
    everything_happened_once(service, letters)
    assert service.once() == 0
    everything_happened_once(service, letters)


def test_a_write_that_outlives_the_grace_period_is_as_if_it_had_never_been(
    service: Service, letters: Slow
):
    service.timing = f"tick: 1s, lease: {LEASE}s, grace: 1s"
    service.parameters = "?timeout=4"
    with ExitStack() as stack:
        daemon = caught_writing(service, stack)
        daemon.send_signal(signal.SIGTERM)
        wait_for(lambda: "daemon.cancelled" in service.log())
    assert daemon.wait(40) == 0
    service.parameters = ""
    assert service.once() == 0
    everything_happened_once(service, letters)


def test_a_second_signal_in_the_middle_of_a_write_stops_at_once(service: Service, letters: Slow):
    with ExitStack() as stack:
        daemon = caught_writing(service, stack)
        daemon.send_signal(signal.SIGTERM)
        wait_for(lambda: "daemon.draining" in service.log())
        time.sleep(2 * ECHO)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(5) == 128 + signal.SIGTERM
    its_lease_is_over(service)
    assert service.once() == 0
    everything_happened_once(service, letters)


def test_sigterm_in_the_middle_of_a_mail_lets_it_be_confirmed(service: Service, letters: Slow):
    letters.may_answer = False
    daemon = service.start()
    wait_for(lambda: letters.arrived)
    daemon.send_signal(signal.SIGTERM)
    wait_for(lambda: "daemon.draining" in service.log())
    letters.may_answer = True
    assert daemon.wait(40) == 0
    everything_happened_once(service, letters)
    assert service.once() == 0
    everything_happened_once(service, letters)


@pytest.mark.parametrize("end", ["grace", "second signal", "kill"])
def test_a_mail_whose_confirmation_was_not_waited_for_comes_again_as_the_same_one(
    service: Service, letters: Slow, end: str
):
    grace = "20s" if end == "second signal" else "1s"
    service.timing = f"tick: 1s, lease: {LEASE}s, grace: {grace}"
    letters.may_answer = False
    daemon = service.start()
    wait_for(lambda: letters.arrived)
    daemon.send_signal(signal.SIGKILL if end == "kill" else signal.SIGTERM)
    if end == "second signal":
        wait_for(lambda: "daemon.draining" in service.log())
        time.sleep(2 * ECHO)
        daemon.send_signal(signal.SIGTERM)
    codes = {"grace": 0, "second signal": 128 + signal.SIGTERM, "kill": -signal.SIGKILL}
    assert daemon.wait(40) == codes[end]
    if end != "grace":
        its_lease_is_over(service)
    letters.may_answer = True
    messages_are_due_again(service)
    assert service.once() == 0
    everything_happened_once(service, letters, mails=2)
