"""What a daemon is to start now: occurrences that are due, and those that were cut short."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from auditor.errors import AuditorError
from auditor.schedule import Occurrence, ScheduleOptions, due, last_planned

log = structlog.get_logger()

RESUME_WITHIN = timedelta(hours=12)
"""An occurrence that was cut short longer ago is given up: its facts would be too old."""
_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(minutes=30)


class Unfinished(Protocol):
    """An occurrence that was begun and has not ended."""

    @property
    def schedule(self) -> str:
        """The schedule's name."""

    @property
    def key(self) -> str:
        """The occurrence."""

    @property
    def recorded_at(self) -> datetime:
        """When it began."""


class Ledger(Protocol):
    """What is remembered of schedules: every occurrence once, whatever became of it."""

    def occurrences(self, schedule: str) -> Sequence[str]:
        """Return the newest keys dealt with (a hundred are plenty), in any order."""

    def known_since(self, schedule: str, now: datetime) -> datetime:
        """Return when the schedule was seen first; *now*, remembered, if that is now."""

    def begin(self, schedule: str, key: str, *, at: datetime) -> bool:
        """Take an occurrence; False where it is taken already, here or elsewhere."""

    def finish(self, schedule: str, key: str, *, state: str, reason: str = "") -> None:
        """Record how a begun occurrence ended: ``done``, or ``failed`` and why."""

    def unfinished(self) -> Sequence[Unfinished]:
        """Return what was begun and has not ended, the oldest first."""

    def leave_out(self, schedule: str, key: str, *, state: str, reason: str, at: datetime) -> None:
        """Record an occurrence that does not run (*state* ``missed`` or ``skipped``), and why.

        One that is recorded already stays as it is.
        """


@dataclass(frozen=True)
class Start:
    """An occurrence to run now."""

    schedule: ScheduleOptions
    occurrence: Occurrence
    is_catch_up: bool = False

    @property
    def place(self) -> tuple[str, str]:
        """Its schedule and key."""
        return self.schedule.name, self.occurrence.key


class Planning:
    """Decides by the ledger; the one who asks leads, so nobody else decides at the same time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._put_off: dict[tuple[str, str], tuple[int, datetime]] = {}

    def starts(
        self, schedules: Sequence[ScheduleOptions], busy: Collection[str], now: datetime
    ) -> list[Start]:
        """Return what to start; *busy* are the schedules whose audit still goes on."""
        try:
            starts = list(self._interrupted(schedules, busy, now))
        except AuditorError as error:  # such as a database away for a moment: the next tick
            log.error("schedule.unreadable", error=str(error))  # noqa: TRY400 - the sentence says it
            return []
        taken = {*busy, *(start.schedule.name for start in starts)}
        for schedule in schedules:
            try:
                start = self._due(schedule, now, is_busy=schedule.name in taken)
            except AuditorError as error:
                log.error("schedule.unreadable", schedule=schedule.name, error=str(error))  # noqa: TRY400
            else:
                starts += [start] if start else []
        return starts

    def finish(self, start: Start, failure: str | None) -> None:
        """Record that an occurrence has ended."""
        self._put_off.pop(start.place, None)
        state = "done" if failure is None else "failed"
        self._ledger.finish(*start.place, state=state, reason=failure or "")

    def put_off(self, start: Start, now: datetime) -> None:
        """Let an occurrence that could not go on be taken up again, later and later."""
        attempts = self._put_off.get(start.place, (0, now))[0]
        wait = min(_FIRST_WAIT * 2**attempts, _LONGEST_WAIT)
        self._put_off[start.place] = (attempts + 1, now + wait)

    def _interrupted(
        self, schedules: Sequence[ScheduleOptions], busy: Collection[str], now: datetime
    ) -> Iterator[Start]:
        by_name = {schedule.name: schedule for schedule in schedules}
        records = [one for one in self._ledger.unfinished() if one.schedule not in busy]
        newest = {record.schedule: record.key for record in records}
        for record in records:
            schedule = by_name.get(record.schedule)
            place = (record.schedule, record.key)
            if schedule is None:
                self._give_up(place, "its schedule was removed")
            elif newest[record.schedule] != record.key:
                self._give_up(place, f"overtaken by {newest[record.schedule]}")
            elif now - record.recorded_at > RESUME_WITHIN:
                self._give_up(place, "cut short, and too old to go on with")
            elif self._put_off.get(place, (0, now))[1] <= now:
                log.info("occurrence.resumed", schedule=record.schedule, occurrence=record.key)
                at = record.recorded_at
                yield Start(schedule, Occurrence(at, record.key, at), is_catch_up=True)

    def _give_up(self, place: tuple[str, str], reason: str) -> None:
        self._put_off.pop(place, None)
        self._ledger.finish(*place, state="failed", reason=reason)
        log.warning("occurrence.given_up", schedule=place[0], occurrence=place[1], reason=reason)

    def _due(self, schedule: ScheduleOptions, now: datetime, *, is_busy: bool) -> Start | None:
        plan = schedule.plan
        last = last_planned(plan, self._ledger.occurrences(schedule.name), now)
        if last is None and not plan.is_interval:
            last = min(self._ledger.known_since(schedule.name, now), now)
        answer = due(plan, last, now)
        for missed in answer.missed:
            held = " or a blackout held it back" if plan.blackouts else ""
            self._leave_out(schedule, missed, "missed", f"the auditor was down{held}", now)
        if answer.run is None:
            return None
        if is_busy:
            self._leave_out(schedule, answer.run, "skipped", "the one before still ran", now)
        elif self._ledger.begin(schedule.name, answer.run.key, at=now):
            return Start(schedule, answer.run, answer.is_catch_up)
        return None

    def _leave_out(
        self,
        schedule: ScheduleOptions,
        occurrence: Occurrence,
        state: str,
        reason: str,
        at: datetime,
    ) -> None:
        self._ledger.leave_out(schedule.name, occurrence.key, state=state, reason=reason, at=at)
        log.warning(
            "occurrence.left_out",
            schedule=schedule.name,
            occurrence=occurrence.key,
            state=state,
            reason=reason,
        )
