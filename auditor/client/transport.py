"""The last gate before the wire: nothing leaves for another origin, nothing endless comes in."""

import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from functools import lru_cache, partial
from pathlib import Path
from uuid import uuid4

import certifi
import httpx

from auditor.client.origin import Origin, origin_of
from auditor.client.settings import ConnectionOptions
from auditor.errors import ConfigError, UnexpectedResponse

_CHUNK = 65_536


class GuardedTransport(httpx.AsyncBaseTransport):
    """Checks the origin of every request and bounds the decoded size of every answer.

    It stands below authentication, so a header with a secret has no way around it. Each message
    on the wire, retries included, gets an id of its own in *id_header*.

    *connect* makes a transport for one connection. There are as many as requests were ever in
    flight at once: a pool that is shared by sixteen looks at every connection, several times and
    down to its socket, for each request, which costs more than the request.
    """

    def __init__(
        self,
        connect: Callable[[], httpx.AsyncBaseTransport],
        origins: frozenset[Origin],
        *,
        id_header: str,
        max_bytes: int,
    ) -> None:
        self._connect = connect
        self._lanes: list[httpx.AsyncBaseTransport] = []
        self._free: list[httpx.AsyncBaseTransport] = []
        self._origins = origins
        self._id_header = id_header
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; raises `UnexpectedResponse` for what is refused."""
        if origin_of(request.url) not in self._origins or request.url.userinfo:
            raise UnexpectedResponse("A request to another origin was refused before it was sent")
        request.headers[self._id_header] = str(uuid4())
        request.headers["Accept-Encoding"] = "gzip"
        where = f"{request.method} {describe(request.url)}"
        lane = self._free.pop() if self._free else self._new_lane()
        try:
            response = await lane.handle_async_request(request)
        except BaseException:
            self._free.append(lane)
            raise
        encoding = response.headers.pop("content-encoding", "identity").strip().lower()
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 - what httpx promises
        bounded = _Bounded(stream, self._max_bytes, where, is_gzip=encoding == "gzip")
        bounded.when_closed(lambda: self._free.append(lane))
        if encoding not in ("identity", "gzip", ""):
            await bounded.aclose()
            raise UnexpectedResponse(
                f"{where} answered in the encoding {encoding[:40]!r}, which was not asked for"
            )
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=bounded,
            extensions=response.extensions,
        )

    def _new_lane(self) -> httpx.AsyncBaseTransport:
        lane = self._connect()
        self._lanes.append(lane)
        return lane

    async def aclose(self) -> None:
        """Close the connections."""
        for lane in self._lanes:
            await lane.aclose()


class _Bounded(httpx.AsyncByteStream):
    """A body, decompressed chunk by chunk and cut off with an error at the limit."""

    def __init__(
        self, inner: httpx.AsyncByteStream, max_bytes: int, where: str, *, is_gzip: bool
    ) -> None:
        self._inner = inner
        self._max_bytes = max_bytes
        self._where = where
        self._is_gzip = is_gzip
        self._when_closed: Callable[[], None] | None = None

    def when_closed(self, call: Callable[[], None]) -> None:
        """Have *call* called once, when the body is read or given up."""
        self._when_closed = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in self._decoded() if self._is_gzip else self._inner:
            seen += len(chunk)
            if seen > self._max_bytes:
                raise UnexpectedResponse(
                    f"{self._where} answered with more than {self._max_bytes >> 20} MB; "
                    "reading stopped"
                )
            yield chunk

    async def _decoded(self) -> AsyncIterator[bytes]:
        inflate = zlib.decompressobj(wbits=31)
        is_whole = True
        async for chunk in self._inner:
            pending = chunk
            is_whole = False
            while True:
                try:
                    decoded = inflate.decompress(pending, _CHUNK)
                except zlib.error:
                    raise UnexpectedResponse(f"{self._where} answered with broken gzip") from None
                yield decoded
                pending = inflate.unconsumed_tail
                if inflate.eof:  # trailing bytes, such as padding, are not ours to read
                    is_whole = True
                    break
                if not pending and len(decoded) < _CHUNK:
                    break
        if not is_whole:
            raise httpx.ReadError("the compressed body ended early")

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            call, self._when_closed = self._when_closed, None
            if call is not None:
                call()


def describe(url: httpx.URL) -> str:
    """Return *url* for a message: without query, and cut to a bearable length."""
    origin = origin_of(url)
    usual = {"https": 443, "http": 80}.get(origin.scheme)
    port = "" if origin.port == usual else f":{origin.port}"
    path = url.raw_path.split(b"?", 1)[0].decode("ascii", "replace")
    return f"{origin.scheme}://{origin.host}{port}{path[:300]}"


def connector(
    options: ConnectionOptions, allowed: frozenset[Origin], directory: Path
) -> Callable[[], httpx.AsyncHTTPTransport]:
    """Return what opens a connection; raises `ConfigError` for a bad proxy or CA bundle."""
    proxy = (options.proxy or "").lower()
    is_encrypted = proxy.startswith("https") or any(o.scheme == "https" for o in allowed)
    bundle = str(directory / options.ca_bundle) if options.ca_bundle else None
    connect = partial(
        httpx.AsyncHTTPTransport,
        verify=_tls(bundle) if is_encrypted else False,
        trust_env=False,
        proxy=options.proxy,
        limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
    )
    try:
        connect()
    except (httpx.InvalidURL, ValueError):
        raise ConfigError("`proxy` is not a URL; write http://host:port") from None
    return connect


@lru_cache(maxsize=16)
def _tls(bundle: str | None) -> ssl.SSLContext:
    """A verifying TLS context; building one takes longer than most requests, so it is shared."""
    try:
        context = ssl.create_default_context(cafile=bundle or certifi.where())
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"`ca_bundle` {bundle} cannot be read as PEM certificates") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
