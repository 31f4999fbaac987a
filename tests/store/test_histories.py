"""Random histories against a plain model: any past run reads back as it was."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from auditor.errors import Unavailable
from auditor.evidence import Gap, Page, Unit
from auditor.model import (
    Absence,
    Change,
    Coverage,
    Credential,
    FindingState,
    FindingStatus,
    LastUsedState,
    Organization,
    Principal,
    Resolution,
    Severity,
    credential_uid,
)
from auditor.store import Spool, Store, tables
from auditor.store.database import Database
from tests.conftest import NOW

SOURCES = ("alpha", "beta")
ORGANIZATION = Organization(id="org-1", name="Example")
NAMES = [f"key-{n}" for n in range(26)]


@dataclass(frozen=True)
class Reading:
    """What one source gives in one run."""

    ending: str  # complete | gap | error | failed
    members: dict[str, tuple[int, int, int]]  # name → variant, last use, age of the data in hours


@dataclass(frozen=True)
class Step:
    readings: dict[str, Reading]
    accept_drop: bool
    judged: bool


facts = st.tuples(st.integers(0, 2), st.integers(0, 4), st.sampled_from([0, 0, 0, 5]))
members = st.one_of(
    st.dictionaries(st.sampled_from(NAMES[:6]), facts, max_size=6),
    st.fixed_dictionaries(dict.fromkeys(NAMES, facts)),
)
readings = st.builds(
    Reading, st.sampled_from(["complete"] * 4 + ["gap", "error", "failed"]), members
)
steps = st.builds(
    Step,
    st.dictionaries(st.sampled_from(SOURCES), readings, max_size=2),
    st.sampled_from([False] * 5 + [True]),
    st.sampled_from([True] * 5 + [False]),
)
histories = st.lists(steps, min_size=1, max_size=7)


def build(name: str, source: str, now: datetime, fact: tuple[int, int, int]) -> Credential:
    variant, use, hours = fact
    as_of = now - timedelta(hours=hours)
    kinds: list[dict[str, Any]] = [
        {"last_used_state": LastUsedState.UNKNOWN},
        {"last_used_state": LastUsedState.NEVER},
        {
            "last_used_state": LastUsedState.NOT_IN_WINDOW,
            "last_used_window_start": as_of - timedelta(days=400),
        },
        {"last_used_state": LastUsedState.USED, "last_used_at": NOW - timedelta(days=1)},
        {
            "last_used_state": LastUsedState.USED,
            "last_used_at": NOW - timedelta(days=use, microseconds=7),
            "last_used_window_start": NOW - timedelta(days=700),
        },
    ]
    permissions: list[Any] = [None, {}, {"zones": {"read": True, "write": variant == 2}}]
    return Credential(
        uid=credential_uid("keycard", "org-1", "key", name),
        provider="keycard",
        source=source,
        organization=ORGANIZATION,
        principal=Principal(id="sa", name=f"owner {variant}"),
        name=name,
        type="API Key",
        observed_at=now,
        data_as_of=as_of,
        permissions=permissions[variant],
        unused_permissions=permissions[-variant],
        tags={"variant": str(variant)},
        **kinds[use],
    )


@dataclass
class Scope:
    """The model of one source's view."""

    present: dict[str, Credential] = field(default_factory=dict)
    complete: int | None = None
    suspect: frozenset[str] | None = None

    def read(self, reading: Reading, listed: dict[str, Credential], accept_drop: bool) -> str:
        if reading.ending == "failed":
            return "failed"
        names = frozenset(listed)
        before = self.complete or 0
        drop = (before > 0 and not names) or (before >= 20 and len(names) * 2 < before)
        confirmed = accept_drop or self.suspect == names
        self.present = self.present | listed
        if reading.ending != "complete":
            self.suspect = None
            return "partial"
        if self.complete is not None and drop and not confirmed:
            self.suspect = names
            return "suspicious_drop"
        self.suspect = None
        self.present = dict(listed)
        self.complete = len(listed)
        return "complete"


