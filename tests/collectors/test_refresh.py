"""Reading one credential again: the same as listed, gone only where that is certain."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from auditor.collectors.interface import Collector, Context
from auditor.errors import (
    AccessDenied,
    AuthenticationFailed,
    NotFound,
    SourceError,
    Unavailable,
    UnexpectedResponse,
)
from auditor.model import Credential
from tests.collectors.reading import read_all
from tests.collectors.subjects import CODED, DESCRIBED, RESPONSES, Subject
from tests.collectors.test_contracts import CANARY, answered, body_changed, changed, with_secrets
from tests.fakes.http import LoopbackServer, Reply, Request

Handler = Callable[[Request], Reply]
RETRIEVING = tuple(one for one in DESCRIBED if one.can_retrieve)
pytestmark = pytest.mark.parametrize(
    "subject", [*CODED, *RETRIEVING], ids=lambda subject: subject.name
)


@pytest.fixture
def server(subject: Subject) -> Iterator[LoopbackServer]:
    with subject.serve() as running:
        if subject in RETRIEVING:
            running.handler = showing_each(subject, running.handler)
        yield running


def showing_each(subject: Subject, handle: Callable[[Request], Reply]) -> Handler:
    """Return *handle* with a place for every record that its lists hold."""

    def answer(request: Request) -> Reply:
        reply = handle(request)
        name = request.path.rpartition("/")[2]
        wrapped = {"cloudflare": "result", "hcp_terraform": "data"}.get(subject.name)
        for file in (RESPONSES / subject.name).rglob("*.json") if reply.status == 404 else ():
            for record in records(json.loads(file.read_text())):
                if name in {str(record.get(key)) for key in ("id", "_id", "sid")}:
                    body = {wrapped: record, "success": True} if wrapped else record
                    return Reply(200, body)
        return reply

    return answer


def records(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        for one in value.values():
            yield from records(one)
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from records(one)


@pytest.fixture
async def listed(
    subject: Subject, server: LoopbackServer, now: datetime, tmp_path: Path
) -> list[Credential]:
    """One credential of each type that can be read alone, as a whole reading shows it."""
    collector = subject.open(server, Context(now=now, directory=tmp_path, resolve=str))
    try:
        reads = (await read_all(collector)).values()
        kinds = {one.type: one for read in reads for one in read.credentials.values()}
        found = [one for one in kinds.values() if await is_possible(collector, one)]
    finally:
        await collector.aclose()
    assert found
    return found


async def is_possible(collector: Collector, credential: Credential) -> bool:
    try:
        await collector.refresh(credential)
    except UnexpectedResponse as error:
        return "offers no call that reads one" not in str(error)
    return True


@pytest.fixture
def again(
    subject: Subject, server: LoopbackServer, now: datetime, tmp_path: Path
) -> Callable[[Credential], Any]:
    async def refreshed(credential: Credential) -> Credential | None:
        context = Context(now=now, directory=tmp_path, resolve=str)
        collector: Collector = subject.open(server, context)
        try:
            return await collector.refresh(credential)
        finally:
            await collector.aclose()

    return refreshed


async def test_what_is_read_again_is_what_was_listed(subject, listed, again):
    for credential in listed:
        assert await again(credential) == credential


async def test_nothing_is_listed_but_what_leads_to_the_one(subject, server, listed, again):
    """The requests do not grow with the number of credentials."""
    for credential in listed:
        server.requests.clear()
        await again(credential)
        assert 1 <= len(server.requests) <= 12, server.paths()


async def test_one_that_is_gone_is_said_to_be(subject, server, listed, again):
    for credential in listed:
        server.faults.clear()
        changed(subject, server, removing(credential.provider_id))

        assert await again(credential) is None


async def test_a_place_that_answers_404_as_a_whole_proves_nothing(subject, server, listed, again):
    answered(subject, server, Reply(404, {"error": CANARY}))

    for credential in listed:
        with pytest.raises(NotFound) as caught:
            await again(credential)
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(401, {"error": CANARY}), AuthenticationFailed),
        (Reply(403, {"error": CANARY}), AccessDenied),
        (Reply(500, CANARY.encode()), Unavailable),
        (Reply(200, b"<html>CANARY"), UnexpectedResponse),
        (Reply(200, {}), UnexpectedResponse),
    ],
    ids=["unauthenticated", "refused", "failing", "html", "empty"],
)
async def test_doubt_is_not_taken_for_gone(subject, server, listed, again, reply, error):
    answered(subject, server, reply)

    for credential in listed:
        with pytest.raises(error) as caught:
            await again(credential)
        assert CANARY not in str(caught.value)


async def test_another_credential_than_was_asked_for_is_not_taken_for_it(
    subject, server, listed, again
):
    for credential in listed:
        server.faults.clear()
        changed(subject, server, renaming(credential.provider_id))
        try:
            found = await again(credential)
        except SourceError:
            found = None

        assert found is None


async def test_secrets_in_an_answer_stay_there(subject, server, listed, again, caplog):
    body_changed(subject, server, with_secrets)

    for credential in listed:
        found = await again(credential)
        assert found is not None
        assert CANARY not in repr(found) + caplog.text


def removing(wanted: str) -> Callable[[Request, Reply], Reply]:
    """Return what takes the record with the id *wanted* out of every answer."""

    def is_it(value: Any) -> bool:
        if isinstance(value, str):
            return sha256(value.encode()).hexdigest()[:32] == wanted
        if not isinstance(value, dict):
            return False
        ids = (one for key, one in value.items() if key not in ("first_id", "last_id"))
        names = [one for one in ids if isinstance(one, str | int)]
        has_name = any(str(one).rpartition("/")[2] == wanted for one in names)
        return has_name or is_it(value.get("metadata"))

    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(one) for one in value if not is_it(one)]
        if isinstance(value, dict):
            return {key: without(one) for key, one in value.items()}
        return value

    def change(_request: Request, reply: Reply) -> Reply:
        body = json.loads(reply.encoded())
        if is_it(body) or (isinstance(body, dict) and any(map(is_it, body.values()))):
            return Reply(404, {})
        return Reply(reply.status, without(body), reply.headers)

    return change


def renaming(wanted: str) -> Callable[[Request, Reply], Reply]:
    """Return what shows another id instead of *wanted* in every answer."""

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(one) for key, one in value.items()}
        if isinstance(value, list):
            return [renamed(one) for one in value]
        if str(value) == wanted:
            return value + 1 if isinstance(value, int) else f"{value}0"
        if isinstance(value, str) and value.endswith(f"/{wanted}"):
            return f"{value}0"
        digest = sha256(str(value).encode()).hexdigest()[:32]
        return f"{value}0" if digest == wanted else value

    def change(_request: Request, reply: Reply) -> Reply:
        return Reply(reply.status, renamed(json.loads(reply.encoded())), reply.headers)

    return change
