"""A daemon's side of its web view: starts it in a process of its own, and again if it ends."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass

import httpx
import structlog
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from auditor.config import Config
from auditor.web.wire import Answer, Ask, Begin, Shown, Started, Stop, Wire

log = structlog.get_logger()

_SOONEST, _LATEST = 1.0, 60.0
"""Seconds before a web view that ended by itself is started again; twice as long each time."""
_LEAVE = 10.0
"""Seconds that it may take to end."""


@dataclass(frozen=True)
class Logs:
    """How the process logs: as the daemon does."""

    level: str = "info"
    as_json: bool | None = None


class Beside:
    """The web view of a daemon; what it shows follows `show`."""

    def __init__(self, config: Config, probes: Sequence[BaseRoute], logs: Logs) -> None:
        self._shown = _shown(config)
        self._probes = tuple(route.path for route in probes if isinstance(route, Route))
        self._logs = logs
        self.has_started = asyncio.Event()
        """Set once browsers are answered."""
        self._wire: Wire | None = None
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        transport = httpx.ASGITransport(Starlette(routes=list(probes)), raise_app_exceptions=False)
        self._daemon = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    def show(self, config: Config) -> None:
        """Let the pages show *config* from now on; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._show, _shown(config))

    def _show(self, shown: Shown) -> None:
        self._shown = shown
        if self._wire is not None:
            self._soon(self._wire.send(shown))

    async def keep(self, listening: socket.socket) -> None:
        """Have *listening* answered until cancelled, whatever becomes of the process."""
        wait = _SOONEST
        while True:
            begun = self._loop.time()
            try:
                code: int | str = await self._live(listening)
            except OSError as error:  # such as no room for another process
                code = f"not started: {error.strerror}"
            wait = _SOONEST if self._loop.time() - begun > _LATEST else min(2 * wait, _LATEST)
            log.error("web.ended", code=code, starts_again_in=wait)
            await asyncio.sleep(wait)

    async def _live(self, listening: socket.socket) -> int:
        """Start the process, talk with it, and return its exit code."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "auditor.web.process"),
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=[listening.fileno()],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        wire = Wire(*_pipes(process))
        try:
            await wire.send(
                Begin(
                    self._shown,
                    listening.fileno(),
                    self._probes,
                    self._logs.level,
                    self._logs.as_json,
                )
            )
            self._wire = wire
            while (message := await wire.receive()) is not None:
                if isinstance(message, Ask):
                    self._soon(self._answer(wire, message))
                elif isinstance(message, Started):
                    self.has_started.set()
        finally:
            self._wire = None
            await _end(process, wire)
        return process.returncode or 0

    async def _answer(self, wire: Wire, ask: Ask) -> None:
        answer = await self._daemon.get(ask.path)
        media_type = answer.headers.get("content-type", "text/plain")
        await wire.send(Answer(ask.number, answer.status_code, media_type, answer.content))

    def _soon(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _pipes(process: Process) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if process.stdout is None or process.stdin is None:
        raise RuntimeError("the web view was started without pipes")
    return process.stdout, process.stdin


async def _end(process: Process, wire: Wire) -> None:
    """Let the process end, and see to it that it does."""
    await wire.send(Stop())
    wire.close()
    try:
        async with asyncio.timeout(_LEAVE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _shown(config: Config) -> Shown:
    return Shown(str(config.path), config.document.text)
