"""Signals of a long-running process, as events of its loop."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def signals(stop: asyncio.Event, reload: Callable[[], None]) -> Iterator[list[signal.Signals]]:
    """Set *stop* at the first SIGTERM or SIGINT, end the process at the second.

    SIGHUP calls *reload* in the loop. Yields the signals received that end the process.

    These are handlers of the interpreter, not of the event loop, so that the second signal works
    even while the loop is busy. Whatever was not committed then is as if it had never been.
    """
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def end(number: int, _frame: FrameType | None) -> None:
        received.append(signal.Signals(number))
        if len(received) > 1:
            os.write(2, b"auditor: stopped at once by a second signal\n")
            os._exit(128 + number)
        loop.call_soon_threadsafe(stop.set)

    def again(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(reload)

    handlers = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: again}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
