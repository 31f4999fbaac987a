"""The words of the auditor as frozen values: credentials, findings and what they are made of.

Every instant is an aware UTC datetime; every duration is a timedelta. In JSON, instants are RFC
3339 with ``Z`` and durations ISO 8601 (``PT4H``).
"""

from typing import Any

import msgspec

from auditor.model.credential import (
    Certainty,
    Credential,
    ExpiresState,
    Instant,
    LastUsedState,
    LastUsedSubject,
    Organization,
    PermissionMap,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Privilege,
    Status,
    credential_uid,
    decode_uid_part,
    encode_uid_part,
)
from auditor.model.finding import (
    Absence,
    Change,
    Evidence,
    ExceptionNote,
    Finding,
    FindingState,
    FindingStatus,
    Outcome,
    Remediation,
    Resolution,
    Risk,
    Severity,
    Verdict,
)
from auditor.model.run import (
    Coverage,
    CoverageStatus,
    NotEvaluable,
    RunStatus,
)

__all__ = [
    "Absence",
    "Certainty",
    "Change",
    "Coverage",
    "CoverageStatus",
    "Credential",
    "Evidence",
    "ExceptionNote",
    "ExpiresState",
    "Finding",
    "FindingState",
    "FindingStatus",
    "Instant",
    "LastUsedState",
    "LastUsedSubject",
    "NotEvaluable",
    "Organization",
    "Outcome",
    "PermissionMap",
    "PermissionsSubject",
    "Principal",
    "PrincipalType",
    "Privilege",
    "Remediation",
    "Resolution",
    "Risk",
    "RunStatus",
    "Severity",
    "Status",
    "Verdict",
    "credential_uid",
    "decode_uid_part",
    "encode_uid_part",
    "to_builtins",
]


def to_builtins(value: Any) -> Any:
    """Return *value* as plain JSON data: strings, numbers, lists, dicts."""
    return msgspec.to_builtins(value)
