"""The findings of one run on disk, in the order in which people should deal with them."""

import heapq
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from auditor.model import (
    Credential,
    Evidence,
    Finding,
    FindingState,
    Remediation,
    Risk,
    Severity,
)

_CHUNK = 1 << 15
"""Bytes; larger ones are read no faster."""
_MOST_SHARED = 2_048

Rank = tuple[int, Severity, str]
"""Risk, severity, policy."""


class _Shared(Struct, frozen=True, array_like=True):
    """What findings of one policy about one kind of credential have in common."""

    number: int | None
    """None where there is too much of it to be remembered."""
    title: str
    category: str
    rationale: str
    remediation: Remediation
    controls: Mapping[str, tuple[str, ...]]


class _Kept(Struct, frozen=True, array_like=True):
    """A finding as it lies in the file."""

    shared: int | _Shared
    state: FindingState
    message: str
    risk: Risk
    evidence: tuple[Evidence, ...]
    remediation: Remediation | None
    """None where it is the shared one."""
    credential: Credential


class _Pass:
    """Findings of one rank, by uid: chunks in the file, and what waits to become one."""

    __slots__ = ("chunks", "count", "last_uid", "waiting")

    def __init__(self) -> None:
        self.chunks: list[tuple[int, int]] = []
        """Start and length."""
        self.waiting = bytearray()
        self.count = 0
        """How many wait."""
        self.last_uid = ""

    def chunk(self) -> bytes:
        """Return those that wait as one MessagePack array."""
        return b"\xdd" + self.count.to_bytes(4) + self.waiting


class RankedFindings:
    """Collects findings in any order and gives them back highest risk first, from a private file.

    The order is total (risk, severity, policy, credential), so that the same findings give the
    same report wherever they were found. Findings that come by uid, as the store gives them, need
    no sorting: those of one rank are written side by side. Where a uid is smaller than the one
    before it another pass begins, and what is read is merged from the passes; many passes take
    memory. The file has no name and goes with the object.
    """

    def __init__(self, in_memory: int = 1 << 20) -> None:
        """Begin an empty collection; at most about *in_memory* bytes wait to be written."""
        self._ranks: dict[Rank, list[_Pass]] = {}
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - close() does
        self._end = 0
        self._in_memory = in_memory
        self._waiting = 0
        # Most of a finding's text is its policy's: it stays in memory, once.
        self._shared: list[_Shared] = []
        self._numbers: dict[int, int] = {}
        """By the identity of the controls, which those who share them keep alive."""
        self._encode_into = msgspec.msgpack.Encoder().encode_into
        self._decode = msgspec.msgpack.Decoder(list[_Kept]).decode

    def add(self, finding: Finding) -> None:
        """Keep *finding*."""
        newest = self._pass_of(finding)
        before = len(newest.waiting)
        try:
            self._encode_into(self._kept(finding), newest.waiting, before)
        except BaseException:
            del newest.waiting[before:]
            raise
        newest.count += 1
        self._waiting += len(newest.waiting) - before
        if len(newest.waiting) >= _CHUNK:
            self._write([newest])
        elif self._waiting >= self._in_memory:
            self._write(chain.from_iterable(self._ranks.values()))

    def __iter__(self) -> Iterator[Finding]:
        """Yield every finding, highest risk first; may be started again."""
        for rank in sorted(self._ranks, key=_place):
            passes = self._ranks[rank]
            if len(passes) == 1:
                yield from self._read(passes[0])
            else:
                yield from heapq.merge(*map(self._read, passes), key=_uid)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _pass_of(self, finding: Finding) -> _Pass:
        """Return where *finding* goes."""
        state = finding.state
        rank = (finding.risk.score, state.severity, state.policy_id)
        passes = self._ranks.get(rank)
        if passes is None:
            passes = self._ranks[rank] = [_Pass()]
        uid = state.credential_uid
        if uid < passes[-1].last_uid:
            passes.append(_Pass())
        passes[-1].last_uid = uid
        return passes[-1]

    def _write(self, passes: Iterable[_Pass]) -> None:
        """Move what waits to the file."""
        for one in passes:
            if not one.count:
                continue
            chunk = one.chunk()
            self._file.write(chunk)
            one.chunks.append((self._end, len(chunk)))
            self._end += len(chunk)
            self._waiting -= len(one.waiting)
            one.waiting.clear()
            one.count = 0
        self._file.flush()

    def _read(self, one: _Pass) -> Iterator[Finding]:
        number = self._file.fileno()
        for start, length in one.chunks:
            yield from map(self._finding, self._decode(os.pread(number, length, start)))
        yield from map(self._finding, self._decode(one.chunk()))

    def _kept(self, finding: Finding) -> _Kept:
        number = self._numbers.get(id(finding.controls))
        shared = None if number is None else self._shared[number]
        if shared is None or not _has_in_common(finding, shared):
            shared = self._share(finding)
        remediation = finding.remediation
        return _Kept(
            shared if shared.number is None else shared.number,
            finding.state,
            finding.message,
            finding.risk,
            finding.evidence,
            None if remediation is shared.remediation else remediation,
            finding.credential,
        )

    def _share(self, finding: Finding) -> _Shared:
        """Return what others may have in common with *finding*, remembered if there is room."""
        number = len(self._shared) if len(self._shared) < _MOST_SHARED else None
        shared = _Shared(
            number,
            finding.title,
            finding.category,
            finding.rationale,
            finding.remediation,
            finding.controls,
        )
        if number is not None:
            self._shared.append(shared)
            self._numbers[id(finding.controls)] = number
        return shared

    def _finding(self, kept: _Kept) -> Finding:
        shared = self._shared[kept.shared] if isinstance(kept.shared, int) else kept.shared
        return Finding(
            state=kept.state,
            title=shared.title,
            message=kept.message,
            category=shared.category,
            credential=kept.credential,
            risk=kept.risk,
            evidence=kept.evidence,
            rationale=shared.rationale,
            remediation=kept.remediation or shared.remediation,
            controls=shared.controls,
        )


def _place(rank: Rank) -> tuple[int, int, str]:
    risk, severity, policy_id = rank
    return -risk, -severity.rank, policy_id


def _uid(finding: Finding) -> str:
    return finding.state.credential_uid


def _has_in_common(finding: Finding, shared: _Shared) -> bool:
    return (
        finding.title == shared.title
        and finding.category == shared.category
        and finding.rationale == shared.rationale
    )
