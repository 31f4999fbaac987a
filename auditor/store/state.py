"""Rebuilds a state: which credentials every scope showed at one point, and what it said of them.

A state is named by its *watermark*, the newest reading it includes; without one it is the newest
state, which is read straight from the current rows.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, func, select, text

from auditor.model import Credential, Organization
from auditor.store.bulk import fetch
from auditor.store.codec import Frame, IntMap, Use, instant, unpack, unpack_use
from auditor.store.scopes import OUT_OF_SCOPE
from auditor.store.tables import (
    Collection,
    CredentialRow,
    PermissionSet,
    Raw,
    Scope,
    columns,
    table,
)

CHUNK = 1000
_MOST_PERMISSIONS = 10_000

_collection = columns(Collection)
_credential = columns(CredentialRow)
_permission = columns(PermissionSet)
_raw = columns(Raw)
_scope = columns(Scope)

_READING = (
    _collection.scope_id,
    _collection.seq,
    _collection.status,
    _collection.reason,
    _collection.organization_name,
    _collection.data_as_of,
    _collection.observed_at,
    _collection.as_of,
    _collection.seen,
)
_FACTS = """
    SELECT c.uid, p.credential_id, p.scope_id, p.since, p.until, p.use_code, p.use_at,
           p.use_window, v.body, v.permissions_id, v.unused_id
    FROM credential c JOIN presence p ON p.credential_id = c.id
    JOIN version v ON v.credential_id = p.credential_id AND v.scope_id = p.scope_id
"""
_NEWEST_VERSION = " AND v.since = p.version "
_VERSION_THEN = """
    AND v.since = (SELECT max(w.since) FROM version w WHERE w.credential_id = p.credential_id
                   AND w.scope_id = p.scope_id AND w.since <= :watermark)
"""
_RANGE = " WHERE c.uid > :after AND c.uid <= :upto "
_OPEN_OF_SCOPE = """
    SELECT c.id FROM presence p JOIN credential c ON c.id = p.credential_id
    WHERE p.scope_id = :scope AND p.until IS NULL ORDER BY c.uid
