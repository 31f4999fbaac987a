"""The shapes of the JSON report, and how the auditor's values take them.

They are the report's own, so that the inside of the auditor can change without a word to the
scripts that read reports. Within a major schema version fields are added, never renamed, removed
or given another type.
"""

from datetime import datetime, timedelta
from typing import Any

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


class CredentialEntry(Struct, frozen=True, kw_only=True):
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


class FindingEntry(Struct, frozen=True, kw_only=True):
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


def finding_entry(finding: Finding, certainties: Certainties) -> FindingEntry:
    """Return the report's shape of *finding*."""
    state = finding.state
    certainty = certainties.get(state.policy_id, {})
    return FindingEntry(
        id=state.id,
        policy_id=state.policy_id,
        title=finding.title,
        message=finding.message,
        severity=state.severity,
        category=finding.category,
        status=state.status,
        change=state.change,
        resolution=state.resolution,
        resolved_at=state.resolved_at,
        superseded_by=state.superseded_by,
        risk=finding.risk,
        first_seen_at=state.first_seen_at,
        last_seen_at=state.last_seen_at,
        stale_since=state.stale_since,
        not_evaluable_since=state.not_evaluable_since,
        credential=credential_entry(finding.credential),
        evidence=finding.evidence,
        rationale=finding.rationale,
        remediation=finding.remediation,
        controls=dict(finding.controls),
        exception=state.exception,
        control_certainty={
            framework: {
                control: certainty[framework][control]
                for control in controls
                if control in certainty.get(framework, {})
            }
            for framework, controls in finding.controls.items()
        },
    )


def credential_entry(credential: Credential) -> CredentialEntry:
    """Return the report's shape of *credential*."""
    return CredentialEntry(
        uid=credential.uid,
        provider_id=credential.provider_id,
        provider=credential.provider,
        source=credential.source,
        organization=credential.organization,
        principal=credential.principal,
        client_id=credential.client_id,
        name=credential.name,
        description=credential.description,
        type=credential.type,
        status=credential.status,
        status_changed_at=credential.status_changed_at,
        created_at=credential.created_at,
        rotated_at=credential.rotated_at,
        observed_at=credential.observed_at,
        last_used_at=credential.last_used_at,
        last_used_state=credential.last_used_state,
        last_used_window_start=credential.last_used_window_start,
        last_used_precision=credential.last_used_precision,
        last_used_subject=credential.last_used_subject,
        data_as_of=credential.data_as_of,
        expires_at=credential.expires_at,
        expires_state=credential.expires_state,
        permissions=credential.permissions,
        permissions_subject=credential.permissions_subject,
        permissions_certainty=credential.permissions_certainty,
        unused_permissions=credential.unused_permissions,
        privilege=credential.privilege,
        privilege_path=credential.privilege_path,
        owner=credential.owner,
        owner_status=credential.owner_status,
        tags=credential.tags,
        restrictions=credential.restrictions,
        fingerprint=credential.fingerprint,
        key_algorithm=credential.key_algorithm,
        key_bits=credential.key_bits,
        reviewed_at=credential.reviewed_at,
        url=credential.url,
    )
