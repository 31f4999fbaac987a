"""The shapes of the JSON report, and how the auditor's values take them.

They are the report's own, so that the inside of the auditor can change without a word to the
scripts that read reports. Within a major schema version fields are added, never renamed, removed
or given another type.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

from msgspec import Struct

from auditor.findings.view import Certainties, RunInfo, Summary
from auditor.model import (
    Certainty,
    Change,
    Coverage,
    CoverageStatus,
    Credential,
    Evidence,
    ExceptionNote,
    ExpiresState,
    Finding,
    FindingStatus,
    LastUsedState,
    LastUsedSubject,
    NotEvaluable,
    Organization,
    PermissionMap,
    PermissionsSubject,
    Principal,
    Privilege,
    Remediation,
    Resolution,
    Risk,
    RunStatus,
    Severity,
    Status,
)
from auditor.reports._standing import EndingEntry, FrameworkEntry

_MOST_KNOWN = 512


class ToolEntry(Struct, frozen=True):
    """The program that wrote the report."""

    name: str
    version: str


class RunEntry(Struct, frozen=True, kw_only=True):
    """One pass of the line; ``now`` is the instant every age is measured at."""

    id: int
    started_at: datetime
    finished_at: datetime
    now: datetime
    is_as_of: bool
    status: RunStatus
    schedule: str | None
    tool: ToolEntry


class CoverageEntry(Struct, frozen=True, kw_only=True):
    """What was read of one source and organization, or why it was not."""

    source: str
    provider: str
    organization: Organization | None
    status: CoverageStatus
    reason: str | None
    error: str | None
    credentials: int
    data_as_of: datetime | None
    is_baseline: bool
    notes: tuple[str, ...]
    known_gap: str | None


class SummaryEntry(Struct, frozen=True, kw_only=True):
    """Counts of the run; findings are the open, unsuppressed ones unless the name says more."""

    verdict: str
    credentials: int
    credentials_with_findings: int
    findings: int
    suppressed: int
    stale: int
    resolved: int
    fixed: int
    by_severity: dict[str, int]
    by_status: dict[str, int]
    by_change: dict[str, int]
    by_resolution: dict[str, int]
    by_policy: dict[str, int]
    by_provider: dict[str, int]
    by_organization: dict[str, int]
    by_owner: dict[str, int]
    credentials_by_provider: dict[str, int]
    credentials_by_state: dict[str, int]


class CredentialEntry(Struct, frozen=True):
    """The credential concerned, without its raw record; null as in the data model."""

    uid: str
    provider_id: str
    provider: str
    source: str
    organization: Organization
    principal: Principal
    client_id: str | None
    name: str
    description: str | None
    type: str
    status: Status
    status_changed_at: datetime | None
    created_at: datetime | None
    rotated_at: datetime | None
    observed_at: datetime
    last_used_at: datetime | None
    last_used_state: LastUsedState
    last_used_window_start: datetime | None
    last_used_precision: timedelta | None
    last_used_subject: LastUsedSubject
    data_as_of: datetime
    expires_at: datetime | None
    expires_state: ExpiresState
    permissions: PermissionMap | None
    permissions_subject: PermissionsSubject
    permissions_certainty: Certainty
    unused_permissions: PermissionMap | None
    privilege: Privilege
    privilege_path: tuple[str, ...]
    owner: str | None
    owner_status: str | None
    tags: dict[str, str]
    restrictions: dict[str, Any] | None
    fingerprint: str | None
    key_algorithm: str | None
    key_bits: int | None
    reviewed_at: datetime | None
    url: str | None


class FindingEntry(Struct, frozen=True):
    """A finding: open, suppressed, or ended in this run."""

    id: str
    policy_id: str
    title: str
    message: str
    severity: Severity
    category: str
    status: FindingStatus
    change: Change
    resolution: Resolution | None
    resolved_at: datetime | None
    superseded_by: str | None
    risk: Risk
    first_seen_at: datetime
    last_seen_at: datetime
    stale_since: datetime | None
    not_evaluable_since: datetime | None
    credential: CredentialEntry
    evidence: tuple[Evidence, ...]
    rationale: str
    remediation: Remediation
    controls: dict[str, tuple[str, ...]]
    exception: ExceptionNote | None
    control_certainty: dict[str, dict[str, str]] = {}
    """``controls`` again, each with how certainly the policy maps to it; since 1.1."""


class Report(Struct, frozen=True, kw_only=True):
    """The whole document."""

    schema_version: str
    run: RunEntry
    coverage: tuple[CoverageEntry, ...]
    summary: SummaryEntry
    findings: tuple[FindingEntry, ...]
    not_evaluable: tuple[NotEvaluable, ...]
    ending_exceptions: tuple[EndingEntry, ...] = ()
    compliance: tuple[FrameworkEntry, ...] = ()


def run_entry(run: RunInfo) -> RunEntry:
    """Return the report's shape of *run*."""
    return RunEntry(
        id=run.id,
        started_at=run.started_at,
        finished_at=run.finished_at,
        now=run.now,
        is_as_of=run.is_as_of,
        status=run.status,
        schedule=run.schedule,
        tool=ToolEntry("auditor", run.tool_version),
    )


