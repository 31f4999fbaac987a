"""What the records of Databricks mean, without the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from auditor.collectors._notebook import Notebook, allowed, identifier, text, texts
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
    *("token_id", "created_by_id", "created_by_username", "owner_id", "workspace_id"),
    *("creation_time", "expiry_time", "last_used_day"),
)
_SECRET_FIELDS = ("id", "status", "create_time", "update_time", "expire_time")
_EVERYTHING = "all-apis"
_NEVER = -1
_DAY = timedelta(days=1)
_CLOCKS_APART = timedelta(days=1)
_KINDS = {"groups": "group", "roles": "role", "entitlements": "entitlement"}


@dataclass(frozen=True)
class Holder:
    """The user or service principal that a credential acts as; None is unknown."""

    id: str
    name: str
    type: PrincipalType = PrincipalType.UNKNOWN
    is_active: bool | None = None
    application_id: str | None = None
    permissions: PermissionMap | None = None

    @property
    def principal(self) -> Principal:
        """The holder as the one a credential acts as; no account here is beyond all policies."""
        status = None if self.is_active is None else "active" if self.is_active else "inactive"
        return Principal(self.id, self.name, self.type, status=status, is_root=False)

    @property
    def email(self) -> str | None:
        """The address of a person."""
        return self.name if self.type is PrincipalType.USER and "@" in self.name else None


def holder_of(record: Any, kind: PrincipalType) -> Holder | None:
    """Return the holder that a SCIM record describes; None where it has no usable id."""
    found = identifier(record)
    if found is None:
        return None
    active = record.get("active")
    return Holder(
        found,
        text(record, "userName") or text(record, "displayName") or found,
        kind,
        is_active=active if isinstance(active, bool) else None,
        application_id=text(record, "applicationId"),
        permissions=_rights(record),
    )


def _rights(record: Mapping[str, Any]) -> PermissionMap:
    found: PermissionMap = {}
    for key, kind in _KINDS.items():
        values = record.get(key)
        for one in values if isinstance(values, list) else []:
            # Groups have a name besides their number; the others are their value.
            name = text(one, "display") or text(one, "value")
            if name is not None:
                found.setdefault(kind, {})[name] = True
    return found


class Reading(Notebook):
    """One workspace being read: turns records into credentials."""

    def __init__(self, organization: Organization, *, source: str, now: datetime) -> None:
        super().__init__(organization, now)
        self._source = source

    def token(self, record: Mapping[str, Any], found: str, holder: Holder) -> Credential:
        """Return a personal access token."""
        used_at = self._past("last_used_day", _day(record.get("last_used_day")))
        state, expires_at = ExpiresState.NEVER, None
        if record.get("expiry_time") != _NEVER:
            expires_at = self._epoch(record, "expiry_time")
            state = ExpiresState.UNKNOWN if expires_at is None else ExpiresState.AT
        return Credential(
            **self._common("personal_access_token", found, record, holder),
            name=text(record, "comment") or found,
            type="Personal Access Token",
            status=self._status(expires_at, holder),
            created_at=self._past("creation_time", self._epoch(record, "creation_time")),
            last_used_at=used_at,
            last_used_state=LastUsedState.UNKNOWN if used_at is None else LastUsedState.USED,
            last_used_precision=None if used_at is None else _DAY,
            expires_at=expires_at,
            expires_state=state,
            owner=holder.email,
            raw=allowed(record, _TOKEN_FIELDS),
        )

    def secret(self, record: Mapping[str, Any], found: str, holder: Holder) -> Credential:
        """Return an OAuth secret of a service principal; no use of it is recorded."""
        state, expires_at = ExpiresState.NEVER, None
        if "expire_time" in record:  # left out where there is none
            state, expires_at = self.expiry(record, "expire_time")
        is_known = record.get("status") == "ACTIVE"
        return Credential(
            **self._common("client_secret", found, record, holder),
            client_id=holder.application_id,
            name=f"{holder.name} {found}",
            type="Client Secret",
            status=self._status(expires_at, holder) if is_known else Status.UNKNOWN,
            created_at=self.instant(record, "create_time"),
            expires_at=expires_at,
            expires_state=state,
            raw=allowed(record, _SECRET_FIELDS),
        )

    def _common(
        self, kind: str, found: str, record: Mapping[str, Any], holder: Holder
    ) -> dict[str, Any]:
        scopes = texts(record, "scopes") or []
        is_limited = bool(scopes) and _EVERYTHING not in scopes
        own: PermissionMap = {"scope": dict.fromkeys(sorted(scopes), True)}
        return {
            "uid": credential_uid("databricks", self.organization.id, kind, found),
            "provider": "databricks",
            "source": self._source,
            "organization": self.organization,
            "principal": holder.principal,
            "observed_at": self.now,
            "data_as_of": self.now,
            "permissions": own if is_limited else holder.permissions,
            "permissions_subject": (
                PermissionsSubject.CREDENTIAL if is_limited else PermissionsSubject.PRINCIPAL
            ),
        }

    def _status(self, expires_at: datetime | None, holder: Holder) -> Status:
        if expires_at is not None and expires_at <= self.now:
            return Status.EXPIRED
        # What becomes of the credentials of a deactivated holder is not documented.
        return Status.UNKNOWN if holder.is_active is False else Status.ACTIVE

    def _epoch(self, record: Mapping[str, Any], key: str) -> datetime | None:
        try:
            return parse_instant(record.get(key), "epoch_ms")
        except ValueError as error:
            self._problems[f"{key} {error}"] += 1
            return None

    def _past(self, key: str, found: datetime | None) -> datetime | None:
        if found is None or found <= self.now + _CLOCKS_APART:
            return found
        self._problems[f"{key} lies in the future"] += 1
        return None


def _day(value: object) -> datetime | None:
    """Return a day that is written in days, seconds or milliseconds since 1970.

    The unit is not documented. Today's date differs by a factor of a thousand and more between
    them, so a value cannot be taken for another; 0 and anything else is no day.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        return None
    seconds = value * 86_400 if value < 10**6 else value if value < 10**11 else value / 1000
    try:
        return parse_instant(seconds, "epoch_s")
    except ValueError:
        return None
