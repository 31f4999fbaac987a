"""Judges one run in one transaction: what was read, what is remembered, what becomes of it."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, func, select, update

from auditor.model import Absence, Credential, FindingState, FindingStatus, RunStatus
from auditor.store.codec import IdSet, micros, unpack
from auditor.store.findings import Findings
from auditor.store.outbox import enqueue
from auditor.store.state import Fact, State
from auditor.store.tables import Collection, FindingEvent, Run, columns

_collection = columns(Collection)
_event = columns(FindingEvent)
_run = columns(Run)

_encode = msgspec.json.encode


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
        self._findings = Findings(connection, run.id, run.now)
        self._left: list[tuple[str, str]] | None = None
        """Ranges in which credentials with findings were not judged; None before any was."""
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
        left: list[tuple[str, str]] = []
        for after, upto in self._state.bounds():
            chosen = self._state.chosen(after, upto, self._is_read)
            if not chosen:
                left.append((after, upto))
                continue
            owners = {fact.uid: fact.credential_id for fact in chosen}
            findings = self._findings.read(after, upto, owners)
            others = findings.keys() - set(owners.values()) if findings else ()
            if any(
                state.status is not FindingStatus.RESOLVED
                for number in others
                for state in findings[number]
            ):
                left.append((after, upto))
            for fact, credential in zip(chosen, self._state.decode(chosen), strict=True):
                self._judged.add(fact.credential_id)
                yield credential, tuple(findings.get(fact.credential_id, ()))
        self._left = left

    def remaining(self) -> Iterator[tuple[FindingState, Absence, Credential]]:
        """Yield the findings that are not resolved and whose credential was not read, by uid.

        The credential is the newest that is known of it.
        """
        ranges = self._state.bounds() if self._left is None else self._left
        for after, upto in ranges:
            findings = self._findings.read(after, upto, is_wanted=self._is_remaining)
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

    def _is_remaining(self, status: str, credential_id: int) -> bool:
        return status != FindingStatus.RESOLVED and credential_id not in self._judged

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
        self._findings.record(states)

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
        self._findings.flush()
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
                observed=self._findings.observed(),
            )
        )
