"""Judges one run in one transaction: what was read, what is remembered, what becomes of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from msgspec.structs import force_setattr
from sqlalchemy import Connection, bindparam, func, select, text, update

from auditor.model import Absence, Change, Credential, FindingState, FindingStatus, RunStatus
from auditor.store.bulk import Bulk, inserting
from auditor.store.codec import IdSet, instant, micros, pack_ids, unpack
from auditor.store.outbox import enqueue
from auditor.store.state import Fact, State
from auditor.store.tables import (
    Collection,
    CredentialRow,
    FindingEvent,
    FindingRow,
    Run,
    columns,
)

_collection = columns(Collection)
_credential = columns(CredentialRow)
_event = columns(FindingEvent)
_finding = columns(FindingRow)
_run = columns(Run)

_BATCH = 500
_encode = msgspec.json.encode
_decode_state = msgspec.json.Decoder(FindingState).decode

_remembered = text("""
    SELECT f.id, f.number, f.run_id, f.body, f.last_seen_at, f.credential_id, f.status
    FROM credential c JOIN finding f ON f.credential_id = c.id
    WHERE c.uid > :after AND c.uid <= :upto
    ORDER BY c.uid, f.policy_id
""")
_FACTS = (
    "status",
    "severity",
    "risk_score",
    "first_seen_at",
    "last_seen_at",
    "run_id",
    "body",
)
_seen_again = Bulk(
    ("seen_at", "of_number"),
    any=update(FindingRow)
    .where(_finding.number == bindparam("of_number"))
    .values(last_seen_at=bindparam("seen_at")),
)
_change = Bulk(
    (*_FACTS, "of_number"),
    any=update(FindingRow)
    .where(_finding.number == bindparam("of_number"))
    .values({name: bindparam(name) for name in _FACTS}),
)
_add_finding = inserting(FindingRow, *_FACTS, "id", "policy_id", "credential_id")
_add_event = inserting(FindingEvent, "finding", "run_id", "body")


class Parcel(Protocol):
    """What `Book.enqueue` needs to know of a thing to deliver."""

    @property
    def recipient(self) -> str:
        """Whom it is for."""

    @property
    def message_id(self) -> str:
        """What it is called for ever."""

    @property
    def created_at(self) -> datetime:
        """When it came to be."""


def decode_finding(body: bytes, last_seen_at: int) -> FindingState:
    """Return a finding's state; sightings without any other change are kept beside the body."""
    state = _decode_state(body)
    force_setattr(state, "last_seen_at", instant(last_seen_at))
    return state


