"""What Google's records mean, without the network.

Fields are those of the discovery documents of IAM v1, API Keys v2 and Cloud Storage v1. Google
leaves out what is false or empty.
"""

import re
from typing import Any

from auditor.collectors._notebook import Notebook, allowed, child, identifier, text, texts
from auditor.model import (
    Certainty,
    Credential,
    ExpiresState,
    PermissionMap,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Status,
    credential_uid,
)

_KEY_FIELDS = (
    *("name", "keyType", "keyOrigin", "keyAlgorithm", "validAfterTime", "validBeforeTime"),
    *("disabled", "disableReason"),
)
_API_KEY_FIELDS = ("name", "uid", "displayName", "createTime", "updateTime", "serviceAccountEmail")
_HMAC_FIELDS = ("accessId", "state", "serviceAccountEmail", "projectId", "timeCreated", "updated")
_RESTRICTIONS = {
    "browserKeyRestrictions": ("allowedReferrers", "allowed_referrers"),
    "serverKeyRestrictions": ("allowedIps", "allowed_ips"),
    "iosKeyRestrictions": ("allowedBundleIds", "allowed_bundle_ids"),
}
_OWNER = re.compile(r"\bowner:\s*([^\s,;]+)", re.IGNORECASE)
_LABEL = re.compile(r"(?:[^\WA-Z]|-){1,63}")
"""What Google lets a label's value be; no capital letters."""
_CONSOLE = "https://console.cloud.google.com"


class Account:
    """A service account; without *record* only its e-mail is known."""

    def __init__(self, email: str, record: Any = None) -> None:
        self.email = email
        self.unique_id = identifier(record, "uniqueId")
        self.is_disabled = None if record is None else record.get("disabled") is True
        """None where nobody knows."""
        self.description = text(record, "description")

    @property
    def principal(self) -> Principal:
        """Whom its credentials act as."""
        status = "disabled" if self.is_disabled else None
        kind = PrincipalType.SERVICE_ACCOUNT
        return Principal(self.unique_id or self.email, self.email, kind, status=status)


