"""The findings while one run is judged: read a range at a time, written some hundreds at once."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import fields, force_setattr, replace
from sqlalchemy import Connection, bindparam, func, select, update

from auditor.model import Change, FindingState
from auditor.store.bulk import Bulk, fetch, inserting
from auditor.store.codec import IdSet, instant, micros, pack_ids
from auditor.store.tables import CredentialRow, FindingEvent, FindingRow, columns

_credential = columns(CredentialRow)
_finding = columns(FindingRow)

_BATCH = 500
_encode = msgspec.json.encode
_decode_state = msgspec.json.Decoder(FindingState).decode
_policy_id = attrgetter("policy_id")

_OF_RANGE = """
    SELECT f.credential_id, f.status, f.number, f.run_id, f.body, f.last_seen_at
    FROM credential c JOIN finding f ON f.credential_id = c.id
    WHERE c.uid > :after AND c.uid <= :upto
    ORDER BY c.uid
"""
_NAMED = """
    SELECT f.number, f.run_id, f.body, f.last_seen_at FROM finding f WHERE f.id IN :names
"""
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
    update(FindingRow)
    .where(_finding.number == bindparam("of_number"))
    .values(last_seen_at=bindparam("seen_at")),
)
_change = Bulk(
    (*_FACTS, "of_number"),
    update(FindingRow)
    .where(_finding.number == bindparam("of_number"))
    .values({name: bindparam(name) for name in _FACTS}),
)
_add_finding = inserting(FindingRow, *_FACTS, "id", "policy_id", "credential_id")
_add_numbered = inserting(FindingRow, *_FACTS, "id", "policy_id", "credential_id", "number")
_add_event = inserting(FindingEvent, "finding", "run_id", "body")

Rows = list[tuple[Any, ...]]


_UNSET = [field.name for field in fields(FindingState) if not field.required]
_PLAIN_END = b"".join(b',"%b":null' % name.encode() for name in _UNSET) + b"}"
"""How the encoding of a finding ends that just stands, as nearly all do."""


def encode_finding(state: FindingState) -> bytes:
    """Return the body of a finding; what is nowhere set goes without saying."""
    body = _encode(state)
    return body[: -len(_PLAIN_END)] + b"}" if body.endswith(_PLAIN_END) else body


def decode_finding(body: bytes, last_seen_at: int) -> FindingState:
    """Return a finding's state; sightings without any other change are kept beside the body."""
    state = _decode_state(body)
    force_setattr(state, "last_seen_at", _instant(last_seen_at))
    return state


# Findings that were seen in the same run have the time in common.
_instant = lru_cache(maxsize=1024)(instant)


class _Known(NamedTuple):
    """A finding as its row tells it."""

    number: int
    run_id: int
    """The run that changed it last."""
    state: FindingState