"""
_CHOSEN = " WHERE c.id IN :numbers "
_OPEN = " AND p.until IS NULL "
_OPEN_THEN = " AND p.since <= :watermark AND (p.until IS NULL OR p.until > :watermark) "
_BEGUN_THEN = " AND p.since <= :watermark "
_IN_ORDER = " ORDER BY c.uid, p.scope_id, p.since "


class Fact(NamedTuple):
    """One credential as one scope shows it, not yet decoded."""

    uid: str
    credential_id: int
    scope_id: int
    since: int
    until: int | None
    use_code: int
    use_at: int | None
    use_window: int | None
    body: bytes
    permissions_id: int | None
    unused_id: int | None


class Times:
    """When the data of one reading were true."""

    def __init__(self, row: Any) -> None:
        self.observed_at = instant(row.observed_at)
        self._usual = instant(row.data_as_of)
        self._exceptions: IntMap | None = None
        if row.as_of:
            rows = iter(unpack(row.as_of))
            _zero, offset = next(rows)
            self._base = row.observed_at
            self._usual = instant(row.observed_at - offset)
            self._exceptions = IntMap(rows)

    def of(self, credential_id: int) -> datetime:
        """Return ``data_as_of`` of one member."""
        if self._exceptions is not None:
            offset = self._exceptions.get(credential_id)
            if offset is not None:
                return instant(self._base - offset)
        return self._usual


class ScopeState:
    """One scope at one point: its newest reading, and the last complete one under it."""

    def __init__(self, connection: Connection, scope: Any, newest: Any, *, is_newest: bool) -> None:
        self._connection = connection
        self._scope = scope
        self._earlier: dict[int, ScopeState] = {}
        self.id: int = scope.id
        self.source: str = scope.source
        self.provider: str = scope.provider
        self.newest = newest
        self.is_newest = is_newest
        """Whether nothing was read since, so that the current rows tell this state."""
        self.organization = Organization(
            id=scope.organization_id, name=newest.organization_name or scope.organization_name
        )
        self._times: dict[int, Times] = {}
        self._ages: IntMap | None = None
        self._base: int | None = None
        self._uses: dict[int, Use] | None = None
        self.usual_times: tuple[datetime, datetime] | None = None
        """The times of every member, where they are all the same."""
        if newest.status != "complete":
            self._ages = IntMap(unpack(newest.seen))
        elif newest.as_of is None:
            self.usual_times = (instant(newest.data_as_of), instant(newest.observed_at))
        self.frame = Frame(self.provider, self.source, self.organization, self.usual_times)

    def before(self, seq: int) -> "ScopeState":
        """Return this scope as it was just before the reading *seq*."""
        state = self._earlier.get(seq)
        if state is None:
            statement = (
                select(*_READING)
                .where(_collection.scope_id == self.id, _collection.seq < seq)
                .order_by(_collection.seq.desc())
                .limit(1)
            )
            # Retention may have dropped that reading; then the state itself is what is left.
            row = self._connection.execute(statement).first() or self.newest
            state = ScopeState(self._connection, self._scope, row, is_newest=False)
            self._earlier[seq] = state
        return state

    def times(self, credential_id: int) -> tuple[datetime, datetime]:
        """Return ``data_as_of`` and ``observed_at`` of one member."""
        seq = self.newest.seq
        if self._ages is not None:
            age = self._ages.get(credential_id)
            seq = self._complete_seq() if age is None else seq - age
        times = self._times.get(seq)
        if times is None:
            row = self.newest if seq == self.newest.seq else self._reading(seq)
            times = self._times[seq] = Times(row)
        return times.of(credential_id), times.observed_at

    def _reading(self, seq: int) -> Any:
        statement = select(*_READING).where(_collection.seq == seq)
        return self._connection.execute(statement).one()

    def _complete_seq(self) -> int:
        if self._base is None:
            self._base = self._connection.scalar(
                select(func.max(_collection.seq)).where(
                    _collection.scope_id == self.id,
                    _collection.status == "complete",
                    _collection.seq <= self.newest.seq,
                )
            )
        return self._base or self.newest.seq

    def use(self, fact: Fact) -> tuple[int, int | None, int | None]:
        """Return the last use of one member, a `Use`."""
        if self.is_newest or fact.until is not None:
            return fact[5:8]
        if self._uses is None:
            self._uses = self._rebuild_uses()
        return self._uses[fact.credential_id]

    def _rebuild_uses(self) -> dict[int, Use]:
        """Replay the last uses from the last keyframe on."""
        readings = _collection.scope_id == self.id, _collection.seq <= self.newest.seq
        start = select(func.max(_collection.seq)).where(*readings, _collection.is_keyframe == 1)
        statement = (
            select(_collection.uses, _collection.observed_at)
            .where(*readings, _collection.seq >= start.scalar_subquery())
            .order_by(_collection.seq)
        )
        uses: dict[int, Use] = {}
        for blob, base in self._connection.execute(statement):
            for number, code, at, window in unpack(blob):
                uses[number] = unpack_use(code, at, window, base)
        return uses


class State:
    """The credentials of every scope at one point."""

    def __init__(
        self,
        connection: Connection,
        watermark: int | None = None,
        *,
        sources: frozenset[str] | None = None,
    ) -> None:
        self._connection = connection
        self._watermark = watermark
        self.scopes = {state.id: state for state in _scopes(connection, watermark)}
        self.live = {
            number
            for number, state in self.scopes.items()
            if (sources is None or state.source in sources) and state.newest.reason != OUT_OF_SCOPE
        }
        """The scopes that are still configured."""
        self._is_newest = all(state.is_newest for state in self.scopes.values())
        self._permissions: dict[int | None, Any] = {None: None}

    def bounds(self) -> Iterator[tuple[str, str]]:
        """Yield ranges (after, up to) of uids that hold about `CHUNK` credentials each."""
        last = self._connection.scalar(select(func.max(_credential.uid)))
        if last is None:
            return
        statement = (
            select(_credential.uid)
            .where(_credential.uid > bindparam("after"))
            .order_by(_credential.uid)
            .limit(1)
            .offset(CHUNK - 1)
        )
        after = ""
        while after < last:
            upto = self._connection.scalar(statement, {"after": after}) or last
            yield after, upto
            after = upto

    def facts(self, after: str, upto: str) -> list[Fact]:
        """Return what the scopes of this state say of the uids in a range, in order."""
        present = _OPEN if self._is_newest else _OPEN_THEN
        return self._select(_RANGE + present, after=after, upto=upto)

    def facts_of(self, numbers: Iterable[int]) -> list[Fact]:
        """Return what was ever said up to this state of some credentials, gone ones included."""
        return self._select(_CHOSEN + _BEGUN_THEN, all_scopes=True, numbers=sorted(numbers))

    def _select(self, where: str, *, all_scopes: bool = False, **parameters: Any) -> list[Fact]:
        version = _NEWEST_VERSION if self._is_newest and not all_scopes else _VERSION_THEN
        statement = _FACTS + version + where + _IN_ORDER
        if ":watermark" in statement:
            parameters["watermark"] = self._mark()
        rows = fetch(self._connection, statement, **parameters)
        allowed = self.scopes if all_scopes else self.live
        facts = [Fact._make(row) for row in rows if row[2] in allowed]
        if self._is_newest:
            return facts
        mark = self._mark()
        return [
            fact if fact.until is None or fact.until <= mark else fact._replace(until=None)
            for fact in facts
        ]

    def _mark(self) -> int:
        newest = max((state.newest.seq for state in self.scopes.values()), default=0)
        return newest if self._watermark is None else self._watermark

    def newest(self, facts: Iterable[Fact]) -> Fact:
        """Return the fact with the newest data; the first source by name among equals."""
        ranked = sorted(facts, key=lambda fact: self.scopes[fact.scope_id].source)
        return max(ranked, key=self._as_of)

    def best(self, facts: list[Fact]) -> Fact:
        """Return what is newest of a credential: of those still present, else of the last seen."""
        present = [fact for fact in facts if fact.until is None]
        return self.newest(present) if present else max(facts, key=lambda fact: fact.until or 0)

    def _as_of(self, fact: Fact) -> datetime:
        return self._times(fact)[0]

    def _times(self, fact: Fact) -> tuple[datetime, datetime]:
        scope = self.scopes[fact.scope_id]
        if fact.until is None and scope.usual_times is not None:
            return scope.usual_times
        if fact.until is not None:  # gone: its facts are those of the last reading that had it
            scope = scope.before(fact.until)
        return scope.times(fact.credential_id)

    def decode(self, facts: list[Fact]) -> list[Credential]:
        """Return the credentials that *facts* describe, in their order."""
        self._load_permissions(facts)
        decoded = []
        scopes, permissions = self.scopes, self._permissions
        for fact in facts:
            scope = scopes[fact.scope_id]
            usual_times = scope.usual_times if fact.until is None else None
            decoded.append(
                scope.frame.credential(
                    fact.uid,
                    fact.body,
                    scope.use(fact),
                    usual_times or self._times(fact),
                    permissions[fact.permissions_id],
                    permissions[fact.unused_id],
                )
            )
        return decoded

    def _load_permissions(self, facts: list[Fact]) -> None:
        known = self._permissions
        if len(known) > _MOST_PERMISSIONS:
            known.clear()
            known[None] = None
        wanted = {fact.permissions_id for fact in facts} | {fact.unused_id for fact in facts}
        missing = [number for number in wanted if number not in known]
        if missing:
            statement = select(_permission.id, _permission.body).where(_permission.id.in_(missing))
            for number, body in self._connection.execute(statement):
                known[number] = msgspec.json.decode(body)

    def credentials(
        self, is_wanted: Callable[[Fact], bool] | None = None
    ) -> Iterator[tuple[Fact, Credential]]:
        """Yield every credential once, by uid; of several observers the newest data count."""
        for after, upto in self.bounds():
            chosen = self.chosen(after, upto, is_wanted)
            yield from zip(chosen, self.decode(chosen), strict=True)

    def of_scope(self, scope_id: int) -> Iterator[Credential]:
        """Yield the credentials of one scope, by uid; of its newest or last complete reading.

        Only a complete reading ends a presence, so what that one showed is open still: the others
        are not looked at, however many scopes there are.
        """
        numbers = self._connection.scalars(text(_OPEN_OF_SCOPE), {"scope": scope_id}).all()
        present = _OPEN if self._is_newest else _OPEN_THEN
        for start in range(0, len(numbers), CHUNK):
            facts = self._select(_CHOSEN + present, numbers=[*numbers[start : start + CHUNK]])
            yield from self.decode([fact for fact in facts if fact.scope_id == scope_id])

    def chosen(
        self, after: str, upto: str, is_wanted: Callable[[Fact], bool] | None = None
    ) -> list[Fact]:
        """Return one fact for every credential in a range of uids."""
        facts = self.facts(after, upto)
        if is_wanted is not None:
            facts = [fact for fact in facts if is_wanted(fact)]
        if len({fact.credential_id for fact in facts}) == len(facts):
            return facts  # nearly always: one observer each
        groups: dict[str, Fact | list[Fact]] = {}
        for fact in facts:
            known = groups.setdefault(fact.uid, fact)
            if known is not fact:  # a second observer
                if isinstance(known, list):
                    known.append(fact)
                else:
                    groups[fact.uid] = [known, fact]
        return [
            self.newest(group) if isinstance(group, list) else group for group in groups.values()
        ]


def _scopes(connection: Connection, watermark: int | None) -> Iterator[ScopeState]:
    """Yield every scope that had been read, with its newest reading up to *watermark*."""
    readings = select(_collection.scope_id, func.max(_collection.seq).label("seq")).where(
        _collection.seq.is_not(None)
    )
    newest_of_all = dict(
        tuple(row) for row in connection.execute(readings.group_by(_collection.scope_id))
    )
    if watermark is not None:
        readings = readings.where(_collection.seq <= watermark)
    newest = readings.group_by(_collection.scope_id).subquery()
    statement = select(*_READING).join(newest, newest.c.seq == _collection.seq)
    scopes = {row.id: row for row in connection.execute(select(table(Scope)))}
    for row in connection.execute(statement):
        is_newest = row.seq == newest_of_all[row.scope_id]
        yield ScopeState(connection, scopes[row.scope_id], row, is_newest=is_newest)
