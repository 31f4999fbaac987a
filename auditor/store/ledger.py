"""What became of every occurrence of a schedule: run, missed or skipped, each once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import select, update

from auditor.store.bulk import upsert
from auditor.store.codec import instant, micros
from auditor.store.database import Database
from auditor.store.tables import OccurrenceRow, columns, table
from auditor.store.texts import safe_text

_occurrence = columns(OccurrenceRow)

BEGUN = "begun"
DONE = "done"
FAILED = "failed"
_SEEN = "seen"
"""The state of the row, without a key, that says since when a schedule is known."""
_NEWEST = 100


class OccurrenceRecord(Struct, frozen=True, kw_only=True):
    """One occurrence dealt with."""

    schedule: str
    key: str
    state: str
    """``begun`` until it ends, then ``done`` or ``failed``; or ``missed`` or ``skipped``."""
    reason: str
    recorded_at: datetime


class Ledger:
    """The occurrences of all schedules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def occurrences(self, schedule: str) -> Sequence[str]:
        """Return the newest hundred keys dealt with."""
        return [record.key for record in self.list(schedule, limit=_NEWEST)]

    def list(self, schedule: str, *, limit: int = 1000) -> list[OccurrenceRecord]:
        """Return what became of the occurrences of *schedule*, the newest first."""
        statement = (
            select(table(OccurrenceRow))
            .where(_occurrence.schedule == schedule, _occurrence.state != _SEEN)
            .order_by(_occurrence.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(statement)]

    def known_since(self, schedule: str, now: datetime) -> datetime:
        """Return when *schedule* was seen first; *now*, remembered, if that is now."""
        statement = select(_occurrence.recorded_at).where(
            _occurrence.schedule == schedule, _occurrence.key == ""
        )
        with self._database.read() as connection:
            found = connection.execute(statement).scalar()
        if found is not None:
            return instant(found)
        self._insert(schedule, "", _SEEN, "", now)
        return now

    def begin(self, schedule: str, key: str, *, at: datetime) -> bool:
        """Take an occurrence; False where it is dealt with already."""
        return self._insert(schedule, key, BEGUN, "", at)

    def finish(self, schedule: str, key: str, *, state: str, reason: str = "") -> None:
        """Record how a begun occurrence ended (``done`` or ``failed``, and why)."""
        with self._database.write() as connection:
            connection.execute(
                update(OccurrenceRow)
                .where(_occurrence.schedule == schedule, _occurrence.key == key)
                .where(_occurrence.state == BEGUN)
                .values(state=state, reason=safe_text(reason))
            )

    def unfinished(self) -> Sequence[OccurrenceRecord]:
        """Return what was begun and has not ended, the oldest first."""
        statement = (
            select(table(OccurrenceRow)).where(_occurrence.state == BEGUN).order_by(_occurrence.id)
        )
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(statement)]

    def leave_out(self, schedule: str, key: str, *, state: str, reason: str, at: datetime) -> None:
        """Record that an occurrence does not run, and why; a recorded one stays as it is."""
        self._insert(schedule, key, state, reason, at)

    def _insert(self, schedule: str, key: str, state: str, reason: str, at: datetime) -> bool:
        values = {
            "schedule": schedule,
            "key": key,
            "state": state,
            "reason": safe_text(reason),
            "recorded_at": micros(at),
        }
        with self._database.write() as connection:
            statement = upsert(connection.dialect.name, OccurrenceRow).values(values)
            statement = statement.on_conflict_do_nothing().returning(_occurrence.id)
            return connection.execute(statement).scalar() is not None


def _record(row: Any) -> OccurrenceRecord:
    return OccurrenceRecord(
        schedule=row.schedule,
        key=row.key,
        state=row.state,
        reason=row.reason,
        recorded_at=instant(row.recorded_at),
    )
