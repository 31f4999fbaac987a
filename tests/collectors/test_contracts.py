"""What every collector must do, whoever wrote it and however its provider fails."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from auditor.client.throttle import Wait
from auditor.collectors.interface import Collector, Context
from auditor.errors import AuthenticationFailed, SourceError
from auditor.model import LastUsedState
from tests.collectors.reading import Read, read_all
from tests.collectors.subjects import SUBJECTS, Subject
from tests.fakes.http import LoopbackServer, Reply, Request

CANARY = "CANARY-secret-material-9f3a"
Open = Callable[..., Collector]
Change = Callable[[Request, Reply], Reply]

pytestmark = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)


@pytest.fixture
def server(subject: Subject) -> Iterator[LoopbackServer]:
    with subject.serve() as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[LoopbackServer]:
    """Another origin, where nothing may arrive."""
    with LoopbackServer(lambda _request: Reply(200, {"stolen": True})) as running:
        yield running


@pytest.fixture
def read(
    subject: Subject, server: LoopbackServer, now: datetime, tmp_path: Path
) -> Callable[..., Any]:
    """Read everything; an error that keeps even the units from being told is one failed read."""

    async def reading(**options: Any) -> list[Read]:
        context = Context(now=now, directory=tmp_path, resolve=str)
        collector = subject.open(server, context, **options)
        try:
            return list((await read_all(collector)).values())
        except SourceError as error:
            return [Read(error=error)]
        finally:
            await collector.aclose()

    return reading


def changed(subject: Subject, server: LoopbackServer, change: Change) -> None:
    """Change every answer but those to logging in."""

    def guarded(request: Request, reply: Reply) -> Reply:
        return reply if request.path == subject.token_path else change(request, reply)

    server.fault("*", change=guarded)


def answered(subject: Subject, server: LoopbackServer, reply: Reply) -> None:
    changed(subject, server, lambda _request, _reply: reply)


def body_changed(subject: Subject, server: LoopbackServer, change: Callable[[Any], Any]) -> None:
    def on_body(_request: Request, reply: Reply) -> Reply:
        document = json.loads(reply.encoded())
        return Reply(reply.status, change(document), reply.headers)

    changed(subject, server, on_body)


def uids(reads: list[Read]) -> list[str]:
    return sorted(uid for one in reads for uid in one.credentials)


async def test_reads_everything_and_twice_the_same(subject, read):
    first, second = await read(), await read()

    assert ["complete"] * len(first) == [one.status for one in first], first[0].shown()
    assert len(uids(first)) >= 2
    assert len(uids(first)) == len(set(uids(first)))
    assert not any(one.duplicates for one in first)
    assert uids(first) == uids(second)
    for one in first:
        for uid, credential in one.credentials.items():
            assert uid.startswith(f"{subject.name}:")
            assert 4 == len(uid.split(":")), uid
            assert credential.source == f"{subject.name}-prod"
            assert credential.provider == subject.name


async def test_follows_its_pages(subject, server, read):
    await read()

    targets = [request.target.partition("?")[0] for request in server.requests]
    followed = len(targets) > len(set(targets))
    assert followed or not subject.is_paged or subject.name in {"tailscale", "sonarqube"}


async def test_nothing_to_list_is_complete(subject, server, read):
    body_changed(subject, server, emptied)

    assert all(one.status == "complete" for one in await read())


async def test_a_wrong_login_is_said_to_be_one(subject, server, read):
    server.fault("*", reply=Reply(401, {"error": "unauthorized"}))

    reads = await read()

    assert [] == uids(reads)
    assert all(isinstance(one.error, AuthenticationFailed) for one in reads)
    assert reads


@pytest.mark.parametrize(("status", "kind"), [(403, "access_denied"), (404, "not_found")])
async def test_a_refusal_is_never_an_empty_provider(subject, server, read, status, kind):
    answered(subject, server, Reply(status, {"error": CANARY}))

    reads = await read()

    assert [] == uids(reads)
    assert reads
    assert all(one.status != "complete" for one in reads)
    assert {kind} == {one.reason for one in reads}
    assert CANARY not in "".join(one.shown() for one in reads)


async def test_is_patient_in_the_providers_own_dialect(subject, server, read):
    whole = uids(await read())
    for wait in subject.dialect.waits:
        server.faults.clear()
        headers = {wait.header: moment(wait, 0)}
        server.fault("*", times=1, reply=Reply(429, b"slow down", headers))

        reads = await read()

        assert all(one.status == "complete" for one in reads), wait
        assert whole == uids(reads)


async def test_understands_how_long_to_wait(subject, server, read):
    for wait in subject.dialect.waits:
        server.faults.clear()
        headers = {wait.header: moment(wait, 300)}
        answered(subject, server, Reply(429, b"slow down", headers))

        reads = await read(longest_wait=timedelta(seconds=1))

        said = "".join(str(one.error or one.gaps) for one in reads)
        assert re.search(r"asks to wait (29\d|30\d) s", said), (wait, said)


async def test_one_server_error_is_overcome(subject, server, read):
    whole = uids(await read())
    server.fault("*", times=1, reply=Reply(500, b"oops"))

    reads = await read()

    assert whole == uids(reads)
    assert all(one.status == "complete" for one in reads)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(503, b"<html>"), "unavailable"),
        (Reply(200, b'{"data": [', {}), "unexpected_response"),
        (Reply(200, b"<html>welcome</html>"), "unexpected_response"),
        (Reply(200, b'"a text"'), "unexpected_response"),
        (Reply(200, b"[1, null, true]"), None),
    ],
    ids=["server-errors", "broken-json", "html", "wrong-type", "wrong-records"],
)
async def test_an_answer_that_cannot_be_used_is_a_failure(subject, server, read, reply, kind):
    answered(subject, server, reply)

    reads = await read()

    assert [] == uids(reads)
    assert all(one.status != "complete" for one in reads)
    assert kind is None or {kind} == {one.reason for one in reads}


async def test_times_of_a_wrong_type_are_unknown(subject, server, read):
    whole = uids(await read())
    body_changed(subject, server, lambda body: without_times(body, {"nonsense": True}))

    reads = await read()

    assert whole == uids(reads)
    for credential in (c for one in reads for c in one.credentials.values()):
        assert credential.last_used_state is LastUsedState.UNKNOWN
        assert credential.last_used_at is credential.created_at is credential.expires_at is None


async def test_times_that_are_not_sent_are_never_a_use(subject, server, read):
    body_changed(subject, server, lambda body: without_times(body, None))

    expected = LastUsedState.NEVER if subject.missing_use_is_never else LastUsedState.UNKNOWN
    for credential in (c for one in await read() for c in one.credentials.values()):
        assert credential.last_used_state is expected


async def test_a_list_that_leads_in_circles_is_cut_and_partial(subject, server, read):
    first: dict[str, Reply] = {}

    def repeated(request: Request, reply: Reply) -> Reply:
        return first.setdefault(request.path, reply)

    changed(subject, server, repeated)

    reads = await read()

    reasons = {gap.reason for one in reads for gap in one.gaps} | {one.reason for one in reads}
    assert not subject.is_paged or subject.name == "tailscale" or "repeated_cursor" in reasons
    assert len(server.requests) < 60


async def test_a_next_link_to_another_origin_is_never_sent(subject, server, elsewhere, read):
    def lure(_request: Request, reply: Reply) -> Reply:
        body = reply.encoded().replace(server.url.encode(), elsewhere.url.encode())
        headers = {k: v.replace(server.url, elsewhere.url) for k, v in reply.headers.items()}
        return Reply(reply.status, body, headers)

    changed(subject, server, lure)

    reads = await read()

    assert [] == elsewhere.requests
    assert all(one.pages for one in reads)
    if subject.has_links and subject.name != "snyk":  # its links are relative
        assert any("another origin" in one.shown() for one in reads)


async def test_a_redirect_to_another_origin_is_never_followed(subject, server, elsewhere, read):
    server.fault("*", reply=Reply(302, b"", {"Location": f"{elsewhere.url}/stolen"}))

    reads = await read()

    assert [] == elsewhere.requests
    assert [] == uids(reads)
    assert all(one.status == "failed" for one in reads)


async def test_secrets_in_an_answer_stay_there(subject, server, read, caplog):
    whole = uids(await read())
    body_changed(subject, server, with_secrets)

    reads = await read()

    assert whole == uids(reads)
    assert CANARY not in "".join(one.shown() for one in reads) + caplog.text


@pytest.mark.parametrize("form", ["offset", "nanoseconds", "shifted"])
async def test_the_same_instant_in_another_form_is_the_same(subject, server, read, form):
    before = {u: times(c) for one in await read() for u, c in one.credentials.items()}

    def rewritten(_request: Request, reply: Reply) -> Reply:
        text = reply.encoded().decode()
        return Reply(reply.status, _ZULU.sub(FORMS[form], text).encode(), reply.headers)

    changed(subject, server, rewritten)

    after = {u: times(c) for one in await read() for u, c in one.credentials.items()}

    assert before == after


async def test_stops_at_once_when_it_is_cancelled(subject, server, now, tmp_path):
    server.fault("*", after=1, delay=30)
    context = Context(now=now, directory=tmp_path, resolve=str)
    collector = subject.open(server, context)
    start = time.monotonic()

    async def several_times() -> None:  # as some providers are read in one request
        for _again in range(5):
            await read_all(collector)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(several_times(), 0.3)
    await collector.aclose()
    await asyncio.sleep(0)

    assert time.monotonic() - start < 5
    assert {asyncio.current_task()} == asyncio.all_tasks()


def moment(wait: Wait, seconds: int) -> str:
    """Return what *wait* says *seconds* before it is over."""
    then = time.time() + seconds
    match wait.unit:
        case "epoch_s":
            text = str(int(then))
        case "epoch_ms":
            text = str(int(then * 1000))
        case "rfc3339":
            text = datetime.fromtimestamp(then, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case _:
            text = str(seconds)
    return f'"default";r=0;t={text}' if wait.pattern else text


def times(credential: Any) -> tuple[Any, ...]:
    return (credential.created_at, credential.last_used_at, credential.expires_at)


_ZULU = re.compile(r"((?!0001)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z(?=\")")


def _shifted(match: re.Match[str]) -> str:
    there = datetime.fromisoformat(f"{match[1]}+00:00").astimezone(timezone(timedelta(hours=-7)))
    return there.strftime("%Y-%m-%dT%H:%M:%S") + (f".{match[2]}" if match[2] else "") + "-07:00"


FORMS: dict[str, Callable[[re.Match[str]], str]] = {
    "offset": lambda match: f"{match[1]}.{match[2] or 0}+00:00",
    "nanoseconds": lambda match: f"{match[1]}.{match[2] or 0:0<9}Z",
    "shifted": _shifted,
}

_MORE = {"has_more", "hasNextPage", "has_next_page"}


def emptied(body: Any) -> Any:
    """Return *body* with every list of records empty and no page after it."""
    if isinstance(body, list):
        return [] if any(isinstance(item, dict) for item in body) else body
    if not isinstance(body, dict):
        return body
    return {
        key: False
        if key in _MORE
        else None
        if "next" in key.lower()
        else 0
        if "total" in key.lower()
        else emptied(value)
        for key, value in body.items()
    }


_TIME = re.compile(
    r"(?i)last.?(used|active|accessed|connection|authenticated|signin)|accessed_at|datetime$"
    r"|creat(e_|ed|ion)(?!_?by|-by)|issued|expir|(validafter|validbefore|start|end|create)time"
)


def without_times(body: Any, instead: Any) -> Any:
    """Return *body* with every time replaced, or left out for None."""
    if isinstance(body, list):
        return [without_times(item, instead) for item in body]
    if not isinstance(body, dict):
        return body
    return {
        key: instead if is_time(key, value) else without_times(value, instead)
        for key, value in body.items()
        if not (is_time(key, value) and instead is None)
    }


def is_time(key: str, value: Any) -> bool:
    return _TIME.search(key) is not None and not isinstance(value, dict | bool | list)


def with_secrets(body: Any) -> Any:
    """Return *body* with secret fields in every object."""
    if isinstance(body, list):
        return [with_secrets(item) for item in body]
    if not isinstance(body, dict):
        return body
    names = ("token", "secret", "key", "password", "api_key", "access_token", "client_secret")
    extra = {name: f"{CANARY}-{name}" for name in (*names, "value", "hash") if name not in body}
    return {key: with_secrets(value) for key, value in body.items()} | extra
