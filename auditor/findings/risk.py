"""Risk: 0 to 100 for the order of work, with the reasons in plain words.

The severity of the finding gives a band, the facts of the credential a place in it: every fact
that makes it more dangerous adds points from `WEIGHTS`, and the share of all points that could
be reached is the share of the band. So a bad *medium* outranks a harmless *high*, nothing
saturates, and more privilege, a longer dormancy or an older secret never lowers the risk.

Ages and dormancy count in steps, so that a risk changes a few times a year, not every day.
`docs/risk.md` explains the table.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from auditor import wording
from auditor.model import (
    Credential,
    ExpiresState,
    LastUsedState,
    Privilege,
    Risk,
    Severity,
    Status,
)

Steps = tuple[tuple[int, int], ...]
"""(days, points), descending: the first step that is reached counts."""


class Weights(Struct, frozen=True, kw_only=True):
    """The table behind every risk: bands are scores, everything else is points."""

    bands: Mapping[Severity, tuple[int, int]]
    bare_band: tuple[int, int]
    """For a credential without an open finding."""
    privilege: Mapping[Privilege, int]
    root: int
    types: Mapping[str, int]
    other_type: int
    unrestricted: int
    idle_days: Steps
    use_unknown: int
    age_days: Steps
    age_unknown: int
    expires: Mapping[ExpiresState, int]
    owner_gone: int
    owner_missing: int
    production: int
    usable: int
    """It can be used to authenticate right now."""
    categories: Mapping[str, int]
    other_category: int

    @property
    def most(self) -> int:
        """The points of the worst credential there can be."""
        return (
            max(self.privilege.values())
            + self.root
            + max(*self.types.values(), self.other_type)
            + self.unrestricted
            + max(self.idle_days[0][1], self.use_unknown)
            + max(self.age_days[0][1], self.age_unknown)
            + max(self.expires.values())
            + max(self.owner_gone, self.owner_missing)
            + self.production
            + self.usable
            + max(*self.categories.values(), self.other_category)
        )


WEIGHTS = Weights(
    bands={
        Severity.INFORMATIONAL: (0, 30),
        Severity.LOW: (10, 50),
        Severity.MEDIUM: (25, 75),
        Severity.HIGH: (45, 95),
        Severity.CRITICAL: (65, 100),
    },
    bare_band=(0, 25),
    privilege={
        Privilege.NONE: 0,
        Privilege.READ: 4,
        Privilege.UNKNOWN: 8,
        Privilege.WRITE: 12,
        Privilege.ADMIN: 24,
    },
    root=12,
    types={"Client Certificate": 1, "OAuth Token": 2, "Personal Access Token": 5},
    other_type=4,
    unrestricted=2,
    idle_days=((365, 12), (180, 10), (90, 8), (45, 5), (30, 3)),
    use_unknown=4,
    age_days=((1825, 12), (730, 10), (365, 8), (180, 5), (90, 3)),
    age_unknown=3,
    expires={
        ExpiresState.AT: 0,
        ExpiresState.SLIDING: 1,
        ExpiresState.UNKNOWN: 2,
        ExpiresState.UNSUPPORTED: 4,
        ExpiresState.NEVER: 5,
    },
    owner_gone=9,
    owner_missing=5,
    production=7,
    usable=10,
    categories={"expiry": 0, "visibility": 0},
    other_category=4,
)

MORE_FINDINGS = 2
"""Score added to a credential's risk for each further open finding …"""
MORE_FINDINGS_AT_MOST = 6
"""… up to this."""
SAID_FROM = 3
"""Fewer points move the score without being named among the reasons."""

PRODUCTION_TAGS = frozenset({"env", "environment", "stage", "tier"})
PRODUCTION_VALUES = frozenset({"prod", "production", "prd", "live"})
GONE = frozenset(
    {
        "blocked",
        "deactivated",
        "deleted",
        "departed",
        "deprovisioned",
        "disabled",
        "inactive",
        "suspended",
    }
)
"""What providers call a principal that is not there any more, in lower case."""

_MOST = WEIGHTS.most
_SEVERITY_WORDS = {severity: f"{severity} severity" for severity in Severity}
_PRIVILEGE_WORDS = {privilege: f"it has {privilege} rights" for privilege in Privilege} | {
    Privilege.UNKNOWN: "its permissions are unknown"
}
_ZERO = timedelta(0)
# Named here, because to look a member up in its class costs more than to compare it.
_USED, _NEVER, _NOT_IN_WINDOW = (
    LastUsedState.USED,
    LastUsedState.NEVER,
    LastUsedState.NOT_IN_WINDOW,
)
_IDLE, _AGE = "{idle}", "{age}"
_NOT_USABLE = frozenset({Status.INACTIVE, Status.EXPIRED, Status.REVOKED})

