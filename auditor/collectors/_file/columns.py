"""The ``columns:`` map: which column or JSON path of a foreign export holds which fact."""

import json
from collections.abc import Mapping
from datetime import datetime, tzinfo
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from auditor import times
from auditor.collectors._file import scrub
from auditor.collectors._file.facts import in_utc

_NESTED = {
    "organization": ("id", "name"),
    "principal": ("id", "name", "type", "status", "is_root", "has_mfa"),
}
_PLAIN = (
    "id",
    "uid",
    "provider",
    "kind",
    "client_id",
    "name",
    "description",
    "type",
    "status",
    "created_at",
    "rotated_at",
    "last_used_at",
    "last_used_state",
    "last_used_window_start",
    "last_used_precision",
    "last_used_subject",
    "data_as_of",
    "expires_at",
    "expires_state",
    "permissions",
    "permissions_subject",
    "permissions_certainty",
    "unused_permissions",
    "privilege",
    "owner",
    "fingerprint",
    "key_algorithm",
    "key_bits",
    "reviewed_at",
    "url",
)
TARGETS = (*_PLAIN, *(f"{field}.{part}" for field, parts in _NESTED.items() for part in parts))
"""What a column may stand for; ``tags.<name>`` comes on top."""

FORMATS = ("rfc3339", "date", "epoch_s", "epoch_ms", "rfc2822")
INSTANTS = frozenset(target for target in _PLAIN if target.endswith(("_at", "_as_of", "_start")))
_NEVER = {"last_used_at": "last_used_state", "expires_at": "expires_state"}
_PERMISSIONS = ("permissions", "unused_permissions")


