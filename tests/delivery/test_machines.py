"""Webhooks, Splunk, syslog and folders: what machines are sent, and what their refusals mean."""

import asyncio
import hmac
import json
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trustme

from auditor import plugs
from auditor.delivery.folder import Folder, FolderOptions
from auditor.delivery.interface import Channel, Document
from auditor.delivery.splunk_hec import SplunkHec, SplunkOptions
from auditor.delivery.syslog import Syslog, SyslogOptions
from auditor.delivery.webhook import Webhook, WebhookOptions
from auditor.errors import DeliveryError
from auditor.findings.view import ReportView
from auditor.model import Change, Severity
from auditor.reports.interface import ReportFormat
from tests.fakes.closing import close

LATER = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def documents(name: str) -> Document:
    found: Document = plugs.find("auditor.reports", name, ReportFormat)()
    return found


def build(kind: type[Channel], **options: Any) -> Any:
    facts = {"name": "siem", "channel": kind.__module__.rsplit(".", 1)[-1]}
    return kind(
        kind.Options.model_validate(facts | options),
        lambda text: text.replace("${env:SECRET}", "CANARY-secret"),
        documents=documents,
        clock=lambda: LATER,
    )


@pytest.fixture
def run(view, finding, mended) -> ReportView:
    made: ReportView = view(
        finding("new-key", change=Change.OPENED, severity=Severity.CRITICAL),
        finding("old-key"),
        mended("gone-key"),
    )
    return made


async def hand_over(channel: Channel, run: ReportView) -> bytes:
    (parcel,) = channel.parcels(run)
    body = channel.render(run, parcel)
    assert body == channel.render(run, parcel)
    await channel.send(body, parcel)
    return body


# A sink that speaks just enough HTTP


@dataclass
class Sink:
    port: int = 0
    answer: str = "204 No Content"
    headers: str = ""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    talks: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    def end(self) -> None:
        """Break off what still goes on."""
        for task, writer in self.talks.items():
            task.cancel()
            writer.transport.abort()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.talks[task] = writer
        try:
            while line := (await reader.readline()).decode():
                headers = {}
                while header := (await reader.readline()).decode().strip():
                    name, _, value = header.partition(": ")
                    headers[name.lower()] = value
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((line.split()[1], headers, body))
                if self.answer == "hang":
                    await asyncio.sleep(600)
                    return
                if self.answer == "cut":
                    return
                writer.write(
                    f"HTTP/1.1 {self.answer}\r\n{self.headers}Content-Length: 0\r\n\r\n".encode()
                )
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def sink(authority: trustme.CA) -> AsyncIterator[Sink]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    opened = Sink()
    server = await asyncio.start_server(opened.talk, "127.0.0.1", 0, ssl=context)
    opened.port = server.sockets[0].getsockname()[1]
    yield opened
    opened.end()
    await close(server)


@pytest.fixture
def webhook(sink: Sink, ca_bundle: Path) -> Callable[..., Webhook]:
    def make(**options: Any) -> Webhook:
        url = f"https://localhost:{sink.port}/hooks/CANARY-path?x=1"
        defaults = {"url": url, "ca_bundle": ca_bundle, "timeout": 30}
        made: Webhook = build(Webhook, **(defaults | options))
        return made

    return make