@dataclass
class Model:
    scopes: dict[str, Scope] = field(default_factory=dict)
    findings: dict[str, FindingState] = field(default_factory=dict)

    def credentials(self) -> dict[str, Credential]:
        merged: dict[str, Credential] = {}
        for source in sorted(self.scopes):
            for name, credential in self.scopes[source].present.items():
                known = merged.get(name)
                if known is None or credential.data_as_of > known.data_as_of:
                    merged[name] = credential
        return dict(sorted(merged.items()))


def write(
    store: Store, run_id: int, source: str, reading: Reading, now: datetime, drop: bool
) -> tuple[Coverage, dict[str, Credential]]:
    listed = {name: build(name, source, now, fact) for name, fact in reading.members.items()}
    failed = reading.ending == "failed"
    with Spool() as spool:
        if not failed:
            every = tuple(listed.values())
            for start in range(0, max(len(every), 1), 4):
                spool.append(Page(ORGANIZATION, every[start : start + 4]))
        if reading.ending == "gap":
            spool.append(Gap("repeated_cursor", "the listing repeats itself"))
        (coverage,) = store.write_unit(
            run_id,
            source=source,
            provider="keycard",
            unit=Unit("org-1", ORGANIZATION),
            spool=spool,
            error=Unavailable("no answer") if reading.ending in ("error", "failed") else None,
            now=now,
            accept_drop=drop,
        )
    return coverage, listed


def found(
    credential: Credential, prior: tuple[FindingState, ...], now: datetime
) -> FindingState | None:
    """A toy reconciliation: variant 1 violates; what stops violating is resolved."""
    violates = credential.tags["variant"] == "1"
    if not prior:
        if not violates:
            return None
        return FindingState(
            id="f:" + credential.uid,
            policy_id="p",
            credential_uid=credential.uid,
            status=FindingStatus.OPEN,
            change=Change.OPENED,
            severity=Severity.LOW,
            risk_score=10,
            first_seen_at=now,
            last_seen_at=now,
        )
    (state,) = prior
    is_open = state.status == FindingStatus.OPEN
    if violates:
        change = Change.UNCHANGED if is_open else Change.REOPENED
        return _replace(
            state,
            status=FindingStatus.OPEN,
            change=change,
            last_seen_at=now,
            resolution=None,
            resolved_at=None,
            stale_since=None,
        )
    if not is_open:
        return None
    return _replace(
        state,
        status=FindingStatus.RESOLVED,
        change=Change.RESOLVED,
        resolution=Resolution.CONDITION_CLEARED,
        resolved_at=now,
        stale_since=None,
    )


def gone(state: FindingState, absence: Absence, now: datetime) -> FindingState:
    if absence in (Absence.REMOVED, Absence.OUT_OF_SCOPE):
        return _replace(
            state,
            status=FindingStatus.RESOLVED,
            change=Change.RESOLVED,
            resolution=Resolution.REMOVED,
            resolved_at=now,
        )
    if absence == Absence.UNREAD:
        return _replace(state, change=Change.UNCHANGED, stale_since=state.stale_since or now)
    return _replace(state, change=Change.UNCHANGED)


def _replace(state: FindingState, **changes: Any) -> FindingState:
    return replace(state, **changes)


