"""What a finding's status is in OCSF: activity, status and the state of its controls."""

from datetime import datetime
from typing import NamedTuple

from auditor.model import Change, FindingState, FindingStatus, Resolution, Severity

SEVERITIES = {
    Severity.INFORMATIONAL: (1, "Informational"),
    Severity.LOW: (2, "Low"),
    Severity.MEDIUM: (3, "Medium"),
    Severity.HIGH: (4, "High"),
    Severity.CRITICAL: (5, "Critical"),
}
RISK_LEVELS = {
    Severity.INFORMATIONAL: (0, "Info"),
    Severity.LOW: (1, "Low"),
    Severity.MEDIUM: (2, "Medium"),
    Severity.HIGH: (3, "High"),
    Severity.CRITICAL: (4, "Critical"),
}

CREATE = (1, "Create")
UPDATE = (2, "Update")
CLOSE = (3, "Close")

_NEW = (1, "New")
_SUPPRESSED = (3, "Suppressed")
_RESOLVED = (4, "Resolved")
_ARCHIVED = (5, "Archived")

_PASS = (1, "Pass")
_FAIL = (3, "Fail")
_UNKNOWN = (0, "Unknown")


class Lifecycle(NamedTuple):
    """Where a finding stands, in OCSF's numbers and captions."""

    activity: tuple[int, str]
    status: tuple[int, str]
    code: str
    """Our own word."""
    detail: str | None
    compliance: tuple[int, str]


def lifecycle(state: FindingState, now: datetime) -> Lifecycle:
    """Return where *state* stands in the run at *now*.

    A finding that an exception covers from its first day is created as suppressed. One that ended
    without being mended is archived: its condition may still hold.
    """
    if state.status is FindingStatus.RESOLVED:
        return _ended(state)
    begins = state.change in (Change.OPENED, Change.REOPENED)
    if state.status is FindingStatus.SUPPRESSED:
        since = state.opened_at or state.first_seen_at
        begins = begins or (state.change is Change.SUPPRESSED and since >= now)
        detail = state.exception.reason if state.exception else None
        return Lifecycle(CREATE if begins else UPDATE, _SUPPRESSED, "suppressed", detail, _FAIL)
    code = state.change.value if begins else "open"
    detail = None
    if state.stale_since is not None:
        detail = "Remembered: the credential's source could not be read."
    elif state.not_evaluable_since is not None:
        detail = "Remembered: a fact the policy needs is not known today."
    return Lifecycle(CREATE if begins else UPDATE, _NEW, code, detail, _FAIL)


def _ended(state: FindingState) -> Lifecycle:
    resolution = state.resolution or Resolution.CONDITION_CLEARED
    if resolution.is_fixed:
        return Lifecycle(CLOSE, _RESOLVED, "resolved", resolution.value, _PASS)
    detail: str = resolution.value
    compliance = _UNKNOWN
    if resolution is Resolution.SUPERSEDED:
        compliance = _FAIL
        if state.superseded_by:
            detail = f"superseded by {state.superseded_by}"
    return Lifecycle(CLOSE, _ARCHIVED, resolution.value, detail, compliance)
