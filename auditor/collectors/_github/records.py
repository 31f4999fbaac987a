"""What GitHub's records mean, without the network.

Field names and what a null stands for are those of GitHub's OpenAPI description. A null
``token_last_used_at``, ``last_used`` or ``credential_accessed_at`` is a field that is kept and
empty: no use was recorded. An absent one tells nothing.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from auditor.collectors._github.keys import read_public_key
from auditor.collectors._notebook import (
    Notebook,
    allowed,
    child,
    identifier,
    text,
    texts,
)
from auditor.model import (
    Credential,
    ExpiresState,
    LastUsedState,
    PermissionMap,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Status,
    credential_uid,
)

_TOKEN_FIELDS = (
    *("id", "token_id", "token_name", "token_expired", "token_expires_at", "token_last_used_at"),
    *("access_granted_at", "repository_selection"),
)
_AUTHORIZATION_FIELDS = (
    *("login", "credential_id", "credential_type", "credential_authorized_at"),
    *("credential_accessed_at", "authorized_credential_id", "authorized_credential_note"),
    *("authorized_credential_title", "authorized_credential_expires_at", "fingerprint"),
)
_KEY_FIELDS = (
    *("id", "title", "verified", "created_at", "read_only", "added_by", "last_used", "enabled"),
)
_INSTALLATION_FIELDS = (
    *("id", "app_id", "app_slug", "client_id", "repository_selection", "created_at"),
    *("updated_at", "suspended_at"),
)
_AUTHORIZATION_KINDS = {
    "personal access token": ("classic_token", "Classic Personal Access Token"),
    "SSH key": ("ssh_key", "SSH Key"),
    "OAuth app token": ("oauth_token", "OAuth Token"),
    "GitHub app token": ("app_user_token", "App User Token"),
}
_REPOSITORIES_SHOWN = 100
_LEVEL = re.compile(r"[a-z_]{1,32}")
"""read, write, admin; a level that GitHub adds later counts as write."""


class Records:
    """Turns the records of one organization into credentials.

    *tenant* is the organization's id, with the host before it on a server of one's own; *web* is
    the address of its pages.
    """

    def __init__(self, notebook: Notebook, *, source: str, tenant: str, web: str) -> None:
        self.notebook = notebook
        self._source = source
        self._tenant = tenant
        self._web = web

    def fine_grained_token(
        self, record: Any, repositories: tuple[list[str], int] | None
    ) -> Credential | None:
        """Return a token; *repositories* are the names of a subset (the first) and their number.

        When it was created is not told, only when its access was approved.
        """
        found = identifier(record, "token_id")
        if found is None:
            self.notebook.malformed("A fine-grained personal access token")
            return None
        state, ends = self.notebook.expiry(record, "token_expires_at")
        owner = text(child(record, "owner"), "login")
        credential = self._credential(
            "fine_grained_token",
            found,
            type="Personal Access Token",
            name=text(record, "token_name") or found,
            principal=_user(child(record, "owner"), owner),
            owner=owner,
            status=Status.EXPIRED if record.get("token_expired") is True else Status.ACTIVE,
            expires_state=state,
            expires_at=ends,
            restrictions=_token_restrictions(record, repositories),
            permissions=_granted_levels(record.get("permissions")),
            permissions_subject=PermissionsSubject.CREDENTIAL,
            tags=_tags(record, granted_at="access_granted_at"),
            raw=allowed(record, _TOKEN_FIELDS),
        )
        return self._used(credential, record, "token_last_used_at")

    def authorization(self, record: Any) -> Credential | None:
        """Return a classic token, SSH key or app token that may pass the single sign-on."""
        stable = identifier(record, "authorized_credential_id")
        found = stable or identifier(record, "credential_id")
        if found is None:
            self.notebook.malformed("A single sign-on authorization")
            return None
        said = text(record, "credential_type") or "unknown"
        kind, noun = _AUTHORIZATION_KINDS.get(said, ("authorization", said.title()))
        title = text(record, "authorized_credential_note") or text(
            record, "authorized_credential_title"
        )
        state, ends = self.notebook.expiry(record, "authorized_credential_expires_at")
        login = text(record, "login")
        scopes = texts(record, "scopes")
        credential = self._credential(
            kind if stable is not None else "authorization",
            found,
            type=noun,
            name=title or found,
            principal=_user({}, login),
            owner=login,
            expires_state=ExpiresState.UNSUPPORTED if kind == "ssh_key" else state,
            expires_at=None if kind == "ssh_key" else ends,
            permissions=None if scopes is None else {"scope": dict.fromkeys(scopes, True)},
            permissions_subject=PermissionsSubject.CREDENTIAL,
            fingerprint=text(record, "fingerprint"),
            tags=_tags(record, granted_at="credential_authorized_at"),
            raw=allowed(record, _AUTHORIZATION_FIELDS),
        )
        return self._used(credential, record, "credential_accessed_at")

    def deploy_key(self, repository: str, record: Any) -> Credential | None:
        """Return a deploy key of *repository* (owner/name); only its public facts are kept."""
        found = identifier(record)
        if found is None:
            self.notebook.malformed(f"A deploy key of {repository}")
            return None
        key = read_public_key(record.get("key"))
        read_only = record.get("read_only")
        rights = {"read": True} if read_only else {"read": True, "write": True}
        credential = self._credential(
            "deploy_key",
            found,
            type="Deploy Key",
            name=text(record, "title") or found,
            principal=Principal(repository, repository, PrincipalType.MACHINE, is_root=False),
            status=Status.INACTIVE if record.get("enabled") is False else Status.ACTIVE,
            created_at=self.notebook.instant(record, "created_at"),
            expires_state=ExpiresState.UNSUPPORTED,
            permissions={"contents": rights} if isinstance(read_only, bool) else None,
            permissions_subject=PermissionsSubject.CREDENTIAL,
            restrictions={"repositories": [repository]},
            fingerprint=key.fingerprint if key else None,
            key_algorithm=key.algorithm if key else None,
            key_bits=key.bits if key else None,
            tags={"repository": repository} | _tags(record, added_by="added_by"),
            url=f"{self._web}/{repository}/settings/keys",
            raw=allowed(record, _KEY_FIELDS),
        )
        return self._used(credential, record, "last_used")

    def installation(self, record: Any) -> Credential | None:
        """Return an App that is installed; it holds no secret of the organization's that ages."""
        found = identifier(record)
        if found is None:
            self.notebook.malformed("An App installation")
            return None
        slug = text(record, "app_slug") or found
        app_id = identifier(record, "app_id") or slug
        is_selected = record.get("repository_selection") == "selected"
        login = self.notebook.organization.name
        return self._credential(
            "installation",
            found,
            type="App Installation",
            name=slug,
            client_id=text(record, "client_id"),
            principal=Principal(app_id, slug, PrincipalType.APPLICATION, is_root=False),
            status=Status.INACTIVE if record.get("suspended_at") else Status.ACTIVE,
            status_changed_at=self.notebook.instant(record, "suspended_at"),
            expires_state=ExpiresState.UNSUPPORTED,
            permissions=_levels(record.get("permissions")),
            permissions_subject=PermissionsSubject.CREDENTIAL,
            restrictions={"repositories": "selected"} if is_selected else None,
            tags=_tags(record, installed_at="created_at"),
            url=f"{self._web}/organizations/{login}/settings/installations/{found}",
            raw=allowed(record, _INSTALLATION_FIELDS),
        )

    def _credential(self, kind: str, provider_id: str, **facts: Any) -> Credential:
        now: datetime = self.notebook.now
        return Credential(
            uid=credential_uid("github", self._tenant, kind, provider_id),
            provider="github",
            source=self._source,
            organization=self.notebook.organization,
            observed_at=now,
            data_as_of=now,
            **facts,
        )

    def _used(self, credential: Credential, record: Mapping[str, Any], key: str) -> Credential:
        if key not in record:
            return credential
        used_at = self.notebook.instant(record, key)
        if used_at is not None:
            return msgspec.structs.replace(
                credential, last_used_at=used_at, last_used_state=LastUsedState.USED
            )
        if record[key] is not None:  # a value nobody can read is no statement about use
            return credential
        return msgspec.structs.replace(credential, last_used_state=LastUsedState.NEVER)


