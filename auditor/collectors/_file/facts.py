"""Read one foreign record field by field; what is wrong becomes a sentence, not an exception."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from auditor import times
from auditor.collectors._file import scrub
from auditor.model import PermissionMap

Choice = TypeVar("Choice", bound=StrEnum)

CLOCKS_APART = timedelta(days=1)
"""Clocks differ and exports take time; a use or a birth beyond this is a data problem."""

_DAY = timedelta(days=1)
_IDENTITIES = ("id", "uid")
_FOREIGN = re.compile("[\udc80-\udcff]")
_NO_TIME = ("0001-", "9999-")
"""How Go and several databases spell *no time*."""


def parse_instant(text: str, zone: tzinfo | None) -> tuple[datetime | None, timedelta | None]:
    """Return an aware UTC instant and its coarseness (a day for a bare date, else None).

    A time without a zone is read in *zone*, a bare date without one in UTC. None stands for the
    sentinels of *no time*. Raises ValueError with what is wrong.
    """
    text = text.strip()
    if text.startswith(_NO_TIME):
        return None, None
    if len(text) == len("2026-02-28"):
        midnight = times.parse_instant(text, "date")
        return in_utc(midnight.replace(tzinfo=None), zone or UTC), _DAY
    if zone is not None and not _has_zone(text):
        return in_utc(times.parse_instant(text + "Z").replace(tzinfo=None), zone), None
    try:
        return times.parse_instant(text), None
    except ValueError as error:
        hint = _ZONE_HINT if "zone" in str(error) else "; write 2026-02-28T17:00:00Z"
        raise ValueError(f"{error}{hint}") from None


_ZONE_HINT = "; export times with one (a Z at the end is UTC), or set `time_zone` of this source"


def _has_zone(text: str) -> bool:
    return text[-1:] in "Zz" or "+" in text or "-" in text[len("2026-02-28") :]


def in_utc(value: datetime, zone: tzinfo | None) -> datetime:
    """Return *value* in UTC, read in *zone* where it has none; raises ValueError."""
    if value.tzinfo is None:
        if zone is None:
            raise ValueError(f"has no time zone{_ZONE_HINT}")
        value = value.replace(tzinfo=zone)
    return value.astimezone(UTC)


def has_foreign_bytes(text: str) -> bool:
    """Tell whether *text* was read (with ``surrogateescape``) from bytes that are no UTF-8."""
    return not text.isascii() and _FOREIGN.search(text) is not None


class Facts:
    """The fields of one record, asked for by name."""

    def __init__(self, record: Mapping[str, Any], zone: tzinfo | None = None) -> None:
        self._record = record
        self._zone = zone
        self.problems: list[str] = []
        self.secrets = 0
        """How many values were dropped because they are shaped like secret material."""
        self.foreign = 0
        """How many texts hold bytes that are no UTF-8, which show as U+FFFD."""
        self.from_future: list[str] = []
        """Fields that claim what cannot have happened yet; their values are unknown."""
        self.coarseness: timedelta | None = None
        """How coarse the instant read last is, where its spelling tells."""

    def problem(self, field: str, what: str) -> None:
        """Remember that *field* cannot be used."""
        self.problems.append(f"{field} {what}")

    def has(self, field: str) -> bool:
        """Tell whether *field* says anything at all."""
        return self._record.get(field) not in (None, "")

    def text(self, field: str) -> str | None:
        """Return a text, None where it is absent, empty, no text or a secret."""
        value = self._record.get(field)
        if value is None or value == "":
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # exporters write numeric ids as numbers
        if not isinstance(value, str):
            self.problem(field, f"should be text, not {_noun(value)}")
            return None
        if has_foreign_bytes(value):
            self.foreign += 1
            if field in _IDENTITIES:  # two of them would look alike once mended
                self.problem(field, "holds bytes that are no UTF-8; export it as UTF-8")
                return None
        if scrub.is_secret(value):
            self.secrets += 1
            return None
        return scrub.clean_text(value)

    def instant(self, field: str) -> datetime | None:
        """Return an aware UTC instant."""
        self.coarseness = None
        value = self._record.get(field)
        if value is None or value == "":
            return None
        try:
            if isinstance(value, datetime):
                return in_utc(value, self._zone)
            if isinstance(value, str):
                found, self.coarseness = parse_instant(value, self._zone)
                return found
        except (ValueError, OverflowError) as error:
            self.problem(field, str(error))
            return None
        self.problem(
            field, f"is {_noun(value)}; write RFC 3339, or name its `format` under `columns`"
        )
        return None

    def past(self, field: str, now: datetime) -> datetime | None:
        """Return an instant that has to lie before *now*; a later one is unknown."""
        found = self.instant(field)
        if found is None or found <= now + CLOCKS_APART:
            return found
        self.from_future.append(field)
        return None

    def choice(self, field: str, kind: type[Choice]) -> Choice | None:
        """Return a member of *kind*."""
        value = self._record.get(field)
        if value is None or value == "":
            return None
        try:
            return kind(value.strip().lower())
        except (ValueError, AttributeError):
            self.problem(field, f"is none of {', '.join(kind)}")
            return None

    def flag(self, field: str) -> bool | None:
        """Return a truth value; texts as spreadsheets write them count."""
        value = self._record.get(field)
        if value is None or value == "" or isinstance(value, bool):
            return value if isinstance(value, bool) else None
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        self.problem(field, "is neither true nor false")
        return None

    def number(self, field: str) -> int | None:
        """Return a whole number that is not negative."""
        value = self._record.get(field)
        if value is None or value == "":
            return None
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
            value = int(value.strip()[:12])
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
            return value
        self.problem(field, "is no whole number")
        return None

    def span(self, field: str) -> timedelta | None:
        """Return a duration, written as in ISO 8601 (``PT15M``)."""
        value = self._record.get(field)
        if value is None or value == "":
            return None
        try:
            return msgspec.convert(value, timedelta)
        except msgspec.ValidationError:
            self.problem(field, "is no duration; write ISO 8601, such as PT15M")
            return None

    def permissions(self, field: str) -> PermissionMap | None:
        """Return a map resource → permission → granted; anything else is a problem: unknown."""
        value = self._record.get(field)
        if value is None:
            return None
        try:
            found = msgspec.convert(value, PermissionMap)
        except msgspec.ValidationError:
            self.problem(
                field,
                "must map resource types to permissions to true or false; it counts as unknown",
            )
            return None
        return {
            scrub.clean_text(resource): {
                scrub.clean_text(name): granted
                for name, granted in names.items()
                if not scrub.is_secret(name)
            }
            for resource, names in found.items()
            if not scrub.is_secret(resource)
        }

    def tags(self, field: str) -> dict[str, str]:
        """Return a flat map of texts; a number or truth value is written out."""
        value = self._record.get(field)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.problem(field, "should map names to texts")
            return {}
        found = {}
        for key, item in scrub.clean(dict(value)).items():
            if isinstance(item, dict | list):
                self.problem(field, f"holds {_noun(item)} where text is expected")
            elif item is not None:
                found[key] = item if isinstance(item, str) else str(item).lower()
        return found

    def free(self, field: str) -> dict[str, Any] | None:
        """Return a free-form map without secret material."""
        value = self._record.get(field)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.problem(field, f"should be a map, not {_noun(value)}")
            return None
        found: dict[str, Any] = scrub.clean(dict(value))
        return found

    def part(self, field: str) -> "Facts":
        """Return the facts of a nested record; a text stands for its id."""
        value = self._record.get(field)
        if isinstance(value, str | int) and not isinstance(value, bool):
            value = {"id": value}
        if value is not None and not isinstance(value, Mapping):
            self.problem(field, f"should be a map with id and name, not {_noun(value)}")
        return Facts(value if isinstance(value, Mapping) else {}, self._zone)

    def absorb(self, part: "Facts", field: str) -> None:
        """Take over what was wrong in the nested record *part*."""
        self.problems += [f"{field}.{problem}" for problem in part.problems]
        self.secrets += part.secrets
        self.foreign += part.foreign


def _noun(value: Any) -> str:
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a map" if isinstance(value, Mapping) else "a list"
