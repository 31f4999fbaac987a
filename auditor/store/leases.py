"""Who makes a run: it can be taken over, and whoever held it before can then write no more.

A fence is counted up whenever a run is taken. Every transaction that matters names the fence it
was started under, so a process that was thought dead and comes back changes nothing. Leases are
told by the database's clock.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, or_, select, update

from auditor.model import CoverageStatus, RunStatus
from auditor.store.claims import QUEUED, RUNNING, StaleClaim, database_time, micros_of
from auditor.store.codec import micros
from auditor.store.database import Database
from auditor.store.records import Hold
from auditor.store.tables import Collection, OccurrenceRow, Run, columns
from auditor.store.texts import safe_text

_run = columns(Run)
_collection = columns(Collection)
_occurrence = columns(OccurrenceRow)

INTERRUPTED = "interrupted"
FIRST_FENCE = 1
"""The fence of whoever begins a run."""


class Leases:
    """The runs that are being made, and by whom."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(
        self, run_id: int, *, holder: str, lease: timedelta, context: bytes | None = None
    ) -> Hold:
        """Make *holder* the one who makes the run, whoever did before.

        What the former holder had begun to read and not written is free again. *context* replaces
        what the run is judged by, unless it is judged already.
        """
        unjudged: dict[str, Any] = {"status": RunStatus.RUNNING.value, "finished_at": None}
        if context is not None:
            unjudged["context"] = context
        with self._database.write() as connection:
            fence = connection.execute(
                update(Run)
                .where(_run.id == run_id)
                .values(
                    holder=safe_text(holder),
                    lease_until=database_time(connection) + micros_of(lease),
                    fence=_run.fence + 1,
                )
                .returning(_run.fence)
            ).scalar_one()
            connection.execute(
                update(Run).where(_run.id == run_id, _run.judged.is_(None)).values(unjudged)
            )
            _free(connection, run_id)
        return Hold(run_id=run_id, fence=fence, holder=holder)

    def renew(self, hold: Hold, lease: timedelta) -> bool:
        """Prolong the run and everything claimed under it; False where it has been taken."""
        with self._database.write() as connection:
            until = database_time(connection) + micros_of(lease)
            renewed = connection.execute(
                update(Run)
                .where(_run.id == hold.run_id, _run.fence == hold.fence)
                .values(lease_until=until)
            )
            if renewed.rowcount != 1:
                return False
            connection.execute(
                update(Collection)
                .where(_collection.run_id == hold.run_id, _collection.status == RUNNING)
                .where(_collection.owner == hold.holder)
                .values(lease_until=until)
            )
            return True

    def end(self, hold: Hold, *, status: RunStatus, finished_at: datetime) -> bool:
        """Note how the run ended before it was judged, and free what it had claimed.

        False where it was judged, or somebody else has taken it: then nothing changes.
        """
        with self._database.write() as connection:
            ended = connection.execute(
                update(Run)
                .where(_run.id == hold.run_id, _run.fence == hold.fence, _run.judged.is_(None))
                .values(status=status.value, finished_at=micros(finished_at), lease_until=None)
            )
            if ended.rowcount == 1:
                _free(connection, hold.run_id)
            return ended.rowcount == 1

    def find(self, schedule: str, occurrence: str) -> int | None:
        """Return the run of an occurrence, if it has one."""
        with self._database.read() as connection:
            found = connection.scalar(
                select(_run.id).where(_run.schedule == schedule, _run.occurrence == occurrence)
            )
        return None if found is None else int(found)

    def reap(self, now: datetime) -> list[int]:
        """End the runs that nobody makes any more and nobody will take up; returns them.

        Those are runs whose lease has run out and that no unfinished occurrence waits for. What
        they had listed and not read is *failed* (``interrupted``).
        """
        awaited = (
            select(_occurrence.id)
            .where(_occurrence.schedule == _run.schedule, _occurrence.key == _run.occurrence)
            .where(_occurrence.state == "begun")
            .exists()
        )
        with self._database.write() as connection:
            expired = or_(_run.lease_until.is_(None), _run.lease_until < database_time(connection))
            numbers = connection.scalars(
                update(Run)
                .where(_run.status == RunStatus.RUNNING.value, _run.judged.is_(None))
                .where(expired, ~awaited)
                .values(
                    status=RunStatus.INTERRUPTED.value,
                    finished_at=micros(now),
                    fence=_run.fence + 1,
                )
                .returning(_run.id)
            ).all()
            ended = (RunStatus.INTERRUPTED.value, RunStatus.FAILED.value)
            over = select(_run.id).where(
                _run.status.in_(ended), _run.judged.is_(None), _run.is_pruned == 0, ~awaited
            )
            connection.execute(
                update(Collection)
                .where(_collection.run_id.in_(over))
                .where(_collection.status.in_((QUEUED, RUNNING)))
                .values(
                    status=CoverageStatus.FAILED.value,
                    reason=INTERRUPTED,
                    error="the audit was interrupted before this was read; audit again",
                    fence=_collection.fence + 1,
                    lease_until=None,
                )
            )
        return [int(number) for number in numbers]


def first_taking(connection: Connection, holder: str, lease: timedelta) -> dict[str, Any]:
    """Return the columns of a new run that *holder* makes; its `Hold` has `FIRST_FENCE`."""
    return {
        "holder": safe_text(holder),
        "lease_until": database_time(connection) + micros_of(lease),
        "fence": FIRST_FENCE,
    }


def _free(connection: Connection, run_id: int) -> None:
    connection.execute(
        update(Collection)
        .where(_collection.run_id == run_id, _collection.status == RUNNING)
        .values(status=QUEUED, lease_until=None, fence=_collection.fence + 1)
    )


def check(connection: Connection, hold: Hold) -> None:
    """Refuse a holder who is no longer the newest, or a run that is judged already."""
    mine = connection.execute(
        update(Run)
        .where(_run.id == hold.run_id, _run.fence == hold.fence, _run.judged.is_(None))
        .values(fence=hold.fence)
    )
    if mine.rowcount != 1:
        raise StaleClaim(
            f"run {hold.run_id} was taken over or judged by another process; "
            "what that one did counts, this one is dropped"
        )