def _user(record: Mapping[str, Any], login: str | None) -> Principal:
    found = identifier(record) or login or "unknown"
    return Principal(found, login or found, PrincipalType.USER)


def _tags(record: Mapping[str, Any], **names: str) -> dict[str, str]:
    found = {tag: text(record, key) for tag, key in names.items()}
    return {tag: value for tag, value in found.items() if value is not None}


def _granted_levels(value: Any) -> PermissionMap | None:
    """Merge the maps of organization, repository and other permissions; any may be missing."""
    if not isinstance(value, dict):
        return None
    merged: PermissionMap = {}
    for part in ("organization", "repository", "other"):
        levels = _levels(value.get(part, {}))
        if levels is None:
            return None
        for name, granted in levels.items():
            merged.setdefault(name, {}).update(granted)
    return merged


def _levels(value: Any) -> PermissionMap | None:
    """Return ``{name: {level: true}}``; None, unknown, where it is not a map of plain words."""
    if not isinstance(value, dict):
        return None
    if not all(isinstance(level, str) and _LEVEL.fullmatch(level) for level in value.values()):
        return None
    return {name: {level: True} for name, level in value.items()}


def _token_restrictions(
    record: Mapping[str, Any], repositories: tuple[list[str], int] | None
) -> dict[str, Any] | None:
    selection = record.get("repository_selection")
    if selection == "none":
        return {"repositories": []}
    if selection != "subset":
        return None
    if repositories is None:
        return {"repositories": "a subset"}
    names, count = repositories
    shown = sorted(names)[:_REPOSITORIES_SHOWN]
    return {"repositories": shown} | ({"number": count} if count > len(shown) else {})
