"""Writes what one unit gave, in one transaction: evidence first, whole or not at all."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import fields, replace
from sqlalchemy import Connection, bindparam, func, select, update

from auditor.errors import SourceError
from auditor.evidence import Amendment, Unit
from auditor.model import Coverage, CoverageStatus, Credential, Organization
from auditor.store import claims, scopes
from auditor.store.batch import BatchWriter, Reading
from auditor.store.codec import Packer, Use, micros, pack_use, unpack
from auditor.store.records import Claim
from auditor.store.scopes import Past
from auditor.store.spool import Spool
from auditor.store.tables import Presence, columns
from auditor.store.texts import safe_id

Classify = Callable[[Credential], Credential]

SUSPICIOUS_DROP = "suspicious_drop"
_PLAUSIBLE_SIZE = 20
"""From so many credentials on, losing more than half of them at once is suspicious."""
_BATCH = 500
KEYFRAME_EVERY = 30
"""Readings after which last uses are written in full, so that rebuilding stays cheap."""

_presence = columns(Presence)
_close_presence = (
    update(Presence)
    .where(
        _presence.credential_id == bindparam("of_credential"),
        _presence.scope_id == bindparam("of_scope"),
        _presence.until.is_(None),
    )
    .values(until=bindparam("closed_by"))
)


class UnitWriter:
    """Writes one unit of one run; see `auditor.store.Store.write_unit` for the rules."""

    def __init__(
        self,
        connection: Connection,
        run_id: int,
        *,
        source: str,
        provider: str,
        unit: Unit,
        claim: Claim | None,
        now: datetime,
        accept_drop: bool,
    ) -> None:
        self._connection = connection
        self._run_id = run_id
        self._source = source
        self._provider = provider
        self._unit = unit
        self._key = safe_id(unit.key)
        self._claim = claim
        self._now = now
        self._accept_drop = accept_drop
        self._written: list[int] = []

    def write(self, spool: Spool, error: SourceError | None, classify: Classify) -> list[Coverage]:
        """Write every organization of the unit and return what was covered."""
        read = set(spool.organizations)
        organizations = self._organizations(spool)
        readings: dict[str, Reading] = {}
        pasts: dict[str, Past] = {}
        for identity in sorted(organizations):
            if error is not None and identity not in read:
                self._fail(organizations[identity], error)
                continue
            pasts[identity] = past = self._past(organizations[identity])
            readings[identity] = self._begin(past)
        self._write_pages(spool, readings, classify)
        for identity, reading in readings.items():
            self._finish(reading, pasts[identity], spool, error)
        if not organizations:
            self._finish_empty(spool, error)
        return scopes.coverage(self._connection, self._run_id, rows=self._written)

    def _organizations(self, spool: Spool) -> dict[str, Organization]:
        """Return the organizations this unit is about: given, read, or seen in it before."""
        found = dict(spool.organizations)
        if self._unit.organization is not None:
            found.setdefault(safe_id(self._unit.organization.id), self._unit.organization)
            return found
        known = scopes.known_organizations(
            self._connection, self._source, self._provider, self._key
        )
        for _number, _unit, organization in known:
            found.setdefault(organization.id, organization)
        return found

    def _past(self, organization: Organization) -> Past:
        scope_id = scopes.scope_for(
            self._connection, self._source, self._provider, self._key, organization
        )
        return scopes.past_of(self._connection, scope_id, organization)

    def _begin(self, past: Past) -> Reading:
        seq = claims.next_seq(self._connection)
        number = self._row(seq=seq)
        return Reading(
            scope_id=past.scope_id,
            collection_id=number,
            seq=seq,
            organization=past.organization,
            observed_at=self._now,
        )

    def _row(self, **facts: Any) -> int:
        """Return a collection row to fill: the claimed one first, then further ones."""
        number: int | None = None
        if self._claim is not None and not self._written:
            number = self._claim.collection_id
            claims.complete_collection(
                self._connection, number, self._claim.fence, facts or {"status": claims.RUNNING}
            )
        if number is None:
            number = claims.add_collection(
                self._connection,
                run_id=self._run_id,
                source=self._source,
                provider=self._provider,
                unit=self._key,
                **facts,
            )
        self._written.append(number)
        return number

    def _end(self, number: int, facts: dict[str, Any]) -> None:
        claims.complete_collection(self._connection, number, None, facts)

    def _fail(self, organization: Organization, error: SourceError) -> None:
        scope_id = scopes.scope_for(
            self._connection, self._source, self._provider, self._key, organization
        )
        facts = scopes.outcome(
            organization,
            scope_id,
            status=CoverageStatus.FAILED,
            reason=error.kind,
            error=str(error),
        )
        self._end(self._row(), facts)

    def _finish_empty(self, spool: Spool, error: SourceError | None) -> None:
        """End a unit in which no organization was ever seen."""
        status, reason, message = _stated(spool, None, error)
        if error is not None:
            status = CoverageStatus.FAILED
        notes = [note.text for note in spool.notes]
        facts = scopes.outcome(None, None, status=status, reason=reason, error=message, notes=notes)
        self._end(self._row(), facts)

    def _write_pages(
        self, spool: Spool, readings: Mapping[str, Reading], classify: Classify
    ) -> None:
        writer = BatchWriter(self._connection)
        batch: list[tuple[Reading, Credential]] = []
        for reading, credential in _credentials(spool, readings):
            batch.append((reading, classify(credential)))
            if len(batch) == _BATCH:
                writer.write(batch)
                batch.clear()
        if batch:
            writer.write(batch)

    def _finish(
        self, reading: Reading, past: Past, spool: Spool, error: SourceError | None
    ) -> None:
        status, reason, message = _stated(spool, safe_id(reading.organization.id), error)
        is_drop = status == CoverageStatus.COMPLETE and self._is_suspicious(reading, past)
        if is_drop:
            status, reason = CoverageStatus.PARTIAL, SUSPICIOUS_DROP
            message = _drop_message(reading, past)
        facts: dict[str, Any] = {"uses": reading.uses.finish(), "seen": None}
        if status == CoverageStatus.COMPLETE:
            self._close_missing(reading)
        else:
            facts["seen"] = _last_read(reading, past)
        is_first = past.newest is None
        if not is_first and past.since_keyframe >= KEYFRAME_EVERY:
            facts["uses"] = keyframe(self._connection, reading.scope_id, reading.observed)
            is_first = True
        facts |= scopes.outcome(
            reading.organization,
            reading.scope_id,
            status=status,
            reason=reason,
            error=message,
            notes=_notes(spool, safe_id(reading.organization.id)),
            credentials=reading.seen.count,
            data_as_of=_oldest(reading, spool),
            observed_at=reading.observed,
            is_keyframe=int(is_first),
            as_of=_times(reading),
        )
        self._end(reading.collection_id, facts)

    def _is_suspicious(self, reading: Reading, past: Past) -> bool:
        """Tell whether too much has vanished at once, and nothing yet confirms it."""
        if past.complete is None or self._accept_drop:
            return False
        before, count = past.complete.credentials, reading.seen.count
        is_drop = (before > 0 and count == 0) or (before >= _PLAUSIBLE_SIZE and count * 2 < before)
        if not is_drop:
            return False
        newest = past.newest
        if newest.reason != SUSPICIOUS_DROP:
            return True
        same = [number for number, age in unpack(newest.seen) if age == 0]
        return len(same) != count or not all(number in reading.seen for number in same)

    def _close_missing(self, reading: Reading) -> None:
        """End the presence of what a complete reading no longer shows."""
        present = _presence.scope_id == reading.scope_id, _presence.until.is_(None)
        count = self._connection.scalar(select(func.count()).where(*present))
        if count == reading.seen.count:
            return  # all that was read is present, so nothing else can be
        statement = select(_presence.credential_id).where(*present)
        missing = [
            {
                "of_credential": number,
                "of_scope": reading.scope_id,
                "closed_by": reading.seq,
            }
            for (number,) in self._connection.execute(statement)
            if number not in reading.seen
        ]
        if missing:
            self._connection.execute(_close_presence, missing)


def _credentials(
    spool: Spool, readings: Mapping[str, Reading]
) -> Iterator[tuple[Reading, Credential]]:
    """Yield every credential with its reading, amended by what came after it."""
    for number, page in enumerate(spool):
        identity = safe_id(page.organization.id)
        reading = readings[identity]
        amendments = [
            amendment
            for pages, amendment in spool.amendments
            if number < pages and safe_id(amendment.organization.id) == identity
        ]
        if not amendments:
            for credential in page.credentials:
                yield reading, credential
            continue
        changes = [(amendment.only, _converted(amendment)) for amendment in amendments]
        for credential in page.credentials:
            facts: dict[str, Any] = {}
            for only, change in changes:
                if only is None or only == credential.uid:
                    facts |= change
            yield reading, replace(credential, **facts) if facts else credential


_TYPES = {field.name: field.type for field in fields(Credential)}


def _converted(amendment: Amendment) -> dict[str, Any]:
    """Return the changes as the types the fields have; the spool keeps plain values."""
    return {name: msgspec.convert(value, _TYPES[name]) for name, value in amendment.changes.items()}


def _stated(
    spool: Spool, identity: str | None, error: SourceError | None
) -> tuple[CoverageStatus, str | None, str | None]:
    """Return how far an organization was read by the stream's own account."""
    if error is not None:
        return CoverageStatus.PARTIAL, error.kind, str(error)
    for gap in spool.gaps:
        if gap.organization is None or safe_id(gap.organization.id) == identity:
            return CoverageStatus.PARTIAL, gap.reason, gap.message
    return CoverageStatus.COMPLETE, None, None


