r"""Read JSON of any size piece by piece: arrays, enveloped arrays, values one after the other.

``[{…}, {…}]``, ``{"data_as_of": …, "credentials": [{…}, …]}`` and ``{…}\n{…}`` all come out as
their elements, one at a time. Memory holds one element, never the file.
"""

import codecs
import json
from collections.abc import Generator, Iterator
from typing import Any

from msgspec import Struct

from auditor.collectors._file.opening import BLOCK, LARGEST_RECORD, Stream, failure

_SPACE = " \t\r\n"


class Element(Struct, frozen=True, gc=False):
    """One value found, or with ``is_end`` the end of a document that had an array."""

    line: int
    value: Any
    key: str | None
    """The key of the array it stands in; None for a bare array and for a plain value."""
    document: int
    head: dict[str, Any]
    """What the document said beside the array, as far as it was read."""
    is_end: bool = False
    source: bytes = b""
    """The JSON text of the value, where it was read from an array."""


class Names(Struct, frozen=True):
    """Where the records are: under one of *names* at the top, or exactly at *path*."""

    names: frozenset[str] = frozenset()
    path: tuple[str, ...] = ()

    def step(self, depth: int, key: str) -> bool:
        """Tell whether the way to the records leads through *key*."""
        if self.path:
            return depth < len(self.path) and self.path[depth] == key
        return depth == 0 and key in self.names

    def is_last(self, depth: int) -> bool:
        """Tell whether the value after *depth* steps is the array of records."""
        return not self.path or depth == len(self.path) - 1

    def find(self, value: Any) -> tuple[str | None, list[Any] | None]:
        """Return the array of records in *value*, and the key it has there."""
        if isinstance(value, list) and not self.path:
            return None, value
        keys = self.path
        if not keys and isinstance(value, dict):
            keys = tuple(key for key in value if key in self.names and isinstance(value[key], list))
            keys = keys[:1]
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return (keys[-1], value) if keys and isinstance(value, list) else (None, None)


def elements(stream: Stream, names: Names, shown: str) -> Iterator[Element]:
    """Yield the elements of every document in *stream*; raises `SourceError` on broken JSON."""
    text = _Text(stream, shown)
    document = 0
    are_plain = False
    while opening := text.peek():
        head: dict[str, Any] = {}
        line = text.line
        if opening == "[" and not names.path:
            yield from _array(text, None, document, head)
            yield Element(text.line, None, None, document, head, is_end=True)
        elif opening == "{" and not are_plain:
            key = yield from _object(text, names, 0, document, head)
            if key is not None:
                yield Element(text.line, None, key, document, head, is_end=True)
            else:
                # Records one after the other: each fits into memory as a whole, which is faster.
                are_plain = True
                yield Element(line, head, None, document, {})
        else:
            value = text.value()
            yield from unpack(value, names, line, document, text.source)
        document += 1


def unpack(
    value: Any, names: Names, line: int, document: int = 0, source: bytes = b""
) -> Iterator[Element]:
    """Yield the elements of a document that is in memory already; *source* is its JSON text."""
    key, found = names.find(value)
    if found is None:
        yield Element(line, value, None, document, {}, source=source)
        return
    hidden = names.path[0] if names.path else key
    outer = value if isinstance(value, dict) else {}
    head = {name: item for name, item in outer.items() if name != hidden}
    for item in found:
        yield Element(line, item, key, document, head)
    yield Element(line, None, key, document, head, is_end=True)


def _object(
    text: "_Text", names: Names, depth: int, document: int, head: dict[str, Any]
) -> Generator[Element, None, str | None]:
    """Yield the elements of the array inside; returns its key, None where there was none."""
    text.take("{")
    found: str | None = None
    if text.peek() == "}":
        text.take("}")
        return found
    while True:
        key = text.value()
        if not isinstance(key, str):
            raise text.broken("a key is not text")
        text.take(":")
        opening = text.peek()
        if names.step(depth, key) and opening == "[" and names.is_last(depth):
            found = key
            yield from _array(text, key, document, head)
        elif names.step(depth, key) and opening == "{" and not names.is_last(depth):
            inner = yield from _object(text, names, depth + 1, document, head)
            found = inner or found
        else:
            value = text.value()
            if depth == 0:
                head[key] = value
        if text.take(",", "}") == "}":
            return found


def _array(
    text: "_Text", key: str | None, document: int, head: dict[str, Any]
) -> Iterator[Element]:
    text.take("[")
    if text.peek() == "]":
        text.take("]")
        return
    while True:
        text.peek()
        line = text.line
        value = text.value()
        yield Element(line, value, key, document, head, source=text.source)
        if text.take(",", "]") == "]":
            return


class _Text:
    """A window on the text: the part not yet read, refilled as it is used up."""

    def __init__(self, stream: Stream, shown: str) -> None:
        self._stream = stream
        self._shown = shown
        # Bytes that are no UTF-8 survive as lone surrogates, which the readers replace.
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._json = json.JSONDecoder(parse_constant=_refuse_constant)
        self._text = ""
        self._at = 0
        self._counted = 0
        self._line = 1
        self._is_at_end = False
        self._last = slice(0, 0)

    @property
    def source(self) -> bytes:
        """The text of the last value, still in the window, as it stood in the file."""
        return self._text[self._last].encode("utf-8", "surrogateescape")

    @property
    def line(self) -> int:
        """The line of the next character."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def peek(self) -> str:
        """Skip white space and return the next character; empty at the end."""
        while True:
            while self._at < len(self._text):
                character = self._text[self._at]
                if character not in _SPACE:
                    return character
                self._at += 1
            if not self._fill(BLOCK):
                return ""

    def take(self, *wanted: str) -> str:
        """Read one of the characters *wanted*."""
        found = self.peek()
        if found not in wanted or not found:
            raise self.broken(f"{' or '.join(wanted)} was expected" if found else "the file ends")
        self._at += 1
        return found

    def value(self) -> Any:
        """Read one JSON value."""
        if not self.peek():
            raise self.broken("the file ends")
        wanted = BLOCK
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise self.broken("a value is nested too deeply") from error
            except ValueError as error:
                problem = getattr(error, "msg", "a value cannot be read")
            else:
                # A number at the edge of the window may go on behind it.
                if end < len(self._text) or not self._fill(wanted):
                    self._last = slice(self._at, end)
                    self._at = end
                    return value
                continue
            if len(self._text) - self._at > LARGEST_RECORD:
                raise self.broken("a value is larger than 16 MiB or broken")
            if not self._fill(wanted):
                raise self.broken(problem)
            wanted *= 2

    def broken(self, problem: str) -> Exception:
        """Return the `SourceError` for broken JSON at this place."""
        return failure(
            "malformed_file",
            f"{self._shown}, line {self.line}: this is not JSON ({problem}); "
            "the rest of the file was not read. Export the file again.",
        )

    def _fill(self, size: int) -> bool:
        if self._is_at_end:
            return False
        block = self._stream.read(size)
        self._is_at_end = not block
        _ = self.line
        more = self._decoder.decode(block, final=self._is_at_end)
        self._last = slice(0, 0)
        self._text = self._text[self._at :] + more
        self._at = self._counted = 0
        return bool(block)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
