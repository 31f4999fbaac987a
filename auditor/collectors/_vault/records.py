"""What Vault's records mean, without the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from auditor.collectors._notebook import Notebook, allowed, child, text, texts
from auditor.model import (
    Credential,
    ExpiresState,
    LastUsedState,
    Organization,
    PermissionMap,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Status,
    credential_uid,
)
from auditor.times import parse_instant

_TOKEN_FIELDS = (
    *("display_name", "path", "type", "creation_time", "creation_ttl", "issue_time"),
    *("expire_time", "explicit_max_ttl", "period", "last_renewal", "last_renewal_time"),
    *("num_uses", "orphan", "renewable", "entity_id", "role"),
)
_SECRET_ID_FIELDS = (
    *("creation_time", "expiration_time", "last_updated_time", "secret_id_num_uses"),
    "secret_id_ttl",
)
_MACHINES = frozenset({"alicloud", "approle", "aws", "azure", "cert", "cf", "gcp", "kubernetes"})
_PEOPLE = frozenset({"github", "kerberos", "ldap", "okta", "radius", "userpass"})
_ZERO = "0001-01-01T00:00:00"
"""How Go writes that there is no time."""


@dataclass(frozen=True)
class Entity:
    """Whom Vault takes the holder of a token for."""

    id: str
    name: str
    is_disabled: bool = False


@dataclass(frozen=True)
class Role:
    """A role of AppRole."""

    mount: str
    name: str
    uses: int | None
    """How often a new secret id may be used; 0 is without limit."""
    policies: tuple[str, ...]
    cidrs: tuple[str, ...]

    @classmethod
    def of(cls, mount: str, name: str, record: Mapping[str, Any]) -> "Role":
        """Return the role that *record* describes."""
        policies = texts(record, "token_policies") or []
        if record.get("token_no_default_policy") is not True:
            policies = ["default", *policies]
        cidrs = [
            *(texts(record, "secret_id_bound_cidrs") or ()),
            *(texts(record, "token_bound_cidrs") or ()),
        ]
        uses = _whole(record, "secret_id_num_uses")
        return cls(mount, name, uses, tuple(dict.fromkeys(policies)), tuple(dict.fromkeys(cidrs)))


def policies_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of all policies of a token, its holder's own included."""
    found = [*(texts(record, "policies") or ()), *(texts(record, "identity_policies") or ())]
    return tuple(dict.fromkeys(found))


def holder_type(path: str | None, mounts: Mapping[str, str]) -> PrincipalType:
    """Return who logs in by the method whose mount a token's creation *path* begins with."""
    below = (path or "").removeprefix("auth/")
    kinds = [kind for mount, kind in mounts.items() if below.startswith(f"{mount}/")]
    kind = kinds[0] if len(kinds) == 1 else None
    if kind in _MACHINES:
        return PrincipalType.MACHINE
    return PrincipalType.USER if kind in _PEOPLE else PrincipalType.UNKNOWN


