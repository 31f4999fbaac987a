"""What a run counted, kept with it, so that it can be shown again exactly."""

import zlib

import msgspec
from msgspec import Struct

from auditor.findings.compliance import FrameworkRow
from auditor.findings.resolution_time import Mended
from auditor.findings.view import EndingException, RunInfo, Summary
from auditor.model import NotEvaluable


class Outcome(Struct, frozen=True):
    """The counted part of a run's view."""

    info: RunInfo
    summary: Summary
    not_evaluable: tuple[NotEvaluable, ...]
    compliance: tuple[FrameworkRow, ...] = ()
    ending_exceptions: tuple[EndingException, ...] = ()
    mended: tuple[Mended, ...] = ()
    """The findings mended in the run, by how long that took."""
    ended_exceptions: tuple[EndingException, ...] = ()
    channels: tuple[str, ...] | None = None
    """The channels that were offered the run; None where that was not kept: all of them."""


def pack_outcome(outcome: Outcome) -> bytes:
    """Return *outcome* as it is kept with its run."""
    return zlib.compress(msgspec.json.encode(outcome), level=6)


def unpack_outcome(packed: bytes) -> Outcome:
    """Undo `pack_outcome`."""
    return msgspec.json.decode(zlib.decompress(packed), type=Outcome)


class Told(Struct, frozen=True):
    """The few facts of an `Outcome` by which later runs know what was told."""

    info: RunInfo
    channels: tuple[str, ...] | None = None
    ending_exceptions: tuple[EndingException, ...] = ()


def unpack_told(packed: bytes) -> Told:
    """Read no more of an outcome than that; a run may have thousands of counts."""
    return msgspec.json.decode(zlib.decompress(packed), type=Told)
