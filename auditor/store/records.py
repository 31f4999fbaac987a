"""The values the store hands out besides those of `auditor.model`."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from auditor.model import Change, CoverageStatus, FindingState, RunStatus
from auditor.store.codec import instant


class RunRecord(Struct, frozen=True, kw_only=True):
    """One pass of the line as remembered."""

    id: int
    now: datetime
    """The instant every age in the run is measured at."""
    is_as_of: bool
    started_at: datetime
    finished_at: datetime | None
    status: RunStatus
    """A run that nobody makes any more counts as interrupted, before anybody has noted it."""
    lapsed_at: datetime | None
    """When the lease of its maker ran out, where nobody has taken or ended the run since."""
    schedule: str | None
    occurrence: str | None
    context: bytes
    """What the run was judged by, as its writer encoded it."""
    summary: bytes
    is_judged: bool
    """Whether findings were reconciled; a run that crashed before has evidence only."""


def run_record(row: Any, context: bytes | None, clock: int) -> RunRecord:
    """Return a row of the run table as a value; *context* is empty where nobody asks for it.

    *clock* is the database's, by which leases are told.
    """
    status = RunStatus(row.status)
    is_lapsed = (
        status is RunStatus.RUNNING and row.lease_until is not None and row.lease_until < clock
    )
    return RunRecord(
        id=row.id,
        now=instant(row.now),
        is_as_of=bool(row.is_as_of),
        started_at=instant(row.started_at),
        finished_at=None if row.finished_at is None else instant(row.finished_at),
        status=RunStatus.INTERRUPTED if is_lapsed else status,
        lapsed_at=instant(row.lease_until) if is_lapsed else None,
        schedule=row.schedule,
        occurrence=row.occurrence,
        context=context or b"",
        summary=row.summary or b"",
        is_judged=row.judged is not None,
    )


class Claim(Struct, frozen=True, kw_only=True):
    """The right to write one unit of one run, until somebody claims it with a newer fence."""

    collection_id: int
    fence: int


class Hold(Struct, frozen=True, kw_only=True):
    """The right to judge and end a run, until somebody takes it with a newer fence."""

    run_id: int
    fence: int
    holder: str


class Earlier(Struct, frozen=True, kw_only=True):
    """How everything was read before a run."""

    statuses: dict[tuple[str, str], CoverageStatus]
    """Source and organization (id, ``""`` for none) → complete, partial or failed, last time."""
    whole: frozenset[tuple[str, str]]
    """Provider and organization (id) of whatever any source has ever read whole."""


class Event(Struct, frozen=True, kw_only=True):
    """A state a finding took on in a run."""

    run_id: int
    at: datetime
    """The run's ``now``."""
    state: FindingState


class TimelineEntry(Struct, frozen=True, kw_only=True):
    """One thing that happened to a credential, as one source saw it or one policy judged it."""

    at: datetime
    run_id: int
    kind: str
    """``appeared``, ``changed``, ``used``, ``disappeared`` or ``finding``."""
    source: str | None = None
    changes: dict[str, tuple[object, object]] = {}
    """For ``changed`` and ``used``: field → before, after, as JSON values."""
    finding: FindingState | None = None


class Message(Struct, frozen=True, kw_only=True):
    """One row of the outbox."""

    id: int
    run_id: int
    channel: str
    recipient: str
    message_id: str
    state: str
    """``pending``, ``sent``, ``dead`` or ``unknown`` (handed over, but never acknowledged)."""
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None


class Undelivered(Struct, frozen=True, kw_only=True):
    """A channel that did not get its messages through."""

    channel: str
    waiting: int
    """Messages that failed at least once and are tried again."""
    dead: int
    """Messages given up."""
    error: str
    """What happened to the newest of them."""


class FindingRecord(Struct, frozen=True, kw_only=True):
    """The newest state of a finding, with the run that changed it last."""

    state: FindingState
    run_id: int

    @property
    def change(self) -> Change:
        """What that run did to it."""
        return self.state.change
