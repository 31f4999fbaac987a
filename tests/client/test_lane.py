"""A lane: one connection, kept, framed by the rules, and never mixed up."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import trustme

from auditor.client.lane import Lane, lanes
from auditor.client.origin import origin_of
from auditor.client.settings import ConnectionOptions
from tests.fakes.http import LoopbackServer, Reply

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def peer(*answers: list[bytes]) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve one connection after the other: to each request the next bytes, then close.

    ``b""`` is no answer. Yields the address and the heads of the requests that came.
    """
    heads: list[bytes] = []
    left = list(answers)

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            for answer in left.pop(0):
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(answer)
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x?y=1", heads
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    running = Lane()
    yield running
    await running.aclose()
    await asyncio.sleep(0)


async def ask(
    lane: httpx.AsyncBaseTransport, url: str, *, patience: float = 10.0
) -> tuple[int, bytes]:
    limits = httpx.Timeout(patience).as_dict()
    request = httpx.Request("GET", url, extensions={"timeout": limits})
    response = await lane.handle_async_request(request)
    try:
        return response.status_code, await response.aread()
    finally:
        await response.aclose()


async def test_one_connection_serves_many_requests(lane: Lane) -> None:
    async with peer([OK, OK, OK]) as (url, heads):
        for _ in range(3):
            assert await ask(lane, url) == (200, b"ok")
    assert [head.split(b"\r\n")[0] for head in heads] == [b"GET /x?y=1 HTTP/1.1"] * 3


async def test_head_and_body_of_a_request_arrive_whole(lane: Lane) -> None:
    with LoopbackServer(lambda request: Reply(200, request.body)) as server:
        request = httpx.Request("POST", f"{server.url}/y", content=b"a" * 300_000)
        response = await lane.handle_async_request(request)
        assert await response.aread() == b"a" * 300_000
        assert server.requests[0].headers["host"] == f"127.0.0.1:{server.port}"
        await lane.aclose()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n",
            b"ok!",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
async def test_every_framing_of_http_is_understood(lane: Lane, answer: bytes, body: bytes) -> None:
    async with peer([answer], [OK]) as (url, heads):
        assert (await ask(lane, url))[1] == body
        assert await ask(lane, url) == (200, b"ok")  # on another connection: this one was closed
    assert len(heads) == 2


async def test_an_answer_that_says_close_is_the_last_of_its_connection(lane: Lane) -> None:
    last = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with peer([last, OK], [OK]) as (url, heads):
        assert await ask(lane, url) == (200, b"ok")
        assert await ask(lane, url) == (200, b"ok")
    assert len(heads) == 2


async def test_a_kept_connection_that_closes_without_an_answer_is_replaced(lane: Lane) -> None:
    async with peer([OK, b""], [OK]) as (url, heads):
        assert await ask(lane, url) == (200, b"ok")
        assert await ask(lane, url) == (200, b"ok")
    assert len(heads) == 3


@pytest.mark.parametrize("first", [[b""], [b"HTTP/1.1 200 OK\r\nContent-Le"]])
async def test_a_new_connection_that_breaks_is_an_error(lane: Lane, first: list[bytes]) -> None:
    async with peer(first, [OK]) as (url, heads):
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(lane, url)
        assert len(heads) == 1
        assert await ask(lane, url) == (200, b"ok")


async def test_an_answer_that_breaks_off_is_not_asked_for_again(lane: Lane) -> None:
    part = b"HTTP/1.1 200 OK\r\nContent-Le"
    async with peer([OK, part], [OK]) as (url, heads):
        assert await ask(lane, url) == (200, b"ok")
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(lane, url)
        assert len(heads) == 2


async def test_a_body_that_breaks_off_is_an_error(lane: Lane) -> None:
    async with peer([OK[:-1]], [OK]) as (url, _heads):
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(lane, url)
        assert await ask(lane, url) == (200, b"ok")


async def test_what_is_not_http_is_an_error(lane: Lane) -> None:
    async with peer([b"SSH-2.0-OpenSSH\r\n\r\n"]) as (url, _heads):
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(lane, url)


async def test_a_head_without_end_is_cut_off(lane: Lane) -> None:
    async with peer([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000]) as (url, _heads):
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(lane, url)


async def test_a_reset_connection_is_an_error_and_the_next_request_goes_on(lane: Lane) -> None:
    with LoopbackServer(lambda _request: Reply(200, b"ok")) as server:
        server.fault("/", reset=True, times=1)
        with pytest.raises(httpx.TransportError):
            await ask(lane, server.url)
        assert await ask(lane, server.url) == (200, b"ok")
        await lane.aclose()


async def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_allowed(
    lane: Lane,
) -> None:
    with LoopbackServer(lambda _request: Reply(200, b"ok")) as server:
        server.fault("/", delay=30.0, times=1)
        with pytest.raises(httpx.ReadTimeout):
            await ask(lane, server.url, patience=0.2)
        assert await ask(lane, server.url) == (200, b"ok")
        await lane.aclose()


async def test_a_request_that_is_given_up_leaves_nothing_to_the_next(lane: Lane) -> None:
    answers = {"/slow": b"slow", "/quick": b"quick"}
    with LoopbackServer(lambda request: Reply(200, answers[request.path])) as server:
        fault = server.fault("/slow", delay=0.3)
        asking = asyncio.create_task(ask(lane, f"{server.url}/slow"))
        while not server.requests:  # noqa: ASYNC110 - filled by another thread
            await asyncio.sleep(0.005)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        fault.delay = 0.0
        assert await ask(lane, f"{server.url}/quick") == (200, b"quick")
        await lane.aclose()


async def test_a_body_that_nobody_reads_does_not_reach_the_next_answer(lane: Lane) -> None:
    async with peer([OK], [OK.replace(b"ok", b"no")]) as (url, _heads):
        unread = await lane.handle_async_request(httpx.Request("GET", url))
        await unread.aclose()
        assert await ask(lane, url) == (200, b"no")


async def test_nobody_at_home_is_a_connect_error(lane: Lane) -> None:
    async with peer() as (url, _heads):
        pass
    with pytest.raises(httpx.ConnectError):
        await ask(lane, url)


def trusted(folder: Path, *names: str) -> tuple[ssl.SSLContext, str]:
    """Return a server's side and the file that a client must trust."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return context, "ca.pem"


async def test_encrypted_connections_trust_only_what_is_configured(tmp_path: Path) -> None:
    context, bundle = trusted(tmp_path, "127.0.0.1")
    with LoopbackServer(lambda _request: Reply(200, b"ok"), tls=context) as server:
        origins = frozenset([origin_of(httpx.URL(server.url))])
        known = lanes(ConnectionOptions(ca_bundle=bundle), origins, tmp_path)()
        public = lanes(ConnectionOptions(), origins, tmp_path)()
        try:
            assert await ask(known, server.url) == (200, b"ok")
            assert await ask(known, server.url) == (200, b"ok")
            with pytest.raises(httpx.ConnectError):
                await ask(public, server.url)
        finally:
            await known.aclose()
            await public.aclose()


async def test_behind_a_proxy_the_transport_of_httpx_is_used(tmp_path: Path) -> None:
    with LoopbackServer(lambda request: Reply(200, request.target.encode())) as proxy:
        origins = frozenset([origin_of(httpx.URL("http://127.0.0.1:9"))])
        behind = lanes(ConnectionOptions(proxy=proxy.url), origins, tmp_path)()
        try:
            assert await ask(behind, "http://127.0.0.1:9/x") == (200, b"http://127.0.0.1:9/x")
        finally:
            await behind.aclose()
