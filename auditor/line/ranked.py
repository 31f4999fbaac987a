"""The findings of one run on disk, in the order in which people should deal with them."""

import sqlite3
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import msgspec

from auditor.model import Finding

_BATCH = 500


class RankedFindings:
    """Collects findings in any order and gives them back highest risk first, from a private file.

    The order is total (risk, severity, policy, credential), so that the same findings give the
    same report wherever they were found. The file has no name and goes with the object.
    """

    def __init__(self) -> None:
        # An empty name makes a private file that SQLite deletes; it sorts beyond memory.
        self._db = sqlite3.connect("", check_same_thread=False)
        self._db.execute(
            "CREATE TABLE finding (risk INT, severity INT, policy TEXT, uid TEXT, body BLOB)"
        )
        self._waiting: list[tuple[int, int, str, str, bytes]] = []
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Finding)

    def add(self, finding: Finding) -> None:
        """Keep *finding*."""
        state = finding.state
        row = (
            -finding.risk.score,
            -state.severity.rank,
            state.policy_id,
            state.credential_uid,
            self._encoder.encode(finding),
        )
        self._waiting.append(row)
        if len(self._waiting) >= _BATCH:
            self._write()

    def __iter__(self) -> Iterator[Finding]:
        """Yield every finding, highest risk first; may be started again."""
        self._write()
        rows = self._db.execute("SELECT body FROM finding ORDER BY risk, severity, policy, uid")
        for (body,) in rows:
            yield self._decoder.decode(body)

    def close(self) -> None:
        """Delete the file."""
        self._db.close()

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
            self._db.executemany("INSERT INTO finding VALUES (?, ?, ?, ?, ?)", self._waiting)
            self._waiting.clear()
