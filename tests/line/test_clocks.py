"""A provider's clock that differs from ours shows with the coverage, in the log and in checks."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from auditor import pipeline
from auditor.cli import cli
from auditor.line.setting import Order
from tests.fakes.http import Reply
from tests.fakes.keycard import FakeKeycard
from tests.house import NOW

TOKEN = "CANARY-static-token-55aa"


@pytest.fixture
def server():
    fake = FakeKeycard(token=TOKEN)
    for number in range(3):
        fake.add_organization(f"org-{number}", f"org-{number}", f"Org {number}")
        fake.add_account(f"org-{number}", f"sa-{number}", "ci")
        fake.add_credential(f"sa-{number}", f"c-{number}", created_at="2026-02-20T00:00:00.000Z")
    with fake.server() as running:
        yield running


@pytest.fixture
def house(house, server, monkeypatch):
    monkeypatch.setenv("KEYCARD_TOKEN", TOKEN)
    house.sources = ()
    house.extra = (
        f"  - {{name: keycard, provider: keycard, base_url: '{server.url}', attempts: 1,\n"
        "     token: '${env:KEYCARD_TOKEN}', organizations: all}\n"
        "reports: {directory: reports, formats: [json]}"
    )
    return house


def lie(server, at):
    def change(_request, reply):
        date = format_datetime(at.astimezone(UTC), usegmt=True)
        return Reply(reply.status, reply.body, {**reply.headers, "Date": date})

    server.fault("*", change=change)


def audit(house):
    with capture_logs() as logs:
        result = asyncio.run(pipeline.audit(house.config(), Order(), clock=lambda: house.now))
    told = [entry for entry in logs if entry["event"] == "source.clock_differs"]
    path = house.root / "reports" / f"report-{result.view.run.id}.json"
    return json.loads(path.read_text()), told


def notes(report):
    found = [note for part in report["coverage"] for note in part.get("notes", ())]
    return [note for note in found if "clock" in note]


@pytest.mark.parametrize(
    ("apart", "words"),
    [
        (timedelta(minutes=-10), "10 minutes behind this machine's"),
        (timedelta(hours=1), "1 hour ahead of this machine's"),
        (timedelta(days=3653), "10 years ahead of this machine's"),
    ],
)
def test_it_is_noted_once_for_a_source_and_run_and_the_run_stays_complete(
    house, server, apart, words
):
    lie(server, NOW + apart)
    report, told = audit(house)
    (note,) = notes(report)
    assert note.startswith(f"The clock of 127.0.0.1 is {words}")
    assert report["run"]["status"] == "complete"
    assert [entry["host"] for entry in told] == ["127.0.0.1"]
    assert abs(told[0]["seconds"] - apart.total_seconds()) <= 1


def test_clocks_that_agree_are_not_mentioned(house, server):
    lie(server, NOW + timedelta(minutes=4))
    report, told = audit(house)
    assert notes(report) == []
    assert told == []


def test_it_is_noted_where_it_keeps_the_auditor_out(house, server):
    date = format_datetime(NOW + timedelta(hours=1), usegmt=True)
    server.fault("*", reply=Reply(401, {}, {"Date": date}))
    report, told = audit(house)
    (part,) = report["coverage"]
    assert (part["status"], part["reason"]) == ("failed", "authentication_failed")
    assert "The clock of 127.0.0.1" in part["notes"][0]
    assert len(told) == 1


def status(house, *arguments):
    command = ["status", "-c", str(house.root / "config.yaml"), *arguments]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    return result.output


def test_status_tells_it_until_a_reading_finds_the_clocks_agree(house, server):
    lie(server, NOW + timedelta(hours=2))
    report, _ = audit(house)
    (note,) = notes(report)
    assert f"keycard  {note}" in status(house)
    assert json.loads(status(house, "--json"))["clocks"] == [{"source": "keycard", "note": note}]
    house.later(hours=2)
    lie(server, house.now)
    audit(house)
    assert "CLOCK" not in status(house)
    assert json.loads(status(house, "--json"))["clocks"] == []


def test_status_tells_it_where_the_reading_failed(house, server):
    date = format_datetime(NOW - timedelta(hours=1), usegmt=True)
    server.fault("*", reply=Reply(401, {}, {"Date": date}))
    audit(house)
    assert "keycard  The clock of 127.0.0.1 is 1 hour behind" in status(house)


def test_checking_the_sources_tells_as_well(house, server):
    lie(server, datetime.now(UTC) + timedelta(hours=2))
    house.config()
    result = CliRunner().invoke(cli, ["sources", "check", "-c", str(house.root / "config.yaml")])
    assert result.exit_code == 0
    assert "keycard: The clock of 127.0.0.1 is " in result.stderr
