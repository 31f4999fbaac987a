"""A real SMTP server on a port of its own choice."""

import asyncio
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP


class AnyPort(Controller):
    """Knows which port it was given before it knocks at it, and leaves no connection behind."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.served: list[SMTP] = []
        super().__init__(*args, **kwargs)

    @property
    def given(self) -> int:
        assert isinstance(self.server, asyncio.Server)
        return int(self.server.sockets[0].getsockname()[1])

    def factory(self) -> SMTP:
        smtp: SMTP = super().factory()
        self.served.append(smtp)
        return smtp

    def stop(self, *args: Any, **kwargs: Any) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(timeout=10)
        super().stop(*args, **kwargs)

    async def _hang_up(self) -> None:
        assert self.server is not None
        self.server.close()
        await asyncio.sleep(0)  # who was let in a moment ago is a connection only now
        await asyncio.sleep(0)
        for smtp in self.served:
            if isinstance(smtp.transport, asyncio.WriteTransport):
                smtp.transport.abort()
        await asyncio.sleep(0)  # sockets are closed in the loop's next turn

    def _trigger_server(self) -> None:
        self.port = self.given
        super()._trigger_server()