async def test_a_webhook_is_signed_over_id_time_and_body(run, sink, webhook):
    body = await hand_over(webhook(secret="${env:SECRET}"), run)
    ((path, headers, received),) = sink.requests
    assert path == "/hooks/CANARY-path?x=1"
    assert received == body
    assert headers["content-type"] == "application/json"
    assert headers["idempotency-key"] == headers["webhook-id"]
    assert headers["webhook-timestamp"] == str(int(LATER.timestamp()))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = b64encode(hmac.new(b"CANARY-secret", signed, sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


async def test_a_base64_secret_is_decoded(run, sink, webhook):
    body = await hand_over(webhook(secret="whsec_" + b64encode(b"key").decode()), run)
    ((_, headers, _),) = sink.requests
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = b64encode(hmac.new(b"key", signed, sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


async def test_a_webhook_carries_the_changes_of_the_run_as_a_json_report(run, webhook):
    report = json.loads(await hand_over(webhook(), run))
    assert [f["change"] for f in report["findings"]] == ["opened", "resolved"]


async def test_a_webhook_can_carry_all_findings_or_ocsf_events(run, webhook):
    report = json.loads(await hand_over(webhook(findings="all"), run))
    assert len(report["findings"]) == 3
    events = (await hand_over(webhook(format="ocsf"), run)).splitlines()
    assert [json.loads(line)["class_uid"] for line in events] == [2008, 2008]


async def test_the_outbox_learns_only_the_origin_of_a_webhook(run, sink, webhook):
    (parcel,) = webhook().parcels(run)
    assert parcel.recipient == f"https://localhost:{sink.port}"


async def test_configured_headers_are_sent_and_cannot_replace_the_signature(run, sink, webhook):
    headers = {"Authorization": "Bearer ${env:SECRET}", "webhook-id": "forged"}
    channel = webhook(headers=headers, secret="x")
    (parcel,) = channel.parcels(run)
    await channel.send(b"{}", parcel)
    ((_, sent, _),) = sink.requests
    assert sent["authorization"] == "Bearer CANARY-secret"
    assert sent["webhook-id"] == parcel.message_id


@pytest.mark.parametrize(
    ("answer", "headers", "retry", "after"),
    [
        ("200 OK", "", None, None),
        ("400 Bad Request", "", False, None),
        ("413 Too Large", "", False, None),
        ("401 Unauthorized", "", True, None),
        ("404 Not Found", "", True, None),
        ("429 Too Many", "Retry-After: 120\r\n", True, 120),
        ("503 Busy", "Retry-After: -5\r\n", True, None),
        (
            "503 Busy",
            "Date: Sun, 01 Mar 2026 03:00:00 GMT\r\nRetry-After: Sun, 01 Mar 2026 03:01:00 GMT\r\n",
            True,
            60,
        ),
        ("302 Found", "Location: https://evil.example/\r\n", True, None),
        ("hang", "", True, None),
        ("cut", "", True, None),
    ],
)
async def test_every_answer_says_what_comes_next(answer, headers, retry, after, run, sink, webhook):
    sink.answer, sink.headers = answer, headers
    channel = webhook(timeout=5 if answer == "hang" else 30)
    (parcel,) = channel.parcels(run)
    if retry is None:
        await channel.send(b"{}", parcel)
        return
    with pytest.raises(DeliveryError) as caught:
        await channel.send(b"{}", parcel)
    assert caught.value.retry is retry
    assert caught.value.retry_after == after
    assert "CANARY" not in str(caught.value)
    assert len(sink.requests) == 1


async def test_an_untrusted_receiver_gets_nothing(run, sink, webhook):
    with pytest.raises(DeliveryError, match="is not trusted"):
        await hand_over(webhook(ca_bundle=None), run)
    assert sink.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x",
        "https://user:word@hooks.example.com/",
        "ftp://x",
        "https://169.254.169.254/latest",
        "https://",
        "not a url",
    ],
)
def test_a_url_that_is_not_safe_to_post_to_is_refused(url):
    with pytest.raises(ValueError, match="url"):
        WebhookOptions.model_validate({"name": "n", "channel": "webhook", "url": url})


# Splunk


async def test_splunk_gets_one_enveloped_event_per_changed_finding(run, sink, ca_bundle):
    url = f"https://localhost:{sink.port}/services/collector/event"
    channel = build(
        SplunkHec, url=url, token="${env:SECRET}", index="security", ca_bundle=ca_bundle
    )
    await hand_over(channel, run)
    ((path, headers, body),) = sink.requests
    assert path == "/services/collector/event"
    assert headers["authorization"] == "Splunk CANARY-secret"
    events = [json.loads(line) for line in body.splitlines()]
    assert len(events) == 2
    for event in events:
        assert event["sourcetype"] == "ocsf:finding"
        assert event["index"] == "security"
        assert event["event"]["time"] == event["time"] * 1000


async def test_splunk_is_sent_batches_below_its_limit(view, finding, sink, ca_bundle):
    many = view(*(finding(f"k-{n}", change=Change.OPENED) for n in range(400)))
    url = f"https://localhost:{sink.port}/services/collector/event"
    await hand_over(build(SplunkHec, url=url, token="t", ca_bundle=ca_bundle), many)
    assert len(sink.requests) > 1
    assert all(len(body) <= 1_000_000 for _, _, body in sink.requests)
    assert sum(body.count(b"\n") for _, _, body in sink.requests) == 400


# Syslog


@dataclass
class Collected:
    port: int = 0
    data: bytes = b""
    done: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
async def receiver(
    authority: trustme.CA, request: pytest.FixtureRequest
) -> AsyncIterator[Collected]:
    context = None
    if getattr(request, "param", "tls") == "tls":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
    collected = Collected()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        collected.data = await reader.read()
        writer.close()
        collected.done.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    collected.port = server.sockets[0].getsockname()[1]
    yield collected
    await close(server)


def unframe(data: bytes) -> list[str]:
    messages = []
    while data:
        length, _, rest = data.partition(b" ")
        messages.append(rest[: int(length)].decode())
        data = rest[int(length) :]
    return messages


@pytest.mark.parametrize("receiver", ["tls", "none"], indirect=True)
async def test_syslog_gets_framed_rfc5424_messages(receiver, run, ca_bundle, request):
    tls = request.node.callspec.params["receiver"]
    channel = build(
        Syslog,
        host="localhost",
        port=receiver.port,
        tls=tls,
        ca_bundle=ca_bundle,
        hostname="auditor.example.com",
    )
    await hand_over(channel, run)
    async with asyncio.timeout(60):
        await receiver.done.wait()
    messages = unframe(receiver.data)
    assert len(messages) == 2
    head, _, event = messages[0].partition(" ocsf - ")
    assert head == "<106>1 2026-03-01T03:04:00.000000Z auditor.example.com auditor run-12"
    assert json.loads(event)["severity_id"] == 5


async def test_an_untrusted_syslog_receiver_gets_nothing(receiver, run):
    channel = build(Syslog, host="localhost", port=receiver.port)
    with pytest.raises(DeliveryError, match="is not trusted"):
        await hand_over(channel, run)
    assert receiver.data == b""


async def test_a_closed_syslog_port_is_tried_again(run):
    with pytest.raises(DeliveryError, match="broke off") as caught:
        await hand_over(build(Syslog, host="127.0.0.1", port=1, tls="none"), run)
    assert caught.value.retry


def test_plain_syslog_stays_on_this_machine():
    with pytest.raises(ValueError, match="localhost only"):
        SyslogOptions.model_validate(
            {"name": "n", "channel": "syslog", "host": "log.example.com", "tls": "none"}
        )


# Folder


async def write(folder: Folder, run: ReportView) -> None:
    for parcel in folder.parcels(run):
        await folder.send(folder.render(run, parcel), parcel)


async def test_a_folder_gets_whole_private_files(run, tmp_path):
    folder = build(Folder, directory=tmp_path / "out", formats=["json", "csv"])
    await write(folder, run)
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in files] == ["report-12.csv", "report-12.json"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert len(json.loads(files[1].read_bytes())["findings"]) == 3


async def test_a_folder_keeps_the_newest_and_touches_nothing_else(run, tmp_path):
    for number in (3, 9, 10, 11):
        (tmp_path / f"report-{number}.json").touch()
    for foreign in ("report-3.csv", "report-x.json", "notes.json", "report-3.json.bak"):
        (tmp_path / foreign).touch()
    folder = build(Folder, directory=tmp_path, formats=["json"], keep=2)
    await write(folder, run)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "notes.json",
        "report-11.json",
        "report-12.json",
        "report-3.csv",
        "report-3.json.bak",
        "report-x.json",
    ]


async def test_a_folder_does_not_write_through_a_planted_link(run, tmp_path):
    target = tmp_path / "elsewhere"
    target.write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report-12.json").symlink_to(target)
    await write(build(Folder, directory=tmp_path / "out", formats=["json"]), run)
    assert target.read_text() == "mine"
    assert not (tmp_path / "out" / "report-12.json").is_symlink()


async def test_a_folder_that_cannot_be_written_is_tried_again(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DeliveryError, match="mend `directory`") as caught:
        await write(build(Folder, directory=tmp_path / "file" / "x", formats=["json"]), run)
    assert caught.value.retry


def test_options_are_checked():
    with pytest.raises(ValueError, match="formats"):
        FolderOptions.model_validate(
            {"name": "n", "channel": "folder", "directory": "x", "formats": []}
        )
    with pytest.raises(ValueError, match="token"):
        SplunkOptions.model_validate(
            {"name": "n", "channel": "splunk_hec", "url": "https://x.example"}
        )
