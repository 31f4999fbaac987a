"""How the store fares: how old what it knows is, and what waits to be sent."""

from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, and_, case, func, select

from auditor.model import CoverageStatus, Organization
from auditor.store.codec import instant
from auditor.store.outbox import DEAD, PENDING, UNKNOWN
from auditor.store.scopes import OUT_OF_SCOPE
from auditor.store.tables import Collection, OccurrenceRow, OutboxRow, Scope, columns, table

_collection = columns(Collection)
_scope = columns(Scope)
_outbox = columns(OutboxRow)
_occurrence = columns(OccurrenceRow)
_decode_notes = msgspec.json.Decoder(list[str]).decode


class Snapshot(Struct, frozen=True, kw_only=True):
    """When an organization was read whole last."""

    source: str
    provider: str
    organization: Organization
    complete_at: datetime | None
    """None where it never was."""


class Waiting(Struct, frozen=True, kw_only=True):
    """What the outbox holds."""

    pending: int
    """Still to be sent, those in doubt included."""
    dead: int
    """Given up."""
    oldest_at: datetime | None
    """Since when the oldest pending message waits."""


class Vitals(Struct, frozen=True, kw_only=True):
    """How the store fares."""

    snapshots: tuple[Snapshot, ...]
    outbox: Waiting
    occurrences: dict[tuple[str, str], int]
    """Schedule and state (``done``, ``failed``, ``missed``, ``skipped``, ``begun``) → how many."""


def vitals(connection: Connection) -> Vitals:
    """Return how the store fares."""
    counted = (
        select(_occurrence.schedule, _occurrence.state, func.count())
        .where(_occurrence.key != "")
        .group_by(_occurrence.schedule, _occurrence.state)
    )
    return Vitals(
        snapshots=tuple(_snapshots(connection)),
        outbox=_waiting(connection),
        occurrences={(name, state): n for name, state, n in connection.execute(counted)},
    )


def newest_notes(connection: Connection, beginning: str) -> list[tuple[str, str]]:
    """Return source and note for every such note of each source's newest reading, failed or not."""
    settled = [CoverageStatus.COMPLETE, CoverageStatus.PARTIAL, CoverageStatus.FAILED]
    newest = (
        select(_collection.source, func.max(_collection.run_id).label("run_id"))
        .where(_collection.status.in_([status.value for status in settled]))
        .group_by(_collection.source)
        .subquery()
    )
    statement = (
        select(_collection.source, _collection.notes)
        .join(
            newest,
            and_(_collection.source == newest.c.source, _collection.run_id == newest.c.run_id),
        )
        .where(_collection.notes.contains(beginning, autoescape=True))
        .order_by(_collection.source, _collection.id)
    )
    return [
        (source, note)
        for source, notes in connection.execute(statement)
        for note in _decode_notes(notes)
        if note.startswith(beginning)
    ]


def _snapshots(connection: Connection) -> list[Snapshot]:
    """Return every organization that still counts: an empty or a deselected one does not."""
    is_complete = _collection.status == CoverageStatus.COMPLETE.value
    newest = (
        select(
            _collection.scope_id,
            func.max(_collection.seq).label("seq"),
            func.max(case((is_complete, _collection.observed_at))).label("complete_at"),
        )
        .where(_collection.seq.is_not(None))
        .group_by(_collection.scope_id)
        .subquery()
    )
    is_over = _collection.reason == OUT_OF_SCOPE
    is_empty = and_(is_complete, _collection.credentials == 0)
    statement = (
        select(
            _scope.source,
            _scope.provider,
            _scope.organization_id,
            _scope.organization_name,
            newest.c.complete_at,
        )
        .select_from(
            table(Scope)
            .outerjoin(newest, newest.c.scope_id == _scope.id)
            .outerjoin(table(Collection), _collection.seq == newest.c.seq)
        )
        .where(func.coalesce(case((is_over, 0), (is_empty, 0), else_=1), 1) == 1)
        .order_by(_scope.source, _scope.organization_id)
    )
    return [
        Snapshot(
            source=source,
            provider=provider,
            organization=Organization(id=identity, name=name),
            complete_at=None if complete_at is None else instant(complete_at),
        )
        for source, provider, identity, name, complete_at in connection.execute(statement)
    ]


def _waiting(connection: Connection) -> Waiting:
    statement = select(_outbox.state, func.count(), func.min(_outbox.created_at))
    rows = {
        state: (number, since)
        for state, number, since in connection.execute(statement.group_by(_outbox.state))
    }
    unsent = [rows[state] for state in (PENDING, UNKNOWN) if state in rows]
    return Waiting(
        pending=sum(number for number, _since in unsent),
        dead=rows.get(DEAD, (0, 0))[0],
        oldest_at=instant(min(since for _number, since in unsent)) if unsent else None,
    )
