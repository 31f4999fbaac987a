"""A whole small history: credentials, sources and a memory as the store keeps it, day by day.

`World` drives the real functions. `Model` says what ought to be alive, by sets alone and without
looking at any `FindingState`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import cache
from typing import Any

from msgspec.structs import replace

from auditor.findings.case import Case
from auditor.findings.news import is_news
from auditor.findings.reconcile import absent, reconcile
from auditor.findings.supersession import PoliciesInForce
from auditor.model import (
    Absence,
    Change,
    Credential,
    ExceptionNote,
    FindingState,
    FindingStatus,
    Outcome,
    Resolution,
    Severity,
    Verdict,
)
from tests.findings.world import Terms

LOW, MIDDLE, TOP, OTHER = "low", "middle", "top", "other"
CATALOGUE = {
    LOW: Terms(LOW),
    MIDDLE: Terms(MIDDLE, supersedes=(LOW,)),
    TOP: Terms(TOP, supersedes=(MIDDLE,)),
    OTHER: Terms(OTHER, category="stale"),
}
ABOVE = {LOW: {MIDDLE, TOP}, MIDDLE: {TOP}, TOP: set[str](), OTHER: set[str]()}
FAMILIES = ({LOW, MIDDLE, TOP}, {OTHER})
KEYS = ("a", "b")
DAY = timedelta(days=1)


class Reading(Enum):
    """How a source's collection ended."""

    COMPLETE = auto()
    PARTIAL = auto()
    FAILED = auto()
    NOT_SELECTED = auto()


@dataclass
class Model:
    """What ought to be remembered of one credential, as plain sets and numbers of days."""

    open: set[str] = field(default_factory=set)
    suppressed: dict[str, int] = field(default_factory=dict)
    """Policy → the last day of its exception."""
    handed: set[str] = field(default_factory=set)
    """Policies whose own finding gave way to a superior."""
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    """Policy → the day its violation was last observed, for those that have a finding."""
    stale: set[str] = field(default_factory=set)

    @property
    def live(self) -> set[str]:
        return self.open | set(self.suppressed)

    def read(
        self,
        said: Mapping[str, Outcome],
        active: Collection[str],
        exceptions: Mapping[str, int],
        day: int,
        *,
        whole: bool,
    ) -> None:
        violated = {name for name, outcome in said.items() if outcome is Outcome.VIOLATION}
        unclear = {name for name, outcome in said.items() if outcome is Outcome.NOT_EVALUABLE}
        live = self.live
        held = {name for name in live.intersection(active) if name in unclear or not whole}
        recalled = {
            name
            for name in self.handed & unclear
            if any(self.last[name] >= self.last[up] for up in ABOVE[name] & live)
        }
        standing = violated | held | recalled
        visible = {name for name in standing if not ABOVE[name] & standing}
        for name in visible:
            below = {one for one in live & standing if name in ABOVE[one]}
            above = set() if name in live else (live & ABOVE[name]) - standing
            story = [self.first[one] for one in below or above]
            self.first[name] = min([day, *story, self.first.get(name, day)])
        self.handed = (self.handed | (live & standing)) - visible
        for name in violated & (visible | self.handed):
            self.last[name] = day
        self.stale = visible - violated - unclear
        self.suppressed = {
            one: exceptions[one] for one in visible if exceptions.get(one, -1) >= day
        }
        self.open = visible - set(self.suppressed)

    def miss(self, absence: Absence, day: int) -> None:
        if absence in (Absence.REMOVED, Absence.OUT_OF_SCOPE):
            self.open, self.suppressed, self.stale = set(), {}, set()
        elif absence is Absence.UNREAD:
            self.stale = self.live
            lapsed = {name for name, until in self.suppressed.items() if until < day}
            self.open |= lapsed
            self.suppressed = {
                name: until for name, until in self.suppressed.items() if name not in lapsed
            }


@dataclass
class Source:
    """A configured source: what it may list, and what it listed last."""

    scope: frozenset[str]
    listed: set[str] = field(default_factory=set)
    is_configured: bool = True


