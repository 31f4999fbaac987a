"""Five-field cron expressions as people know them: names, steps, 0 and 7 for Sunday.

APScheduler counts 0 as Monday and POSIX counts 0 as Sunday, so the expression is read here and
never handed to a library.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_MONTHS = {name.lower(): n for n, name in enumerate(calendar.month_abbr) if name}
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_PART = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?")
_SEARCH_YEARS = 9
"""29 February comes at least every eight years."""


@dataclass(frozen=True)
class _Field:
    name: str
    lowest: int
    highest: int
    names: dict[str, int]


_MINUTE = _Field("minute", 0, 59, {})
_HOUR = _Field("hour", 0, 23, {})
_DAY = _Field("day of month", 1, 31, {})
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of week", 0, 7, _DAYS)


@dataclass(frozen=True)
class Cron:
    """A parsed expression: the wall times it names on a day, and whether it names a day."""

    times: tuple[tuple[int, int], ...]
    """(hour, minute), ascending."""
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 = Sunday to 6 = Saturday."""
    either_day: bool
    """Both day fields are restricted: one of them matching is enough, as in every cron."""
    is_continuous: bool
    """Every hour of the day is named, so the expression means *so often*, not *at this time*."""

    def matches(self, day: date) -> bool:
        """Tell whether *day* is one of the days named."""
        if day.month not in self.months:
            return False
        by_date = day.day in self.days
        by_weekday = day.isoweekday() % 7 in self.weekdays
        return by_date or by_weekday if self.either_day else by_date and by_weekday

    def days_from(self, first: date) -> Iterator[date]:
        """Yield the days named, *first* or later, as far as the calendar can repeat itself."""
        for offset in range(_SEARCH_YEARS * 366):
            try:
                day = first + timedelta(days=offset)
            except OverflowError:
                return
            if self.matches(day):
                yield day


def parse(expression: str) -> Cron:
    """Read ``minute hour day month weekday``; raises ValueError saying which field is wrong."""
    fields = _NICKNAMES.get(expression.strip().lower(), expression).split()
    if len(fields) != 5:
        raise ValueError(
            f"a cron expression has five fields (minute hour day month weekday), "
            f"{expression!r} has {len(fields)}"
        )
    minutes, hours = _values(fields[0], _MINUTE), _values(fields[1], _HOUR)
    cron = Cron(
        times=tuple((hour, minute) for hour in sorted(hours) for minute in sorted(minutes)),
        days=_values(fields[2], _DAY),
        months=_values(fields[3], _MONTH),
        weekdays=frozenset(day % 7 for day in _values(fields[4], _WEEKDAY)),
        either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
        is_continuous=len(hours) == 24,
    )
    if next(cron.days_from(date(2000, 1, 1)), None) is None:
        raise ValueError(f"the cron expression {expression!r} names a day that never comes")
    return cron


def _values(text: str, field: _Field) -> frozenset[int]:
    return frozenset(value for part in text.split(",") for value in _part(part, field))


def _part(text: str, field: _Field) -> range:
    match = _PART.fullmatch(text)
    if match is None or (match["first"] == "*" and match["last"]):
        raise ValueError(
            f"{text!r} cannot be read as a {field.name}; use a number, *, a list, a range or */step"
        )
    step = int(match["step"] or 1)
    if match["first"] == "*":
        first, last = field.lowest, 6 if field is _WEEKDAY else field.highest
    else:
        first = _number(match["first"], field)
        last = _number(match["last"], field) if match["last"] else first
        if match["step"] and not match["last"]:
            last = field.highest
    if field is _WEEKDAY and last == 0 < first:
        last = 7  # fri-sun: Sunday ends a week as well as it begins one
    if step < 1 or first > last:
        raise ValueError(f"{text!r} is not an ascending range of the {field.name}")
    return range(first, last + 1, step)


def _number(text: str, field: _Field) -> int:
    value = field.names.get(text.lower())
    if value is None and text.isascii() and text.isdigit():
        value = int(text)
    if value is None or not field.lowest <= value <= field.highest:
        names = f" or {', '.join(field.names)}" if field.names else ""
        raise ValueError(
            f"{text!r} is not a {field.name}: {field.lowest} to {field.highest}{names}"
        )
    return value
