"""What is wrong with exceptions themselves: unused, overlapping, over-broad, misspelt, lapsed."""

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum

from msgspec import Struct

from auditor import wording
from auditor.findings.exceptions import PolicyException, PolicyExceptions
from auditor.findings.view import EndingException
from auditor.model import Credential
from auditor.policy.match import Patterns, compile_glob

SOON = timedelta(days=14)
"""How long before its last day an exception is announced as ending, unless configured."""
LATELY = timedelta(days=92)
"""How long an exception that ended is remembered for those who are told once a month."""
BROAD_SHARE = 0.25
BROAD_FROM = 20
"""An exception is over-broad where it covers that share of at least so many violations."""


class Fault(StrEnum):
    """What is wrong with an exception."""

    EXPIRED = "expired"
    ENDING = "ending"
    NOT_YET = "not_yet"
    UNUSED = "unused"
    OVERLAPPING = "overlapping"
    OVER_BROAD = "over_broad"
    UNKNOWN_POLICY = "unknown_policy"


class Remark(Struct, frozen=True, kw_only=True):
    """One thing to do about one entry of the file."""

    fault: Fault
    place: str
    """``file:line`` of the entry."""
    message: str


class Usage:
    """Which entries cover which violations; counts while violations stream by."""

    def __init__(self, exceptions: PolicyExceptions, now: datetime) -> None:
        self.exceptions = exceptions
        self.now = now
        self.violations = 0
        self.covered: Counter[int] = Counter()
        """Position in the file → violations covered."""
        self.shared: Counter[tuple[int, int]] = Counter()
        """Two positions, both in force → violations covered by both."""

    def add(self, policy_id: str, credential: Credential) -> None:
        """Count a violation, open or suppressed."""
        self.violations += 1
        found = self.exceptions.covering(policy_id, credential)
        self.covered.update(found)
        entries = self.exceptions.entries
        holding = [index for index in found if entries[index].is_in_force(self.now)]
        for position, one in enumerate(holding):
            self.shared.update((one, other) for other in holding[position + 1 :])


def check(
    exceptions: PolicyExceptions,
    now: datetime,
    usage: Usage | None = None,
    notice: timedelta = SOON,
    policies: Collection[str] | None = None,
) -> list[Remark]:
    """Return what is wrong, in file order; without *usage* only what the file alone shows.

    *notice* is how long before its last day an exception counts as ending; *policies* are the ids
    of all policies, active or not.
    """
    strangers = () if policies is None else _strangers(exceptions, policies)
    remarks = [
        (index, Remark(fault=fault, place=exceptions.places[index], message=message))
        for index, entry in enumerate(exceptions.entries)
        for fault, message in _alone(entry, now, notice)
    ]
    found = _by_usage(usage) if usage is not None else _by_text(exceptions, now)
    remarks += [
        (index, Remark(fault=fault, place=exceptions.places[index], message=message))
        for index, fault, message in (*strangers, *found)
    ]
    return [remark for _, remark in sorted(remarks, key=lambda item: item[0])]


def unknown_policies(
    exceptions: PolicyExceptions, policies: Collection[str], now: datetime
) -> list[Remark]:
    """Return which entries in force name a policy that none of *policies* is, by id."""
    return [
        Remark(fault=fault, place=exceptions.places[index], message=message)
        for index, fault, message in _strangers(exceptions, policies)
        if exceptions.entries[index].is_in_force(now)
    ]


def ending(
    exceptions: PolicyExceptions, now: datetime, within: timedelta = SOON
) -> list[PolicyException]:
    """Return the exceptions in force whose last day is near, the nearest first."""
    last = (now.astimezone(UTC) + within).date()
    found = [one for one in exceptions.entries if one.is_in_force(now) and one.expires <= last]
    return sorted(found, key=lambda one: one.expires)


def announced(
    exceptions: PolicyExceptions, now: datetime, within: timedelta = SOON
) -> tuple[EndingException, ...]:
    """Return the same as reports and mails say it."""
    return tuple(map(_announcement, ending(exceptions, now, within)))