class World:
    """The real functions, fed with one day after the other and compared with the model."""

    def __init__(self, credential: Callable[..., Credential], start: datetime) -> None:
        self.start, self.day = start, 0
        self.credentials = {key: credential(key) for key in KEYS}
        self.existing = set(KEYS)
        self.truth: dict[str, dict[str, Outcome]] = {key: {} for key in KEYS}
        self.active = set(CATALOGUE)
        self.exceptions: dict[str, dict[str, int]] = {key: {} for key in KEYS}
        self.sources = {"first": Source(frozenset(KEYS))}
        self.remembered: dict[str, dict[str, FindingState]] = {key: {} for key in KEYS}
        self.models = {key: Model() for key in KEYS}
        self.told: set[tuple[str, str]] = set()
        """(credential, first policy of a family) of the stories that people know as open."""

    @property
    def now(self) -> datetime:
        return self.start + self.day * DAY

    def run(self, readings: Mapping[str, tuple[Reading, frozenset[str]]]) -> None:
        """One run: sources end as *readings* say; a partial one listed only those keys."""
        self.day += 1
        listed: dict[str, bool] = {}
        for name, source in self.sources.items():
            reading, part = readings.get(name, (Reading.NOT_SELECTED, frozenset()))
            if not source.is_configured or reading is Reading.FAILED:
                continue
            seen = source.scope & self.existing
            if reading is Reading.COMPLETE:
                source.listed = set(seen)
                listed |= dict.fromkeys(seen, True)
            elif reading is Reading.PARTIAL:
                source.listed |= seen & part
                listed |= {key: listed.get(key, False) for key in seen & part}
        for key in KEYS:
            if key in listed:
                self._read(key, whole=listed[key])
            else:
                self._miss(key, {name: reading for name, (reading, _) in readings.items()})
            self._compare(key)

    def _read(self, key: str, *, whole: bool) -> None:
        before = self.remembered[key]
        after = self._reconciled(key, before, whole=whole)
        self._check(key, before, after, whole=whole)
        self.remembered[key] = before | after
        again = self._reconciled(key, self.remembered[key], whole=whole)
        assert again == {
            name: replace(self.remembered[key][name], change=Change.UNCHANGED) for name in again
        }
        said = {n: outcome for n, outcome in self.truth[key].items() if n in self.active}
        self.models[key].read(said, self.active, self.exceptions[key], self.day, whole=whole)

    def _reconciled(
        self, key: str, prior: Mapping[str, FindingState], *, whole: bool
    ) -> dict[str, FindingState]:
        verdicts = [
            Verdict(
                name,
                outcome,
                Severity.MEDIUM if outcome is Outcome.VIOLATION else None,
            )
            for name, outcome in self.truth[key].items()
        ]
        given = self.credentials[key], tuple(prior.values()), verdicts
        rules: dict[str, Any] = {
            "now": self.now,
            "policies": _in_force(frozenset(self.active)),
            "exceptions": self._exception_for,
            "is_whole": whole,
        }
        states = reconcile(*given, **rules)
        assert states == Case(*given, **rules).states(), "the straight paths"
        return {state.policy_id: state for state in states}

    def _exception_for(
        self, policy_id: str, credential: Credential, now: datetime
    ) -> ExceptionNote | None:
        until = self.exceptions[credential.name].get(policy_id, -1)
        if until < self.day:
            return None
        expires = (self.start + until * DAY).date().isoformat()
        return ExceptionNote(reason="agreed", approver="ciso@example.com", expires=expires)

    def _miss(self, key: str, readings: Mapping[str, Reading]) -> None:
        before = self.remembered[key]
        live = {name: state for name, state in before.items() if _is_live(state)}
        absence = self._absence(key, readings)
        if not live or absence is None:
            return
        after = {name: absent(state, absence, self.now) for name, state in live.items()}
        for name, state in after.items():
            assert absent(state, absence, self.now) in (
                state,
                replace(state, change=Change.UNCHANGED),
            )
            if absence is Absence.NOT_SELECTED:
                assert state == replace(before[name], change=Change.UNCHANGED)
        self._check(key, before, after, whole=absence is not Absence.UNREAD)
        self.remembered[key] = before | after
        self.models[key].miss(absence, self.day)

    def _absence(self, key: str, readings: Mapping[str, Reading]) -> Absence | None:
        """Say why *key* was not read, as the store does."""
        observers = {name: one for name, one in self.sources.items() if key in one.listed}
        configured = [name for name, one in observers.items() if one.is_configured]
        how = {readings.get(name, Reading.NOT_SELECTED) for name in configured}
        if how & {Reading.FAILED, Reading.PARTIAL}:
            return Absence.UNREAD
        if Reading.NOT_SELECTED in how:
            return Absence.NOT_SELECTED
        return Absence.OUT_OF_SCOPE if observers else Absence.REMOVED

    def _check(
        self,
        key: str,
        before: Mapping[str, FindingState],
        after: Mapping[str, FindingState],
        *,
        whole: bool,
    ) -> None:
        """Hold what is true of any step, whatever the model says."""
        for name, state in after.items():
            was = before.get(name)
            assert state.first_seen_at <= state.last_seen_at <= self.now
            if was is not None:
                assert state.id == was.id
                assert state.first_seen_at <= was.first_seen_at
                assert state.last_seen_at >= was.last_seen_at
            if state.change is Change.REOPENED:
                assert state.opened_at == self.now
            ended = was is not None and _is_live(was) and not _is_live(state)
            if was is not None and _is_live(was) and _is_live(state):
                assert (state.change is Change.UNCHANGED) == (state.status is was.status)
            assert (state.change is Change.RESOLVED) == ended
            assert (state.resolution is None) == _is_live(state)
            assert (state.exception is not None) == (state.status is FindingStatus.SUPPRESSED)
            if ended and not whole:
                assert state.resolution in (Resolution.SUPERSEDED, Resolution.POLICY_RETIRED)
        self._check_news(key, before, after)

    def _check_news(
        self, key: str, before: Mapping[str, FindingState], after: Mapping[str, FindingState]
    ) -> None:
        """Nobody is told of a hand-over, and no story is open without somebody having been told."""
        now = {**before, **after}
        known = {n for n, state in before.items() if state.status is FindingStatus.OPEN}
        ended = {n for n, state in after.items() if state.change is Change.RESOLVED}
        handed = {n for n in ended if after[n].resolution is Resolution.SUPERSEDED}
        for family in FAMILIES:
            story = (key, min(family))
            news = {n for n in family & after.keys() if is_news(after[n]) and _is_live(after[n])}
            for name in news:
                assert not {one for one in handed & known if name in ABOVE[one]}, "handed over"
                assert not ended & known & ABOVE[name], "handed back"
            if news:
                self.told.add(story)
            is_open = any(now[n].status is FindingStatus.OPEN for n in family & now.keys())
            assert not is_open or story in self.told, "open, and nobody was told"
            if not is_open:
                self.told.discard(story)

    def _compare(self, key: str) -> None:
        model, states = self.models[key], self.remembered[key]
        by_status = {
            status: {name for name, state in states.items() if state.status is status}
            for status in FindingStatus
        }
        assert by_status[FindingStatus.OPEN] == model.open
        assert by_status[FindingStatus.SUPPRESSED] == set(model.suppressed)
        assert {n for n, state in states.items() if state.stale_since is not None} == model.stale
        assert states.keys() == model.first.keys()
        for name, state in states.items():
            assert state.first_seen_at == self.start + model.first[name] * DAY
            assert state.last_seen_at == self.start + model.last[name] * DAY


def _is_live(state: FindingState) -> bool:
    return state.status is not FindingStatus.RESOLVED


@cache
def _in_force(active: frozenset[str]) -> PoliciesInForce:
    return PoliciesInForce([CATALOGUE[name] for name in sorted(active)], retired=CATALOGUE.values())
