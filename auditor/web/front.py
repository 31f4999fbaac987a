"""The web view of a daemon through all its configurations, some of which may have none."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from starlette.routing import BaseRoute

from auditor.config import Config
from auditor.errors import ConfigError
from auditor.serving import WebSettings
from auditor.web.beside import Beside, Logs
from auditor.web.server import listen

_START = 30.0
"""Seconds that a daemon waits for browsers to be answered before it goes on."""


@dataclass(frozen=True)
class _Open:
    """A view that is answered."""

    config: Config
    settings: WebSettings
    token: str | None
    listening: socket.socket
    view: Beside
    keeping: asyncio.Task[None]

    async def end(self) -> None:
        """Let the process of the view end; the socket stays."""
        self.keeping.cancel()
        with suppress(asyncio.CancelledError):
            await self.keeping


class Front:
    """Has browsers answered where the configuration in force says, and *probes* by this process."""

    def __init__(self, probes: Sequence[BaseRoute], logs: Logs) -> None:
        self._probes = probes
        self._logs = logs
        self._open: _Open | None = None

    async def follow(self, config: Config) -> None:
        """Answer as *config* says from now on, and nowhere where it has no ``web`` block.

        Raises `ConfigError` where the address or the token cannot be had; then everything stays
        as it was. Other settings mean another process: whoever asks at the same address meanwhile
        is answered by the former one.
        """
        before, settings = self._open, config.layout.web
        if settings is None:
            await self.close()
            return
        token = settings.secret(config.directory)
        if before is None:
            await self._answer(config, settings, token, listen(settings))
        elif (before.settings, before.token) == (settings, token):
            before.view.show(config)
            self._open = replace(before, config=config)
        elif _address(before.settings) == _address(settings):
            await self._answer(config, settings, token, before.listening)
            await before.end()
        else:
            await self._move(before, config, settings, token)

    async def close(self) -> None:
        """Answer no more."""
        if self._open is not None:
            before, self._open = self._open, None
            await before.end()
            before.listening.close()

    async def _move(
        self, before: _Open, config: Config, settings: WebSettings, token: str | None
    ) -> None:
        """Answer at another address; the former one is given up for it where both overlap."""
        try:
            listening = listen(settings)
        except ConfigError:
            if before.listening.getsockname()[1] != settings.port:
                raise
            await self.close()
            try:
                listening = listen(settings)
            except ConfigError:
                former = listen(before.settings)
                await self._answer(before.config, before.settings, before.token, former)
                raise
            await self._answer(config, settings, token, listening)
        else:
            await self._answer(config, settings, token, listening)
            await before.end()
            before.listening.close()

    async def _answer(
        self, config: Config, settings: WebSettings, token: str | None, listening: socket.socket
    ) -> None:
        view = Beside(config, self._probes, self._logs)
        keeping = asyncio.create_task(view.keep(listening))
        self._open = _Open(config, settings, token, listening, view, keeping)
        with suppress(TimeoutError):  # audits do not depend on it
            await asyncio.wait_for(view.has_started.wait(), _START)


def _address(settings: WebSettings) -> tuple[str, int]:
    return settings.host, settings.port
