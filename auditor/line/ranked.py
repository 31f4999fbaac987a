"""The findings of one run on disk, in the order in which people should deal with them."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import msgspec

from auditor.model import Finding

_BATCH = 500
_SORT = """
    CREATE INDEX IF NOT EXISTS ranked ON finding (risk, severity, policy, uid, start, length)
"""
_PLACES = "SELECT start, length FROM finding ORDER BY risk, severity, policy, uid"


class RankedFindings:
    """Collects findings in any order and gives them back highest risk first, from a private file.

    The order is total (risk, severity, policy, credential), so that the same findings give the
    same report wherever they were found. The files have no names and go with the object.
    """

    def __init__(self) -> None:
        # An empty name makes a private file that SQLite deletes; it sorts beyond memory.
        self._order = sqlite3.connect("", check_same_thread=False)
        self._order.execute(
            "CREATE TABLE finding (risk INT, severity INT, policy TEXT, uid TEXT, start INT,"
            " length INT)"
        )
        # What is sorted stays small: the findings themselves are read where the order says.
        self._bodies = tempfile.TemporaryFile()  # noqa: SIM115 - close() does
        self._end = 0
        self._waiting: list[tuple[int, int, str, str, int, int]] = []
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Finding)

    def add(self, finding: Finding) -> None:
        """Keep *finding*."""
        state = finding.state
        body = self._encoder.encode(finding)
        self._bodies.write(body)
        row = (
            -finding.risk.score,
            -state.severity.rank,
            state.policy_id,
            state.credential_uid,
            self._end,
            len(body),
        )
        self._end += len(body)
        self._waiting.append(row)
        if len(self._waiting) >= _BATCH:
            self._write()

    def __iter__(self) -> Iterator[Finding]:
        """Yield every finding, highest risk first; may be started again."""
        self._write()
        self._order.execute(_SORT)
        number = self._bodies.fileno()
        for start, length in self._order.execute(_PLACES):
            yield self._decoder.decode(os.pread(number, length, start))

    def close(self) -> None:
        """Delete the files."""
        self._order.close()
        self._bodies.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self) -> None:
        if self._waiting:
            self._bodies.flush()
            self._order.executemany("INSERT INTO finding VALUES (?, ?, ?, ?, ?, ?)", self._waiting)
            self._waiting.clear()
