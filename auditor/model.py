"""The words of the auditor as frozen values: credentials, findings and what they are made of.

Every instant is an aware UTC datetime; every duration is a timedelta. In JSON, instants are RFC
3339 with ``Z`` and durations ISO 8601 (``PT4H``).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

Instant = Annotated[datetime, Meta(tz=True)]
"""An aware datetime; inside the auditor always UTC."""

PermissionMap = dict[str, dict[str, bool]]
"""Resource type → permission → granted. A false entry means *not granted*."""


class Status(StrEnum):
    """Whether a credential can be used to authenticate."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class LastUsedState(StrEnum):
    """What the provider can say about the newest use."""

    USED = "used"
    """A time is known."""
    NEVER = "never"
    """The provider records use and has recorded none."""
    NOT_IN_WINDOW = "not_in_window"
    """No use since ``last_used_window_start``; earlier use is possible."""
    UNKNOWN = "unknown"
    """No such field, no permission to read it, or the call failed."""


class LastUsedSubject(StrEnum):
    """Whose use ``last_used_at`` measures."""

    CREDENTIAL = "credential"
    PRINCIPAL = "principal"


class ExpiresState(StrEnum):
    """What is known about the end of a credential's life."""

    AT = "at"
    NEVER = "never"
    """It could expire, and does not."""
    UNSUPPORTED = "unsupported"
    """This kind of credential cannot expire."""
    SLIDING = "sliding"
    """Every use moves the end."""
    UNKNOWN = "unknown"


class PrincipalType(StrEnum):
    """What a credential acts as."""

    SERVICE_ACCOUNT = "service_account"
    USER = "user"
    APPLICATION = "application"
    MACHINE = "machine"
    UNKNOWN = "unknown"


class PermissionsSubject(StrEnum):
    """Whose rights the ``permissions`` map describes."""

    CREDENTIAL = "credential"
    PRINCIPAL = "principal"
    CALLER = "caller"
    """The auditor's own: no verdict about the credential can rest on it."""
    UNKNOWN = "unknown"


class Certainty(StrEnum):
    """How a fact was come by."""

    STATED = "stated"
    INFERRED = "inferred"


class Privilege(StrEnum):
    """The strongest thing a credential may do."""

    ADMIN = "admin"
    WRITE = "write"
    READ = "read"
    NONE = "none"
    UNKNOWN = "unknown"


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


class Organization(Struct, frozen=True):
    """The provider's outer boundary: organization, account, tenant or project."""

    id: str
    name: str


class Principal(Struct, frozen=True):
    """Whom a credential acts as."""

    id: str
    name: str
    type: PrincipalType = PrincipalType.UNKNOWN
    status: str | None = None
    is_root: bool | None = None
    has_mfa: bool | None = None


class Credential(Struct, frozen=True, kw_only=True):
    """One credential as a provider listed it, without its secret material.

    None means *there is none* for ``client_id``, ``description``, ``url``, ``owner``,
    ``restrictions`` and ``fingerprint``, and *unknown* for ``created_at``, ``permissions`` and
    ``unused_permissions``. Instants are aware UTC.
    """

    uid: str
    """``<provider>:<tenant>:<kind>:<provider id>``; build it with `credential_uid`."""
    provider: str
    source: str
    organization: Organization
    principal: Principal
    client_id: str | None = None
    """Public identifier used to authenticate, where it differs from the provider's id."""
    name: str
    description: str | None = None
    type: str
    """``API Key``, ``Service Account Key``, ``Access Token``, ``Client Certificate``,
    ``OAuth Token``, ``Personal Access Token``, or the provider's own noun in title case."""
    status: Status = Status.ACTIVE
    created_at: Instant | None = None
    rotated_at: Instant | None = None
    observed_at: Instant
    """When this run read it."""
    last_used_at: Instant | None = None
    last_used_state: LastUsedState = LastUsedState.UNKNOWN
    last_used_window_start: Instant | None = None
    last_used_precision: timedelta | None = None
    """How late or coarse the provider's record of use may be; None where it does not say."""
    last_used_subject: LastUsedSubject = LastUsedSubject.CREDENTIAL
    data_as_of: Instant
    """When the provider's data were true: the age of a report or export, else the call's time."""
    expires_at: Instant | None = None
    expires_state: ExpiresState = ExpiresState.UNKNOWN
    permissions: PermissionMap | None = None
    permissions_subject: PermissionsSubject = PermissionsSubject.UNKNOWN
    permissions_certainty: Certainty = Certainty.STATED
    unused_permissions: PermissionMap | None = None
    privilege: Privilege = Privilege.UNKNOWN
    """Set by the privilege classifier when a snapshot is written; collectors leave it alone
    unless the provider itself states it."""
    owner: str | None = None
    owner_status: str | None = None
    """``present`` or ``departed``, where a directory of people knows the owner."""
    tags: dict[str, str] = {}
    privilege_path: tuple[str, ...] = ()
    """How the privilege comes about, one sentence each, where the collector can tell: the policy,
    the group it is attached to, or what several permissions reach together."""
    status_changed_at: Instant | None = None
    """When its status last changed after it was created, where the provider tells."""
    restrictions: dict[str, Any] | None = None
    fingerprint: str | None = None
    key_algorithm: str | None = None
    key_bits: int | None = None
    reviewed_at: Instant | None = None
    url: str | None = None
    raw: dict[str, Any] = {}
    """The record as received, minus everything that is not on the collector's allow-list."""

    @property
    def provider_id(self) -> str:
        """The provider's own id: the last part of the uid, decoded."""
        return decode_uid_part(self.uid.rsplit(":", 1)[-1])


def credential_uid(provider: str, tenant: str, kind: str, provider_id: str) -> str:
    """Return the stable identity of a credential; ``%`` and ``:`` inside a part are encoded."""
    return ":".join(encode_uid_part(part) for part in (provider, tenant, kind, provider_id))


def encode_uid_part(part: str) -> str:
    """Percent-encode what would make a uid ambiguous."""
    return part.replace("%", "%25").replace(":", "%3A")


def decode_uid_part(part: str) -> str:
    """Undo `encode_uid_part`."""
    return part.replace("%3A", ":").replace("%25", "%")


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


def to_builtins(value: Any) -> Any:
    """Return *value* as plain JSON data: strings, numbers, lists, dicts."""
    return msgspec.to_builtins(value)
