"""Past runs as a line, and past events of a finding, for reports."""

from collections.abc import Sequence

from auditor.findings.view import History, HistoryEvent, RunInfo, Summary, TrendPoint
from auditor.line.outcome import unpack_outcome
from auditor.store import Store

RUNS = 90
"""How many past runs a trend shows."""


def trend_until(store: Store, run_id: int) -> tuple[TrendPoint, ...]:
    """Return what the runs up to and including *run_id* counted, oldest first."""
    outcomes = [
        unpack_outcome(record.summary)
        for record in store.runs(limit=RUNS, until=run_id)
        if record.summary
    ]
    points = [point(outcome.info, outcome.summary) for outcome in outcomes]
    return tuple(sorted(points, key=lambda one: one.run_id))


def point(info: RunInfo, summary: Summary) -> TrendPoint:
    """Return one run as a point of the trend."""
    return TrendPoint(
        run_id=info.id,
        now=info.now,
        findings=summary.findings,
        by_severity=summary.by_severity,
        opened=summary.by_change.get("opened", 0) + summary.by_change.get("reopened", 0),
        fixed=summary.fixed,
        credentials=summary.credentials,
    )


def history_from(store: Store, run_id: int) -> History:
    """Return what looks up the events of findings up to *run_id*."""

    def look_up(ids: Sequence[str]) -> dict[str, tuple[HistoryEvent, ...]]:
        return {finding_id: tuple(_events(store, finding_id, run_id)) for finding_id in ids}

    return look_up


def _events(store: Store, finding_id: str, run_id: int) -> list[HistoryEvent]:
    return [
        HistoryEvent(
            run_id=event.run_id,
            at=event.at,
            change=event.state.change,
            severity=event.state.severity,
            resolution=event.state.resolution,
        )
        for event in store.events(finding_id)
        if event.run_id <= run_id
    ]
