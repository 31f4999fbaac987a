"""Exceptions: dated, reasoned, approved decisions not to act, kept in a file reviewed in git.

    exceptions:
      - match: {policy: dormant-credential, principal: break-glass}
        reason: used once a year, in the recovery exercise
        approver: ciso@example.com
        created: 2026-01-10
        expires: 2026-12-31
        ticket: SEC-1284

An exception holds from the day it was created through the day it expires, in UTC. It takes no
finding out of a report: a suppressed finding stays visible and counted.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

from auditor.model import Credential, ExceptionNote
from auditor.policy.match import PolicyMatch
from auditor.yamlfile import Document, load


def _day(value: Any) -> Any:
    """Refuse what is not a plain day: a number would count as an epoch."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("must be a day like 2026-12-31") from None


Day = Annotated[date, BeforeValidator(_day)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class PolicyException(BaseModel):
    """One decision not to act on what `match` covers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: PolicyMatch
    reason: Text
    approver: Text
    created: Day
    expires: Day
    ticket: Text | None = None

    @cached_property
    def note(self) -> ExceptionNote:
        """What reports say about it."""
        return ExceptionNote(
            reason=self.reason,
            approver=self.approver,
            expires=self.expires.isoformat(),
            ticket=self.ticket,
        )

    def is_in_force(self, now: datetime) -> bool:
        """Whether it holds at *now*."""
        return self.created <= now.astimezone(UTC).date() <= self.expires

    def covers(self, policy_id: str, credential: Credential) -> bool:
        """Whether it is about this violation, in force or not."""
        return self.match.matches_policy(policy_id) and self.match.matches(credential)


class ExceptionFile(BaseModel):
    """The file as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exceptions: Annotated[
        tuple[PolicyException, ...], BeforeValidator(lambda value: () if value is None else value)
    ] = ()


class PolicyExceptions:
    """All exceptions of a file, in its order."""

    def __init__(self, entries: Sequence[PolicyException] = (), places: Sequence[str] = ()) -> None:
        self.entries = tuple(entries)
        self.places = tuple(places) or tuple(f"#{n + 1}" for n in range(len(self.entries)))
        """``file:line`` of each entry."""
        self._shelf = _Shelf(self.entries)

    @classmethod
    def load(cls, path: Path, *, max_days: int | None = None) -> "PolicyExceptions":
        """Read and check the file; raises `ConfigError` with file, line and column.

        *max_days* is the longest an exception may last, from the day it was created.
        """
        return cls.read(load(path), max_days=max_days)

    @classmethod
    def read(cls, document: Document, *, max_days: int | None = None) -> "PolicyExceptions":
        """Check a file that was parsed already; like `load`."""
        is_empty = document.data is None
        entries = () if is_empty else document.validate(ExceptionFile).exceptions
        for index, entry in enumerate(entries):
            _check(document, index, entry, max_days)
        places = (
            f"{document.name}:{document.locate(('exceptions', index))[0]}"
            for index in range(len(entries))
        )
        return cls(entries, tuple(places))

    def exception_for(
        self, policy_id: str, credential: Credential, now: datetime
    ) -> ExceptionNote | None:
        """Return the exception under which a violation is suppressed at *now*, if any.

        Of several the one that lasts longest counts, then the first in the file.
        """
        if not self.entries:
            return None
        held = [
            self.entries[index]
            for index in self._shelf.candidates(credential)
            if self.entries[index].is_in_force(now)
            and self.entries[index].covers(policy_id, credential)
        ]
        return max(held, key=lambda one: one.expires).note if held else None

    def covering(self, policy_id: str, credential: Credential) -> list[int]:
        """Return the positions of all entries about a violation, in force or not."""
        return [
            index
            for index in self._shelf.candidates(credential)
            if self.entries[index].covers(policy_id, credential)
        ]


def has_lapsed(note: ExceptionNote, now: datetime) -> bool:
    """Whether the day until which an exception held is over."""
    return now.astimezone(UTC).date() > date.fromisoformat(note.expires)


def _check(document: Document, index: int, entry: PolicyException, max_days: int | None) -> None:
    place = ("exceptions", index)
    if entry.match.is_empty and entry.match.policy is None:
        raise document.fail(
            (*place, "match"),
            "`match` would cover every finding; name a policy, a principal or a uid",
        )
    if entry.expires < entry.created:
        raise document.fail((*place, "expires"), f"`expires` is before `created` ({entry.created})")
    if max_days is not None and (entry.expires - entry.created).days > max_days:
        latest = entry.created + timedelta(days=max_days)
        raise document.fail(
            (*place, "expires"),
            f"lasts longer than {max_days} days (exceptions.max_days); {latest} is the last day",
        )


class _Shelf:
    """Entries by the uid they name, because a file may hold thousands of those."""

    def __init__(self, entries: Sequence[PolicyException]) -> None:
        self._named: dict[str, list[int]] = {}
        self._others: list[int] = []
        for index, entry in enumerate(entries):
            uid = entry.match.uid
            if isinstance(uid, str) and not any(wild in uid for wild in "*?\\"):
                self._named.setdefault(uid, []).append(index)
            else:
                self._others.append(index)

    def candidates(self, credential: Credential) -> list[int]:
        """Return, in file order, the entries that may be about *credential*."""
        named = self._named.get(credential.uid)
        return sorted([*named, *self._others]) if named else self._others
