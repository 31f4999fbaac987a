"""The fields an expression can read, and how each is read from a credential."""

from collections.abc import Mapping
from enum import Enum, auto

from msgspec import Struct

from auditor.model import (
    Certainty,
    ExpiresState,
    LastUsedState,
    LastUsedSubject,
    PermissionsSubject,
    PrincipalType,
    Privilege,
    Status,
)
from auditor.policy.language import types
from auditor.policy.language.types import Type, state


class Absence(Enum):
    """What null means for a field."""

    NEVER = auto()
    """It is always there."""
    NONE = auto()
    """There is none: an expression must guard it."""
    UNKNOWN = auto()
    """Nobody knows: no guard, the answer is unknown too."""


class Field(Struct, frozen=True):
    """One field: *name* without ``credential.``, *local* the path of a derived one."""

    name: str
    type: Type
    absence: Absence = Absence.NEVER
    local: str | None = None
    is_grant: bool = False
    """Whether it describes rights, which can be somebody else's (``permissions_subject``)."""


_ALWAYS: dict[str, Type] = {
    "uid": types.STRING,
    "provider": types.STRING,
    "source": types.STRING,
    "organization.id": types.STRING,
    "organization.name": types.STRING,
    "principal.id": types.STRING,
    "principal.name": types.STRING,
    "principal.type": state(PrincipalType),
    "name": types.STRING,
    "type": types.STRING,
    "status": state(Status),
    "observed_at": types.TIMESTAMP,
    "last_used_state": state(LastUsedState),
    "last_used_subject": state(LastUsedSubject),
    "data_as_of": types.TIMESTAMP,
    "expires_state": state(ExpiresState),
    "permissions_subject": state(PermissionsSubject),
    "permissions_certainty": state(Certainty),
    "tags": types.STRINGS,
}
_NONE: dict[str, Type] = {
    "client_id": types.STRING,
    "description": types.STRING,
    "rotated_at": types.TIMESTAMP,
    "owner": types.STRING,
    "owner_status": types.STRING,
    "restrictions": types.ANYTHING,
    "fingerprint": types.STRING,
    "url": types.STRING,
}
_UNKNOWN: dict[str, Type] = {
    "principal.status": types.STRING,
    "principal.is_root": types.BOOL,
    "principal.has_mfa": types.BOOL,
    "created_at": types.TIMESTAMP,
    "last_used_at": types.TIMESTAMP,
    "last_used_window_start": types.TIMESTAMP,
    "last_used_precision": types.DURATION,
    "expires_at": types.TIMESTAMP,
    "key_algorithm": types.STRING,
    "key_bits": types.INT,
    "reviewed_at": types.TIMESTAMP,
    "status_changed_at": types.TIMESTAMP,
}
_GRANTS: dict[str, Type] = {
    "permissions": types.PERMISSIONS,
    "unused_permissions": types.PERMISSIONS,
}
_NEIGHBOURS: dict[str, Type] = {
    "active_siblings": types.INT,
    "siblings_overlap_for": types.DURATION,
    "sharing_principals": types.INT,
    "is_shared_across_production": types.BOOL,
    "peers": types.INT,
    "peer_median": types.INT,
    "peer_limit": types.INT,
}
_NEIGHBOUR_GRANTS: dict[str, Type] = {
    "is_permission_outlier": types.BOOL,
    "gained_permissions": types.list_of(types.STRING),
    "has_gained_admin": types.BOOL,
}
NEIGHBOURS = frozenset({*_NEIGHBOURS, *_NEIGHBOUR_GRANTS})
"""What only other credentials or earlier readings tell; see `Neighbours`."""
DERIVED = ("age", "idle_for", "expires_in", "lifetime")
"""Computed from other fields by `auditor.policy.language.derived`."""

FIELDS: Mapping[str, Field] = {
    **{name: Field(name, kind) for name, kind in _ALWAYS.items()},
    **{name: Field(name, kind, Absence.NONE) for name, kind in _NONE.items()},
    **{name: Field(name, kind, Absence.UNKNOWN) for name, kind in _UNKNOWN.items()},
    **{name: Field(name, kind, Absence.UNKNOWN, is_grant=True) for name, kind in _GRANTS.items()},
    "privilege": Field("privilege", state(Privilege), is_grant=True),
    "privilege_path": Field("privilege_path", types.list_of(types.STRING), is_grant=True),
    **{name: Field(name, types.DURATION, Absence.UNKNOWN, local=name) for name in DERIVED},
    **{
        name: Field(name, kind, Absence.UNKNOWN, local=f"neighbours.{name}")
        for name, kind in _NEIGHBOURS.items()
    },
    **{
        name: Field(name, kind, Absence.UNKNOWN, local=f"neighbours.{name}", is_grant=True)
        for name, kind in _NEIGHBOUR_GRANTS.items()
    },
}
OBJECTS = ("organization", "principal")
"""Fields that only group others."""

ARGUMENTS = ("credential", "derived", "now")
"""The arguments of a compiled condition, in this order."""

REFUSED: Mapping[str, str] = {
    "raw": "credential.raw is kept for the newest reading only, so nothing can be judged by it; "
    "use a field or a tag that the collector fills",
}
