"""When a schedule is due: pure functions of its plan and of two instants.

A wall-time plan (``daily``, a ``cron`` that names hours) happens once for every local date and
wall time: a time that the spring change skips happens at the first instant after the gap, a time
that the autumn change repeats happens the first time. An interval (``every``, a ``cron`` that
names every hour) happens at instants, whatever the clocks do.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from auditor.schedule.cron import Cron

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WINDOWS = 1000
"""More back-to-back blackout windows than this mean that the schedule can never start."""
_STEPS = 5000
"""How many occurrences of one schedule are counted one by one after a downtime."""
_MISSED = 50
"""How many of them are named."""
_LATE = timedelta(minutes=5)
"""A start later than this after it was meant to be is a catch-up."""


@dataclass(frozen=True)
class Blackout:
    """A time in which a schedule does not start: dated, or recurring by wall time."""

    start: datetime | time
    """Naive, in the plan's zone."""
    end: datetime | time
    weekdays: frozenset[int] = frozenset(range(7))
    """0 = Sunday; the days a recurring window begins on."""


@dataclass(frozen=True)
class Plan:
    """The compiled timing of one schedule."""

    name: str
    rule: Cron | timedelta
    zone: ZoneInfo
    jitter: timedelta = timedelta(0)
    blackouts: tuple[Blackout, ...] = ()

    @property
    def is_interval(self) -> bool:
        """Whether it repeats every so often, whatever the clocks show."""
        return isinstance(self.rule, timedelta)


@dataclass(frozen=True, order=True)
class Occurrence:
    """One time a schedule is meant to run."""

    planned_at: datetime
    """UTC, without jitter; occurrences are ordered by it."""
    key: str
    """Names the occurrence for ever: the local wall time it was planned for
    (``2026-11-01T03:00``), or the UTC instant of an interval (``2026-11-01T02:00:00Z``)."""
    starts_at: datetime
    """UTC, with jitter and after any blackout."""


@dataclass(frozen=True)
class Due:
    """What the clock asks for now."""

    run: Occurrence | None = None
    is_catch_up: bool = False
    missed: tuple[Occurrence, ...] = ()
    """Earlier ones that nobody ran, oldest first; the newest where there are very many."""
    missed_more: bool = False
    """Whether even more were missed than are named."""


def due(plan: Plan, last: datetime | None, now: datetime) -> Due:
    """Return what is to be run at *now*, given the newest planned instant already dealt with.

    The newest occurrence runs, once; older ones are missed. An interval that never ran
    (*last* is None) begins at once; a wall-time schedule needs an instant to start from,
    such as when it was seen first. *last* is not later than *now*; see `last_planned`.
    """
    if last is None:
        if not isinstance(plan.rule, timedelta):
            return Due()
        last = now - plan.rule
    waiting: deque[Occurrence] = deque(maxlen=_MISSED + 1)
    has_more = False
    for count, occurrence in enumerate(_until(plan, last, now)):
        if count > _STEPS:  # so many are close together: the last day holds the newest
            return _newest(deque(_until(plan, now - timedelta(days=1), now), waiting.maxlen), now)
        if occurrence.starts_at <= now:
            has_more = has_more or len(waiting) == waiting.maxlen
            waiting.append(occurrence)
    return _newest(waiting, now, has_more=has_more)


def next_occurrence(plan: Plan, after: datetime) -> Occurrence | None:
    """Return the first occurrence planned later than *after*; None where there is no more."""
    occurrences = _planned(plan, after)
    first = next(occurrences, None)
    if first is None:
        return None
    following = next(occurrences, None)
    return _started(plan, first, following[0] if following else None)


def last_planned(plan: Plan, keys: Iterable[str], now: datetime) -> datetime | None:
    """Return the newest planned instant among occurrences dealt with, as far as *now*.

    Keys from the future are what a clock that ran ahead has left behind: they count again when
    their time comes.
    """
    planned = (planned_at(plan, key) for key in keys)
    return max((at for at in planned if at <= now), default=None)


