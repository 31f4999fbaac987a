"""A loopback HTTP server with scriptable faults: the seam at which every provider is faked.

It runs an asyncio loop in a thread of its own, so it serves synchronous and asynchronous tests
alike. A handler turns requests into replies; faults, matched by path, get in its way.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

_REASONS = {200: "OK", 201: "Created", 204: "No Content", 302: "Found", 401: "Unauthorized"}


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""

    @property
    def raw_path(self) -> str:
        """The path as sent, still percent-encoded."""
        return urlsplit(self.target).path

    @property
    def path(self) -> str:
        """The decoded path."""
        return unquote(self.raw_path)

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode())


@dataclass(frozen=True)
class Reply:
    """An answer; *body* is bytes as they are, or anything else as JSON."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Fault:
    """Something that goes wrong on paths that match *path* (a glob)."""

    path: str
    times: int | None = None
    """How often; None is for ever."""
    after: int = 0
    """How many matching requests are let through first."""
    reply: Reply | None = None
    """Sent instead of the handler's."""
    change: Callable[[Request, Reply], Reply] | None = None
    """Or: made of the handler's reply."""
    delay: float = 0.0
    truncate: int | None = None
    """Send this many bytes of the body, then close."""
    reset: bool = False
    """Close without a word."""
    drip: float = 0.0
    """Seconds between single bytes of the body."""
    raw: bytes | None = None
    """Bytes to send as they are."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Further condition: these query parameters."""

    def matches(self, request: Request) -> bool:
        return fnmatchcase(request.path, self.path) and all(
            request.query.get(name) == [value] for name, value in self.query.items()
        )

    def strikes(self, request: Request) -> bool:
        if not self.matches(request) or self.times == 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class LoopbackServer:
    """Serves *handler* on 127.0.0.1 while entered; remembers every request."""

    def __init__(
        self,
        handler: Callable[[Request], Reply],
        *,
        latency: float = 0.0,
        together: int = 0,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.handler = handler
        self.latency = latency
        self.together = together
        """Answer nobody before this many requests were in flight at once (or 5 s have passed)."""
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._tls = tls
        self._host = host
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    def fault(self, path: str, **what: Any) -> Fault:
        """Add a `Fault`; the one added last is tried first."""
        fault = Fault(path, **what)
        self.faults.insert(0, fault)
        return fault

    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [request.path for request in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the loopback server did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(
            self._connected, self._host, 0, ssl=self._tls, backlog=512, limit=1 << 20
        )
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
        for _turn in range(5):  # what was accepted in the last instant becomes a connection
            await asyncio.sleep(0)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.sleep(0.01 if self._tls else 0)  # for handshakes that were broken off

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self._writers.append(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await _read(reader)
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            fault = next((f for f in self.faults if f.strikes(request)), None)
            await self._meet()
            if self.latency or (fault and fault.delay):
                await asyncio.sleep(self.latency + (fault.delay if fault else 0))
            reply = self._reply(request, fault)
        finally:
            self.in_flight -= 1
        if fault is not None:
            if fault.reset:
                writer.transport.abort()
                return False
            if fault.raw is not None:
                writer.write(fault.raw)
                await writer.drain()
                return False
        return await _send(writer, reply, fault)

    async def _meet(self) -> None:
        deadline = self._loop.time() + 5
        while self.most_in_flight < self.together and self._loop.time() < deadline:  # noqa: ASYNC110 - two conditions, and a test
            await asyncio.sleep(0.002)

    def _reply(self, request: Request, fault: Fault | None) -> Reply:
        if fault is not None and fault.reply is not None:
            return fault.reply
        reply = self.handler(request)
        if fault is not None and fault.change is not None:
            return fault.change(request, reply)
        return reply


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, target, _version = first.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    length = int(headers.get("content-length", "0"))
    body = await reader.readexactly(length) if length else b""
    return Request(method, target, headers, body)


async def _send(writer: asyncio.StreamWriter, reply: Reply, fault: Fault | None) -> bool:
    body = reply.encoded()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    headers |= reply.headers
    head = f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Status')}\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in headers.items()
    )
    start = f"{head}\r\n".encode("latin-1")
    if fault is not None and fault.drip:
        writer.write(start)
        for index in range(len(body)):
            writer.write(body[index : index + 1])
            await writer.drain()
            await asyncio.sleep(fault.drip)
        return True
    if fault is not None and fault.truncate is not None:
        writer.write(start + body[: fault.truncate])
        await writer.drain()
        return False
    writer.write(start + body)  # one write: two would wait for a delayed acknowledgement
    await writer.drain()
    return headers.get("Connection") != "close"
