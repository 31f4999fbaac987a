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


def pack_outcome(outcome: Outcome) -> bytes:
    """Return *outcome* as it is kept with its run."""
    return zlib.compress(msgspec.json.encode(outcome), level=6)


def unpack_outcome(packed: bytes) -> Outcome:
    """Undo `pack_outcome`."""
    return msgspec.json.decode(zlib.decompress(packed), type=Outcome)
