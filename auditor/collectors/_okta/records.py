"""What Okta's records mean, without the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from auditor.collectors._notebook import Notebook, allowed, child, identifier, text, texts
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
from auditor.times import parse_duration

_TOKEN_FIELDS = (
    *("id", "name", "clientName", "userId", "created", "lastUpdated", "expiresAt", "tokenWindow"),
)
_SECRET_FIELDS = ("id", "status", "created", "lastUpdated")
_KEY_FIELDS = ("id", "kid", "kty", "use", "alg", "status", "created", "lastUpdated")
_SAME_MOMENT = timedelta(minutes=1)
_STATUSES = {"ACTIVE": Status.ACTIVE, "INACTIVE": Status.INACTIVE}
_OWNER_STATUSES = {"DEPROVISIONED": Status.INACTIVE, "SUSPENDED": Status.UNKNOWN}
"""Okta refuses tokens of deactivated users; what it does with those of suspended ones it does not
say. Every other user's tokens work."""


@dataclass(frozen=True)
class Owner:
    """The user behind an API token; None is unknown."""

    id: str
    login: str | None = None
    email: str | None = None
    status: str | None = None
    roles: frozenset[str] | None = None

    @property
    def principal(self) -> Principal:
        """The user as the one a token acts as."""
        is_root = None if self.roles is None else "SUPER_ADMIN" in self.roles
        name = self.login or self.id
        return Principal(self.id, name, PrincipalType.USER, status=self.status, is_root=is_root)


@dataclass(frozen=True)
class App:
    """An OAuth client."""

    id: str
    name: str
    client_id: str | None
    status: str | None
    auth_method: str | None
    is_service: bool
    """Whether it acts in its own name, for which it may hold admin roles."""
    has_keys_elsewhere: bool

    @property
    def has_secrets(self) -> bool:
        """Whether it may log in with a secret; where the method is unknown, it is asked for."""
        return self.auth_method is None or self.auth_method.startswith("client_secret")

    @property
    def has_keys(self) -> bool:
        """Whether it may log in with a key that is stored at Okta."""
        return self.auth_method in (None, "private_key_jwt") and not self.has_keys_elsewhere


def app_of(record: Any) -> App | None:
    """Return the OAuth client that *record* describes; None where it has no usable id."""
    found = identifier(record)
    if found is None:
        return None
    settings = child(child(record, "settings"), "oauthClient")
    client = child(child(record, "credentials"), "oauthClient")
    return App(
        id=found,
        name=text(record, "label") or found,
        client_id=text(client, "client_id"),
        status=text(record, "status"),
        auth_method=text(client, "token_endpoint_auth_method"),
        is_service="client_credentials" in (texts(settings, "grant_types") or ()),
        has_keys_elsewhere=text(settings, "jwks_uri") is not None,
    )


def is_oauth(record: Any) -> bool:
    """Whether *record* describes an OAuth client; other applications hold no such credentials."""
    return isinstance(record, dict) and record.get("signOnMode") == "OPENID_CONNECT"


def role_types(records: list[Any]) -> frozenset[str]:
    """Return the types of the admin roles that are in force."""
    found = (text(one, "type") for one in records if text(one, "status") != "INACTIVE")
    return frozenset(one for one in found if one)


def scopes(records: list[Any]) -> frozenset[str]:
    """Return the Okta scopes of the grants that are in force."""
    found = (text(one, "scopeId") for one in records if text(one, "status") == "ACTIVE")
    return frozenset(one for one in found if one)


def permission_map(**kinds: frozenset[str]) -> PermissionMap:
    """Return a permission map of names under their kinds."""
    return {kind: dict.fromkeys(sorted(names), True) for kind, names in kinds.items() if names}


