"""Probes, metrics, status and systemd tell the truth, in every fault."""

import asyncio
import json
import os
import re
import socket
import time
from datetime import timedelta

import httpx
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from auditor import health, systemd, tally
from auditor.cli import cli
from auditor.daemon import DaemonState
from auditor.errors import StoreError
from auditor.model import RunStatus
from auditor.status import gather
from auditor.store import FIRST_FENCE, Hold, Store
from tests.house import DORMANT, NOW, House, key

LEADING = DaemonState(is_leader=True, ticked_at=NOW, running=("nightly 1",), reload_error=None)


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    made.extra = "schedules: [{name: nightly, daily: '03:00'}]"
    made.export(key(1), key(2, **DORMANT))
    return made


class Probe:
    def __init__(self, app):
        self.app = app

    def get(self, path):
        async def ask():
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://auditor") as client:
                return await client.get(path)

        return asyncio.run(ask())


def client(house, state=LEADING, gathered=None):
    config = house.config()

    def status():
        if gathered is not None:
            raise gathered
        with Store.open(config.database_url) as store:
            return gather(store, config, house.now)

    app = Starlette(routes=health.routes(status, lambda: state, lambda: house.now))
    return Probe(app)


def figures(answer):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_leading_daemon_is_alive_and_ready(house):
    house.audit()
    assert client(house).get("/healthz").text == "ok\n"
    answer = client(house).get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["is_leader"] is True


def test_a_database_that_is_away_makes_it_unready_and_alive(house):
    away = StoreError("store.db cannot be read; check the disk")
    probe = client(house, gathered=away)
    assert probe.get("/healthz").status_code == 200
    answer = probe.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] == str(away)
    assert figures(probe.get("/metrics"))["auditor_database_up",] == 0


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (DaemonState(True, NOW - timedelta(minutes=4), (), None), "is_ticking"),
        (DaemonState(True, None, (), None), "is_ticking"),
        (DaemonState(False, NOW, (), None), "has_leader"),
    ],
)
def test_a_daemon_that_hangs_or_knows_no_leader_is_not_ready(house, state, reason):
    house.audit()
    answer = client(house, state).get("/readyz")
    assert answer.status_code == 503
    assert answer.json()[reason] is False


def test_a_follower_is_ready_while_somebody_leads(house):
    house.audit()
    follower = DaemonState(False, NOW, (), None)
    with Store.open(house.config().database_url) as store:
        leadership = store.leadership()
        leadership.hold()
        assert client(house, follower).get("/readyz").status_code == 200
        leadership.release()


def test_metrics_tell_ages_findings_and_what_waits(house):
    house.audit()
    with Store.open(house.config().database_url) as store:
        store.ledger.begin("nightly", "2026-03-01T03:00", at=NOW)
        store.ledger.leave_out("nightly", "2026-02-28T03:00", state="missed", reason="down", at=NOW)
    house.later(hours=5)
    tally.calls["api.example.com", "200"] += 3
    tally.throttled["api.example.com"] += 1
    tally.clock_skews["api.example.com"] = -600.0
    seen = figures(client(house).get("/metrics"))
    place = (("organization", "acme"), ("provider", "file"), ("source", "exports"))
    assert seen[("auditor_snapshot_age_seconds", *place)] == 5 * 3600
    assert seen["auditor_findings_by_severity", ("severity", "medium")] == 1
    assert seen["auditor_findings_by_policy", ("policy", "dormant-credential")] == 1
    assert seen["auditor_findings_by_owner", ("owner", "")] == 1
    assert seen["auditor_occurrences", ("schedule", "nightly"), ("state", "missed")] == 1
    assert seen["auditor_occurrences", ("schedule", "nightly"), ("state", "failed")] == 0
    calls = ("auditor_api_calls_total", ("host", "api.example.com"), ("status", "200"))
    assert seen[calls] >= 3
    assert seen["auditor_api_throttled_total", ("host", "api.example.com")] >= 1
    assert seen["auditor_clock_skew_seconds", ("host", "api.example.com")] == -600
    assert seen["auditor_outbox_pending",] == 0
    assert seen["auditor_leader",] == 1
    assert seen["auditor_audits_running",] == 1
    assert seen["auditor_next_run_timestamp_seconds", ("schedule", "nightly")] > NOW.timestamp()