class Findings:
    """Reads and writes the findings in the transaction that judges run *run_id* at *now*."""

    def __init__(self, connection: Connection, run_id: int, now: int) -> None:
        self._connection = connection
        self._run_id = run_id
        self._now = now
        self._now_at = instant(now)
        self._pending: dict[str, FindingState] = {}
        self._observed = IdSet()
        self._known: dict[str, _Known] = {}
        """The findings read last, for comparing what becomes of them."""
        self._owners: Mapping[str, int] = {}
        """Number by uid of credentials all of whose findings are in `_known`, or were."""
        self._written: set[str] = set()
        """Findings that were in `_known`, or are new, and have been written since it was read."""
        newest = connection.scalar(select(func.max(_finding.number)))
        self._last_uid: str | None = "" if newest is None else None
        """Behind which uid there is no finding; None where nobody knows."""
        self._next_number: int | None = None
        if connection.dialect.name == "sqlite":  # one writer at a time: numbers are given out here
            self._next_number = (newest or 0) + 1

    def read(
        self,
        after: str,
        upto: str,
        owners: Mapping[str, int] | None = None,
        is_wanted: Callable[[str, int], bool] | None = None,
    ) -> dict[int, list[FindingState]]:
        """Return the findings of a range of uids, by credential; write what is pending before.

        *owners* are the credentials about to be judged, number by uid; *is_wanted* chooses
        findings by status and credential number.
        """
        self.flush()
        rows: list[tuple[Any, ...]] = []
        if self._last_uid is None or self._last_uid > after:
            rows = fetch(self._connection, _OF_RANGE, after=after, upto=upto)
        if is_wanted is not None:
            rows = [row for row in rows if is_wanted(row[1], row[0])]
        found: dict[int, list[FindingState]] = {}
        self._known.clear()
        self._written.clear()
        self._owners = owners or {}
        for owner, _status, number, run_id, body, last_seen_at in rows:
            state = decode_finding(body, last_seen_at)
            self._known[state.id] = _Known(number, run_id, state)
            found.setdefault(owner, []).append(state)
        for states in found.values():
            if len(states) > 1:
                states.sort(key=_policy_id)
        return found

    def record(self, states: Iterable[FindingState]) -> None:
        """Remember *states*; see `auditor.store.book.Book.record`."""
        for state in states:
            self._pending[state.id] = state
            if self._last_uid is not None and state.credential_uid > self._last_uid:
                self._last_uid = state.credential_uid
            if len(self._pending) >= _BATCH:
                self.flush()

    def observed(self) -> bytes | None:
        """Return, packed, the numbers of the findings that were only seen again."""
        return pack_ids(self._observed)

    def flush(self) -> None:
        """Write what is pending."""
        if not self._pending:
            return
        pending, self._pending = self._pending, {}
        known = self._look_up(pending)
        sightings: Rows = []
        changed: list[tuple[int, FindingState]] = []
        new: list[FindingState] = []
        for name, state in pending.items():
            before = known.get(name)
            if before is None:
                new.append(state)
            elif self._differs(state, before):
                changed.append((before.number, state))
            elif state.last_seen_at != before.state.last_seen_at:
                self._observed.add(before.number)
                sightings.append((self._now, before.number))
        _seen_again(self._connection, sightings)
        self._change(changed)
        if new:
            self._insert(new)

    def _look_up(self, pending: Mapping[str, FindingState]) -> dict[str, _Known]:
        """Return the *pending* findings that exist, most of which were just read."""
        found: dict[str, _Known] = {}
        others: list[str] = []
        for name, state in pending.items():
            known = self._known.pop(name, None)  # about to change
            if known is not None:
                found[name] = known
            elif name in self._written or state.credential_uid not in self._owners:
                others.append(name)
        self._written.update(pending)
        if others:
            for number, run_id, body, last_seen_at in fetch(self._connection, _NAMED, names=others):
                state = decode_finding(body, last_seen_at)
                found[state.id] = _Known(number, run_id, state)
        return found

    def _differs(self, state: FindingState, known: _Known) -> bool:
        before = known.state
        if known.run_id == self._run_id and before == state:
            return False
        if state.last_seen_at not in (before.last_seen_at, self._now_at):
            return True
        unchanged = replace(before, change=Change.UNCHANGED, last_seen_at=state.last_seen_at)
        return unchanged != state

    def _change(self, changed: Iterable[tuple[int, FindingState]]) -> None:
        rows: Rows = []
        events: Rows = []
        for number, state in changed:
            body = encode_finding(state)
            rows.append((*self._facts(state, body), number))
            events.append((number, self._run_id, body))
        _change(self._connection, rows)
        _add_event(self._connection, events)

    def _insert(self, new: list[FindingState]) -> None:
        owners = self._find_owners({state.credential_uid for state in new})
        bodies = [encode_finding(state) for state in new]
        rows: Rows = [
            (*self._facts(state, body), state.id, state.policy_id, owners[state.credential_uid])
            for state, body in zip(new, bodies, strict=True)
        ]
        numbers = self._add(rows, new)
        events = zip(numbers, bodies, strict=True)
        _add_event(self._connection, [(number, self._run_id, body) for number, body in events])

    def _find_owners(self, uids: Collection[str]) -> Mapping[str, int]:
        """Return the numbers of credentials, most of which are being judged."""
        others = [uid for uid in uids if uid not in self._owners]
        if not others:
            return self._owners
        statement = select(_credential.uid, _credential.id).where(_credential.uid.in_(others))
        found = dict(tuple(row) for row in self._connection.execute(statement))
        return {**self._owners, **found}

    def _add(self, rows: Rows, new: list[FindingState]) -> list[int]:
        """Insert *rows* and return the numbers they got."""
        first = self._next_number
        if first is not None:
            self._next_number = first + len(rows)
            numbered = [(*row, number) for number, row in enumerate(rows, first)]
            _add_numbered(self._connection, numbered)
            return list(range(first, self._next_number))
        _add_finding(self._connection, rows)
        names = [state.id for state in new]
        statement = select(_finding.id, _finding.number).where(_finding.id.in_(names))
        numbers = dict(tuple(row) for row in self._connection.execute(statement))
        return [numbers[name] for name in names]

    def _facts(self, state: FindingState, body: bytes) -> tuple[Any, ...]:
        """Return the values of `_FACTS`."""
        return (
            state.status.value,
            state.severity.rank,
            state.risk_score,
            micros(state.first_seen_at),
            micros(state.last_seen_at),
            self._run_id,
            body,
        )
