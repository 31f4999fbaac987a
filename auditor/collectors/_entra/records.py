"""What Microsoft Graph's records mean, without the network.

Fields are those of the Graph SDK's models. ``secretText``, ``hint`` and ``key`` are never kept.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from auditor.collectors._notebook import Notebook, allowed, identifier, text, texts
from auditor.model import (
    Credential,
    ExpiresState,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Status,
    credential_uid,
)

_FIELDS = ("keyId", "displayName", "startDateTime", "endDateTime", "type", "usage")
_FEDERATED_FIELDS = ("id", "name", "issuer", "subject", "description")
_SIGNING = "SAML Signing Certificate"
_CONSOLE = (
    "https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade"
    "/~/Credentials/appId/"
)
_ENABLED = (None, "NotDisabled")


@dataclass(frozen=True)
class Holder:
    """An application or service principal, which holds credentials."""

    id: str
    app_id: str | None
    name: str
    record: dict[str, Any]
    is_application: bool
    is_enabled: bool | None
    """None where nobody knows."""

    @classmethod
    def of(cls, record: Any, *, is_application: bool, is_enabled: bool | None) -> "Holder | None":
        """Return the holder that *record* describes; None where it has no usable id."""
        found = identifier(record)
        if found is None:
            return None
        if record.get("disabledByMicrosoftStatus") not in _ENABLED:
            is_enabled = False
        return cls(
            found,
            identifier(record, "appId"),
            text(record, "displayName") or found,
            record,
            is_application=is_application,
            is_enabled=is_enabled,
        )

    @property
    def has_credentials(self) -> bool:
        """Whether secrets or certificates are listed for it, or no list of them came."""
        return any(self.record.get(key) != [] for key in ("passwordCredentials", "keyCredentials"))


class Records:
    """Turns the records of one tenant into credentials."""

    def __init__(self, notebook: Notebook, *, source: str) -> None:
        self.notebook = notebook
        self._source = source

    def credentials(self, holder: Holder) -> list[Credential]:
        """Return the secrets and certificates of *holder*; a SAML pair of keys is one."""
        found = [self._secret(holder, one) for one in self._listed(holder, "passwordCredentials")]
        keys = self._listed(holder, "keyCredentials")
        signing = {_thumbprint(one) for one in keys if text(one, "usage") == "Sign"} - {None}
        for one in keys:
            is_twin = text(one, "usage") == "Verify" and _thumbprint(one) in signing
            if not (is_twin and not holder.is_application):
                found.append(self._key(holder, one))
        return [one for one in found if one is not None]

    def federated(self, holder: Holder, record: Any) -> Credential | None:
        """Return the trust in tokens of another provider: inventory, without age or secret."""
        found = identifier(record)
        if found is None:
            self.notebook.malformed(f"A federated credential of {holder.name}")
            return None
        limits = {
            "issuer": text(record, "issuer"),
            "subject": text(record, "subject"),
            "audiences": texts(record, "audiences"),
        }
        return self._credential(
            holder,
            "federated_credential",
            found,
            type="Federated Credential",
            name=text(record, "name") or found,
            description=text(record, "description"),
            expires_state=ExpiresState.UNSUPPORTED,
            restrictions={name: value for name, value in limits.items() if value} or None,
            raw=allowed(record, _FEDERATED_FIELDS),
        )

    def _secret(self, holder: Holder, record: Any) -> Credential | None:
        return self._dated(holder, record, "client_secret", type="Client Secret")

    def _key(self, holder: Holder, record: Any) -> Credential | None:
        said, usage = text(record, "type"), text(record, "usage")
        if usage == "Sign":
            return self._dated(
                holder,
                record,
                "signing_certificate",
                type=_SIGNING,
                fingerprint=_thumbprint(record),
            )
        if said == "Symmetric":
            return self._dated(holder, record, "symmetric_key", type="Symmetric Key")
        return self._dated(
            holder,
            record,
            "client_certificate",
            type="Client Certificate",
            fingerprint=_thumbprint(record),
        )

    def _dated(self, holder: Holder, record: Any, kind: str, **facts: Any) -> Credential | None:
        found = identifier(record, "keyId")
        if found is None:
            self.notebook.malformed(f"A {facts['type'].lower()} of {holder.name}")
            return None
        state, ends = self.notebook.expiry(record, "endDateTime")
        credential = self._credential(
            holder,
            kind,
            found,
            name=text(record, "displayName") or found,
            created_at=self.notebook.instant(record, "startDateTime"),
            expires_state=state,
            expires_at=ends,
            raw=allowed(record, _FIELDS),
            **facts,
        )
        return self._bounded(holder, credential)

    def _bounded(self, holder: Holder, credential: Credential) -> Credential:
        """Correct what cannot be: older than its application, or active after its end.

        Whoever adds a secret may choose when it starts.
        """
        now = self.notebook.now
        ends, start = credential.expires_at, credential.created_at
        if ends is not None and ends <= now:
            credential = msgspec.structs.replace(credential, status=Status.EXPIRED)
        born = self.notebook.instant(holder.record, "createdDateTime")
        if born is not None and start is not None and start < born:
            credential = msgspec.structs.replace(credential, created_at=born)
        return credential

    def _credential(self, holder: Holder, kind: str, provider_id: str, **facts: Any) -> Credential:
        now, tenant = self.notebook.now, self.notebook.organization.id
        states = {True: Status.ACTIVE, False: Status.INACTIVE, None: Status.UNKNOWN}
        of = {"held_by": "application" if holder.is_application else "service principal"}
        return Credential(
            uid=credential_uid("entra", f"{tenant}/{holder.id}", kind, provider_id),
            provider="entra",
            source=self._source,
            organization=self.notebook.organization,
            principal=Principal(holder.id, holder.name, PrincipalType.APPLICATION, is_root=False),
            client_id=holder.app_id,
            status=states[holder.is_enabled],
            observed_at=now,
            data_as_of=now,
            permissions_subject=PermissionsSubject.PRINCIPAL,
            tags=of,
            url=f"{_CONSOLE}{holder.app_id}" if holder.is_application else None,
            **facts,
        )

    def _listed(self, holder: Holder, key: str) -> list[Any]:
        found = holder.record.get(key)
        if isinstance(found, list):
            return found
        self._missing_list(holder, key)
        return []

    def _missing_list(self, holder: Holder, key: str) -> None:
        self.notebook.missing(
            "unexpected_response", f"Microsoft Graph sent no list of {key} for {holder.name}"
        )


def _thumbprint(record: Any) -> str | None:
    return text(record, "customKeyIdentifier")