class Reading(Notebook):
    """One Okta organization being read: turns records into credentials."""

    def __init__(self, organization: Organization, *, source: str, now: datetime) -> None:
        super().__init__(organization, now)
        self._source = source

    def token(self, record: Mapping[str, Any], found: str, owner: Owner) -> Credential:
        """Return the API token *found*; it has all its owner's rights and nothing else."""
        expires_state, expires_at = self.expiry(record, "expiresAt")
        created_at = self.instant(record, "created")
        state, used_at = self._use(record, created_at, expires_at)
        return Credential(
            **self._common("api_token", found),
            principal=owner.principal,
            name=text(record, "name") or found,
            type="API Token",
            status=_OWNER_STATUSES.get(owner.status or "", Status.ACTIVE),
            created_at=created_at,
            last_used_at=used_at,
            last_used_state=state,
            expires_at=expires_at,
            expires_state=(
                ExpiresState.SLIDING if expires_state is ExpiresState.AT else expires_state
            ),
            permissions=None if owner.roles is None else permission_map(role=owner.roles),
            permissions_subject=PermissionsSubject.PRINCIPAL,
            owner=owner.email,
            restrictions=_network(record),
            raw=allowed(record, _TOKEN_FIELDS),
        )

    def secret(
        self, record: Mapping[str, Any], found: str, app: App, permissions: PermissionMap | None
    ) -> Credential:
        """Return a client secret of *app*; Okta records no use of it, and it cannot expire."""
        return Credential(
            **self._common("client_secret", found),
            **self._of_app(record, app, permissions),
            name=f"{app.name} {found}",
            type="Client Secret",
            raw=allowed(record, _SECRET_FIELDS),
        )

    def key(
        self, record: Mapping[str, Any], found: str, app: App, permissions: PermissionMap | None
    ) -> Credential:
        """Return a public key of *app*, whose private half logs in."""
        return Credential(
            **self._common("client_key", found),
            **self._of_app(record, app, permissions),
            name=f"{app.name} {text(record, 'kid') or found}",
            type="Public Key",
            key_algorithm=text(record, "kty"),
            raw=allowed(record, _KEY_FIELDS),
        )

    def _common(self, kind: str, found: str) -> dict[str, Any]:
        return {
            "uid": credential_uid("okta", self.organization.id, kind, found),
            "provider": "okta",
            "source": self._source,
            "organization": self.organization,
            "observed_at": self.now,
            "data_as_of": self.now,
        }

    def _of_app(
        self, record: Mapping[str, Any], app: App, permissions: PermissionMap | None
    ) -> dict[str, Any]:
        created_at, changed_at = (
            self.instant(record, "created"),
            self.instant(record, "lastUpdated"),
        )
        status = _STATUSES.get(text(record, "status") or "", Status.UNKNOWN)
        return {
            # Not the account of an owner, whatever roles it holds.
            "principal": Principal(
                app.id, app.name, PrincipalType.APPLICATION, status=app.status, is_root=False
            ),
            "client_id": app.client_id,
            "status": Status.INACTIVE if app.status == "INACTIVE" else status,
            "created_at": created_at,
            # Okta touches it when the status changes, and at no other time.
            "status_changed_at": changed_at if changed_at != created_at else None,
            "expires_state": ExpiresState.UNSUPPORTED,
            "permissions": permissions,
            "permissions_subject": PermissionsSubject.PRINCIPAL,
        }

    def _use(
        self, record: Mapping[str, Any], created_at: datetime | None, expires_at: datetime | None
    ) -> tuple[LastUsedState, datetime | None]:
        """Return the last use, which is the last time the end was moved to a whole window away.

        It was never moved only where the record was not touched since it was created either.
        """
        try:
            window = parse_duration(record.get("tokenWindow"))
        except ValueError:
            return LastUsedState.UNKNOWN, None
        if created_at is None or expires_at is None:
            return LastUsedState.UNKNOWN, None
        moved_at = expires_at - window
        if created_at + _SAME_MOMENT < moved_at <= self.now + _SAME_MOMENT:
            return LastUsedState.USED, moved_at
        touched_at = self.instant(record, "lastUpdated")
        is_untouched = touched_at is not None and abs(touched_at - created_at) <= _SAME_MOMENT
        if is_untouched and abs(moved_at - created_at) <= _SAME_MOMENT:
            return LastUsedState.NEVER, None
        return LastUsedState.UNKNOWN, None


def _network(record: Mapping[str, Any]) -> dict[str, Any] | None:
    network = child(record, "network")
    connection = text(network, "connection")
    if connection in (None, "ANYWHERE"):
        return None
    return {
        "connection": connection,
        "include": texts(network, "include") or [],
        "exclude": texts(network, "exclude") or [],
    }
