"""Signals: events of the loop for a long-running process, an interruption for a command."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ECHO = 0.2
"""Seconds within which a second signal is the first one again."""


@contextmanager
def signals(
    stop: asyncio.Event, reload: Callable[[], None], *, end_after: float
) -> Iterator[list[signal.Signals]]:
    """Set *stop* at the first SIGTERM or SIGINT, end the process at the second.

    One that comes within `ECHO` seconds is the first again: ``timeout`` of coreutils, for one,
    tells a process and then its whole group.
    It ends *end_after* seconds after the first one, too, whatever it still waits for, such as a
    database that does not answer. SIGHUP calls *reload* in the loop. Yields the signals received
    that end the process.

    These are handlers of the interpreter, not of the event loop, so that the second signal works
    even while the loop is busy. Whatever was not committed then is as if it had never been.
    """
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []
    last_echo = 0.0
    told = threading.Event()

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal last_echo
        if received and time.monotonic() < last_echo:
            return
        last_echo = time.monotonic() + ECHO
        received.append(signal.Signals(number))
        if len(received) > 1:
            _leave(number, "by a second signal")
        told.set()
        loop.call_soon_threadsafe(stop.set)

    def end_late() -> None:
        told.wait()
        if received:
            time.sleep(end_after)
            _leave(received[0], "by the end of its time")

    def again(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(reload)

    handlers = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: again}
    threading.Thread(target=end_late, name="last resort", daemon=True).start()
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        told.set()


@contextmanager
def hangups_waiting() -> Iterator[None]:
    """Keep a SIGHUP that arrives before `signals` listens until it does, instead of dying of it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does: what is open is closed, and the run says why.

    A timer or container that runs out of time sends nothing else.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is told of signals
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, why: str) -> None:
    os.write(2, f"auditor: stopped at once {why}\n".encode())
    os._exit(128 + number)
