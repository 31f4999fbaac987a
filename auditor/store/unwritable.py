"""A SQLite file in a place that cannot be written: how it is read there, and how soundly.

SQLite reads a database in WAL mode through two files beside it, which it makes where it may. Where
it may not, it can use those of a writer that lives. Without any, the file is whole by itself: then
it is read as it stands, without locks, and whoever changes it meanwhile is noticed.
"""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from auditor.errors import StoreError


@dataclass(frozen=True)
class Unwritable:
    """A file that can be read and not written."""

    path: Path
    seen: tuple[int, int, int] | None
    """What tells a change of a file that is read without locks; None where SQLite locks it."""

    def connect(self, **arguments: Any) -> sqlite3.Connection:
        """Open it; the arguments are those of `sqlite3.connect`."""
        how = "mode=ro" if self.seen is None else "immutable=1"
        place = quote(str(self.path.absolute()))
        link: sqlite3.Connection = sqlite3.connect(f"file:{place}?{how}", uri=True, **arguments)
        return link

    def check(self) -> None:
        """Raise `StoreError` where it was changed since, so that what was read may not fit."""
        if self.seen is not None and self.seen != _look(self.path):
            raise StoreError(
                f"{self.path} was written by another process while it was read, and cannot be "
                "locked in a folder that cannot be written; run the command again"
            )


def unwritable(path: Path) -> Unwritable | None:
    """Return how *path* is read where it cannot be written; None where it can.

    Raises `StoreError` where SQLite cannot read it soundly.
    """
    if _may_write(path) and _may_write(path.parent):
        return None
    if _may_write(path.parent) or _beside(path, "-shm").exists():
        return Unwritable(path, None)
    written_last = _beside(path, "-wal")
    if written_last.exists() and written_last.stat().st_size:
        raise StoreError(
            f"{path} cannot be read here: what was written last is still in {written_last.name}, "
            "which SQLite needs a folder that it may write for; copy both files into one, and "
            "name the copy in `database.url`"
        )
    return Unwritable(path, _look(path))


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _look(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:  # it is gone, or the folder is
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