class Records:
    """Turns the records of one project into credentials; *labels* are the project's."""

    def __init__(self, notebook: Notebook, *, source: str, labels: dict[str, Any]) -> None:
        self.notebook = notebook
        self._source = source
        self._project = notebook.organization.id
        self._labels = {k: v for k in labels if _LABEL.fullmatch(v := text(labels, k) or "")}

    def key(self, account: Account, record: Any, permissions: PermissionMap) -> Credential | None:
        """Return a key of *account*; when it began is when it became valid.

        For an uploaded key that is the date inside its certificate, not that of the upload.
        """
        name = text(record, "name")
        found = (name or "").rpartition("/keys/")[2]
        if not found:
            self.notebook.malformed(f"A key of {account.email}")
            return None
        algorithm, bits = _algorithm(text(record, "keyAlgorithm"))
        state, ends = self.notebook.expiry(record, "validBeforeTime")
        is_off = record.get("disabled") is True or account.is_disabled is True
        return self._credential(
            "service_account_key",
            found,
            inside=account.unique_id or account.email,
            type="Service Account Key",
            name=found,
            principal=account.principal,
            description=account.description,
            owner=self._owner(account),
            status=self._status(ends, is_off=is_off),
            created_at=self.notebook.instant(record, "validAfterTime"),
            expires_state=state,
            expires_at=ends,
            permissions=permissions,
            key_algorithm=algorithm,
            key_bits=bits,
            tags=self._tags(_conditions(record)),
            url=f"{_CONSOLE}/iam-admin/serviceaccounts?project={self._project}",
            raw=allowed(record, _KEY_FIELDS),
        )

    def api_key(
        self, account: Account | None, record: Any, permissions: PermissionMap | None
    ) -> Credential | None:
        """Return an API key; one that is bound to a service account acts as it."""
        found = identifier(record, "uid")
        if found is None:
            self.notebook.malformed(f"An API key of {self._project}")
            return None
        nobody = Principal(self._project, self._project, PrincipalType.UNKNOWN, is_root=False)
        return self._credential(
            "api_key",
            found,
            type="API Key",
            name=text(record, "displayName") or found,
            principal=account.principal if account else nobody,
            owner=self._owner(account),
            status=Status.REVOKED if record.get("deleteTime") else Status.ACTIVE,
            created_at=self.notebook.instant(record, "createTime"),
            expires_state=ExpiresState.UNSUPPORTED,
            permissions=permissions,
            restrictions=_restrictions(child(record, "restrictions")),
            tags=self._tags({}),
            url=f"{_CONSOLE}/apis/credentials/key/{found}?project={self._project}",
            raw=allowed(record, _API_KEY_FIELDS),
        )

    def hmac_key(
        self, account: Account, record: Any, permissions: PermissionMap
    ) -> Credential | None:
        """Return an HMAC key of Cloud Storage; Google does not track its use."""
        found = identifier(record, "accessId")
        if found is None:
            self.notebook.malformed(f"An HMAC key of {self._project}")
            return None
        states = {"ACTIVE": Status.ACTIVE, "INACTIVE": Status.INACTIVE, "DELETED": Status.REVOKED}
        status = states.get(text(record, "state") or "", Status.UNKNOWN)
        if status is Status.ACTIVE and account.is_disabled is not False:
            status = Status.INACTIVE if account.is_disabled else Status.UNKNOWN
        return self._credential(
            "hmac_key",
            found,
            type="HMAC Key",
            name=found,
            principal=account.principal,
            description=account.description,
            owner=self._owner(account),
            status=status,
            created_at=self.notebook.instant(record, "timeCreated"),
            expires_state=ExpiresState.UNSUPPORTED,
            permissions=permissions,
            tags=self._tags({}),
            url=f"{_CONSOLE}/storage/settings?project={self._project}",
            raw=allowed(record, _HMAC_FIELDS),
        )

    def _credential(
        self, kind: str, provider_id: str, *, inside: str | None = None, **facts: Any
    ) -> Credential:
        now = self.notebook.now
        tenant = self._project if inside is None else f"{self._project}/{inside}"
        return Credential(
            uid=credential_uid("gcp", tenant, kind, provider_id),
            provider="gcp",
            source=self._source,
            organization=self.notebook.organization,
            observed_at=now,
            data_as_of=now,
            permissions_subject=PermissionsSubject.PRINCIPAL,
            permissions_certainty=Certainty.INFERRED,
            **facts,
        )

    def _status(self, ends: Any, *, is_off: bool) -> Status:
        if ends is not None and ends <= self.notebook.now:
            return Status.EXPIRED
        return Status.INACTIVE if is_off else Status.ACTIVE

    def _owner(self, account: Account | None) -> str | None:
        """Return whom the account's description names, or the project's labels."""
        match = _OWNER.search(account.description or "") if account else None
        return match[1] if match else self._labels.get("owner") or self._labels.get("team")

    def _tags(self, more: dict[str, str]) -> dict[str, str]:
        return self._labels | more


def _conditions(record: Any) -> dict[str, str]:
    """Return what Google says about a key's state: a key that it found in public, for one."""
    said = {
        "key_origin": text(record, "keyOrigin"),
        "disable_reason": text(record, "disableReason"),
    }
    extended = record.get("extendedStatus")
    for one in extended if isinstance(extended, list) else ():
        name = text(one, "key")
        if name is not None:  # the value may be the address of the leak, which is not kept
            said[name.removeprefix("SERVICE_ACCOUNT_KEY_EXTENDED_STATUS_").lower()] = "true"
    return {name: value for name, value in said.items() if value is not None}


def _algorithm(said: str | None) -> tuple[str | None, int | None]:
    match = re.fullmatch(r"KEY_ALG_([A-Z]+)_(\d{3,5})", said or "")
    return (match[1], int(match[2])) if match else (None, None)


def _restrictions(record: dict[str, Any]) -> dict[str, Any] | None:
    """Return what narrows an API key; None where nothing does."""
    found: dict[str, Any] = {}
    targets = record.get("apiTargets")
    services = [text(one, "service") for one in targets] if isinstance(targets, list) else []
    if any(services):
        found["services"] = [one for one in services if one]
    for group, (field, name) in _RESTRICTIONS.items():
        listed = texts(child(record, group), field)
        if listed:
            found[name] = listed
    apps = child(record, "androidKeyRestrictions").get("allowedApplications")
    packages = [text(one, "packageName") for one in apps] if isinstance(apps, list) else []
    if any(packages):
        found["allowed_applications"] = [one for one in packages if one]
    return found or None