_WEIGHTS_AT_MOST = 4_096

Fact = tuple[int, str]
"""Points, and the fact in plain words."""
_Steps = tuple[tuple[int, ...], tuple[int, ...]]
"""Days, ascending, and the points below the first, from the first on, …"""


def _ascending(steps: Steps) -> _Steps:
    days, points = zip(*reversed(steps), strict=True)
    return days, (0, *points)


_IDLE_STEPS, _AGE_STEPS = _ascending(WEIGHTS.idle_days), _ascending(WEIGHTS.age_days)


def assess(credential: Credential, severity: Severity, category: str, now: datetime) -> Risk:
    """Return the risk of one finding: a violation of *severity* in a policy of *category*."""
    return Risk(score(credential, severity, category, now), reasons(credential, severity, now))


def score(credential: Credential, severity: Severity, category: str, now: datetime) -> int:
    """Return the score of that risk."""
    points = WEIGHTS.categories.get(category, WEIGHTS.other_category)
    return _place(WEIGHTS.bands[severity], _newest.of(credential, now).points + points)


def reasons(credential: Credential, severity: Severity, now: datetime) -> tuple[str, ...]:
    """Return the reasons of that risk."""
    return (_SEVERITY_WORDS[severity], *_newest.of(credential, now).reasons)


def credential_risk(credential: Credential, risks: Sequence[Risk], now: datetime) -> Risk:
    """Return the risk of a credential from the *risks* of its open findings.

    The worst finding counts, and each further one a little. Without a finding the facts alone
    place it in a low band, so that an inventory can still be ordered.
    """
    if not risks:
        bare = _newest.of(credential, now)
        return Risk(_place(WEIGHTS.bare_band, bare.points), bare.reasons)
    worst = max(risks, key=lambda risk: risk.score)
    more = len(risks) - 1
    if not more:
        return worst
    score = worst.score + min(MORE_FINDINGS * more, MORE_FINDINGS_AT_MOST)
    return Risk(min(score, 100), (*worst.reasons, wording.count(more, "further open finding")))


def dormancy(credential: Credential) -> timedelta | None:
    """Return how long it has been idle at least, up to ``data_as_of``; None where unknown."""
    state = credential.last_used_state
    if state == _USED:
        since = credential.last_used_at
    elif state == _NEVER:
        since = credential.created_at
    elif state == _NOT_IN_WINDOW:
        since = credential.last_used_window_start
    else:
        return None
    return None if since is None else _length(since, credential.data_as_of)


def secret_age(credential: Credential) -> timedelta | None:
    """Return how old the secret is when observed; None where unknown."""
    since = credential.rotated_at or credential.created_at
    return None if since is None else _length(since, credential.observed_at)


def _length(since: datetime, until: datetime) -> timedelta:
    return until - since if until > since else _ZERO


def is_usable(credential: Credential, now: datetime) -> bool:
    """Whether it can authenticate, or may: an unknown status counts as usable."""
    has_ended = credential.expires_at is not None and credential.expires_at <= now
    return not has_ended and credential.status not in _NOT_USABLE


def is_owner_gone(credential: Credential) -> bool:
    """Whether the principal is deleted, suspended or the like, or the owner has left."""
    return _is_gone(credential.principal.status) or _is_gone(credential.owner_status)


def is_production(credential: Credential) -> bool:
    """Whether its tags say production; tag names and values compare without case."""
    return bool(credential.tags) and any(
        name.lower() in PRODUCTION_TAGS and value.lower() in PRODUCTION_VALUES
        for name, value in credential.tags.items()
    )


class _Tally:
    """What the facts of a credential come to, whichever policy asks."""

    def __init__(self, credential: Credential, now: datetime) -> None:
        self.credential = credential
        self.now = now
        self._idle, self._age = dormancy(credential), secret_age(credential)
        self._weight = _weigh(credential, self._idle, self._age, now)
        self.points = self._weight.points
        self._reasons: tuple[str, ...] | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        if self._reasons is None:  # a cached property would take a lock
            self._reasons = tuple([self._words(said) for said in self._weight.said])
        return self._reasons

    def _words(self, said: str) -> str:
        if said is _IDLE:
            return self._idle_words()
        return self._age_words() if said is _AGE else said

    def _idle_words(self) -> str:
        if self._idle is None:
            return "nobody can tell whether it is used"
        length = wording.duration(self._idle)
        if self.credential.last_used_state == _NEVER:
            return f"no use was recorded in the {length} since it was created"
        least = "at least " if self.credential.last_used_state == _NOT_IN_WINDOW else ""
        return f"it was not used for {least}{length}"

    def _age_words(self) -> str:
        if self._age is None:
            return "its age is unknown"
        return f"its secret is {wording.duration(self._age)} old"