def _word(value: Any) -> str | None:
    """Return how a table would write *value*; None for lists and maps."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return None


def _texts(value: Any) -> Any:
    """Take numbers for the texts a table would hold: ``[0]`` is ``["0"]``."""
    if isinstance(value, list | tuple):
        return tuple(_word(one) if isinstance(one, bool | int | float) else one for one in value)
    return value


Texts = Annotated[
    tuple[str, ...], BeforeValidator(_texts, json_schema_input_type=list[str | int | float])
]


class Column(BaseModel):
    """Where one fact comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    column: str | None = None
    """A column of a CSV, or a dotted path in a JSON record (``owner.email``)."""
    value: str | bool | int | None = None
    """A constant for every record, instead of a column."""
    format: str = "rfc3339"
    """Times: ``rfc3339`` (or a bare date), ``epoch_s``, ``epoch_ms``, ``rfc2822``, or a pattern
    such as ``%d.%m.%Y %H:%M``."""
    empty: Texts = ("",)
    """Texts that mean: nothing is said."""
    never: Texts = ()
    """``last_used_at``, ``expires_at``: texts that mean *never*. Without it, empty is unknown."""
    map: dict[str, str] = Field(default_factory=dict)
    """Foreign words and ours, such as ``{enabled: active}``; case does not matter."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        return {"column": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _one_origin(self) -> "Column":
        if (self.column is None) == (self.value is None):
            raise ValueError("name either a `column` or a constant `value`")
        return self


def check(columns: Mapping[str, Column]) -> None:
    """Refuse a map that cannot work; raises ValueError with what to write instead."""
    for target, column in columns.items():
        is_tag = target.startswith("tags.") and len(target) > len("tags.")
        if target not in TARGETS and not is_tag:
            close = get_close_matches(target, TARGETS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"there is no field {target!r}{hint}")
        if column.never and target not in _NEVER:
            raise ValueError(f"{target!r} takes no `never`; only last_used_at and expires_at do")
        if column.format != "rfc3339" and target not in INSTANTS:
            raise ValueError(f"{target!r} is no time and takes no `format`")
        if column.format not in FORMATS and "%" not in column.format:
            raise ValueError(
                f"{target!r} has a format that is none of {', '.join(FORMATS)} "
                "nor a pattern such as %d.%m.%Y"
            )
    if columns and not columns.keys() & {"id", "uid"}:
        raise ValueError("map a column to `id` (unique in its organization) or to `uid`")


class Columns:
    """Translates foreign records into the normalized shape, for `patient` to read."""

    def __init__(self, columns: Mapping[str, Column], zone: tzinfo | None) -> None:
        self._columns = [(target, column, _path(target)) for target, column in columns.items()]
        self._zone = zone

    def missing(self, header: list[str]) -> list[str]:
        """Return the columns that are mapped but not in *header*."""
        wanted = {column.column for _, column, _ in self._columns if column.column is not None}
        return sorted(wanted - set(header))

    def ambiguous(self, header: list[str]) -> list[str]:
        """Return the columns that are mapped and stand more than once in *header*."""
        wanted = {column.column for _, column, _ in self._columns if column.column is not None}
        return sorted(name for name in wanted if header.count(name) > 1)

    def translate_row(self, row: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
        """Return a CSV row as a normalized record, and what is wrong with it."""
        return self._translate(row, _cell)

    def translate_json(self, value: Any) -> tuple[Any, list[str]]:
        """Return a JSON record as a normalized one, and what is wrong with it."""
        if not isinstance(value, Mapping):
            return value, []
        return self._translate(value, _follow)

    def _translate(self, record: Mapping[str, Any], get: Any) -> tuple[dict[str, Any], list[str]]:
        translated: dict[str, Any] = {}
        raw: dict[str, Any] = {}
        problems: list[str] = []
        for target, column, path in self._columns:
            if column.column is None:
                _put(translated, path, column.value)
                continue
            value = get(record, column.column)
            if value is not None:
                raw[column.column] = value
            try:
                self._fact(translated, target, path, column, value)
            except (ValueError, OverflowError) as error:
                problems.append(f"{target} (from {column.column!r}) {error}")
                if target in _NEVER:
                    translated[_NEVER[target]] = "unknown"
        translated["raw"] = scrub.clean(raw)
        return translated, problems

    def _fact(
        self,
        translated: dict[str, Any],
        target: str,
        path: tuple[str, ...],
        column: Column,
        value: Any,
    ) -> None:
        word = _word(value)
        text = word if value is None or isinstance(value, str) else value
        if word is not None:
            if word in column.never:
                translated[_NEVER[target]] = "never"
                return
            if word in column.empty or word == "":
                return
            mapped = _mapped(word, column.map)
            text = text if mapped == word else mapped
        if target in INSTANTS:
            text = instant(text, column.format, self._zone)
        elif target in _PERMISSIONS:
            text = permission_map(text)
        _put(translated, path, text)


def instant(value: Any, form: str, zone: tzinfo | None) -> Any:
    """Return *value* as a time, RFC 3339 and dates left as they are; raises ValueError."""
    if form in ("rfc3339", "date"):
        return value
    if form in ("epoch_s", "epoch_ms", "rfc2822"):
        return times.parse_instant(value, form)
    try:
        found = datetime.strptime(str(value), form)  # noqa: DTZ007 - the zone follows
    except ValueError:
        raise ValueError(f"does not look like {form}") from None
    return in_utc(found, zone)


def permission_map(value: Any) -> Any:
    """Return a permission map from a JSON map, or from ``zones:read zones:update admin``.

    Words are split at white space, comma and semicolon. A word without a colon is a right on
    everything (``*``).
    """
    if isinstance(value, str):
        words = value.replace(",", " ").replace(";", " ").split()
    elif isinstance(value, list) and all(isinstance(word, str) for word in value):
        words = value
    else:
        return value
    found: dict[str, dict[str, bool]] = {}
    for word in words:
        resource, separator, permission = word.rpartition(":")
        found.setdefault(resource if separator and resource else "*", {})[permission or "*"] = True
    return found


def _mapped(text: str, words: Mapping[str, str]) -> str:
    if not words:
        return text
    return words.get(text) or {k.lower(): v for k, v in words.items()}.get(text.lower(), text)


def _path(target: str) -> tuple[str, ...]:
    field, _, part = target.partition(".")
    return (field, part) if part else (field,)


def _put(record: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    if len(path) == 1:
        record[path[0]] = value
    else:
        record.setdefault(path[0], {})[path[1]] = value


def _cell(record: Mapping[str, Any], name: str) -> Any:
    return record.get(name)


def _follow(record: Mapping[str, Any], path: str) -> Any:
    """Follow a dotted path; a key that holds dots itself is found first."""
    if path in record:
        return record[path]
    value: Any = record
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value