def planned_at(plan: Plan, key: str) -> datetime:
    """Return the instant that *key* names under *plan*."""
    if key.endswith("Z"):
        return datetime.fromisoformat(key)
    return instant(datetime.fromisoformat(key), plan.zone)


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the UTC instant at which the clocks of *zone* show *wall* (naive).

    The first one if they do so twice, the first instant after the gap if they never do.
    """
    before = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _wall(before, zone) == wall:
        return before
    # In a gap, fold=0 applies the old offset and lands behind the change, fold=1 before it.
    low, high = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), before
    new_offset = high.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == new_offset:
            high = middle
        else:
            low = middle
    return high


def leave_blackouts(plan: Plan, moment: datetime) -> datetime | None:
    """Return the first instant from *moment* on outside every blackout; None if there is none."""
    for _ in range(_WINDOWS):
        ends = [end for window in plan.blackouts if (end := _end(window, plan.zone, moment))]
        if not ends:
            return moment
        moment = max(ends)
    return None


def _newest(waiting: deque[Occurrence], now: datetime, *, has_more: bool = True) -> Due:
    if not waiting:
        return Due()
    run = waiting.pop()
    late = now - run.starts_at > _LATE
    return Due(run, is_catch_up=late, missed=tuple(waiting), missed_more=has_more)


def _until(plan: Plan, after: datetime, now: datetime) -> Iterator[Occurrence]:
    previous: tuple[datetime, str] | None = None
    for planned in _planned(plan, after):
        if previous is not None and (occurrence := _started(plan, previous, planned[0])):
            yield occurrence
        previous = planned
        if planned[0] > now:
            return
    if previous is not None and (occurrence := _started(plan, previous, None)):
        yield occurrence


def _started(
    plan: Plan, planned: tuple[datetime, str], following: datetime | None
) -> Occurrence | None:
    """Add jitter, the same for every process and attempt, never reaching the next occurrence."""
    at, key = planned
    room = plan.jitter if following is None else min(plan.jitter, following - at)
    digest = sha256(f"{plan.name}\0{key}".encode()).digest()
    share = int.from_bytes(digest[:6]) / 2**48
    starts_at = leave_blackouts(plan, at + timedelta(seconds=int(room.total_seconds() * share)))
    return None if starts_at is None else Occurrence(at, key, starts_at)


def _planned(plan: Plan, after: datetime) -> Iterator[tuple[datetime, str]]:
    if isinstance(plan.rule, timedelta):
        yield from _intervals(plan.rule, after)
        return
    newest = after
    first = _wall(after, plan.zone).date() - timedelta(days=1)
    for day in plan.rule.days_from(first):
        for at, key in _on_day(plan.rule, day, plan.zone):
            if at > newest:  # several skipped times share the instant after the gap: once is enough
                newest = at
                yield at, key


def _intervals(every: timedelta, after: datetime) -> Iterator[tuple[datetime, str]]:
    at = _EPOCH + every * ((after - _EPOCH) // every + 1)
    while True:
        yield at, _utc_key(at)
        at += every


def _on_day(cron: Cron, day: date, zone: ZoneInfo) -> list[tuple[datetime, str]]:
    walls = [datetime.combine(day, time(hour, minute)) for hour, minute in cron.times]
    if not cron.is_continuous:
        return [(instant(wall, zone), wall.isoformat(timespec="minutes")) for wall in walls]
    minutes = {minute for _, minute in cron.times}
    both = {wall.replace(tzinfo=zone, fold=f).astimezone(UTC) for wall in walls for f in (0, 1)}
    shown = ((at, _wall(at, zone)) for at in sorted(both))
    # A time inside a gap shows as another one, which may be none of those named.
    return [
        (at, _utc_key(at)) for at, wall in shown if wall.date() == day and wall.minute in minutes
    ]


def _end(window: Blackout, zone: ZoneInfo, moment: datetime) -> datetime | None:
    """Return when *window* ends if *moment* lies in it."""
    if isinstance(window.start, datetime) and isinstance(window.end, datetime):
        start, end = instant(window.start, zone), instant(window.end, zone)
        return end if start <= moment < end else None
    if not (isinstance(window.start, time) and isinstance(window.end, time)):
        raise TypeError("a blackout is dated or recurring, not half of each")
    today = _wall(moment, zone).date()
    for day in (today, today - timedelta(days=1)):
        if day.isoweekday() % 7 not in window.weekdays:
            continue
        start = instant(datetime.combine(day, window.start), zone)
        last = day if window.start < window.end else day + timedelta(days=1)
        end = instant(datetime.combine(last, window.end), zone)
        if start <= moment < end:
            return end
    return None


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _utc_key(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