class _Newest:
    """Keeps the credential asked for last: each of its findings asks, and more than once."""

    def __init__(self) -> None:
        self._known: _Tally | None = None

    def of(self, credential: Credential, now: datetime) -> _Tally:
        known = self._known
        if known is None or known.credential is not credential or known.now != now:
            known = self._known = _Tally(credential, now)
        return known


_newest = _Newest()


class _Weight(Struct, frozen=True):
    """What one combination of facts comes to."""

    points: int
    said: tuple[str, ...]
    """The facts worth naming, strongest first; `_IDLE` and `_AGE` stand for those lengths."""


_weights: dict[tuple[Any, ...], _Weight] = {}
"""By everything that the weight rests on; few combinations differ among many credentials."""


def _weigh(
    credential: Credential, idle: timedelta | None, age: timedelta | None, now: datetime
) -> _Weight:
    idle_points = WEIGHTS.use_unknown if idle is None else _step(_IDLE_STEPS, idle)
    age_points = WEIGHTS.age_unknown if age is None else _step(_AGE_STEPS, age)
    key = (
        credential.privilege,
        credential.principal.is_root,
        credential.type,
        not credential.restrictions,
        idle_points,
        age_points,
        credential.expires_state,
        credential.principal.status,
        credential.owner_status,
        not credential.owner,
        is_production(credential),
        is_usable(credential, now),
        credential.status,
    )
    weight = _weights.get(key)
    if weight is None:
        if len(_weights) >= _WEIGHTS_AT_MOST:
            _weights.clear()
        facts = list(_facts(credential, idle_points, age_points, now))
        said = _said(facts)
        if not is_usable(credential, now):
            status = credential.status if credential.status in _NOT_USABLE else Status.EXPIRED
            said.append(f"it cannot be used now: {status}")
        weight = _weights[key] = _Weight(sum(points for points, _ in facts), tuple(said))
    return weight


def _facts(
    credential: Credential, idle_points: int, age_points: int, now: datetime
) -> Iterator[Fact]:
    privilege = credential.privilege
    yield WEIGHTS.privilege[privilege], _PRIVILEGE_WORDS[privilege]
    if credential.principal.is_root:
        yield WEIGHTS.root, "it acts as the root of the organization"
    points = WEIGHTS.types.get(credential.type, WEIGHTS.other_type)
    yield (points, "it is bound to a person") if points > WEIGHTS.other_type else (points, "")
    if not credential.restrictions:
        yield WEIGHTS.unrestricted, "nothing restricts where it works"
    yield idle_points, _IDLE
    yield age_points, _AGE
    if credential.expires_state is ExpiresState.NEVER:
        yield WEIGHTS.expires[ExpiresState.NEVER], "it never expires"
    else:
        word = "it cannot expire" if credential.expires_state is ExpiresState.UNSUPPORTED else ""
        yield WEIGHTS.expires[credential.expires_state], word
    if is_owner_gone(credential):
        gone = credential.principal.status
        yield WEIGHTS.owner_gone, f"its principal is {gone}" if _is_gone(gone) else "its owner left"
    elif not credential.owner:
        yield WEIGHTS.owner_missing, "nobody owns it"
    if is_production(credential):
        yield WEIGHTS.production, "it is tagged as production"
    if is_usable(credential, now):
        yield WEIGHTS.usable, ""


def _is_gone(status: str | None) -> bool:
    return status is not None and status.lower() in GONE


def _step(steps: _Steps, length: timedelta) -> int:
    from_days, points = steps
    return points[bisect_right(from_days, length.days)]


def _place(band: tuple[int, int], points: int) -> int:
    low, high = band
    return low + (high - low) * points // _MOST


def _said(facts: Sequence[Fact]) -> list[str]:
    said = [fact for fact in facts if fact[1] and fact[0] >= SAID_FROM]
    return [words for _, words in sorted(said, key=lambda fact: -fact[0])]
