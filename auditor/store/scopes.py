"""Scopes: what is read of whom, what was known of it before, and how far a run got."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, and_, func, insert, select, text, update

from auditor.model import Coverage, CoverageStatus, Organization
from auditor.store.claims import QUEUED, RUNNING, add_collection, next_seq
from auditor.store.codec import instant, micros
from auditor.store.tables import Collection, Presence, Scope, columns, table
from auditor.store.texts import safe_id, safe_text

OUT_OF_SCOPE = "out_of_scope"
NOT_LISTED = "not_listed"

_scope = columns(Scope)
_collection = columns(Collection)
_presence = columns(Presence)


class Past(Struct, frozen=True, kw_only=True):
    """What the store knows of a scope before it is read again."""

    scope_id: int
    organization: Organization
    newest: Any = None
    """The newest collection that read anything: a row with id, seq, status, reason, seen."""
    complete: Any = None
    """The newest complete one: seq, credentials."""
    since_keyframe: int = 0
    """Readings since the last keyframe, that one included."""


def scope_for(
    connection: Connection, source: str, provider: str, unit: str, organization: Organization
) -> int:
    """Return the scope's number, creating it; its row stays locked until the commit."""
    identity = safe_id(organization.id)
    facts = {"organization_name": safe_text(organization.name), "unit": unit}
    where = and_(
        _scope.source == source,
        _scope.provider == provider,
        _scope.organization_id == identity,
    )
    if connection.dialect.name != "sqlite":
        # Two sources of one organization take turns, so that they never meet in a deadlock.
        key = f"{provider}:{identity}"
        connection.execute(
            text("SELECT pg_advisory_xact_lock(7201504, hashtext(:key))"), {"key": key}
        )
    row = connection.execute(select(_scope.id, *map(_scope.get, facts)).where(where)).first()
    if row is None:
        new = {"source": source, "provider": provider, "organization_id": identity} | facts
        return int(connection.execute(insert(Scope).values(new).returning(_scope.id)).scalar_one())
    if row[1:] != tuple(facts.values()):
        connection.execute(update(Scope).where(where).values(facts))
    return int(row[0])


def settle_missing(
    connection: Connection,
    run_id: int,
    *,
    source: str,
    provider: str,
    listed: frozenset[str],
    now: datetime,
    is_deselected: bool,
    accept_drop: bool,
) -> list[Coverage]:
    """Write a row for every known organization whose unit is not *listed*."""
    written = []
    settled = settled_scopes(connection, run_id, source)
    for number, unit, organization in known_organizations(connection, source, provider):
        if unit in listed or number in settled:
            continue
        facts: dict[str, Any] = {"observed_at": micros(now), "data_as_of": now}
        if is_deselected:
            facts |= {"status": CoverageStatus.NOT_SELECTED.value, "reason": OUT_OF_SCOPE}
            facts |= {"seq": next_seq(connection)}
        elif accept_drop or _was_missing(connection, number):
            seq = next_seq(connection)
            facts |= {"status": CoverageStatus.COMPLETE.value, "seq": seq, "is_keyframe": 1}
            connection.execute(
                update(Presence)
                .where(_presence.scope_id == number, _presence.until.is_(None))
                .values(until=seq)
            )
        else:
            name = organization.name or organization.id
            facts = {
                "status": CoverageStatus.FAILED.value,
                "reason": NOT_LISTED,
                "error": f"{source} no longer lists {name}; if that is right, the next audit "
                "confirms it, or run it again with --accept-drop",
            }
        facts = outcome(organization, number, **facts)
        written.append(
            add_collection(
                connection, run_id=run_id, source=source, provider=provider, unit=unit, **facts
            )
        )
    return coverage(connection, run_id, rows=written)


def settled_scopes(connection: Connection, run_id: int, source: str) -> set[int | None]:
    """Return the scopes of *source* that have their row in this run; None for all at once."""
    return set(
        connection.scalars(
            select(_collection.scope_id).where(
                _collection.run_id == run_id,
                _collection.source == source,
                _collection.status.not_in((QUEUED, RUNNING)),
            )
        )
    )


def _was_missing(connection: Connection, scope_id: int) -> bool:
    """Tell whether the collection before already found the organization not listed."""
    reason = connection.scalar(
        select(_collection.reason)
        .where(_collection.scope_id == scope_id)
        .order_by(_collection.id.desc())
        .limit(1)
    )
    return reason == NOT_LISTED


