"""One HTTP/1.1 connection that stays open: h11 frames, asyncio carries.

For sources that send thousands of small calls. httpx's own transport is made for connections that
any number of tasks share on either of two event loops; a lane has one caller at a time and needs
none of that: measured on small calls through sixteen of them, half the CPU a call.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import h11
import httpx

from auditor.client.origin import Origin
from auditor.client.settings import ConnectionOptions
from auditor.client.transport import connector, tls

_CHUNK = 65_536
_LONGEST_HEAD = 65_536
_NEXT_ADDRESS_AFTER = 0.25
"""Seconds until another address of the host is tried as well (RFC 8305)."""


class Lane(httpx.AsyncBaseTransport):
    """One connection, opened when it is needed and again when the other side has closed it.

    For requests that may safely arrive twice: one that finds the kept connection closed before any
    answer came is sent once more. *context* is the trust for https.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._http = h11.Connection(h11.CLIENT)
        self._is_answering = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; raises `httpx.TransportError`."""
        limits: dict[str, Any] = request.extensions.get("timeout", {})
        await request.aread()
        try:
            if self._is_kept() and (answer := await self._kept(request, limits)) is not None:
                return answer
            await self._open(request, limits.get("connect"))
            return await self._exchange(request, limits)
        except BaseException:
            self._drop()
            raise

    async def aclose(self) -> None:
        """Close the connection."""
        streams = self._streams
        self._drop()
        if streams is not None:
            with suppress(OSError):
                await streams[1].wait_closed()

    def _is_kept(self) -> bool:
        if self._streams is None:
            return False
        reader, writer = self._streams
        return not reader.at_eof() and not writer.is_closing()

    async def _kept(self, request: httpx.Request, limits: dict[str, Any]) -> httpx.Response | None:
        """Use the open connection; None where it was closed before any answer came."""
        try:
            return await self._exchange(request, limits)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if self._is_answering:
                raise
            return None

    async def _open(self, request: httpx.Request, limit: float | None) -> None:
        self._drop()
        url = request.url
        is_encrypted = url.scheme == "https"
        try:
            async with asyncio.timeout(limit):
                self._streams = await asyncio.open_connection(
                    url.host,
                    url.port or (443 if is_encrypted else 80),
                    ssl=self._context if is_encrypted else None,
                    happy_eyeballs_delay=_NEXT_ADDRESS_AFTER,
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time", request=request) from error
        except OSError as error:
            raise httpx.ConnectError("no connection", request=request) from error
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)

    async def _exchange(self, request: httpx.Request, limits: dict[str, Any]) -> httpx.Response:
        await self._send(request, limits.get("write"))
        event = await self._event(request, limits.get("read"))
        while isinstance(event, h11.InformationalResponse):
            event = await self._event(request, limits.get("read"))
        assert isinstance(event, h11.Response)  # noqa: S101 - what h11 promises
        body = _Body(partial(self._event, request, limits.get("read")), self._finish, self._drop)
        return httpx.Response(event.status_code, headers=event.headers.raw_items(), stream=body)

    async def _send(self, request: httpx.Request, limit: float | None) -> None:
        http = self._http
        head = h11.Request(
            method=request.method, target=request.url.raw_path, headers=request.headers.raw
        )
        self._is_answering = False
        parts = [http.send(head)]
        if request.content:
            parts.append(http.send(h11.Data(request.content)))
        parts.append(http.send(h11.EndOfMessage()))
        assert self._streams is not None  # noqa: S101 - opened before
        writer = self._streams[1]
        try:
            writer.write(b"".join(part for part in parts if part))  # in one piece: one packet
            async with asyncio.timeout(limit):
                await writer.drain()
        except TimeoutError as error:
            raise httpx.WriteTimeout("nothing sent in time", request=request) from error
        except OSError as error:
            raise httpx.WriteError("the connection broke", request=request) from error

    async def _event(self, request: httpx.Request, limit: float | None) -> Any:
        """Return what comes next of the answer; raises `httpx.TransportError`."""
        assert self._streams is not None  # noqa: S101 - opened before
        reader = self._streams[0]
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                async with asyncio.timeout(limit):
                    received = await reader.read(_CHUNK)
                self._is_answering = self._is_answering or bool(received)
                self._http.receive_data(received)
        except TimeoutError as error:
            raise httpx.ReadTimeout("nothing received in time", request=request) from error
        except OSError as error:
            raise httpx.ReadError("the connection broke", request=request) from error
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError("not an answer of HTTP", request=request) from error
        if isinstance(event, h11.ConnectionClosed):
            raise httpx.RemoteProtocolError("closed without an answer", request=request)
        return event

    def _finish(self) -> None:
        """Keep the connection after a whole answer, where both sides mean to."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self._drop()

    def _drop(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()


class _Body(httpx.AsyncByteStream):
    """The body of one answer; the connection is kept if it was read to its end."""

    def __init__(
        self, event: Callable[[], Any], finish: Callable[[], None], drop: Callable[[], None]
    ) -> None:
        self._event = event
        self._finish = finish
        self._drop = drop
        self._is_read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self._event(), h11.Data):
            yield bytes(event.data)
        self._is_read = True
        self._finish()

    async def aclose(self) -> None:
        if not self._is_read:
            self._is_read = True
            self._drop()


def lanes(
    options: ConnectionOptions, allowed: frozenset[Origin], directory: Path
) -> Callable[[], httpx.AsyncBaseTransport]:
    """Return what opens a connection, by way of httpx where there is a proxy.

    Raises `ConfigError` for a bad proxy or CA bundle.
    """
    if options.proxy is not None:
        return connector(options, allowed, directory)
    bundle = str(directory / options.ca_bundle) if options.ca_bundle else None
    is_encrypted = any(origin.scheme == "https" for origin in allowed)
    return partial(Lane, tls(bundle) if is_encrypted else None)
