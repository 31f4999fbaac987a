"""What a reading notes on the way: parts it could not read, values it could not use.

Nothing here trusts a record: a value is taken when it has the documented type, and a text goes
through redaction, for people paste secrets into names and descriptions.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from auditor.collectors.interface import Gap, Item, Note
from auditor.errors import SourceError
from auditor.log import redact
from auditor.model import Credential, ExpiresState, Organization, Privilege
from auditor.policy.privilege import classify
from auditor.times import parse_instant

_GAPS_SHOWN = 5
_LONGEST_ID = 255
_CLOCKS_APART = timedelta(days=1)
"""A run may last for hours and clocks differ; beyond this a past fact in the future is wrong."""
_FAR_YEAR = re.compile(r"(?:2[2-9]|[3-9]\d)\d\d-")
"""From 2200 on, a year is a provider's or a person's way to write *never*."""


class Notebook:
    """Gaps, notes and data problems of one organization; memory does not grow with its size."""

    def __init__(self, organization: Organization, now: datetime) -> None:
        self.organization = organization
        self.now = now
        self._problems: Counter[str] = Counter()
        self._gaps: list[Gap] = []
        self._gaps_left_out = 0
        self._notes: dict[str, None] = {}

    def missing(self, reason: str, message: str) -> None:
        """Note a part that is not read; of very many only the first are kept, the rest counted."""
        if len(self._gaps) < _GAPS_SHOWN:
            self._gaps.append(Gap(reason, message, self.organization))
        else:
            self._gaps_left_out += 1

    def failed(self, error: SourceError, what: str = "") -> None:
        """Note a part that could not be read; *what* names it, the error says why."""
        self.missing(error.kind, f"{what}: {error}" if what else str(error))

    def malformed(self, what: str) -> None:
        """Note a record that cannot be told apart from others."""
        self.missing(
            "malformed_record",
            f"{what} has no usable id and was left out; report it to the provider",
        )

    @property
    def first_gap(self) -> Gap | None:
        """The first part that was not read; None where there is none."""
        return self._gaps[0] if self._gaps else None

    def note(self, text: str) -> None:
        """Note what a reader must know, once."""
        self._notes[text] = None

    def instant(self, record: Mapping[str, Any], key: str) -> datetime | None:
        """Return the past instant under *key*; None where there is none that can be used."""
        found = self._parsed(record, key)
        if found is not None and found > self.now + _CLOCKS_APART:
            self._problems[f"{key} lies in the future"] += 1
            return None
        return found

    def expiry(self, record: Mapping[str, Any], key: str) -> tuple[ExpiresState, datetime | None]:
        """Return how *record* ends: null means never, an absent key that nobody knows."""
        if key not in record:
            return ExpiresState.UNKNOWN, None
        value = record[key]
        if value is None or (isinstance(value, str) and _FAR_YEAR.match(value)):
            return ExpiresState.NEVER, None
        found = self._parsed(record, key)
        return (ExpiresState.UNKNOWN, None) if found is None else (ExpiresState.AT, found)

    def conclusions(self) -> Iterator[Item]:
        """Yield everything noted."""
        yield from self._gaps
        if self._gaps_left_out:
            text = f"{self._gaps_left_out} more parts could not be read either"
            yield Gap("incomplete", text, self.organization)
        for text in self._notes:
            yield Note(text, self.organization)
        for problem, count in sorted(self._problems.items()):
            text = f"{problem} in {count} records; the value is unknown there."
            yield Note(text, self.organization)

    def _parsed(self, record: Mapping[str, Any], key: str) -> datetime | None:
        value = record.get(key)
        if value is None:
            return None
        try:
            return parse_instant(value)
        except ValueError as error:
            self._problems[f"{key} {error}"] += 1
            return None


def identifier(record: Any, key: str = "id") -> str | None:
    """Return the id under *key*, a text or a whole number; None where there is no usable one."""
    found = record.get(key) if isinstance(record, dict) else None
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_ID or found in (".", ".."):
        return None
    return found


def text(record: Any, key: str) -> str | None:
    """Return a text without anything shaped like a secret; None where there is none."""
    value = record.get(key) if isinstance(record, dict) else None
    return redact(value) if isinstance(value, str) and value else None


def texts(record: Any, key: str) -> list[str] | None:
    """Return a list of texts; None where there is no list."""
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, list):
        return None
    return [redact(one) for one in value if isinstance(one, str) and one]


def child(record: Any, key: str) -> dict[str, Any]:
    """Return the object under *key*; an empty one where there is none."""
    value = record.get(key) if isinstance(record, dict) else None
    return value if isinstance(value, dict) else {}


def allowed(record: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the plain values of *record* whose names are in *fields*."""
    kept = {key: record[key] for key in fields if key in record}
    return {
        key: redact(value) if isinstance(value, str) else value
        for key, value in kept.items()
        if value is None or isinstance(value, str | int | float)
    }


def settled(credential: Credential, *, is_whole: bool) -> Credential:
    """Return *credential* with permissions that later facts cannot overturn.

    Permissions of which a part could not be read show a lower bound: they stay where they reach
    administration already, and are unknown otherwise.
    """
    if is_whole or credential.permissions is None:
        return credential
    if classify(credential).privilege is Privilege.ADMIN:
        return credential
    return msgspec.structs.replace(credential, permissions=None)
