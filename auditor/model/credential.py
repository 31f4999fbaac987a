"""A credential as every provider's are told: never its secret, always how sure we are."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

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
