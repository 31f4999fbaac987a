"""The one view of a run that every report format and delivery channel renders.

Sequences that grow with the number of credentials are callables that return a fresh iterator, so
that a format can stream them and none holds them all.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from auditor.findings.compliance import FrameworkRow
from auditor.findings.news import Scope
from auditor.model import (
    Change,
    Coverage,
    Credential,
    ExceptionNote,
    Finding,
    NotEvaluable,
    Organization,
    Resolution,
    RunStatus,
    Severity,
)


class EndingException(Struct, frozen=True):
    """An exception about to end: what it covers opens again unless somebody acts."""

    covers: str
    """Its patterns in words."""
    note: ExceptionNote


class RunInfo(Struct, frozen=True, kw_only=True):
    """One pass of the line."""

    id: int
    started_at: datetime
    finished_at: datetime
    now: datetime
    """The instant every age in the run is measured at."""
    is_as_of: bool = False
    """Whether *now* was set by ``as_of`` instead of read from the clock."""
    status: RunStatus
    tool_version: str
    schedule: str | None = None


class Summary(Struct, frozen=True, kw_only=True):
    """Counts of a run. Every mapping is sorted by key; findings are open ones unless named."""

    credentials: int
    credentials_with_findings: int
    findings: int
    """Open, unsuppressed findings."""
    suppressed: int
    stale: int
    """Open findings whose source could not be read."""
    resolved: int
    """Findings that ended in this run, whatever the reason."""
    fixed: int
    """Of those, the ones somebody mended."""
    by_severity: dict[str, int]
    by_status: dict[str, int]
    by_change: dict[str, int]
    by_resolution: dict[str, int]
    by_policy: dict[str, int]
    by_provider: dict[str, int]
    by_organization: dict[str, int]
    """Keyed ``<provider>:<organization id>``."""
    by_owner: dict[str, int]
    """Keyed by owner; ``""`` for credentials without one."""
    credentials_by_provider: dict[str, int]
    credentials_by_state: dict[str, int]
    """Credentials by ``last_used_state``."""
    verdict: str
    """The run in one sentence for people."""


class TrendPoint(Struct, frozen=True, kw_only=True):
    """What one run counted, for the line through past runs."""

    run_id: int
    now: datetime
    findings: int
    """Open, unsuppressed findings."""
    by_severity: dict[str, int]
    opened: int = 0
    """Findings opened or reopened in that run."""
    fixed: int = 0
    credentials: int = 0


class HistoryEvent(Struct, frozen=True, kw_only=True):
    """One step in the life of a finding."""

    run_id: int
    at: datetime
    change: Change
    severity: Severity
    resolution: Resolution | None = None


History = Callable[[Sequence[str]], Mapping[str, Sequence[HistoryEvent]]]
"""Finding ids → their events, oldest first; asked for a few hundred ids at a time."""


Certainties = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Policy id → framework → control → ``high``, ``medium`` or ``low``."""


class PastRun(Struct, frozen=True, kw_only=True):
    """An earlier run that a channel was offered."""

    id: int
    started_at: datetime
    now: datetime
    ending_exceptions: tuple[EndingException, ...] = ()
    """What it announced."""


class Ended(Struct, frozen=True):
    """A finding that changed between two runs, as it was left before the later one."""

    finding: Finding
    was_live: bool
    """Whether it was open or suppressed at the earlier run."""


class Lapse(Struct, frozen=True, kw_only=True):
    """An organization that some of the runs in between did not read whole."""

    source: str
    organization: Organization | None
    runs: int
    """How many they are."""
    is_news: bool
    """Whether it had been read whole up to the earlier run, and nobody expected the gap."""


@dataclass(frozen=True)
class Between:
    """What happened after an earlier run, the findings of this one aside."""

    runs: int
    """How many runs were judged, this one included."""
    turned: Callable[[], Iterator[Ended]]
    """Findings that changed in the runs in between."""
    first_whole: Mapping[Scope, datetime]
    """Organizations first read whole since then → ``now`` of that run."""
    worsened: tuple[Coverage, ...]
    """Entries of this run's ``coverage`` that were read less well than up to the earlier run."""
    lapses: tuple[Lapse, ...]
    """Gaps of the runs in between, where this one has none."""


class Past(Protocol):
    """What the runs before this one have left, looked up when somebody asks."""

    def offered(self, channel: str) -> Iterator[PastRun]:
        """Yield the judged runs that *channel* was offered before this one, the newest first."""

    def since(self, run: PastRun) -> Between:
        """Return what happened after *run*."""


@dataclass(frozen=True)
class ReportView:
    """Everything a report of one run can show."""

    run: RunInfo
    coverage: tuple[Coverage, ...]
    summary: Summary
    not_evaluable: tuple[NotEvaluable, ...]
    findings: Callable[[], Iterator[Finding]]
    """Every finding of the run (open, suppressed, and resolved in it), highest risk first."""
    credentials: Callable[[], Iterator[Credential]]
    """The inventory, in a stable order."""
    trend: tuple[TrendPoint, ...] = ()
    """Past runs up to and including this one, oldest first; empty where nobody asked for them."""
    history: History | None = None
    compliance: tuple[FrameworkRow, ...] = ()
    """Control by control, how the judged credentials stand; see `auditor.findings.compliance`."""
    ending_exceptions: tuple[EndingException, ...] = ()
    """Exceptions in force whose last day is near, the nearest first."""
    coverage_worsened: tuple[Coverage, ...] = ()
    """Entries of ``coverage`` that were read less well than in the run before."""
    heartbeats: frozenset[str] = frozenset()
    """Channels that have been silent for so long that they speak even without news."""
    ended_exceptions: tuple[EndingException, ...] = ()
    """Exceptions of the file that ended lately, the latest first."""
    certainties: Certainties = field(default_factory=dict)
    """How certainly the policies of the run map to the controls that its findings name."""
    past: Past | None = None
    """None where nobody asked for it."""