def lapsed(exceptions: PolicyExceptions, now: datetime) -> tuple[EndingException, ...]:
    """Return the exceptions that ended lately, the latest first, as mails say it."""
    today = now.astimezone(UTC).date()
    found = [one for one in exceptions.entries if today - LATELY <= one.expires < today]
    return tuple(map(_announcement, sorted(found, key=lambda one: one.expires, reverse=True)))


def _announcement(entry: PolicyException) -> EndingException:
    return EndingException(covers=_in_words(entry), note=entry.note)


def _in_words(entry: PolicyException) -> str:
    patterns = entry.match.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return ", ".join(f"{name} {wording.fact(value)}" for name, value in patterns.items())


def _alone(entry: PolicyException, now: datetime, notice: timedelta) -> Iterator[tuple[Fault, str]]:
    today = now.astimezone(UTC).date()
    if entry.expires < today:
        ago = wording.count((today - entry.expires).days, "day")
        yield (
            Fault.EXPIRED,
            f"expired {ago} ago; what it covered is open again. Mend it, or take the entry out",
        )
    elif entry.expires <= today + notice:
        left = (entry.expires - today).days
        when = "today" if not left else f"in {wording.count(left, 'day')}"
        yield Fault.ENDING, f"ends {when}; mend what it covers, or have it approved again"
    if entry.created > today:
        yield Fault.NOT_YET, f"holds only from {entry.created} on"
    if _is_broad(entry):
        yield (
            Fault.OVER_BROAD,
            "names neither one policy nor whom it is about; name a policy, a principal or a uid",
        )


def _is_broad(entry: PolicyException) -> bool:
    match = entry.match
    names_policy = _names(match.policy)
    names_subject = any(_names(one) for one in (match.uid, match.principal, match.name))
    names_tag = any(_names(value) for value in (match.tags or {}).values())
    return not (names_policy or names_subject or names_tag)


def _names(patterns: Patterns | None) -> bool:
    """Whether every pattern says more than "any"."""
    if patterns is None:
        return False
    several = (patterns,) if isinstance(patterns, str) else patterns
    return all(one.strip("*?") for one in several)


def _strangers(
    exceptions: PolicyExceptions, policies: Collection[str]
) -> Iterator[tuple[int, Fault, str]]:
    for index, entry in enumerate(exceptions.entries):
        named = entry.match.policy or ()
        for pattern in (named,) if isinstance(named, str) else named:
            covers = compile_glob(pattern)
            if not any(map(covers, policies)):
                close = get_close_matches(pattern, policies, n=1)
                hint = f"did you mean {close[0]!r}?" if close else "correct it, or take it out"
                yield index, Fault.UNKNOWN_POLICY, f"no policy is called {pattern!r}; {hint}"


def _by_usage(usage: Usage) -> Iterator[tuple[int, Fault, str]]:
    for index, entry in enumerate(usage.exceptions.entries):
        covered = usage.covered[index]
        if not covered and entry.is_in_force(usage.now):
            yield index, Fault.UNUSED, "covers no violation of the run; take it out"
        if usage.violations >= BROAD_FROM and covered > usage.violations * BROAD_SHARE:
            share = f"{covered:,} of {wording.count(usage.violations, 'violation')}"
            if not _is_broad(entry):
                yield index, Fault.OVER_BROAD, f"covers {share}; narrow it"
    for (one, other), count in sorted(usage.shared.items()):
        place = usage.exceptions.places[one]
        both = wording.count(count, "violation")
        yield other, Fault.OVERLAPPING, f"covers {both} that {place} covers too; keep one of them"


def _by_text(exceptions: PolicyExceptions, now: datetime) -> Iterator[tuple[int, Fault, str]]:
    seen: dict[str, int] = {}
    for index, entry in enumerate(exceptions.entries):
        if not entry.is_in_force(now):
            continue
        first = seen.setdefault(entry.match.model_dump_json(), index)
        if first != index:
            place = exceptions.places[first]
            yield index, Fault.OVERLAPPING, f"matches the same as {place}; keep one of them"
