"""Writes credentials a few hundred at a time: looks up what is known, and writes what differs."""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from auditor.model import Credential, Organization
from auditor.store.bulk import Bulk, adding, fetch, inserting, replacing
from auditor.store.codec import (
    IdSet,
    Packer,
    body_of,
    digest,
    encode,
    micros,
    pack_use,
    use_of,
)
from auditor.store.tables import CredentialRow, PermissionSet, Presence, Raw, Version, columns
from auditor.store.texts import safe_id

Rows = list[tuple[Any, ...]]


@dataclass
class Reading:
    """One scope while it is being written."""

    scope_id: int
    collection_id: int
    seq: int
    organization: Organization
    observed_at: datetime
    observed: int = 0
    data_as_of: datetime | None = None
    """Of the first credential; those that differ are exceptions."""
    exceptions: dict[int, datetime] = field(default_factory=dict)
    seen: IdSet = field(default_factory=IdSet)
    uses: Packer = field(default_factory=lambda: Packer(4))

    def __post_init__(self) -> None:
        self.observed = micros(self.observed_at)

    def note_time(self, credential_id: int, as_of: datetime) -> bool:
        """Mark a credential as read; False where a newer reading of it came before."""
        if self.data_as_of is None:
            self.data_as_of = as_of
        if not self.seen.add(credential_id):
            if as_of < self.exceptions.get(credential_id, self.data_as_of):
                return False
            self.exceptions.pop(credential_id, None)
        if as_of != self.data_as_of:
            self.exceptions[credential_id] = as_of
        return True


_credential = columns(CredentialRow)
_presence = columns(Presence)
_permission = columns(PermissionSet)

_KNOWN = """
    SELECT c.uid, c.id, p.scope_id, p.since, p.version, p.digest, p.raw_digest, p.use_code,
           p.use_at, p.use_window
    FROM credential c LEFT JOIN presence p ON p.credential_id = c.id AND p.until IS NULL
    WHERE c.uid IN :uids
"""
_FACTS = ("version", "digest", "use_code", "use_at", "use_window", "raw_digest")
_KEY = ("credential_id", "scope_id", "since")

_add_credential = inserting(CredentialRow, "id", "uid", "first_seen_at")
_find_credential = adding(CredentialRow, "uid", "first_seen_at")
_add_presence = inserting(Presence, *_KEY, *_FACTS)
_change_presence = Bulk(
    (*_FACTS, *(f"of_{name}" for name in _KEY)),
    update(Presence)
    .where(*(_presence[name] == bindparam(f"of_{name}") for name in _KEY))
    .values({name: bindparam(name) for name in _FACTS}),
)
_add_version = inserting(Version, *_KEY, "body", "permissions_id", "unused_id")
_replace_version = replacing(Version, *_KEY, "body", "permissions_id", "unused_id")
_replace_raw = replacing(Raw, "credential_id", "scope_id", "body")
_add_permissions = adding(PermissionSet, "digest", "body")