def known_organizations(
    connection: Connection, source: str, provider: str, unit: str | None = None
) -> list[tuple[int, str, Organization]]:
    """Return number, unit and organization of every scope of *source* that still counts.

    A scope whose newest reading said that it is empty, or that it is no longer in scope, does
    not.
    """
    newest = (
        select(_collection.scope_id, func.max(_collection.seq).label("seq"))
        .where(_collection.seq.is_not(None))
        .group_by(_collection.scope_id)
        .subquery()
    )
    statement = (
        select(
            _scope.id,
            _scope.unit,
            _scope.organization_id,
            _scope.organization_name,
            _collection.status,
            _collection.credentials,
            _collection.reason,
        )
        .select_from(
            table(Scope)
            .outerjoin(newest, newest.c.scope_id == _scope.id)
            .outerjoin(table(Collection), _collection.seq == newest.c.seq)
        )
        .where(_scope.source == source, _scope.provider == provider)
        .order_by(_scope.organization_id)
    )
    if unit is not None:
        statement = statement.where(_scope.unit == unit)
    found = []
    for number, key, identity, name, status, credentials, reason in connection.execute(statement):
        is_gone = status == CoverageStatus.COMPLETE and not credentials
        if not is_gone and reason != OUT_OF_SCOPE:
            found.append((number, key, Organization(id=identity, name=name)))
    return found


def past_of(connection: Connection, scope_id: int, organization: Organization) -> Past:
    """Return what is known of the scope *scope_id*."""
    readings = (
        select(
            _collection.id,
            _collection.seq,
            _collection.status,
            _collection.reason,
            _collection.credentials,
            _collection.seen,
        )
        .where(_collection.scope_id == scope_id, _collection.seq.is_not(None))
        .order_by(_collection.seq.desc())
        .limit(1)
    )
    newest = connection.execute(readings).first()
    complete = connection.execute(
        readings.where(_collection.status == CoverageStatus.COMPLETE)
    ).first()
    keyframe = (
        select(func.coalesce(func.max(_collection.seq), 0))
        .where(_collection.scope_id == scope_id, _collection.is_keyframe == 1)
        .scalar_subquery()
    )
    count = connection.scalar(
        select(func.count()).where(_collection.scope_id == scope_id, _collection.seq >= keyframe)
    )
    return Past(
        scope_id=scope_id,
        organization=organization,
        newest=newest,
        complete=complete,
        since_keyframe=count or 0,
    )


def coverage(
    connection: Connection,
    run_id: int,
    *,
    unit: tuple[str, str] | None = None,
    rows: Iterable[int] | None = None,
) -> list[Coverage]:
    """Return what a run has read, by source and organization.

    *unit* (source, key) or *rows* restrict it.
    """
    statement = (
        select(table(Collection))
        .where(_collection.run_id == run_id, _collection.status.not_in((QUEUED, RUNNING)))
        .order_by(_collection.source, _collection.organization_id, _collection.id)
    )
    if unit is not None:
        statement = statement.where(_collection.source == unit[0], _collection.unit == unit[1])
    if rows is not None:
        statement = statement.where(_collection.id.in_(list(rows)))
    return [_coverage(row) for row in connection.execute(statement)]


def _coverage(row: Any) -> Coverage:
    organization = None
    if row.organization_id is not None:
        organization = Organization(id=row.organization_id, name=row.organization_name)
    return Coverage(
        source=row.source,
        provider=row.provider,
        organization=organization,
        status=CoverageStatus(row.status),
        reason=row.reason,
        error=row.error,
        credentials=row.credentials,
        data_as_of=_instant(row.data_as_of),
        notes=tuple(msgspec.json.decode(row.notes)) if row.notes else (),
    )


def _instant(value: int | None) -> datetime | None:
    return None if value is None else instant(value)


def outcome(
    organization: Organization | None, scope_id: int | None, **facts: Any
) -> dict[str, Any]:
    """Return the columns that end a collection, texts made safe for every database."""
    for name in ("error", "reason"):
        if facts.get(name) is not None:
            facts[name] = safe_text(facts[name])
    if "notes" in facts:
        notes = [safe_text(note) for note in facts["notes"]]
        facts["notes"] = msgspec.json.encode(notes).decode() if notes else None
    if organization is not None:
        facts["organization_id"] = safe_id(organization.id)
        facts["organization_name"] = safe_text(organization.name)
    facts["data_as_of"] = _micros(facts.get("data_as_of"))
    return facts | {"scope_id": scope_id, "lease_until": None}


def _micros(value: datetime | None) -> int | None:
    return None if value is None else micros(value)
