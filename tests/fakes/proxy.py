"""A TCP proxy on loopback that a test cuts, silences and mends: a network between two programs."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self


class TcpProxy:
    """Forwards to *host* and *port* from a port of its own, in a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._ways: dict[bool, asyncio.Event] = {}
        """There (True) and back: closed while nothing is forwarded that way."""
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._call(self._cut)

    def hang(self, *, answers_only: bool = False) -> None:
        """Forward nothing more and say nothing; what is sent waits, as on a lost cable."""
        self._call(self._hang, answers_only=answers_only)

    def mend(self, *, is_lost: bool = False) -> None:
        """Forward again, also what waited, unless *is_lost*: then those connections are reset."""
        self._call(self._mend, is_lost=is_lost)

    def _call(self, do: Callable[..., None], **how: bool) -> None:
        done = threading.Event()

        def call() -> None:
            do(**how)
            done.set()

        self._loop.call_soon_threadsafe(call)
        assert done.wait(10)

    def _cut(self) -> None:
        self._is_cut = True
        self._reset()

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _hang(self, *, answers_only: bool) -> None:
        self._ways[False].clear()
        if not answers_only:
            self._ways[True].clear()

    def _mend(self, *, is_lost: bool) -> None:
        if is_lost:
            self._reset()
        self._is_cut = False
        for way in self._ways.values():
            way.set()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        self._ways = {True: asyncio.Event(), False: asyncio.Event()}
        self._mend(is_lost=False)
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._reset()
        for _turn in range(5):  # sockets are closed in the loop's next turns
            await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self._is_cut:
                return
            await self._ways[True].wait()
            there, back = await asyncio.open_connection(*self._target)
            self._writers.add(back)
            try:
                async with asyncio.TaskGroup() as pumps:
                    pumps.create_task(self._pump(reader, back, is_there=True))
                    pumps.create_task(self._pump(there, writer, is_there=False))
            finally:
                back.transport.abort()
                self._writers.discard(back)
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_there: bool
    ) -> None:
        while data := await reader.read(65_536):
            await self._ways[is_there].wait()
            writer.write(data)
            await writer.drain()
        await self._ways[is_there].wait()
        with suppress(OSError, RuntimeError):
            writer.write_eof()
