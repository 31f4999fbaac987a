"""The application on a socket: alone, or beside something that goes on in the same process."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from auditor.errors import ConfigError
from auditor.serving import WebSettings

log = structlog.get_logger()


async def serve(
    app: ASGIApp,
    settings: WebSettings,
    *,
    listening: socket.socket | None = None,
    stop: asyncio.Event | None = None,
    started: Callable[[str], None] = lambda _address: None,
) -> None:
    """Answer until *stop* is set; without it, until SIGTERM or SIGINT.

    With *listening* that socket is answered, and closed in the end, instead of one on the
    address of *settings*. With *stop* no signal handler is touched, so that it runs beside others
    in one process. *started* is told the address once it answers. Raises `ConfigError` where the
    address cannot be had.
    """
    listening = listening or listen(settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who asks is who connects; what proxies say is weighed by `Access`
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config) if stop is None else _Guest(config)
    watching = asyncio.create_task(_watch(server, listening, stop, started))
    try:
        await server.serve(sockets=[listening])
    finally:
        watching.cancel()
        listening.close()
        log.info("web.stopped")


class _Guest(uvicorn.Server):
    """A server that leaves the signals to its host."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _watch(
    server: uvicorn.Server,
    listening: socket.socket,
    stop: asyncio.Event | None,
    started: Callable[[str], None],
) -> None:
    while not server.started:
        await asyncio.sleep(0.02)
        if stop is not None and stop.is_set():
            break
    if server.started:
        address = address_of(listening)
        log.info("web.started", address=address)
        started(address)
    if stop is not None:
        await stop.wait()
        server.should_exit = True


def listen(settings: WebSettings) -> socket.socket:
    """Return a socket on the configured address; raises `ConfigError`."""
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        # With its protocol named, asyncio sends small answers at once (TCP_NODELAY).
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(256)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"The web view cannot listen on {settings.host}, port {settings.port}: "
            f"{error.strerror or error}. Change web.host or web.port."
        ) from error
    return listening


def address_of(listening: socket.socket) -> str:
    """Return the address of a socket as a browser wants it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
