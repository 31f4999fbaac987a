"""The ``schedules:`` block of the configuration."""

import re
from datetime import date, datetime, time, timedelta
from functools import cache, cached_property
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from auditor.schedule.cron import Cron, parse
from auditor.schedule.occurrences import Blackout, Plan, leave_blackouts
from auditor.times import parse_duration

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_SHORTEST = timedelta(minutes=1)
_ANY_MOMENT = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


def _clock(text: Any) -> time:
    if isinstance(text, time):
        return text
    match = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    if match is None:  # YAML reads an unquoted 12:30 as the number 750
        raise ValueError('a time of day is written in quotes, with two digits each: "03:00"')
    return time(int(match[1]), int(match[2]))


def _edge(value: Any) -> time | datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time(0))
    if isinstance(value, str) and not _CLOCK.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError('write a time of day ("22:00"), a date or a date and time') from error
    return _clock(value)


Duration = Annotated[timedelta, BeforeValidator(parse_duration, json_schema_input_type=str)]
TimeOfDay = Annotated[time, BeforeValidator(_clock, json_schema_input_type=str)]
Edge = Annotated[time | datetime, BeforeValidator(_edge, json_schema_input_type=str)]


class BlackoutOptions(BaseModel):
    """A window in which the schedule does not start; what falls into it starts at its end.

    ``from`` and ``to`` are times of day (recurring; over midnight where ``to`` is not later) or
    dates and times. ``days`` says on which weekdays a recurring window begins.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    start: Edge = Field(alias="from")
    end: Edge = Field(alias="to")
    days: str = "*"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        dated = isinstance(self.start, datetime), isinstance(self.end, datetime)
        if dated[0] != dated[1]:
            raise ValueError("from and to are both times of day, or both dates")
        for edge in (self.start, self.end):
            if edge.tzinfo is not None:
                raise ValueError(
                    "from and to are in the schedule's time zone; leave out the offset"
                )
        if all(dated):
            if self.days != "*":
                raise ValueError("days belongs to recurring windows, not to dated ones")
            if not self._dated_in_order():
                raise ValueError("from must be earlier than to")
        parse(f"0 0 * * {self.days}")
        return self

    def _dated_in_order(self) -> bool:
        if isinstance(self.start, datetime) and isinstance(self.end, datetime):
            return self.start < self.end
        return False

    def compiled(self) -> Blackout:
        """Return the window as the rules read it."""
        return Blackout(self.start, self.end, parse(f"0 0 * * {self.days}").weekdays)


class ScheduleOptions(BaseModel):
    """One entry under ``schedules:``."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(min_length=1)
    cron: str | None = None
    """Five fields, names or the standard numbers (0 and 7 are Sunday)."""
    every: Duration | None = None
    """An interval, counted from 1970-01-01 UTC so that restarts do not move it."""
    daily: TimeOfDay | None = None
    timezone: str = "UTC"
    sources: tuple[str, ...] | None = None
    """Names under ``sources:``; all of them where left out."""
    reports: tuple[str, ...] | None = None
    """Formats; those under ``reports:`` where left out."""
    deliveries: tuple[str, ...] | None = None
    """Names under ``deliveries:``; all of them where left out."""
    jitter: Duration = timedelta(0)
    """Start up to this much later; the same for an occurrence whatever happens."""
    blackouts: tuple[BlackoutOptions, ...] = ()
    max_runtime: Duration | None = None
    """A run that takes longer is stopped and counts as incomplete."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        given = [key for key in ("cron", "every", "daily") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of cron, every and daily")
        if self.every is not None and self.every < _SHORTEST:
            raise ValueError("every must be at least 1m")
        if self.max_runtime is not None and not self.max_runtime:
            raise ValueError("max_runtime must be longer than nothing")
        if leave_blackouts(self.plan, _ANY_MOMENT) is None:
            raise ValueError("the blackouts leave no time at all to start in")
        return self

    @cached_property
    def plan(self) -> Plan:
        """The compiled timing; raises ValueError where the expression or zone is wrong."""
        return Plan(
            name=self.name,
            rule=self._rule(),
            zone=zone_named(self.timezone),
            jitter=self.jitter,
            blackouts=tuple(window.compiled() for window in self.blackouts),
        )

    def _rule(self) -> Cron | timedelta:
        if self.every is not None:
            return self.every
        if self.daily is not None:
            return parse(f"{self.daily.minute} {self.daily.hour} * * *")
        return parse(self.cron or "")


@cache
def zone_named(name: str) -> ZoneInfo:
    """Return the time zone called *name*; raises ValueError."""
    # Asking for the list first keeps a name such as ../../etc/passwd away from the file system.
    if name not in available_timezones():
        raise ValueError(f"there is no time zone {name!r}; use a name such as Europe/Berlin or UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"the time zone {name!r} cannot be read") from error
