"""A run: what it has read whole, what not, and what could not be judged for want of a fact."""

from enum import StrEnum

from msgspec import Struct

from auditor.model.credential import Instant, Organization


class CoverageStatus(StrEnum):
    """How much of a source and organization a run has read."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    NOT_SELECTED = "not_selected"


class RunStatus(StrEnum):
    """How a run ended; `COMPLETE` means that every selected source was read whole."""

    RUNNING = "running"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Coverage(Struct, frozen=True, kw_only=True):
    """What one run has read of one source and organization, or why it has not."""

    source: str
    provider: str
    organization: Organization | None = None
    status: CoverageStatus
    reason: str | None = None
    """A stable word: ``suspicious_drop``, ``access_denied``, ``repeated_cursor`` …"""
    error: str | None = None
    """One sentence for people: what, where, what next."""
    credentials: int = 0
    data_as_of: Instant | None = None
    notes: tuple[str, ...] = ()
    """What a reader must know to trust the numbers, such as whose permissions these are."""
    known_gap: str | None = None
    """The configured reason for which this gap does not count against the run."""
    is_baseline: bool = False
    """Whether this is the first time it was read whole: what is found is not news, but a start."""

    @property
    def is_gap(self) -> bool:
        """Whether something meant to be read was not read whole."""
        return self.status in (CoverageStatus.PARTIAL, CoverageStatus.FAILED)


class NotEvaluable(Struct, frozen=True, kw_only=True):
    """Credentials of one source that a policy could not judge for want of one field."""

    policy_id: str
    source: str
    field: str
    count: int
    uids: tuple[str, ...]
