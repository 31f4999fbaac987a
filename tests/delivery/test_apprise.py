"""Chats get one short message in which no collected name can act."""

import asyncio
import json
from typing import Any

import pytest

from auditor.delivery.apprise import AppriseChannel, AppriseOptions, plain
from auditor.errors import DeliveryError
from auditor.model import Change, Severity

# Apprise's own imports; nothing of ours.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")


def channel(**targets: str) -> AppriseChannel:
    options = {"name": "chat", "channel": "apprise", "targets": targets or {"ops": "${env:URL}"}}
    return AppriseChannel(AppriseOptions.model_validate(options), lambda text: text)


def test_the_message_is_short_and_says_what_comes_first(view, finding):
    run = view(
        *(finding(f"key-{n}", change=Change.OPENED, severity=Severity.CRITICAL) for n in range(50))
    )
    (parcel,) = channel().parcels(run)
    assert parcel.recipient == "ops"
    message = json.loads(channel().render(run, parcel))
    assert message["type"] == "failure"
    assert message["title"] == "Auditor: Act now (50 critical; 50 new)"
    assert message["body"].count("CRITICAL") == 5
    assert "key-0 of ci in Example" in message["body"]
    assert len(message["body"]) < 2000  # the shortest limit, Discord's


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("@everyone", "@\u200beveryone"),
        ("<!channel>", "\u2039!channel\u203a"),
        ("<@U123>", "\u2039@U123\u203a"),
        ("[pay](https://evil.example)", "\u27e6pay\u27e7(https://evil.example)"),
        ("**bold** `code` ~no~", "\u2217\u2217bold\u2217\u2217 'code' \u223cno\u223c"),
        ("a\nb", "a b"),
        ("ops@example.com", "ops@example.com"),
    ],
)
def test_no_name_becomes_a_link_a_mention_or_markup(text, harmless):
    assert plain(text) == harmless


async def received(run: Any, answer: str) -> tuple[dict[str, Any], DeliveryError | None]:
    bodies: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        bodies.append(await reader.readexactly(length))
        writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        chat = channel(ops=f"json://127.0.0.1:{port}/CANARY")
        (parcel,) = chat.parcels(run)
        try:
            await chat.send(chat.render(run, parcel), parcel)
        except DeliveryError as error:
            return json.loads(bodies[0]), error
    return json.loads(bodies[0]), None


async def test_a_target_gets_the_message_through_apprise(view, finding):
    message, error = await received(view(finding("k", change=Change.OPENED)), "200 OK")
    assert error is None
    assert message["title"].startswith("Auditor: Action needed")
    assert message["type"] == "failure"


async def test_a_refusal_is_tried_again_and_names_no_url(view, finding):
    run = view(finding("k", change=Change.OPENED))
    _, error = await received(run, "500 Broken")
    assert error is not None
    assert error.retry
    assert str(error) == "ops did not take the message"


async def test_an_unknown_kind_of_url_is_final_and_not_shown(view, finding):
    chat = channel(ops="nonsense://CANARY")
    (parcel,) = chat.parcels(view(finding("k", change=Change.OPENED)))
    with pytest.raises(DeliveryError, match="none that Apprise knows") as caught:
        await chat.send(b'{"title": "", "body": "x", "type": "info"}', parcel)
    assert not caught.value.retry
    assert "CANARY" not in str(caught.value)