class World:
    """Drives the store and the model side by side and compares them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.model = Model()
        self.states: dict[int, dict[str, Credential]] = {}
        self.judged: dict[int, list[tuple[FindingState, Credential]]] = {}
        self.gone: dict[str, Credential] = {}

    def step(self, step: Step, now: datetime) -> None:
        run_id = self.store.begin_run(now=now, started_at=now)
        read: dict[str, list[Credential]] = {}
        statuses: dict[str, str] = {}
        for source, reading in sorted(step.readings.items()):
            before = dict(self.model.credentials())
            coverage, listed = write(self.store, run_id, source, reading, now, step.accept_drop)
            scope = self.model.scopes.setdefault(source, Scope())
            statuses[source] = expected = scope.read(reading, listed, step.accept_drop)
            assert (coverage.reason or coverage.status) == _told(expected, reading)
            assert coverage.credentials == (0 if expected == "failed" else len(listed))
            if expected != "failed":
                for name, credential in listed.items():
                    read.setdefault(name, []).append(credential)
            for name, credential in before.items():
                if name not in self.model.credentials():
                    self.gone[name] = credential
        self.states[run_id] = self.model.credentials()
        if step.judged:
            self.judge(run_id, frozenset(step.readings), read, now)

    def judge(
        self,
        run_id: int,
        selected: frozenset[str],
        read: dict[str, list[Credential]],
        now: datetime,
    ) -> None:
        model = self.model
        expected_read = {
            name: max(some, key=lambda one: one.data_as_of) for name, some in read.items()
        }
        with self.store.judging(run_id, selected=selected, configured=frozenset(SOURCES)) as book:
            judgeable = list(book.judgeable())
            assert {one.name: one for one, _prior in judgeable} == expected_read
            assert [one.uid for one, _prior in judgeable] == sorted(
                one.uid for one in expected_read.values()
            )
            recorded: list[FindingState] = []
            for credential, prior in judgeable:
                known = model.findings.get(credential.name)
                assert [_timeless(one) for one in prior] == [_timeless(known)] * bool(known)
                state = found(credential, prior, now)
                if state is not None:
                    recorded.append(state)
            book.record(recorded)
            remaining = list(book.remaining())
            for state, absence, credential in remaining:
                assert absence == self.absence(credential.name, selected)
                recorded.append(gone(state, absence, now))
            still_open = {
                name
                for name, state in model.findings.items()
                if state.status == FindingStatus.OPEN and name not in expected_read
            }
            assert {credential.name for _s, _a, credential in remaining} == still_open
            book.record(recorded)
        names = {one.uid: one.name for one in expected_read.values()}
        names |= {one.uid: one.name for _s, _a, one in remaining}
        for state in recorded:
            model.findings[names[state.credential_uid]] = state
        changed = {names[state.credential_uid] for state in recorded}
        everything = {**self.gone, **model.credentials()}
        self.judged[run_id] = [
            (
                state if name in changed else _replace(state, change=Change.UNCHANGED),
                everything[name],
            )
            for name, state in sorted(model.findings.items())
            if state.status == FindingStatus.OPEN or name in changed
        ]

    def absence(self, name: str, selected: frozenset[str]) -> Absence:
        holders = [s for s, scope in self.model.scopes.items() if name in scope.present]
        if not holders:
            return Absence.REMOVED
        return Absence.UNREAD if selected & set(holders) else Absence.NOT_SELECTED

    def check(self) -> None:
        for run_id, state in self.states.items():
            assert list(self.store.credentials(run_id)) == list(state.values())
        for run_id, expected in self.judged.items():
            assert list(self.store.findings_at(run_id)) == expected
        for source, scope in self.model.scopes.items():
            if scope.complete is not None:
                assert len(list(self.store.previous(source, "org-1"))) == scope.complete


def _timeless(state: FindingState | None) -> Any:
    return None if state is None else _replace(state, change=Change.UNCHANGED)


def _told(expected: str, reading: Reading) -> str:
    if expected == "partial":
        return "repeated_cursor" if reading.ending == "gap" else "unavailable"
    return "unavailable" if expected == "failed" else expected


def _empty(database: Database) -> None:
    with database.write() as connection:
        for table in tables.Table.metadata.sorted_tables:
            connection.execute(table.delete())


@pytest.fixture
def keyframes_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.store.writer.KEYFRAME_EVERY", 3)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=histories)
def test_any_past_run_reads_back_as_a_plain_model_says(
    store: Store, keyframes_often: None, history: list[Step]
) -> None:
    _empty(store._database)
    world = World(store)
    for number, step in enumerate(history):
        world.step(step, NOW + timedelta(days=number))
    world.check()