class BatchWriter:
    """Writes batches of credentials into one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_sqlite = connection.dialect.name == "sqlite"
        self._permissions = PermissionSets(connection)
        self._next_id = 0
        if self._is_sqlite:  # one writer at a time: numbers can be given out here
            newest = connection.scalar(select(func.max(_credential.id)))
            self._next_id = (newest or 0) + 1

    def write(self, batch: Iterable[tuple[Reading, Credential]]) -> None:
        """Write *batch*; of two records of one credential the newer data count."""
        merged = _merge(batch)
        ids, current = self._look_up([uid for _scope, uid in merged])
        self._add_identities(merged, ids)
        changes = _Changes()
        for key, (reading, credential) in merged.items():
            number = ids[key[1]]
            if reading.note_time(number, credential.data_as_of):
                changes.compare(reading, number, credential, current.get(key))
        changes.flush(self._connection, self._permissions)

    def _look_up(
        self, uids: list[str]
    ) -> tuple[dict[str, int], dict[tuple[int, str], tuple[Any, ...]]]:
        """Return the number of every known uid, and its open presences by scope and uid."""
        rows = fetch(self._connection, _KNOWN, uids=uids)
        ids = {row[0]: row[1] for row in rows}
        return ids, {(row[2], row[0]): row for row in rows if row[2] is not None}

    def _add_identities(
        self, merged: Mapping[tuple[int, str], tuple[Reading, Credential]], ids: dict[str, int]
    ) -> None:
        new: Rows = []
        for (_scope, uid), (reading, _) in merged.items():
            if uid not in ids:
                ids[uid] = self._next_id + len(new)
                new.append((ids[uid], uid, reading.observed))
        if not new:
            return
        if self._is_sqlite:
            _add_credential(self._connection, new)
            self._next_id += len(new)
            return
        _find_credential(self._connection, [row[1:] for row in new])
        statement = select(_credential.uid, _credential.id).where(
            _credential.uid.in_([row[1] for row in new])
        )
        ids.update(tuple(row) for row in self._connection.execute(statement))


def _merge(
    batch: Iterable[tuple[Reading, Credential]],
) -> dict[tuple[int, str], tuple[Reading, Credential]]:
    merged: dict[tuple[int, str], tuple[Reading, Credential]] = {}
    for reading, credential in batch:
        key = (reading.scope_id, safe_id(credential.uid))
        before = merged.get(key)
        if before is None or before[1].data_as_of <= credential.data_as_of:
            merged[key] = (reading, credential)
    return merged


class _Changes:
    """The rows that one batch adds and changes."""

    def __init__(self) -> None:
        self.presences: Rows = []
        self.changed: Rows = []
        self.versions: Rows = []
        self.rewritten: Rows = []
        self.raws: Rows = []
        self.permissions: set[bytes] = set()
        """The maps of new versions, each once: many credentials have the same."""

    def compare(
        self,
        reading: Reading,
        number: int,
        credential: Credential,
        before: tuple[Any, ...] | None,
    ) -> None:
        """Add what *credential* changes against *before*, the open presence of its scope."""
        body = body_of(credential)
        granted = _map(credential.permissions)
        unused = _map(credential.unused_permissions)
        mark = digest(body, granted, unused)
        raw = encode(credential.raw) if credential.raw else b""
        raw_mark = zlib.crc32(raw) | len(raw) << 32 if raw else None
        if before is None:
            use = use_of(credential)
            since = version = reading.seq
        else:
            since, version, old_mark, old_raw = before[3:7]
            known = before[7:]
            use = use_of(credential, known)
            if mark == old_mark and use == known and raw_mark == old_raw:
                return
            if use != known:
                reading.uses.add(number, *pack_use(use, reading.observed))
        if before is None or mark != old_mark:
            is_rewrite = before is not None and version == reading.seq
            version = reading.seq
            row = self._version(reading, number, body, granted, unused)
            (self.rewritten if is_rewrite else self.versions).append(row)
        if raw and (before is None or raw_mark != old_raw):
            self.raws.append((number, reading.scope_id, raw))
        facts = (version, mark, use.code, use.at, use.window, raw_mark)
        if before is None:
            reading.uses.add(number, *pack_use(use, reading.observed))
            self.presences.append((number, reading.scope_id, since, *facts))
        else:
            self.changed.append((*facts, number, reading.scope_id, since))

    def _version(
        self, reading: Reading, number: int, body: bytes, granted: bytes, unused: bytes
    ) -> tuple[Any, ...]:
        self.permissions.add(granted)
        self.permissions.add(unused)
        return (number, reading.scope_id, reading.seq, body, granted, unused)

    def flush(self, connection: Connection, permissions: "PermissionSets") -> None:
        """Write everything."""
        marks = {digest(document): document for document in self.permissions if document}
        numbers = {marks[mark]: number for mark, number in permissions.resolve(marks).items()}
        for rows in (self.versions, self.rewritten):
            rows[:] = [(*row[:4], numbers.get(row[4]), numbers.get(row[5])) for row in rows]
        _add_presence(connection, self.presences)
        _change_presence(connection, self.changed)
        _add_version(connection, self.versions)
        _replace_version(connection, self.rewritten)
        _replace_raw(connection, self.raws)


def _map(permissions: Mapping[str, Any] | None) -> bytes:
    """Return a permission map as bytes; nothing for an unknown one, ``{}`` for an empty one."""
    return b"" if permissions is None else encode(permissions)


class PermissionSets:
    """Gives every distinct permission map its number."""

    _MOST = 20_000

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._numbers: dict[bytes, int] = {}

    def resolve(self, wanted: Mapping[bytes, bytes]) -> dict[bytes, int]:
        """Return the number of every map in *wanted* (digest → document), adding new ones."""
        missing = [mark for mark in wanted if mark not in self._numbers]
        if missing:
            if len(self._numbers) > self._MOST:
                self._numbers.clear()
                missing = list(wanted)
            self._load(missing)
            new = [mark for mark in missing if mark not in self._numbers]
            if new:
                _add_permissions(self._connection, [(mark, wanted[mark]) for mark in sorted(new)])
                self._load(new)
        return {mark: self._numbers[mark] for mark in wanted}

    def _load(self, marks: list[bytes]) -> None:
        statement = select(_permission.digest, _permission.id).where(_permission.digest.in_(marks))
        self._numbers.update(tuple(row) for row in self._connection.execute(statement))
