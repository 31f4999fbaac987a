"""Collections of a run: who reads one under which lease, and who may complete it."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, text, update

from auditor.errors import StoreError
from auditor.evidence import Unit
from auditor.store.records import Claim
from auditor.store.tables import Collection, columns
from auditor.store.texts import safe_id

QUEUED = "queued"
RUNNING = "running"

_collection = columns(Collection)


def next_seq(connection: Connection) -> int:
    """Return the number of the next reading."""
    if connection.dialect.name != "sqlite":
        return int(connection.scalar(text("SELECT nextval('collection_seq')")) or 0)
    return int(connection.scalar(select(func.coalesce(func.max(_collection.seq), 0))) or 0) + 1


def add_collection(
    connection: Connection, *, run_id: int, source: str, provider: str, unit: str, **facts: Any
) -> int:
    """Insert a further row for *unit* and return its number."""
    part = connection.scalar(
        select(func.coalesce(func.max(_collection.part), -1) + 1).where(
            _collection.run_id == run_id, _collection.source == source, _collection.unit == unit
        )
    )
    values = {"run_id": run_id, "source": source, "provider": provider, "unit": unit}
    statement = insert(Collection).values(values | {"part": part, "status": RUNNING} | facts)
    return int(connection.execute(statement.returning(_collection.id)).scalar_one())


def complete_collection(
    connection: Connection, collection_id: int, fence: int | None, facts: dict[str, Any]
) -> None:
    """Give the row its outcome; refuse where somebody else has claimed it meanwhile."""
    statement = update(Collection).where(_collection.id == collection_id)
    if fence is not None:
        statement = statement.where(_collection.fence == fence, _collection.status == RUNNING)
    if connection.execute(statement.values(facts)).rowcount != 1:
        raise StaleClaim(
            "another process has taken this collection over; its result counts, this one is dropped"
        )


class StaleClaim(StoreError):
    """A worker that was thought dead came back too late; nothing of it was written."""


def claim(
    connection: Connection,
    *,
    run_id: int,
    source: str,
    provider: str,
    unit: Unit,
    owner: str,
    lease: timedelta,
) -> Claim | None:
    """Take *unit* for *owner*; None where it is done or somebody else holds a live lease."""
    now = database_time(connection)
    key = safe_id(unit.key)
    row = _unit_row(connection, run_id, source, key)
    if row is None:
        number = add_collection(
            connection,
            run_id=run_id,
            source=source,
            provider=provider,
            unit=key,
            status=QUEUED,
        )
    else:
        number = row.id
    statement = (
        update(Collection)
        .where(
            _collection.id == number,
            or_(
                _collection.status == QUEUED,
                and_(_collection.status == RUNNING, _collection.lease_until < now),
            ),
        )
        .values(
            status=RUNNING,
            owner=owner,
            lease_until=now + micros_of(lease),
            fence=_collection.fence + 1,
            attempts=_collection.attempts + 1,
        )
        .returning(_collection.fence)
    )
    fence = connection.execute(statement).scalar()
    return None if fence is None else Claim(collection_id=number, fence=fence)


def _unit_row(connection: Connection, run_id: int, source: str, unit: str) -> Row[Any] | None:
    return connection.execute(
        select(_collection.id, _collection.status).where(
            _collection.run_id == run_id,
            _collection.source == source,
            _collection.unit == unit,
            _collection.part == 0,
        )
    ).first()


def is_done(connection: Connection, run_id: int, source: str, unit: str) -> bool:
    """Tell whether *unit* has been written in this run."""
    row = _unit_row(connection, run_id, source, unit)
    return row is not None and row.status not in (QUEUED, RUNNING)


def renew(connection: Connection, held: Claim, lease: timedelta) -> bool:
    """Prolong a claim; False where it is no longer ours."""
    statement = (
        update(Collection)
        .where(_collection.id == held.collection_id, _collection.fence == held.fence)
        .where(_collection.status == RUNNING)
        .values(lease_until=database_time(connection) + micros_of(lease))
    )
    return connection.execute(statement).rowcount == 1


def micros_of(duration: timedelta) -> int:
    """Return *duration* in microseconds."""
    return duration // timedelta(microseconds=1)


def database_time(connection: Connection) -> int:
    """Return the database's clock: leases of several machines are compared by it."""
    if connection.dialect.name == "sqlite":
        clock = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000"
    else:
        clock = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
    return int(connection.scalar(text(clock)) or 0)
