"""How the auditor fares, for ``auditor status``, health checks and metrics: one set of facts."""

from collections.abc import Container
from datetime import datetime

from msgspec import Struct

from auditor.config import Config
from auditor.line import clocks
from auditor.line.outcome import unpack_outcome
from auditor.model import RunStatus
from auditor.schedule import ScheduleOptions, next_occurrence
from auditor.store import OccurrenceRecord, Store, Undelivered, Vitals
from auditor.store.records import RunRecord

RUNS = 5
_NOTABLE = 10


class RunStatusLine(Struct, frozen=True, kw_only=True):
    """One of the newest runs."""

    id: int
    status: RunStatus
    schedule: str | None
    occurrence: str | None
    started_at: datetime
    finished_at: datetime | None
    lapsed_at: datetime | None
    """Since when its process is gone, where that is all that is known of its end."""
    is_awaited: bool
    """Whether the next daemon goes on with it."""


class ScheduleStatus(Struct, frozen=True, kw_only=True):
    """One schedule: what comes next, and what became of what came before."""

    name: str
    next_at: datetime | None
    last: OccurrenceRecord | None
    """The newest occurrence dealt with."""
    left_out: tuple[OccurrenceRecord, ...]
    """The newest missed, skipped and failed ones."""


class SnapshotStatus(Struct, frozen=True, kw_only=True):
    """How old what is known of an organization is."""

    source: str
    provider: str
    organization: str
    organization_name: str
    complete_at: datetime | None
    """When it was read whole last; None where it never was."""
    age: float | None
    """Seconds since then."""


class ClockStatus(Struct, frozen=True, kw_only=True):
    """A provider whose clock differed from ours when its source was read last."""

    source: str
    note: str
    """By how much, and what to do."""


class OutboxStatus(Struct, frozen=True, kw_only=True):
    """Messages that wait, and those given up."""

    pending: int
    dead: int
    oldest_age: float
    """Seconds the oldest pending message has waited; 0 for none."""


class Status(Struct, frozen=True, kw_only=True):
    """Everything that tells whether silence is good news."""

    now: datetime
    leader: str | None
    """The daemon that runs the schedules."""
    runs: tuple[RunStatusLine, ...]
    schedules: tuple[ScheduleStatus, ...]
    snapshots: tuple[SnapshotStatus, ...]
    clocks: tuple[ClockStatus, ...]
    outbox: OutboxStatus
    undelivered: tuple[Undelivered, ...]
    """Why messages wait, or were given up, by channel."""
    findings_by_severity: dict[str, int]
    """Open findings of the newest judged run; likewise the next two."""
    findings_by_policy: dict[str, int]
    findings_by_owner: dict[str, int]
    occurrences: dict[str, dict[str, int]]
    """Schedule → state → how many."""


def gather(store: Store, config: Config, now: datetime) -> Status:
    """Return how the auditor fares at *now*; raises `StoreError`."""
    vitals, runs = store.vitals(), store.runs(limit=RUNS)
    leader = store.leadership().leader()
    judged = next((run for run in store.runs(limit=100) if run.summary), None)
    summary = unpack_outcome(judged.summary).summary if judged else None
    awaited = {(one.schedule, one.key) for one in store.ledger.unfinished()}
    counts: dict[str, dict[str, int]] = {}
    for (schedule, state), number in sorted(vitals.occurrences.items()):
        counts.setdefault(schedule, {})[state] = number
    return Status(
        now=now,
        leader=leader.holder if leader else None,
        runs=tuple(_line(run, awaited) for run in runs),
        schedules=tuple(_schedule(store, one, now) for one in config.layout.schedules),
        snapshots=tuple(_snapshots(vitals, config, now)),
        clocks=_clocks(store, config),
        outbox=_outbox(vitals, now),
        undelivered=tuple(store.outbox.undelivered()),
        findings_by_severity=summary.by_severity if summary else {},
        findings_by_policy=summary.by_policy if summary else {},
        findings_by_owner=summary.by_owner if summary else {},
        occurrences=counts,
    )


def _line(run: RunRecord, awaited: Container[tuple[str | None, str | None]]) -> RunStatusLine:
    return RunStatusLine(
        id=run.id,
        status=run.status,
        schedule=run.schedule,
        occurrence=run.occurrence,
        started_at=run.started_at,
        finished_at=run.finished_at,
        lapsed_at=run.lapsed_at,
        is_awaited=run.status in (RunStatus.INTERRUPTED, RunStatus.FAILED)
        and not run.is_judged
        and (run.schedule, run.occurrence) in awaited,
    )


def _schedule(store: Store, schedule: ScheduleOptions, now: datetime) -> ScheduleStatus:
    records = store.ledger.list(schedule.name, limit=100)
    following = next_occurrence(schedule.plan, now)
    left_out = [one for one in records if one.state in ("missed", "skipped", "failed")]
    return ScheduleStatus(
        name=schedule.name,
        next_at=following.starts_at if following else None,
        last=records[0] if records else None,
        left_out=tuple(left_out[:_NOTABLE]),
    )


def _snapshots(vitals: Vitals, config: Config, now: datetime) -> list[SnapshotStatus]:
    configured = {source.name for source in config.sources}
    return [
        SnapshotStatus(
            source=one.source,
            provider=one.provider,
            organization=one.organization.id,
            organization_name=one.organization.name,
            complete_at=one.complete_at,
            age=_age(one.complete_at, now),
        )
        for one in vitals.snapshots
        if one.source in configured
    ]


def _clocks(store: Store, config: Config) -> tuple[ClockStatus, ...]:
    configured = {source.name for source in config.sources}
    told = store.newest_notes(clocks.BEGINNING)
    return tuple(ClockStatus(source=name, note=note) for name, note in told if name in configured)


def _outbox(vitals: Vitals, now: datetime) -> OutboxStatus:
    waiting = vitals.outbox
    return OutboxStatus(
        pending=waiting.pending, dead=waiting.dead, oldest_age=_age(waiting.oldest_at, now) or 0.0
    )


def _age(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())
