"""Digests: one message a period instead of one a run, all of it told by the stored runs."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from auditor.findings.view import Between, PastRun, ReportView
from auditor.model import Coverage


class Digest(StrEnum):
    """How long a period is."""

    DAILY = "daily"
    WEEKLY = "weekly"
    """From Monday on."""
    MONTHLY = "monthly"

    def begins(self, at: datetime, zone: ZoneInfo) -> date:
        """Return the first day of the period that *at* lies in, by the calendar of *zone*."""
        day = at.astimezone(zone).date()
        match self:
            case Digest.DAILY:
                return day
            case Digest.WEEKLY:
                return day - timedelta(days=day.weekday())
            case Digest.MONTHLY:
                return day.replace(day=1)


@dataclass(frozen=True)
class Period:
    """What a digest covers: everything after one run, up to the run that it is sent with."""

    digest: Digest
    zone: ZoneInfo
    start: PastRun | None = None
    """The run of the digest before; None for the first one, which tells its run alone."""
    between: Between | None = None

    @property
    def since(self) -> date | None:
        """The day of the digest before."""
        return None if self.start is None else self.start.started_at.astimezone(self.zone).date()

    def within(self, coverage: tuple[Coverage, ...]) -> "Period":
        """Return the period with the gaps of nothing but what *coverage* holds."""
        if self.between is None:
            return self
        places = {(part.source, part.organization) for part in coverage}
        between = replace(
            self.between,
            worsened=tuple(part for part in self.between.worsened if part in coverage),
            lapses=tuple(
                lapse
                for lapse in self.between.lapses
                if (lapse.source, lapse.organization) in places
            ),
        )
        return replace(self, between=between)


def period_of(view: ReportView, channel: str, digest: Digest, zone: ZoneInfo) -> Period | None:
    """Return what the digest sent with this run covers; None where its period has one already.

    The digest belongs to the first run of a period that the channel is offered. It tells what
    happened since the first run of the last period that had any.
    """
    if view.past is None:
        return Period(digest, zone)
    current = digest.begins(view.run.started_at, zone)
    start: PastRun | None = None
    for run in view.past.offered(channel):
        begun = digest.begins(run.started_at, zone)
        if start is None and begun >= current:
            return None
        if start is not None and begun != digest.begins(start.started_at, zone):
            break
        start = run
    if start is None:
        return Period(digest, zone)
    return Period(digest, zone, start, view.past.since(start))
