"""Reads a page's worth: the newest runs, and what changed between two of them, by key ranges."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, func, select, text

from auditor.model import Credential, FindingState
from auditor.store import past
from auditor.store.claims import database_time
from auditor.store.database import Database
from auditor.store.history import state_at
from auditor.store.records import RunRecord, run_record
from auditor.store.state import Fact, State
from auditor.store.tables import CredentialRow, Run, columns

_credential = columns(CredentialRow)
_run = columns(Run)
_decode_state = msgspec.json.Decoder(FindingState).decode

_FACTS = (
    _run.id,
    _run.now,
    _run.is_as_of,
    _run.started_at,
    _run.finished_at,
    _run.status,
    _run.schedule,
    _run.occurrence,
    _run.summary,
    _run.judged,
    _run.lease_until,
)

# A presence that begins has a version that does.
_touched = text("""
    SELECT c.uid, c.id FROM credential c
    WHERE c.uid > :after AND (
        EXISTS (
            SELECT 1 FROM version v
            WHERE v.credential_id = c.id AND v.since > :start AND v.since <= :stop
        )
        OR EXISTS (
            SELECT 1 FROM presence p
            WHERE p.credential_id = c.id AND p.until > :start AND p.until <= :stop
        )
    )
    ORDER BY c.uid LIMIT :most
""")
_turned = text("""
    SELECT e.id, e.finding, e.body, (
        SELECT b.body FROM finding_event b WHERE b.id = (
            SELECT max(x.id) FROM finding_event x WHERE x.finding = e.finding AND x.id <= :start
        )
    )
    FROM finding_event e
    WHERE e.id > :after AND e.id <= :stop AND NOT EXISTS (
        SELECT 1 FROM finding_event y
        WHERE y.finding = e.finding AND y.id > e.id AND y.id <= :stop
    )
    ORDER BY e.id LIMIT :most
""")


class Judged(Struct, frozen=True):
    """How far the store had come when a run was judged."""

    run_id: int
    watermark: int
    event_mark: int


class Touched(Struct, frozen=True):
    """A credential that was read otherwise between two runs; None where it was not there."""

    uid: str
    before: Credential | None
    after: Credential | None


class Turned(Struct, frozen=True):
    """A finding with events between two runs, as it was and as it became."""

    mark: int
    """The newest of those events, for the next page."""
    before: FindingState | None
    after: FindingState


class Browse:
    """Reads for pages that people turn."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self) -> int | None:
        """Return the number of the newest judged run; None before the first."""
        statement = select(_run.id).where(_run.judged.is_not(None), _run.is_pruned == 0)
        with self._database.read() as connection:
            return connection.scalar(statement.order_by(_run.id.desc()).limit(1))

    def runs(
        self, limit: int, *, before: int | None = None, after: int | None = None
    ) -> list[RunRecord]:
        """Return *limit* runs, the newest first, without their contexts.

        They are older than run *before*, or the ones next newer than run *after*.
        """
        statement = select(*_FACTS).where(_run.is_pruned == 0).limit(limit)
        if after is not None:
            statement = statement.where(_run.id > after).order_by(_run.id)
        else:
            statement = statement.order_by(_run.id.desc())
        if before is not None:
            statement = statement.where(_run.id < before)
        with self._database.read() as connection:
            clock = database_time(connection)
            found = [run_record(row, b"", clock) for row in connection.execute(statement)]
        return sorted(found, key=lambda record: -record.id)

    def runs_of(self, schedule: str, occurrences: Sequence[str]) -> dict[str, int]:
        """Return the run of each occurrence of *schedule* that has one."""
        statement = select(_run.occurrence, _run.id).where(
            _run.is_pruned == 0, _run.schedule == schedule, _run.occurrence.in_(occurrences)
        )
        with self._database.read() as connection:
            rows = connection.execute(statement)
            return {row.occurrence: row.id for row in rows}

    def credential(self, uid: str) -> Credential | None:
        """Return what is newest of a credential, present or gone; None for an unknown one."""
        with self._database.read() as connection:
            number = connection.scalar(select(_credential.id).where(_credential.uid == uid))
            state = State(connection)
            facts = [] if number is None else state.facts_of([number])
            return state.decode([state.best(facts)])[0] if facts else None

    def judged(self, run_id: int) -> Judged | None:
        """Return the marks of a judged run; None where it was not judged or is not known."""
        statement = select(_run.watermark, _run.event_mark).where(
            _run.id == run_id, _run.judged.is_not(None)
        )
        with self._database.read() as connection:
            row = connection.execute(statement).first()
        if row is None or row.watermark is None:
            return None
        return Judged(run_id, row.watermark, row.event_mark or 0)

    def touched(
        self, start: Judged, stop: Judged, limit: int, *, after: str = ""
    ) -> Iterator[Touched]:
        """Yield the next *limit* credentials with uids beyond *after* that were read otherwise."""
        parameters = {
            "after": after,
            "start": start.watermark,
            "stop": stop.watermark,
            "most": limit,
        }
        with self._database.read() as connection:
            rows = connection.execute(_touched, parameters).all()
            numbers = [number for _uid, number in rows]
            before = _present(connection, start, numbers)
            now = _present(connection, stop, numbers)
        for uid, _number in rows:
            yield Touched(uid, before.get(uid), now.get(uid))

    def turned(self, start: Judged, stop: Judged, limit: int, *, after: int = 0) -> list[Turned]:
        """Return the next *limit* findings whose newest event up to *stop* lies beyond *after*."""
        parameters = {
            "after": max(after, start.event_mark),
            "start": start.event_mark,
            "stop": stop.event_mark,
            "most": limit,
        }
        with self._database.read() as connection:
            rows = connection.execute(_turned, parameters).all()
        return [
            Turned(mark, None if before is None else _decode_state(before), _decode_state(body))
            for mark, _finding, body, before in rows
        ]

    def turns(self, start: int, run_id: int) -> Iterator[past.Turn]:
        """Yield the findings that changed after run *start* and before run *run_id*."""
        with self._database.read() as connection:
            yield from past.turns(connection, start, run_id)

    def count_judged(self, start: int, run_id: int) -> int:
        """Return how many runs after *start* and before *run_id* were judged."""
        statement = select(func.count()).where(
            _run.id > start, _run.id < run_id, _run.judged.is_not(None)
        )
        with self._database.read() as connection:
            return connection.scalar(statement) or 0

    def readings(self, start: int, run_id: int) -> list[past.Reading]:
        """Return how everything was read after run *start* and before run *run_id*."""
        with self._database.read() as connection:
            return past.readings(connection, start, run_id)


def _present(connection: Connection, judged: Judged, numbers: list[int]) -> dict[str, Credential]:
    """Return those of the credentials *numbers* that were there when a run was judged."""
    if not numbers:
        return {}
    state: State = state_at(connection, judged.run_id)
    for scope in state.scopes.values():
        # Last uses are not compared, and the newest spare replaying a scope's whole history.
        scope.is_newest = True
    groups: dict[str, list[Fact]] = {}
    for fact in state.facts_of(numbers):
        if fact.until is None and fact.scope_id in state.live:
            groups.setdefault(fact.uid, []).append(fact)
    chosen = [state.newest(group) for group in groups.values()]
    decoded = state.decode(chosen)
    return {credential.uid: credential for credential in decoded}
