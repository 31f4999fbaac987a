"""What pydantic says about a file, as sentences with line, column and what was meant instead."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Protocol, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from auditor.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""The way to a value: keys of mappings and positions in lists."""


class Located(Protocol):
    """A document that knows where its values stand; see `auditor.yamlfile.Document`."""

    @property
    def name(self) -> str:
        """How messages call the file."""

    @property
    def error(self) -> type[ConfigError]:
        """The error to raise about it."""

    def at(self, path: Sequence[str | int]) -> Any:
        """Return the value at *path*, None where there is none."""

    def locate(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Return line and column of the value at *path* or of its key."""


def explain(
    document: Located, problem: ValidationError, model: type[BaseModel], base: KeyPath = ()
) -> ConfigError:
    """Turn what pydantic says about *document* into one error of sentences with places.

    *base* is the path of the part that was validated. Values are never quoted: they may be secret.
    """
    lines = []
    for item in problem.errors(include_url=False, include_context=True, include_input=False):
        known = base + _real_path(document.at(base), item["loc"])
        line, column = document.locate(known, key=item["type"] == "extra_forbidden")
        message = _sentence(document, item, model, known, len(base))
        entry = f"{document.name}:{line}:{column}: {message}"
        if entry not in lines:
            lines.append(entry)
    return document.error("\n".join(lines))


def _real_path(data: Any, location: tuple[str | int, ...]) -> KeyPath:
    """Drop from pydantic's location what is no key of the file (names of union members)."""
    path: list[str | int] = []
    for step in location:
        is_position = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if is_position or (isinstance(data, dict) and step in data):
            data = data[step]
            path.append(step)
    return tuple(path)


def _sentence(
    document: Located, item: Any, model: type[BaseModel], path: KeyPath, skip: int
) -> str:
    where = ".".join(str(step) for step in path) or "the file"
    kind, last = item["type"], str(item["loc"][-1]) if item["loc"] else ""
    if kind == "extra_forbidden":
        known = _known_keys(model, item["loc"][:-1])
        return f"unknown key {last!r}{did_you_mean(last, known)}{_listing(known)}"
    if kind == "missing":
        return f"{where}: {last!r} is missing"
    if kind in ("enum", "literal_error"):
        expected = str(item.get("ctx", {}).get("expected", ""))
        given = document.at(path)
        options = re.findall(r"'([^']*)'", expected)
        hint = did_you_mean(given, options) if isinstance(given, str) else ""
        return f"{where} must be {expected}{hint}"
    if kind == "too_short":
        return f"{where} must hold {item['ctx']['min_length']} or more"
    if kind in _SHAPES:
        return f"{where} {_SHAPES[kind]}"
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"{where}: {message[:1].lower()}{message[1:]}" if len(path) > skip else message


_SHAPES = {
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must hold keys and values",
    "model_type": "must hold keys and values",
    "timezone_aware": "lacks its offset; add Z for UTC",
    "datetime_from_date_parsing": "is no time; write it like 2026-03-01T03:00:00Z",
    "datetime_parsing": "is no time; write it like 2026-03-01T03:00:00Z",
    "date_from_datetime_parsing": "is no day; write it like 2026-03-01",
    "date_parsing": "is no day; write it like 2026-03-01",
}
"""pydantic's errors of shape, in the words of a YAML file."""


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return ``; did you mean 'x'?`` where a known name is close, else nothing."""
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _listing(known: Sequence[str]) -> str:
    return f" (known: {', '.join(known)})" if known else ""


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Return the keys that may stand at *location*, found by walking the annotations."""
    current: list[Any] = [model]
    for step in location:
        narrowed = [found for kind in current for found in _step(kind, step)]
        current = narrowed or current
    return sorted({key for kind in current for key in _keys(kind)})


def _keys(kind: Any) -> list[str]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [info.alias or name for name, info in kind.model_fields.items()]
    return []


def _step(kind: Any, step: str | int) -> list[Any]:
    """Return what one step of a location leads to from an annotation."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if step == kind.__name__:
            return [kind]
        for name, info in kind.model_fields.items():
            if step in (name, info.alias):
                return _members(info.annotation)
        return []
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (list, tuple, set, frozenset) and isinstance(step, int):
        return [found for argument in arguments for found in _members(argument)]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return _members(arguments[1])
    return []


def _members(annotation: Any) -> list[Any]:
    """Return the alternatives of an annotation: unions and Annotated are opened."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return [found for part in get_args(annotation) for found in _members(part)]
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    return [annotation]
