"""Whether providers' clocks agree with ours, as far as the ``Date`` of their answers tells."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from auditor import tally

TOLERANCE = timedelta(minutes=5)
"""Clocks that differ by no more agree: many services refuse signed requests beyond it."""
_RESOLUTION = timedelta(seconds=1)
_HOSTS = 100


class ClockWatch:
    """What the answers to one source's requests say about the time.

    *clock* is ours. Of a host the smallest difference counts, so that one answer that took an
    odd way accuses nobody.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self._apart: dict[str, timedelta] = {}
        self._told: list[timedelta] = []

    def heard(self, host: str, headers: Mapping[str, str], asked_at: datetime) -> None:
        """Compare an answer that was asked for at *asked_at* and has just arrived."""
        said = _said(headers)
        if said is None or (host not in self._apart and len(self._apart) >= _HOSTS):
            return
        apart = _apart(said, asked_at, self.clock())
        tally.clock_skews[host] = apart.total_seconds()
        self._apart[host] = min(apart, self._apart.get(host, apart), key=abs)

    def news(self) -> Iterator[tuple[str, timedelta]]:
        """Yield hosts whose clocks are ahead of ours (negative: behind) beyond the tolerance.

        A difference is told once, whoever else has the same: then it is our clock that is wrong.
        """
        for host, apart in self._apart.items():
            is_news = all(abs(apart - told) > TOLERANCE for told in self._told)
            if abs(apart) > TOLERANCE and is_news:
                self._told.append(apart)
                yield host, apart


_watch: ContextVar[ClockWatch | None] = ContextVar("clock_watch", default=None)


@contextmanager
def clocks_watched(clock: Callable[[], datetime]) -> Iterator[ClockWatch]:
    """Watch the clocks of whatever is asked meanwhile, in this task and those it starts."""
    watch = ClockWatch(clock)
    before = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(before)


def watching() -> ClockWatch | None:
    """Return the watch of this task, if it has one."""
    return _watch.get()


def _said(headers: Mapping[str, str]) -> datetime | None:
    """Return when the answer was made; None where that is not the time it was sent."""
    if headers.get("age", "0").strip() != "0":  # out of a cache
        return None
    try:
        said = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def _apart(said: datetime, asked_at: datetime, answered_at: datetime) -> timedelta:
    """Return how far *said* lies outside the time the exchange took."""
    if said > answered_at:
        return said - answered_at
    earliest = asked_at - _RESOLUTION
    return min(said - earliest, timedelta(0))
