"""The process of a daemon's web view: ``python -m auditor.web.process``, started by the daemon.

It lives as long as the daemon does, which it knows by its standard input, and leaves all signals
to it: those of a terminal or a service manager go to both.
"""

import asyncio
import os
import signal
import socket
import sys
from itertools import count
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from auditor.config import load_config
from auditor.errors import AuditorError
from auditor.log import configure
from auditor.serving import WebSettings
from auditor.store import Store
from auditor.web.app import create_app, reload
from auditor.web.server import serve
from auditor.web.wire import Answer, Ask, Begin, Shown, Started, Stop, Wire

log = structlog.get_logger()

_PATIENCE = 8.0
"""Seconds in which a daemon that lives answers; probes usually wait for ten."""


def main() -> int:
    """Answer until the daemon says stop, or is gone."""
    os.umask(0o077)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return asyncio.run(_run())


async def _run() -> int:
    wire = await _wire()
    begin = await wire.receive()
    if not isinstance(begin, Begin):
        return 2
    configure(level=begin.log_level, json=begin.log_as_json)
    try:
        await _answer_browsers(wire, begin)
    except AuditorError as error:
        log.error("web.failed", error=str(error))  # noqa: TRY400 - the sentence says it
        return 1
    finally:
        wire.close()
    return 0


async def _answer_browsers(wire: Wire, begin: Begin) -> None:
    config = load_config(Path(begin.shown.path), begin.shown.text)
    daemon = _Daemon(wire)
    routes = [Route(path, daemon.probe) for path in begin.probes]
    with Store.open(config.database_url) as store:
        app = create_app(store, config, more_routes=routes)
        stop = asyncio.Event()
        hearing = asyncio.create_task(daemon.hear(app, stop))
        listening = socket.socket(fileno=begin.listening)
        await serve(
            app,
            config.layout.web or WebSettings(),
            listening=listening,
            stop=stop,
            started=lambda _address: daemon.tell_soon(Started()),
        )
        await hearing


class _Daemon:
    """The daemon, as its web view knows it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._numbers = count()
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._telling: asyncio.Task[None] | None = None

    async def hear(self, app: Starlette, stop: asyncio.Event) -> None:
        """Do what it says until it says stop; end at once where it is gone."""
        while True:
            match await self._wire.receive():
                case Shown() as shown:
                    await asyncio.to_thread(_follow, app, shown)
                case Answer() as answer:
                    asked = self._asked.pop(answer.number, None)
                    if asked is not None and not asked.done():
                        asked.set_result(answer)
                case Stop():
                    stop.set()
                    return
                case _:
                    # Nothing here outlives the process, and the address must be free for the next.
                    os._exit(0)

    def tell_soon(self, message: Started) -> None:
        """Send *message* without waiting for it."""
        self._telling = asyncio.create_task(self._wire.send(message))

    async def probe(self, request: Request) -> Response:
        """Answer as the daemon does."""
        number = next(self._numbers)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._wire.send(Ask(number, request.url.path))
                answer = await asked
        except TimeoutError:
            return PlainTextResponse("The daemon does not answer.\n", status_code=503)
        finally:
            self._asked.pop(number, None)
        return Response(answer.body, answer.status, media_type=answer.media_type)


def _follow(app: Starlette, shown: Shown) -> None:
    try:
        reload(app, load_config(Path(shown.path), shown.text))
    except AuditorError as error:  # the daemon has read it, so a file beside it has just changed
        log.error("config.not_shown", error=str(error))  # noqa: TRY400 - the sentence says it
    else:
        log.info("config.shown")


async def _wire() -> Wire:
    """Return the pipes from and to the daemon; what is printed goes to the log from now on."""
    loop = asyncio.get_running_loop()
    out = os.dup(1)
    os.dup2(2, 1)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb"))
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(out, "wb")
    )
    return Wire(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


if __name__ == "__main__":
    sys.exit(main())