class Reading(Notebook):
    """One namespace being read: turns records into credentials."""

    def __init__(
        self, organization: Organization, *, source: str, tenant: str, now: datetime
    ) -> None:
        super().__init__(organization, now)
        self._source = source
        self._tenant = tenant

    def token(
        self,
        accessor: str,
        record: Mapping[str, Any],
        *,
        entity: Entity | None,
        holder: PrincipalType,
        permissions: PermissionMap,
    ) -> Credential:
        """Return a service token. Of its use Vault keeps nothing.

        A renewal shows that somebody held it then, not that nobody used it since.
        """
        name = text(record, "display_name") or "token"
        principal = Principal(
            entity.id if entity else name,
            entity.name if entity else name,
            holder,
            status="disabled" if entity and entity.is_disabled else None,
            is_root="root" in policies_of(record),
        )
        state, expires_at = self.expiry(record, "expire_time")
        if state is ExpiresState.AT and (_whole(record, "period") or 0) > 0:
            state = ExpiresState.SLIDING
        cidrs = texts(record, "bound_cidrs")
        return Credential(
            **self._common("token", accessor),
            principal=principal,
            name=name,
            type="Token",
            status=Status.INACTIVE if entity and entity.is_disabled else Status.ACTIVE,
            created_at=self._epoch(record, "creation_time"),
            expires_at=expires_at,
            expires_state=state,
            permissions=permissions,
            permissions_subject=PermissionsSubject.CREDENTIAL,
            owner=text(child(record, "meta"), "owner"),
            restrictions={"bound_cidrs": cidrs} if cidrs else None,
            tags=_tags(path=text(record, "path"), role=text(record, "role")),
            raw=allowed(record, _TOKEN_FIELDS),
        )

    def secret_id(
        self, accessor: str, record: Mapping[str, Any], role: Role, permissions: PermissionMap
    ) -> Credential:
        """Return a secret id of *role*."""
        created_at = self.instant(record, "creation_time")
        state, used_at = self._use(record, role, created_at)
        expires_state, expires_at = ExpiresState.NEVER, None
        if not str(record.get("expiration_time")).startswith(_ZERO):
            expires_state, expires_at = self.expiry(record, "expiration_time")
        is_over = expires_at is not None and expires_at <= self.now
        cidrs = [*(texts(record, "cidr_list") or ()), *(texts(record, "token_bound_cidrs") or ())]
        bound = list(dict.fromkeys([*cidrs, *role.cidrs]))
        return Credential(
            **self._common("secret_id", accessor),
            principal=Principal(
                f"{role.mount}/{role.name}",
                role.name,
                PrincipalType.MACHINE,
                is_root="root" in role.policies,
            ),
            name=role.name,
            type="Secret ID",
            status=Status.EXPIRED if is_over else Status.ACTIVE,
            created_at=created_at,
            last_used_at=used_at,
            last_used_state=state,
            expires_at=expires_at,
            expires_state=expires_state,
            permissions=permissions,
            permissions_subject=PermissionsSubject.PRINCIPAL,
            owner=text(child(record, "metadata"), "owner"),
            restrictions={"bound_cidrs": bound} if bound else None,
            tags=_tags(mount=role.mount, role=role.name),
            raw=allowed(record, _SECRET_ID_FIELDS),
        )

    def _common(self, kind: str, accessor: str) -> dict[str, Any]:
        return {
            "uid": credential_uid("vault", self._tenant, kind, digest(accessor)),
            "provider": "vault",
            "source": self._source,
            "organization": self.organization,
            "observed_at": self.now,
            "data_as_of": self.now,
        }

    def _use(
        self, record: Mapping[str, Any], role: Role, created_at: datetime | None
    ) -> tuple[LastUsedState, datetime | None]:
        """Return the last login. Only those that use up one of a limited number leave a trace."""
        left = _whole(record, "secret_id_num_uses")
        updated_at = self.instant(record, "last_updated_time")
        if not left or created_at is None or updated_at is None:
            return LastUsedState.UNKNOWN, None
        if updated_at > created_at:
            return LastUsedState.USED, updated_at
        # Where none of the role's number is used up, both signs agree.
        is_untouched = updated_at == created_at and left == role.uses
        return (LastUsedState.NEVER if is_untouched else LastUsedState.UNKNOWN), None

    def _epoch(self, record: Mapping[str, Any], key: str) -> datetime | None:
        try:
            return parse_instant(record.get(key), "epoch_s")
        except ValueError as error:
            self._problems[f"{key} {error}"] += 1
            return None


def digest(accessor: str) -> str:
    """Return what stands for *accessor*: who holds one and some rights can revoke its token."""
    return sha256(accessor.encode()).hexdigest()[:32]


def _whole(record: Mapping[str, Any], key: str) -> int | None:
    value = record.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _tags(**names: str | None) -> dict[str, str]:
    return {key: name for key, name in names.items() if name}