def coverage_entry(coverage: Coverage) -> CoverageEntry:
    """Return the report's shape of *coverage*."""
    return CoverageEntry(
        source=coverage.source,
        provider=coverage.provider,
        organization=coverage.organization,
        status=coverage.status,
        reason=coverage.reason,
        error=coverage.error,
        credentials=coverage.credentials,
        data_as_of=coverage.data_as_of,
        is_baseline=coverage.is_baseline,
        notes=coverage.notes,
        known_gap=coverage.known_gap,
    )


def summary_entry(summary: Summary) -> SummaryEntry:
    """Return the report's shape of *summary*."""
    return SummaryEntry(**{name: getattr(summary, name) for name in SummaryEntry.__struct_fields__})


class FindingEntries:
    """Gives findings the report's shape; what they share is looked up once."""

    def __init__(self, certainties: Certainties) -> None:
        self._certainties = certainties
        self._known: dict[tuple[str, int], _Mapped] = {}
        """By policy and by the identity of the controls, which many of its findings share."""

    def of(self, finding: Finding) -> FindingEntry:
        """Return the report's shape of *finding*."""
        state = finding.state
        mapped = self._mapped(finding)
        # By place: a struct of so many fields takes its time to find names.
        return FindingEntry(
            state.id,
            state.policy_id,
            finding.title,
            finding.message,
            state.severity,
            finding.category,
            state.status,
            state.change,
            state.resolution,
            state.resolved_at,
            state.superseded_by,
            finding.risk,
            state.first_seen_at,
            state.last_seen_at,
            state.stale_since,
            state.not_evaluable_since,
            credential_entry(finding.credential),
            finding.evidence,
            finding.rationale,
            finding.remediation,
            mapped.controls,
            state.exception,
            mapped.certainty,
        )

    def _mapped(self, finding: Finding) -> "_Mapped":
        policy_id, controls = finding.state.policy_id, finding.controls
        known = self._known.get((policy_id, id(controls)))
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            certainty = _certainty(controls, self._certainties.get(policy_id, {}))
            known = _Mapped(controls, dict(controls), certainty)
            self._known[policy_id, id(controls)] = known
        return known


class _Mapped(NamedTuple):
    """The controls that findings map to."""

    given: Mapping[str, tuple[str, ...]]
    """Kept so that its identity stays its own."""
    controls: dict[str, tuple[str, ...]]
    certainty: dict[str, dict[str, str]]


def _certainty(
    controls: Mapping[str, tuple[str, ...]], certainty: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    return {
        framework: {
            control: certainty[framework][control]
            for control in ids
            if control in certainty.get(framework, {})
        }
        for framework, ids in controls.items()
    }


_facts = attrgetter(*CredentialEntry.__struct_fields__)


def credential_entry(credential: Credential) -> CredentialEntry:
    """Return the report's shape of *credential*; every fact of it has the name it has there."""
    return CredentialEntry(*_facts(credential))
