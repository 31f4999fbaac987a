"""How fast to ask: a gate that adapts to throttling, and the dialects providers throttle in."""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx

from auditor.times import parse_instant


class Gate:
    """Admits a bounded number of requests at a time, first come, first served.

    A throttled answer halves the number, once per burst; every *number* good answers admit one
    more, up to *ceiling*. *per_second* spaces the starts as well.

    *apart* is the least time between two starts, in seconds. Answers that come together are worked
    on side by side, so the requests after them would leave together too, at the end of that work,
    and the network would stand idle during it, every time. A small step between them undoes this.
    """

    def __init__(
        self, ceiling: int, per_second: float | None = None, *, apart: float = 0.0
    ) -> None:
        self.ceiling = ceiling
        self._limit = float(ceiling)
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._burst = 0
        self._interval = 1 / per_second if per_second else 0.0
        self._next_start = 0.0
        self._apart = apart
        self._stepping = asyncio.Lock()
        self._last_step = 0.0

    @property
    def limit(self) -> int:
        """How many are admitted at present."""
        return max(1, int(self._limit))

    @asynccontextmanager
    async def place(self) -> AsyncIterator[int]:
        """Hold a place; yields the burst it belongs to, for `throttled`."""
        await self._enter()
        try:
            await self._pace()
            await self._step()
            yield self._burst
        finally:
            self._inside -= 1
            self._admit()

    def throttled(self, burst: int) -> None:
        """Halve the limit, unless an answer of the same *burst* has done so already."""
        if burst == self._burst:
            self._burst += 1
            self._limit = max(1.0, self._limit / 2)

    def went_well(self) -> None:
        """Let the limit grow a little."""
        if self._limit < self.ceiling:
            self._limit = min(float(self.ceiling), self._limit + 1 / self._limit)

    async def _enter(self) -> None:
        if self._inside < self.limit and not self._waiting:
            self._inside += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # admitted and cancelled at once
                self._inside -= 1
                self._admit()
            raise

    def _admit(self) -> None:
        while self._waiting and self._inside < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._inside += 1
                turn.set_result(None)

    async def _pace(self) -> None:
        if not self._interval:
            return
        now = asyncio.get_running_loop().time()
        start = max(now, self._next_start)
        self._next_start = start + self._interval
        await asyncio.sleep(start - now)

    async def _step(self) -> None:
        if not self._apart:
            return
        # Measured from when the last one left, not from when it was due: a loop that was busy for
        # a while would let all leave at once that fell due meanwhile.
        async with self._stepping:
            clock = asyncio.get_running_loop().time
            rest = self._last_step + self._apart - clock()
            if rest > 0:
                await asyncio.sleep(rest)
            self._last_step = clock()


@dataclass(frozen=True)
class Sign:
    """An answer that means *slow down*: a status, alone or together with a header."""

    status: int
    header: str | None = None
    equals: str | None = None
    """None: the header's presence is enough."""

    def matches(self, response: httpx.Response) -> bool:
        """Whether *response* shows this sign."""
        if response.status_code != self.status:
            return False
        if self.header is None:
            return True
        value = response.headers.get(self.header)
        return value is not None and self.equals in (None, value.strip())


WaitUnit = Literal["retry_after", "seconds", "epoch_s", "epoch_ms", "rfc3339"]


@dataclass(frozen=True)
class Wait:
    """A header that tells how long to pause."""

    header: str
    unit: WaitUnit = "retry_after"
    """``retry_after`` is seconds or an HTTP date, as the standard has it."""
    pattern: str | None = None
    """A regular expression whose first group is the value, where the header holds more."""

    def seconds(self, response: httpx.Response) -> float | None:
        """Return the pause asked for, not below 0; None where the header does not say."""
        text = response.headers.get(self.header)
        if text is None:
            return None
        if self.pattern is not None:
            match = re.search(self.pattern, text[:1000])
            text = match.group(1) if match else ""
        try:
            return max(0.0, self._pause(text.strip(), _server_time(response)))
        except (ValueError, TypeError, OverflowError):
            return None

    def _pause(self, text: str, now: float) -> float:
        if self.unit == "retry_after":
            if re.fullmatch(r"-?\d+(\.\d+)?", text):
                return float(text)
            return parsedate_to_datetime(text).timestamp() - now
        if self.unit == "rfc3339":
            return parse_instant(text).timestamp() - now
        value = float(text)
        if self.unit == "seconds":
            return value
        return (value / 1000 if self.unit == "epoch_ms" else value) - now


def _server_time(response: httpx.Response) -> float:
    """Prefer the server's own clock: its dates are meant against it."""
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return time.time()


@dataclass(frozen=True)
class Dialect:
    """How one provider says that it is being asked too fast, and for how long to pause.

    The first header that says something counts.
    """

    signs: tuple[Sign, ...] = (Sign(429),)
    waits: tuple[Wait, ...] = (Wait("retry-after"),)

    def is_throttled(self, response: httpx.Response) -> bool:
        """Whether *response* is a refusal for speed, not for want of a right."""
        return any(sign.matches(response) for sign in self.signs)

    def pause(self, response: httpx.Response) -> float | None:
        """Return the seconds to wait, or None where *response* does not say."""
        answers = (wait.seconds(response) for wait in self.waits)
        return next((pause for pause in answers if pause is not None), None)
