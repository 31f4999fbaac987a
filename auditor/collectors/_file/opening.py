"""Find the files a source names and read them in bounded pieces, gzip or plain."""

import glob
import gzip
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from auditor.errors import SourceError, UnexpectedResponse

BLOCK = 256 * 1024
LARGEST_RECORD = 16 * 1024 * 1024
"""Bytes of one line or one JSON value; a longer one is refused instead of filling the memory."""

_GZIP = b"\x1f\x8b"
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True)
class Export:
    """One file to read."""

    path: Path
    shown: str
    """How messages name it: as the configuration does, relative to its folder."""
    modified_at: datetime

    @contextmanager
    def open(self) -> "Iterator[Stream]":
        """Open it, unpacked; every error of the file or its packing becomes a `SourceError`."""
        try:
            with self.path.open("rb") as packed:
                if packed.peek(2)[:2] == _GZIP:
                    with gzip.open(packed) as stream:
                        yield _Unpacked(stream)
                else:
                    yield packed
        except _DAMAGE as error:
            raise failure(
                "corrupt_gzip",
                f"{self.shown}: the gzip data are damaged or cut off; what came before was read. "
                "Export the file again.",
            ) from error
        except OSError as error:
            raise unreadable(self.shown, error) from error


class Stream(Protocol):
    """What a file is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to *size* bytes, none at the end."""


class _Unpacked:
    """A gzip stream that hands over all that stands before a damage, and only then fails."""

    def __init__(self, packed: gzip.GzipFile) -> None:
        self._packed = packed
        self._damage: Exception | None = None

    def read(self, size: int, /) -> bytes:
        pieces: list[bytes] = []
        while size > 0 and self._damage is None:
            try:
                piece = self._packed.read1(size)
            except _DAMAGE as error:
                self._damage = error
                break
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        if self._damage is not None and not pieces:
            raise self._damage
        return b"".join(pieces)


def failure(kind: str, message: str) -> SourceError:
    """Return a `SourceError` whose coverage record says *kind*."""
    error = UnexpectedResponse(message)
    error.kind = kind
    return error


def unreadable(shown: str, error: OSError) -> SourceError:
    """Return the `SourceError` for a file the operating system refuses."""
    return failure(
        "unreadable_file",
        f"{shown} cannot be read: {error.strerror or error}. "
        "Let the user that runs the auditor read it.",
    )


def find(patterns: tuple[str, ...], directory: Path) -> tuple[list[Export], list[SourceError]]:
    """Return the files that *patterns* name, sorted, and an error for each that names none."""
    found: dict[Path, Export] = {}
    errors: list[SourceError] = []
    for pattern in patterns:
        matches = _matches(pattern, directory)
        files = [path for path in matches if not path.is_dir()]
        if not files:
            errors.append(_nothing(pattern, directory, matches))
        for path in files:
            try:
                found[path] = _export(path, _shown(path, directory))
            except SourceError as error:
                errors.append(error)
    return [found[path] for path in sorted(found)], errors


def _export(path: Path, shown: str) -> Export:
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(shown, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise failure(
            "not_a_file", f"{shown} is no ordinary file; write the export to a file first."
        )
    return Export(path, shown, datetime.fromtimestamp(status.st_mtime, UTC))


def _matches(pattern: str, directory: Path) -> list[Path]:
    start = directory / Path(pattern).expanduser()
    try:
        if start.exists():  # a name may hold [brackets]
            return [start]
        matches = glob.glob(str(start), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    except OSError as error:
        raise unreadable(pattern, error) from error
    return [Path(match) for match in matches]


def _nothing(pattern: str, directory: Path, matches: list[Path]) -> SourceError:
    if matches:
        return failure(
            "is_a_directory",
            f"{pattern} names a folder; name its files, such as {pattern.rstrip('/')}/*.json.",
        )
    return failure(
        "no_such_file",
        f"No file matches {pattern} (looked in {directory}); "
        "correct `path` or put the export there.",
    )


def _shown(path: Path, directory: Path) -> str:
    return str(path.relative_to(directory) if path.is_relative_to(directory) else path)


def lines(stream: Stream) -> Iterator[tuple[int, bytes | None]]:
    """Yield whole lines, many at once, and the number of the first; None for an oversized line."""
    number = 1
    rest: list[bytes] = []
    """The pieces of a line whose end has not come yet; None of them holds a line break."""
    is_skipping = False
    block = stream.read(BLOCK).removeprefix(b"\xef\xbb\xbf")
    while block:
        head, end, block = block.partition(b"\n")
        if end:
            block = block if is_skipping else b"".join((*rest, head, end, block))
            rest, is_skipping = [], False
            cut = block.rfind(b"\n") + 1
            yield number, block[:cut]
            number += block.count(b"\n")
            head = block[cut:]
        if not is_skipping:
            rest.append(head)
            if sum(map(len, rest)) > LARGEST_RECORD:
                yield number, None
                number += 1
                rest, is_skipping = [], True
        block = stream.read(BLOCK)
    last = b"".join(rest)
    if last:
        yield number, last
