"""The runs: begun, ended, and found again."""

from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import func, select, update

from auditor.errors import ConfigError, StoreError
from auditor.model import RunStatus
from auditor.store import claims, leases
from auditor.store.bulk import upsert
from auditor.store.codec import instant, micros
from auditor.store.database import Database
from auditor.store.records import RunRecord, run_record
from auditor.store.tables import Run, columns

_run = columns(Run)


class Runs:
    """The part of the store that is about runs as a whole."""

    _database: Database

    def begin_run(
        self,
        *,
        now: datetime,
        started_at: datetime,
        is_as_of: bool = False,
        schedule: str | None = None,
        occurrence: str | None = None,
        context: bytes = b"",
        holder: str | None = None,
        lease: timedelta = timedelta(0),
    ) -> int:
        """Return the number of a new run.

        *context* is whatever the run is judged by, for rendering it again later. An occurrence
        of a schedule that has its run already is refused: it happens once. A *holder* has taken
        it at once, for *lease*: no kill leaves a run that nobody ever answers for.
        """
        values: dict[str, Any] = {
            "now": micros(now),
            "started_at": micros(started_at),
            "is_as_of": int(is_as_of),
            "status": RunStatus.RUNNING.value,
            "schedule": schedule,
            "occurrence": occurrence,
            "context": context,
        }
        with self._database.write() as connection:
            if holder is not None:
                values |= leases.first_taking(connection, holder, lease)
            statement = upsert(connection.dialect.name, Run).values(values).on_conflict_do_nothing()
            number = connection.execute(statement.returning(_run.id)).scalar()
        if number is None:
            raise OccurrenceTaken(f"schedule {schedule} has had its run for {occurrence} already")
        return int(number)

    def finish_run(
        self, run_id: int, *, status: RunStatus, finished_at: datetime, summary: bytes | None = None
    ) -> None:
        """Note how the run ended; without a *summary* an earlier one stays."""
        values: dict[str, Any] = {
            "status": RunStatus(status).value,
            "finished_at": micros(finished_at),
        }
        if summary is not None:
            values["summary"] = summary
        with self._database.write() as connection:
            connection.execute(update(Run).where(_run.id == run_id).values(values))

    def runs(self, limit: int = 100, *, until: int | None = None) -> list[RunRecord]:
        """Return the newest *limit* runs, up to number *until*, the newest first."""
        statement = _runs().order_by(_run.id.desc()).limit(limit)
        if until is not None:
            statement = statement.where(_run.id <= until)
        with self._database.read() as connection:
            clock = claims.database_time(connection)
            return [run_record(row, row.context, clock) for row in connection.execute(statement)]

    def first_run_at(self) -> datetime | None:
        """Return when the oldest run that is remembered began."""
        with self._database.read() as connection:
            found = connection.scalar(select(func.min(_run.started_at)))
        return None if found is None else instant(found)

    def run(self, which: int | Literal["latest"]) -> RunRecord:
        """Return one run by number, or the newest that was judged."""
        statement = _runs()
        if which == "latest":
            statement = statement.where(_run.judged.is_not(None)).order_by(_run.id.desc()).limit(1)
        else:
            statement = statement.where(_run.id == which)
        with self._database.read() as connection:
            row = connection.execute(statement).first()
            if row is not None:
                return run_record(row, row.context, claims.database_time(connection))
            known = connection.scalars(select(_run.id).order_by(_run.id.desc()).limit(5)).all()
        if not known:
            raise UnknownRun(f"{self._database.name} has no run yet; run `auditor audit` first")
        names = ", ".join(map(str, known))
        if which == "latest":
            raise UnknownRun(
                f"No run was judged yet, of {names}; run `auditor audit`, or name one by number"
            )
        raise UnknownRun(f"there is no run {which}; the newest are {names}")


class OccurrenceTaken(StoreError):
    """An occurrence of the schedule has its run already."""


class UnknownRun(ConfigError):
    """No run has this number."""


def _runs() -> Any:
    return select(
        _run.id,
        _run.now,
        _run.is_as_of,
        _run.started_at,
        _run.finished_at,
        _run.status,
        _run.schedule,
        _run.occurrence,
        _run.context,
        _run.summary,
        _run.judged,
        _run.lease_until,
    ).where(_run.is_pruned == 0)
