"""Tells the story of one finding, or of one credential: came, changed, was used, went."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, select

from auditor.model import FindingState
from auditor.store.codec import Use, instant, unpack, unpack_use, use_facts
from auditor.store.records import Event, TimelineEntry
from auditor.store.tables import (
    Collection,
    CredentialRow,
    FindingEvent,
    FindingRow,
    PermissionSet,
    Presence,
    Run,
    Scope,
    Version,
    columns,
    table,
)

_collection = columns(Collection)
_credential = columns(CredentialRow)
_event = columns(FindingEvent)
_finding = columns(FindingRow)
_permission = columns(PermissionSet)
_presence = columns(Presence)
_run = columns(Run)
_scope = columns(Scope)
_version = columns(Version)

_ORDER = ("appeared", "changed", "used", "disappeared", "finding")
_decode_state = msgspec.json.Decoder(FindingState).decode


def timeline(connection: Connection, uid: str) -> list[TimelineEntry]:
    """Return everything that happened to a credential, the oldest first."""
    number = connection.scalar(select(_credential.id).where(_credential.uid == uid))
    if number is None:
        return []
    entries = [
        TimelineEntry(at=event.at, run_id=event.run_id, kind="finding", finding=event.state)
        for event in _events(connection, _finding.credential_id == number)
    ]
    statement = (
        select(_scope.id, _scope.source)
        .where(_scope.id.in_(select(_presence.scope_id).where(_presence.credential_id == number)))
        .order_by(_scope.source, _scope.id)
    )
    for scope_id, source in connection.execute(statement):
        entries.extend(_Seen(connection, number, scope_id, source).entries())
    return sorted(entries, key=lambda entry: (entry.at, entry.run_id, _ORDER.index(entry.kind)))


def events(connection: Connection, finding_id: str) -> list[Event]:
    """Return every state a finding took on, the oldest first."""
    return list(_events(connection, _finding.id == finding_id))


def _events(connection: Connection, chosen: ColumnElement[bool]) -> Iterator[Event]:
    statement = (
        select(_event.run_id, _run.now, _event.body)
        .join(table(FindingRow), _finding.number == _event.finding)
        .join(table(Run), _run.id == _event.run_id)
        .where(chosen)
        .order_by(_event.id)
    )
    for run_id, now, body in connection.execute(statement):
        yield Event(run_id=run_id, at=instant(now), state=_decode_state(body))


class _Seen:
    """One credential as one scope saw it through time."""

    def __init__(self, connection: Connection, number: int, scope_id: int, source: str) -> None:
        self._connection = connection
        self._number = number
        self._scope_id = scope_id
        self._source = source
        self._permissions: dict[int | None, Any] = {None: None}

    def entries(self) -> Iterator[TimelineEntry]:
        """Yield what happened, one kind after the other."""
        presences = self._connection.execute(
            select(_presence.since, _presence.until)
            .where(*self._mine(_presence))
            .order_by(_presence.since)
        ).all()
        beginnings = {since for since, _until in presences}
        for since, until in presences:
            yield from self._entry("appeared", since)
            if until is not None:
                yield from self._entry("disappeared", until)
        for before, after in pairwise(self._versions()):
            changes = _differences(before[1], after[1])
            if after[0] not in beginnings or changes:
                yield from self._entry("changed", after[0], changes)
        for before, after in pairwise(self._uses()):
            changes = _differences(before[1], after[1])
            if changes:
                yield from self._entry("used", after[0], changes)

    def _mine(self, row: Any) -> tuple[Any, Any]:
        return row.credential_id == self._number, row.scope_id == self._scope_id

    def _entry(
        self, kind: str, seq: int, changes: dict[str, tuple[object, object]] | None = None
    ) -> Iterator[TimelineEntry]:
        """Yield the entry, unless its reading was forgotten."""
        statement = select(_collection.run_id, _collection.observed_at).where(
            _collection.seq == seq
        )
        for run_id, observed_at in self._connection.execute(statement):
            yield TimelineEntry(
                at=instant(observed_at),
                run_id=run_id,
                kind=kind,
                source=self._source,
                changes=changes or {},
            )

    def _versions(self) -> Iterator[tuple[int, dict[str, Any]]]:
        statement = (
            select(_version.since, _version.body, _version.permissions_id, _version.unused_id)
            .where(*self._mine(_version))
            .order_by(_version.since)
        )
        for since, body, permissions, unused in self._connection.execute(statement):
            facts = msgspec.json.decode(body)
            facts["permissions"] = self._map(permissions)
            facts["unused_permissions"] = self._map(unused)
            yield since, facts

    def _map(self, number: int | None) -> Any:
        if number not in self._permissions:
            body = self._connection.scalar(select(_permission.body).where(_permission.id == number))
            self._permissions[number] = msgspec.json.decode(body or b"null")
        return self._permissions[number]

    def _uses(self) -> Iterator[tuple[int, dict[str, Any]]]:
        statement = (
            select(
                _collection.seq, _collection.uses, _collection.observed_at, _collection.data_as_of
            )
            .where(_collection.scope_id == self._scope_id, _collection.uses.is_not(None))
            .order_by(_collection.seq)
        )
        for seq, blob, base, as_of in self._connection.execute(statement):
            use: Use | None = None
            for _number, code, at, window in unpack(blob, self._number):
                use = unpack_use(code, at, window, base)
            if use is not None:
                facts = use_facts(use, instant(as_of))
                yield seq, msgspec.to_builtins(facts)


def _differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[object, object]]:
    """Return field → before, after; a field that is not stored has its usual value, None here."""
    names = sorted(before.keys() | after.keys())
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }
