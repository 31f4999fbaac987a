"""YAML files of the user, read safely, with the line and column of everything in them.

The subset is what a configuration needs: mappings with text keys, lists and scalars. Anchors,
aliases, tags, several documents, duplicate keys, files above 1 MB and nesting deeper than 32 are
errors. Scalars follow YAML 1.2: only ``true`` and ``false`` are booleans, ``010`` and ``12:30``
are text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import yaml
from msgspec import Struct
from pydantic import BaseModel, ValidationError

from auditor.errors import ConfigError
from auditor.validation import KeyPath, explain

MAX_BYTES = 1_000_000
MAX_DEPTH = 32

Model = TypeVar("Model", bound=BaseModel)

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})?(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,2})?\Z")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Span(Struct, frozen=True, gc=False):
    """Where a key and its value stand, as the parser marked them."""

    key: Any
    value: Any
    end: Any
    style: str

    @property
    def start(self) -> int:
        """The offset of the value in the text, in characters."""
        return int(self.value.index)


@dataclass(frozen=True)
class Document:
    """The data of one YAML file and the way back to its lines."""

    name: str
    """How messages call the file: the path as it was given."""
    data: Any
    """dict, list, str, int, float, bool or None."""
    text: str = field(repr=False)
    error: type[ConfigError] = ConfigError
    _spans: Mapping[KeyPath, _Span] = field(default_factory=dict, repr=False)

    def locate(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Return line and column, both from 1, of the value at *path* or of its *key*.

        Where the path leads nowhere, its longest known beginning answers.
        """
        steps = tuple(path)
        while steps not in self._spans and steps:
            steps, key = steps[:-1], False
        span = self._spans.get(steps)
        if span is None:
            return 1, 1
        return _position(span.key if key else span.value)

    def locate_in(self, path: Sequence[str | int], offset: int) -> tuple[int, int]:
        """Return line and column of the character *offset* of the text scalar at *path*.

        Folding, indentation and quotes are undone, so that an error inside an expression points
        at the very place in the file.
        """
        span = self._spans.get(tuple(path))
        value = self.at(path)
        if span is None or not isinstance(value, str):
            return self.locate(path)
        return self._line_column(_source_offset(self.text, span, value, offset))

    def at(self, path: Sequence[str | int]) -> Any:
        """Return the value at *path*, None where there is none."""
        value = self.data
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def line(self, number: int) -> str:
        """Return the text of line *number*, from 1."""
        lines = self.text.splitlines()
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def fail(self, path: Sequence[str | int], message: str, *, key: bool = False) -> ConfigError:
        """Return an error that names this file and the place of *path* in it."""
        line, column = self.locate(path, key=key)
        return self.error(f"{self.name}:{line}:{column}: {message}")

    def invalid(
        self, problem: ValidationError, model: type[BaseModel], base: KeyPath = ()
    ) -> ConfigError:
        """Return what pydantic found wrong at *base*, each sentence with line and column."""
        return explain(self, problem, model, base)

    def validate(self, model: type[Model], base: KeyPath = ()) -> Model:
        """Return the part of the file at *base* as a *model*; raises the file's error."""
        data = self.at(base)
        if not isinstance(data, dict):
            what = "is empty" if data is None else "must hold keys and values"
            raise self.fail(base, f"{'.'.join(map(str, base)) or 'the file'} {what}")
        try:
            return model.model_validate(data)
        except ValidationError as problem:
            raise self.invalid(problem, model, base) from None

    def _line_column(self, offset: int) -> tuple[int, int]:
        before = self.text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def load(path: Path, *, error: type[ConfigError] = ConfigError) -> Document:
    """Read the YAML file at *path*; raises *error* with file, line and column."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as problem:
        reason = (problem.strerror or "cannot be read").lower()
        raise error(f"{path}: {reason}; check the path and its permissions") from problem
    if len(content) > MAX_BYTES:
        raise error(f"{path}: larger than {MAX_BYTES:,} bytes; split the file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content[: problem.start].count(b"\n") + 1
        raise error(f"{path}:{line}:1: not UTF-8; save the file as UTF-8") from None
    return parse(text, str(path), error=error)


def parse(text: str, name: str, *, error: type[ConfigError] = ConfigError) -> Document:
    """Parse *text* as `load` does; *name* stands for the file in messages."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise error(f"{name}: not UTF-8; save the file as UTF-8") from None
    if size > MAX_BYTES:
        raise error(f"{name}: larger than {MAX_BYTES:,} bytes; split the file")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    spans: dict[KeyPath, _Span] = {}
    builder = _Builder(name, error, spans)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.YAMLError as problem:
        raise error(f"{name}:{_yaml_problem(problem, text)}") from None
    return Document(name, builder.data, text, error, spans)


def _yaml_problem(problem: yaml.YAMLError, text: str) -> str:
    """Say what PyYAML stumbled over, without quoting the file, which may hold a secret."""
    mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
    if mark is not None:
        what = getattr(problem, "problem", None) or "cannot be parsed"
        return f"{mark.line + 1}:{mark.column + 1}: not valid YAML: {what}"
    places = (
        f"{number}:{column}: not valid YAML: the character U+{ord(char):04X}"
        for number, line in enumerate(text.split("\n"), 1)
        for column, char in enumerate(line, 1)
        if not char.isprintable() and not char.isspace()
    )
    return next(places, "1:1: not valid YAML")


class _Frame:
    """One open mapping or list while the events come in."""

    __slots__ = ("items", "key", "key_at", "path", "start")

    def __init__(self, path: KeyPath, items: dict[str, Any] | list[Any], start: Any) -> None:
        self.path = path
        self.items = items
        self.start = start
        self.key: str | None = None
        self.key_at = start


class _Builder:
    """Turns parser events into data, iteratively, so that nesting cannot exhaust the stack."""

    def __init__(self, name: str, error: type[ConfigError], spans: dict[KeyPath, _Span]) -> None:
        self.data: Any = None
        self._name = name
        self._error = error
        self._spans = spans
        self._open: list[_Frame] = []
        self._documents = 0

    def take(self, event: Any) -> None:
        """Add one event of the parser."""
        if isinstance(event, yaml.ScalarEvent):
            self._check(event)
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._check(event)
            self._push(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
        elif isinstance(event, yaml.AliasEvent):
            raise self._fail(event, f"aliases (*{event.anchor}) are not allowed; repeat the value")
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._fail(event, "one document per file; remove the second '---'")

    def _check(self, event: Any) -> None:
        if event.anchor is not None:
            raise self._fail(event, f"anchors (&{event.anchor}) are not allowed; repeat the value")
        if event.tag is not None:
            raise self._fail(event, f"tags ({event.tag}) are not allowed; write plain values")

    def _push(self, event: Any) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise self._fail(event, f"nested deeper than {MAX_DEPTH} levels")
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if self._open and isinstance(self._open[-1].items, dict) and self._open[-1].key is None:
            raise self._fail(event, "a key must be text")
        items: dict[str, Any] | list[Any] = {} if is_mapping else []
        path = self._add(items, event, "")
        self._open.append(_Frame(path, items, event.start_mark))

    def _scalar(self, event: Any) -> None:
        frame = self._open[-1] if self._open else None
        if frame is not None and isinstance(frame.items, dict) and frame.key is None:
            if event.value in frame.items:
                raise self._fail(event, f"the key {event.value!r} stands here twice")
            frame.key, frame.key_at = event.value, event.start_mark
            return
        plain = event.style in (None, "")
        self._add(scalar(event.value) if plain else event.value, event, event.style or "")

    def _add(self, value: Any, event: Any, style: str) -> KeyPath:
        """Hang *value* into the innermost open collection and return its path."""
        at = event.start_mark
        path: KeyPath = ()
        key_at = at
        if not self._open:
            self.data = value
        else:
            frame = self._open[-1]
            if isinstance(frame.items, list):
                path = (*frame.path, len(frame.items))
                frame.items.append(value)
            else:
                key = frame.key or ""
                path, key_at = (*frame.path, key), frame.key_at
                frame.items[key] = value
                frame.key = None
        self._spans[path] = _Span(key_at, at, event.end_mark, style)
        return path

    def _fail(self, event: Any, message: str) -> ConfigError:
        line, column = _position(event.start_mark)
        return self._error(f"{self._name}:{line}:{column}: {message}")


def _position(mark: Any) -> tuple[int, int]:
    """Return line and column, both from 1."""
    return mark.line + 1, mark.column + 1


def scalar(text: str) -> str | int | float | bool | None:
    """Return what an unquoted YAML scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    if _FLOAT.match(text) and any(char.isdigit() for char in text.partition("e")[0]):
        return float(text)
    return text


_ESCAPES = {"x": 2, "u": 4, "U": 8}


def _source_offset(text: str, span: _Span, value: str, offset: int) -> int:
    """Map a position in a scalar's value to one in the file.

    Folding and indentation change nothing but white space, so the n-th visible character of the
    value is the n-th visible character of its source.
    """
    offset = min(offset, len(value))
    wanted = sum(not char.isspace() for char in value[:offset])
    if offset == len(value) or value[offset].isspace():
        wanted, after = max(wanted - 1, 0), 1
    else:
        after = 0
    places = islice(_visible(text, span), wanted, None)
    return next(places, span.start) + after


def _visible(text: str, span: _Span) -> Iterator[int]:
    """Yield the offset of each character of the source that is visible in the value."""
    position, end = span.start, span.end.index
    if span.style in ("|", ">"):
        position = text.find("\n", position) + 1
    elif span.style:
        position, end = position + 1, end - 1
    while position < end:
        char = text[position]
        width = 1
        if span.style == "'" and char == "'":
            width = 2
        elif span.style == '"' and char == "\\":
            width = 2 + _ESCAPES.get(text[position + 1], 0)
            char = " " if text[position + 1] in "ntr \n" else "\\"
        if not char.isspace():
            yield position
        position += width
