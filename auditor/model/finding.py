"""A finding: a policy's answer about one credential, followed through time and explained."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from auditor.model.credential import Credential, Instant


class Severity(StrEnum):
    """How bad, in ascending order; compare with `rank`."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for informational to 4 for critical."""
        return _SEVERITY_RANK[self]


_SEVERITY_RANK = {severity: rank for rank, severity in enumerate(Severity)}


class FindingStatus(StrEnum):
    """Where a finding stands."""

    OPEN = "open"
    RESOLVED = "resolved"
    SUPPRESSED = "suppressed"


class Change(StrEnum):
    """What this run did to a finding."""

    OPENED = "opened"
    UNCHANGED = "unchanged"
    REOPENED = "reopened"
    RESOLVED = "resolved"
    SUPPRESSED = "suppressed"


class Resolution(StrEnum):
    """Why a finding ended. Only `REMOVED` and `CONDITION_CLEARED` count as fixed."""

    REMOVED = "removed"
    CONDITION_CLEARED = "condition_cleared"
    SUPERSEDED = "superseded"
    POLICY_RETIRED = "policy_retired"
    OUT_OF_SCOPE = "out_of_scope"
    NOT_JUDGED = "not_judged"

    @property
    def is_fixed(self) -> bool:
        """Whether somebody mended something."""
        return self in (Resolution.REMOVED, Resolution.CONDITION_CLEARED)


class Absence(StrEnum):
    """Why a credential with remembered findings was not read in a run."""

    REMOVED = "removed"
    """Every source that used to see it has read its scope whole without it."""
    UNREAD = "unread"
    """A source that used to see it was not read whole."""
    NOT_SELECTED = "not_selected"
    """A source that used to see it was left out of this run."""
    OUT_OF_SCOPE = "out_of_scope"
    """No configured source reads its scope any more."""


class Outcome(StrEnum):
    """What a policy says about a credential when it does not pass."""

    VIOLATION = "violation"
    NOT_EVALUABLE = "not_evaluable"
    """A fact the condition needs is unknown."""
    NOT_JUDGED = "not_judged"
    """The facts describe somebody else, such as the caller's own permissions."""


class Evidence(Struct, frozen=True):
    """One observed fact behind a finding, with the limit it is held against.

    Both are JSON values: durations ISO 8601, instants RFC 3339.
    """

    fact: str
    observed: Any
    limit: Any = None


class Risk(Struct, frozen=True):
    """0 (let it be) to 100 (deal with it now), with the reasons in plain words, strongest first."""

    score: int
    reasons: tuple[str, ...] = ()


class Remediation(Struct, frozen=True):
    """What mends a finding: a sentence, commands to copy, and where the provider explains it."""

    summary: str
    commands: tuple[str, ...] = ()
    url: str | None = None


class ExceptionNote(Struct, frozen=True):
    """The dated, reasoned decision under which a finding is suppressed."""

    reason: str
    approver: str
    expires: str
    ticket: str | None = None


class Verdict(Struct, frozen=True):
    """One policy's answer about one credential at one instant; a pass is not listed."""

    policy_id: str
    outcome: Outcome
    severity: Severity | None = None
    """Set for violations only."""
    missing: tuple[str, ...] = ()
    """The unknown fields, where the outcome is *not evaluable*; ``last_used_at``, say."""


class FindingState(Struct, frozen=True, kw_only=True):
    """What is remembered of one violation through time; see `Change` and `Resolution`.

    ``id`` depends on policy and credential uid only, so that re-observing is idempotent.
    """

    id: str
    policy_id: str
    credential_uid: str
    status: FindingStatus
    change: Change
    severity: Severity
    risk_score: int
    first_seen_at: Instant
    last_seen_at: Instant
    """The newest run in which the violation was observed, not merely remembered."""
    opened_at: Instant | None = None
    """When its present life began: the newest reopening; None where that is ``first_seen_at``."""
    resolution: Resolution | None = None
    resolved_at: Instant | None = None
    stale_since: Instant | None = None
    """Set while the credential's source could not be read."""
    not_evaluable_since: Instant | None = None
    """Set while a fact the policy needs is unknown."""
    superseded_by: str | None = None
    """The superior policy's id, where the resolution is *superseded*."""
    exception: ExceptionNote | None = None


class Finding(Struct, frozen=True, kw_only=True):
    """A finding as every report shows it: state, explanation and the credential concerned."""

    state: FindingState
    title: str
    message: str
    category: str
    credential: Credential
    risk: Risk
    evidence: tuple[Evidence, ...]
    rationale: str
    remediation: Remediation
    controls: Mapping[str, tuple[str, ...]]
