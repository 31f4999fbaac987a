"""How findings and their mending develop over the kept runs."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from auditor.findings.resolution_time import ResolutionTimeBuilder, ResolutionTimes
from auditor.findings.view import Summary, TrendPoint
from auditor.line.outcome import Outcome, unpack_outcome
from auditor.line.trend import point
from auditor.store import Store


class Movement(Struct, frozen=True):
    """Open findings under one name, at the beginning and at the end of the period."""

    name: str
    before: int
    after: int


class Trends(Struct, frozen=True, kw_only=True):
    """What the runs of a period came to; movements are ordered by where they end, then by name."""

    since: datetime
    until: datetime
    points: tuple[TrendPoint, ...]
    """One per run, oldest first."""
    by_policy: tuple[Movement, ...]
    by_owner: tuple[Movement, ...]
    """The empty name stands for nobody."""
    by_organization: tuple[Movement, ...]
    time_to_resolve: ResolutionTimes


def trends(store: Store, *, runs: int) -> Trends | None:
    """Return the development over the newest judged *runs*; None where there is none yet."""
    records = [record for record in store.runs(limit=runs) if record.summary]
    outcomes = [unpack_outcome(record.summary) for record in reversed(records)]
    if not outcomes:
        return None
    times = ResolutionTimeBuilder()
    for outcome in outcomes:
        for mended in outcome.mended:
            times.add_mended(mended)
    first, last = outcomes[0], outcomes[-1]
    return Trends(
        since=first.info.now,
        until=last.info.now,
        points=tuple(point(outcome.info, outcome.summary) for outcome in outcomes),
        by_policy=_movements(first, last, "by_policy"),
        by_owner=_movements(first, last, "by_owner"),
        by_organization=_movements(first, last, "by_organization"),
        time_to_resolve=times.build(),
    )


def _movements(first: Outcome, last: Outcome, name: str) -> tuple[Movement, ...]:
    before, after = _counts(first.summary, name), _counts(last.summary, name)
    moved = [
        Movement(key, before.get(key, 0), after.get(key, 0)) for key in before.keys() | after.keys()
    ]
    return tuple(sorted(moved, key=lambda one: (-one.after, one.name)))


def _counts(summary: Summary, name: str) -> Mapping[str, int]:
    counts: Mapping[str, int] = getattr(summary, name)
    return counts