class Book:
    """The open judging of one run; `auditor.store.Store.judging` opens and closes it."""

    def __init__(
        self,
        connection: Connection,
        run: Any,
        *,
        selected: frozenset[str],
        configured: frozenset[str],
    ) -> None:
        self._connection = connection
        self._run = run
        self._selected = selected
        self._configured = configured
        self._state = State(connection, sources=configured | selected)
        self._readings = self._own_readings()
        self._judged = IdSet()
        self._pending: dict[str, FindingState] = {}
        self._observed = IdSet()
        self._known: dict[str, Any] = {}
        """The rows read last, for comparing what becomes of them."""
        self._whole: frozenset[tuple[str, str]] | None = None

    def _own_readings(self) -> dict[int, tuple[int, IdSet | None]]:
        """Return, by scope, this run's reading: its number and, if partial, whom it showed."""
        statement = (
            select(_collection.scope_id, _collection.seq, _collection.status, _collection.seen)
            .where(_collection.run_id == self._run.id, _collection.seq.is_not(None))
            .order_by(_collection.seq)
        )
        readings: dict[int, tuple[int, IdSet | None]] = {}
        for scope_id, seq, status, blob in self._connection.execute(statement):
            shown: IdSet | None = None
            if status != "complete":
                shown = IdSet()
                for number, age in unpack(blob):
                    if age == 0:
                        shown.add(number)
            readings[scope_id] = (seq, shown)
        return readings

    def _is_read(self, fact: Fact) -> bool:
        """Tell whether this run has read what *fact* says."""
        reading = self._readings.get(fact.scope_id)
        if reading is None or fact.until is not None:
            return False
        seq, shown = reading
        return fact.since <= seq if shown is None else fact.credential_id in shown

    def judgeable(self) -> Iterator[tuple[Credential, tuple[FindingState, ...]]]:
        """Yield every credential read in this run once, by uid, with all its findings.

        Where several sources read it, the newest data count.
        """
        for after, upto in self._state.bounds():
            chosen = self._state.chosen(after, upto, self._is_read)
            if not chosen:
                continue
            remembered = self._remembered(after, upto)
            for fact, credential in zip(chosen, self._state.decode(chosen), strict=True):
                self._judged.add(fact.credential_id)
                yield credential, tuple(remembered.get(fact.credential_id, ()))

    def _remembered(
        self, after: str, upto: str, *, is_left: bool = False
    ) -> dict[int, list[FindingState]]:
        """Return the findings of a range of uids, by credential.

        *is_left*: only those that are not resolved, of credentials that were not judged.
        """
        self._flush()
        found: dict[int, list[FindingState]] = {}
        rows: Sequence[Any] = self._connection.execute(
            _remembered, {"after": after, "upto": upto}
        ).all()
        if is_left:
            rows = [
                row
                for row in rows
                if row.status != FindingStatus.RESOLVED and row.credential_id not in self._judged
            ]
        self._known = {row.id: row for row in rows}
        for row in rows:
            state = decode_finding(row.body, row.last_seen_at)
            found.setdefault(row.credential_id, []).append(state)
        return found

    def remaining(self) -> Iterator[tuple[FindingState, Absence, Credential]]:
        """Yield the findings that are not resolved and whose credential was not read, by uid.

        The credential is the newest that is known of it.
        """
        for after, upto in self._state.bounds():
            findings = self._remembered(after, upto, is_left=True)
            if not findings:
                continue
            groups: dict[int, list[Fact]] = {}
            for fact in self._state.facts_of(findings):
                groups.setdefault(fact.credential_id, []).append(fact)
            chosen = [
                (self._absence(facts), self._state.best(facts))
                for facts in groups.values()
                if not any(self._is_read(fact) for fact in facts)
            ]
            credentials = self._state.decode([fact for _absence, fact in chosen])
            for (absence, fact), credential in zip(chosen, credentials, strict=True):
                for state in findings[fact.credential_id]:
                    yield state, absence, credential

    def _absence(self, facts: list[Fact]) -> Absence:
        """Say why a credential with these presences was not read."""
        present = [self._state.scopes[fact.scope_id] for fact in facts if fact.until is None]
        if not present:
            return Absence.REMOVED
        live = [scope for scope in present if scope.id in self._state.live]
        if not live:
            return Absence.OUT_OF_SCOPE
        if any(scope.source in self._selected for scope in live):
            return Absence.UNREAD
        return Absence.NOT_SELECTED

    def record(self, states: Iterable[FindingState]) -> None:
        """Remember *states*, by id; anything but a new ``last_seen_at`` is an event.

        A finding that stays as it is has ``change`` *unchanged*; it costs no row.
        """
        for state in states:
            self._pending[state.id] = state
            if len(self._pending) >= _BATCH:
                self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, {}
        known = self._look_up(pending)
        sightings: list[tuple[int, int]] = []
        changed: list[tuple[int, FindingState]] = []
        new: list[FindingState] = []
        for state in pending.values():
            row = known.get(state.id)
            if row is None:
                new.append(state)
            elif self._differs(state, row):
                changed.append((row.number, state))
            elif micros(state.last_seen_at) != row.last_seen_at:
                self._observed.add(row.number)
                sightings.append((self._run.now, row.number))
        _seen_again(self._connection, sightings)
        _change(self._connection, [(*self._facts(state), number) for number, state in changed])
        self._events(changed)
        self._insert(new)

    def _look_up(self, pending: Mapping[str, FindingState]) -> dict[str, Any]:
        """Return the rows of the *pending* findings that exist, most of which were just read."""
        found = {name: self._known[name] for name in pending if name in self._known}
        others = [name for name in pending if name not in found]
        if others:
            statement = select(
                _finding.id, _finding.number, _finding.run_id, _finding.body, _finding.last_seen_at
            ).where(_finding.id.in_(others))
            found |= {row.id: row for row in self._connection.execute(statement).all()}
        for name in found:
            self._known.pop(name, None)  # about to change
        return found

    def _differs(self, state: FindingState, row: Any) -> bool:
        before = decode_finding(row.body, row.last_seen_at)
        if row.run_id == self._run.id and before == state:
            return False
        seen_at = micros(state.last_seen_at)
        if seen_at not in (row.last_seen_at, self._run.now):
            return True
        force_setattr(before, "change", Change.UNCHANGED)
        force_setattr(before, "last_seen_at", state.last_seen_at)
        return before != state

    def _insert(self, new: list[FindingState]) -> None:
        if not new:
            return
        uids = {state.credential_uid for state in new}
        statement = select(_credential.uid, _credential.id).where(_credential.uid.in_(list(uids)))
        owners: dict[str, int] = dict(tuple(row) for row in self._connection.execute(statement))
        rows = [
            (*self._facts(state), state.id, state.policy_id, owners[state.credential_uid])
            for state in new
        ]
        _add_finding(self._connection, rows)
        statement = select(_finding.id, _finding.number).where(
            _finding.id.in_([state.id for state in new])
        )
        numbers = dict(tuple(row) for row in self._connection.execute(statement))
        self._events([(numbers[state.id], state) for state in new])

    def _facts(self, state: FindingState) -> tuple[Any, ...]:
        """Return the values of `_FACTS`."""
        return (
            state.status.value,
            state.severity.rank,
            state.risk_score,
            micros(state.first_seen_at),
            micros(state.last_seen_at),
            self._run.id,
            _encode(state),
        )

    def _events(self, changed: list[tuple[int, FindingState]]) -> None:
        rows = [(number, self._run.id, _encode(state)) for number, state in changed]
        _add_event(self._connection, rows)

    def enqueue(self, channel: str, parcels: Iterable[Parcel]) -> None:
        """Put *parcels* into the outbox; they exist exactly if the judgement does."""
        enqueue(self._connection, self._run.id, channel, parcels)

    def was_read_whole(self, credential: Credential) -> bool:
        """Tell whether the reading that *credential* comes from was complete."""
        if self._whole is None:
            scopes = self._state.scopes
            self._whole = frozenset(
                (scopes[scope_id].source, scopes[scope_id].organization.id)
                for scope_id, (_seq, shown) in self._readings.items()
                if shown is None
            )
        return (credential.source, credential.organization.id) in self._whole

    def finish(self, *, status: RunStatus, finished_at: datetime, summary: bytes) -> None:
        """Note how the run ended, as `Store.finish_run` does, together with the judgement."""
        values = {
            "status": RunStatus(status).value,
            "finished_at": micros(finished_at),
            "summary": summary,
        }
        self._connection.execute(update(Run).where(_run.id == self._run.id).values(values))

    def close(self) -> None:
        """Write what is pending and mark the run as judged."""
        self._flush()
        sources = {
            "selected": sorted(self._selected),
            "configured": sorted(self._configured | self._selected),
        }
        newest = select(func.coalesce(func.max(_collection.seq), 0)).scalar_subquery()
        event = select(func.coalesce(func.max(_event.id), 0)).scalar_subquery()
        judged = select(func.coalesce(func.max(_run.judged), 0) + 1).scalar_subquery()
        self._connection.execute(
            update(Run)
            .where(_run.id == self._run.id)
            .values(
                sources=_encode(sources),
                watermark=newest,
                event_mark=event,
                judged=judged,
                observed=pack_ids(self._observed),
            )
        )