def test_an_organization_that_never_was_read_whole_is_infinitely_old(house):
    house.export(key(1), 42)
    house.audit()
    (age,) = [
        value for name, value in figures(client(house).get("/metrics")).items()
        if name[0] == "auditor_snapshot_age_seconds"
    ]  # fmt: skip
    assert age == float("inf")


def test_a_refused_configuration_shows(house):
    refused = DaemonState(True, NOW, (), "config.yaml:3: no such policy")
    assert figures(client(house, refused).get("/metrics"))["auditor_config_current",] == 0
    house.audit()
    assert client(house, refused).get("/readyz").json()["is_config_current"] is False


def status_of(house, *arguments):
    result = CliRunner().invoke(cli, ["status", "-c", str(house.root / "config.yaml"), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_status_shows_runs_what_comes_next_and_what_was_left_out(house):
    house.audit()
    with Store.open(house.config().database_url) as store:
        store.ledger.leave_out(
            "nightly", "2026-02-28T03:00", state="missed", reason="the auditor was down", at=NOW
        )
    shown = status_of(house)
    assert "no daemon runs" in shown
    assert "0 waiting, 0 given up" in shown
    assert "GIVEN UP" not in shown
    assert "nightly" in shown
    assert "the auditor was down" in shown
    assert "Acme" in shown


def test_status_as_json_has_the_same_facts(house):
    house.audit()
    told = json.loads(status_of(house, "--json"))
    assert told["leader"] is None
    assert [run["status"] for run in told["runs"]] == ["complete"]
    assert told["schedules"][0]["next_at"].endswith("03:00:00Z")
    assert told["snapshots"][0]["organization"] == "acme"
    assert told["outbox"] == {"pending": 0, "dead": 0, "oldest_age": 0.0}


def test_status_says_why_messages_wait(house):
    sender = "host: 127.0.0.1, port: 2, tls: none, from: a@example.com, to: [s@example.com]"
    house.extra += f"\ndeliveries: [{{name: mail, channel: email, {sender}, when: always}}]"
    house.audit()
    shown = status_of(house)
    (told,) = json.loads(status_of(house, "--json"))["undelivered"]
    assert re.search(r"1 waiting \(the oldest for [^)]+\), 0 given up", shown)
    assert re.search(r"mail +1 +0 +No connection to 127.0.0.1:2", shown)
    assert (told["channel"], told["waiting"], told["dead"]) == ("mail", 1, 0)


def test_status_says_whether_a_daemon_goes_on_with_a_run_that_was_cut_off(house):
    with Store.open(house.config().database_url) as store:
        for name in ("2026-03-01T03:00", "2026-02-28T03:00", "2026-02-27T03:00"):
            store.begin_run(
                now=NOW, started_at=NOW, schedule="nightly", occurrence=name, holder="killed"
            )
        for name in ("2026-03-01T03:00", "2026-02-27T03:00"):
            store.ledger.begin("nightly", name, at=NOW)
        drained = Hold(run_id=3, fence=FIRST_FENCE, holder="killed")
        store.leases.end(drained, status=RunStatus.INTERRUPTED, finished_at=NOW)
    time.sleep(0.01)
    shown = status_of(house)
    gone = r"its process is gone since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.search(rf"Run 1 was cut off: {gone}; the next daemon goes on with it\.", shown)
    assert re.search(rf"Run 2 was cut off: {gone}; audit again\.", shown)
    assert "Run 3 was cut off; the next daemon goes on with it." in shown


@pytest.fixture
def manager(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_systemd_is_told_and_its_watchdog_fed(manager, monkeypatch):
    assert systemd.notify("READY=1")
    assert manager.recv(100) == b"READY=1"
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))

    async def feed() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(systemd.keep_watchdog(), 0.3)

    asyncio.run(feed())
    assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3


async def test_without_systemd_nothing_happens(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify("READY=1")
    await systemd.keep_watchdog()
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    await systemd.keep_watchdog()