def _notes(spool: Spool, identity: str) -> list[str]:
    """Return the notes about an organization, each once, in order."""
    texts = [
        note.text
        for note in spool.notes
        if note.organization is None or safe_id(note.organization.id) == identity
    ]
    return list(dict.fromkeys(texts))


def _drop_message(reading: Reading, past: Past) -> str:
    return (
        f"{reading.organization.name or reading.organization.id} shows "
        f"{reading.seen.count} credentials where {past.complete.credentials} were read last "
        "time; nothing is taken as removed until a second audit shows the same, or run it "
        "again with --accept-drop"
    )


def _oldest(reading: Reading, spool: Spool) -> datetime:
    """Return the time of the oldest data: the collection is no fresher than that."""
    if reading.data_as_of is None:
        identity = safe_id(reading.organization.id)
        return spool.data_as_of.get(identity, reading.observed_at)
    return min((reading.data_as_of, *reading.exceptions.values()))


def _times(reading: Reading) -> bytes | None:
    """Pack the members whose data are not of the collection's time; under 0, the usual one."""
    if not reading.exceptions or reading.data_as_of is None:
        return None
    packer = Packer(2)
    packer.add(0, reading.observed - micros(reading.data_as_of))
    for number in sorted(reading.exceptions):
        packer.add(number, reading.observed - micros(reading.exceptions[number]))
    return packer.finish()


def _last_read(reading: Reading, past: Past) -> bytes | None:
    """Pack by which reading each member was read last, as the distance to this one.

    It covers everything since the last complete reading, so that one blob tells it all.
    """
    ages: dict[int, int] = {}
    if past.newest is not None and past.newest.status == CoverageStatus.PARTIAL:
        distance = reading.seq - past.newest.seq
        ages = {number: age + distance for number, age in unpack(past.newest.seen)}
    ages.update((number, 0) for number in reading.seen)
    packer = Packer(2)
    for number in sorted(ages):
        packer.add(number, ages[number])
    return packer.finish()


def keyframe(connection: Connection, scope_id: int, base: int) -> bytes | None:
    """Pack the last use of every present member of a scope."""
    statement = (
        select(_presence.credential_id, _presence.use_code, _presence.use_at, _presence.use_window)
        .where(_presence.scope_id == scope_id, _presence.until.is_(None))
        .order_by(_presence.credential_id)
    )
    packer = Packer(4)
    for number, *use in connection.execute(statement):
        packer.add(number, *pack_use(Use(*use), base))
    return packer.finish()
