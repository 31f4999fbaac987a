"""From what AWS says to normalized credentials.

Provider facts are those of the IAM user guide: no use is recorded of service-specific credentials,
certificates and SSH keys; access keys never expire, and their secret never changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from auditor.collectors._aws.answers import Record, text
from auditor.collectors._aws.authorization import Identities, instant
from auditor.collectors._aws.keys import ACCESS_KEY, Key
from auditor.collectors._aws.permissions import ROOT, Permissions, Rights
from auditor.collectors._aws.report import ROOT as ROOT_USER
from auditor.collectors._aws.report import Report, Row, Slot
from auditor.collectors._aws.users import Holding
from auditor.collectors._aws.uses import Use, key_use, password_use, status_of, use_of_slot
from auditor.collectors._aws.x509 import Certificate, read_certificate
from auditor.model import (
    Certainty,
    Credential,
    ExpiresState,
    Organization,
    PermissionMap,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Privilege,
    Status,
    credential_uid,
)

_API_KEYS = frozenset({"bedrock.amazonaws.com", "logs.amazonaws.com"})
"""Services whose service-specific credentials are API keys, which can expire."""
_CONSOLE = {
    "aws": "https://console.aws.amazon.com",
    "aws-us-gov": "https://console.amazonaws-us-gov.com",
    "aws-cn": "https://console.amazonaws.cn",
}


@dataclass
class Maker:
    """Makes the credentials of one account."""

    source: str
    organization: Organization
    partition: str
    now: datetime
    owner_tags: tuple[str, ...]
    report: Report | None
    identities: Identities
    permissions: Permissions
    unused: Mapping[str, PermissionMap]
    """By user: what is granted and was never used, where that was asked for."""

    def credentials(self, holding: Holding) -> list[Credential]:
        """Return what a user has."""
        found: list[Credential | None] = [
            *(self.access_key(holding.user, key, use) for key, use in holding.keys),
            *(self.certificate(record) for record in holding.certificates),
            *(self.ssh_key(record) for record in holding.ssh_keys),
        ]
        return [one for one in found if one is not None]

    def access_key(self, user: str, key: Key, use: Use | None) -> Credential:
        """Return an access key of a user."""
        changed_at = key.changed_at if key.changed_at != key.created_at else None
        return self._credential(
            user,
            "access_key",
            key.id,
            name=f"{user}/{key.id}",
            type=ACCESS_KEY,
            status=key.status,
            created_at=key.created_at,
            rotated_at=key.created_at,
            status_changed_at=changed_at,
            expires_state=ExpiresState.UNSUPPORTED,
            **key_use(use, key.created_at),
        )

    def root_key(self, slot: Slot | None, number: int) -> Credential:
        """Return a key of the root user, whose id nobody but root can list."""
        use = None
        if slot is not None and self.report is not None:
            use = use_of_slot(slot, self.report)
        at = slot.changed_at if slot is not None else None
        status = Status.ACTIVE if slot is None or slot.is_active else Status.INACTIVE
        return self._credential(
            ROOT_USER,
            "access_key",
            f"root-{number}",
            name=f"{ROOT_USER}/access_key_{number}",
            type=ACCESS_KEY,
            status=status,
            created_at=at,
            rotated_at=at,
            expires_state=ExpiresState.UNSUPPORTED,
            **key_use(use, at),
        )

    def password(self, row: Row) -> Credential | None:
        """Return the console password of a user, where there is one."""
        found = row.password
        if found is None or not found.is_enabled or self.report is None:
            return None
        since = found.changed_at or row.created_at
        use = Use(found.used_at, found.is_use_told, self.report.generated_at)
        return self._credential(
            row.user,
            "password",
            row.user,
            name=f"{row.user}/password",
            type="Console Password",
            created_at=row.created_at,
            rotated_at=found.changed_at,
            expires_at=found.rotates_at,
            expires_state=ExpiresState.AT if found.rotates_at else ExpiresState.NEVER,
            **password_use(use, since),
        )

    def service_specific(self, record: Record) -> Credential | None:
        """Return an API key of Bedrock or CloudWatch, or a credential of CodeCommit & co."""
        provider_id, user = text(record, "ServiceSpecificCredentialId"), text(record, "UserName")
        if not provider_id or not user:
            return None
        service = text(record, "ServiceName")
        alias = text(record, "ServiceCredentialAlias") or text(record, "ServiceUserName")
        expires_at = instant(record, "ExpirationDate")
        status = status_of(text(record, "Status"))
        if expires_at is not None and expires_at <= self.now and status is Status.ACTIVE:
            status = Status.EXPIRED
        can_expire = service in _API_KEYS or expires_at is not None
        never = ExpiresState.NEVER if can_expire else ExpiresState.UNSUPPORTED
        return self._credential(
            user,
            "ssc",
            provider_id,
            name=f"{user}/{alias or provider_id}",
            type="API Key" if can_expire else "Service-Specific Credential",
            description=f"for {service}" if service else None,
            client_id=text(record, "ServiceUserName") or None,
            status=status,
            created_at=instant(record, "CreateDate"),
            expires_at=expires_at,
            expires_state=ExpiresState.AT if expires_at else never,
            raw={"ServiceName": service},
        )

    def certificate(self, record: Record) -> Credential | None:
        """Return a signing certificate."""
        provider_id, user = text(record, "CertificateId"), text(record, "UserName")
        if not provider_id or not user:
            return None
        read: Certificate | None = read_certificate(text(record, "CertificateBody"))
        expires_at = read.expires_at if read is not None else None
        status = status_of(text(record, "Status"))
        if expires_at is not None and expires_at <= self.now and status is Status.ACTIVE:
            status = Status.EXPIRED
        uploaded_at = instant(record, "UploadDate")
        return self._credential(
            user,
            "cert",
            provider_id,
            name=f"{user}/{provider_id}",
            type="Signing Certificate",
            status=status,
            created_at=uploaded_at,
            rotated_at=uploaded_at,
            expires_at=expires_at,
            expires_state=ExpiresState.AT if expires_at else ExpiresState.UNKNOWN,
            fingerprint=read.fingerprint if read is not None else None,
        )

    def ssh_key(self, record: Record) -> Credential | None:
        """Return an SSH public key for CodeCommit."""
        provider_id, user = text(record, "SSHPublicKeyId"), text(record, "UserName")
        if not provider_id or not user:
            return None
        uploaded_at = instant(record, "UploadDate")
        return self._credential(
            user,
            "ssh",
            provider_id,
            name=f"{user}/{provider_id}",
            type="SSH Key",
            status=status_of(text(record, "Status")),
            created_at=uploaded_at,
            rotated_at=uploaded_at,
            expires_state=ExpiresState.UNSUPPORTED,
        )

    def _credential(self, user: str, kind: str, provider_id: str, **facts: Any) -> Credential:
        is_root = user == ROOT_USER
        rights = ROOT if is_root else self.permissions.of(user)
        known = self.identities.users.get(user)
        tags = dict(known.tags) if known is not None else {}
        raw = {**facts.pop("raw", {}), **_raw(rights)}
        facts.setdefault("data_as_of", self.now)
        return Credential(
            uid=credential_uid("aws", self.organization.id, kind, provider_id),
            provider="aws",
            source=self.source,
            organization=self.organization,
            principal=self._principal(user),
            observed_at=self.now,
            permissions=rights.permissions,
            permissions_subject=PermissionsSubject.PRINCIPAL,
            permissions_certainty=Certainty.STATED if rights.is_exact else Certainty.INFERRED,
            privilege=Privilege.ADMIN if is_root else Privilege.UNKNOWN,
            privilege_path=rights.paths,
            unused_permissions=self.unused.get(user),
            restrictions={"conditions": list(rights.conditions)} if rights.conditions else None,
            owner=self._owner(tags),
            tags=tags,
            url=self._url(user),
            raw=raw,
            **facts,
        )

    def _principal(self, user: str) -> Principal:
        row = self.report.rows.get(user) if self.report is not None else None
        known = self.identities.users.get(user)
        arn = f"arn:{self.partition}:iam::{self.organization.id}:user/{user}"
        if known is not None:
            arn = known.arn
        elif row is not None:
            arn = row.arn
        is_root = user == ROOT_USER
        if is_root:
            arn = f"arn:{self.partition}:iam::{self.organization.id}:root"
        return Principal(
            id=arn,
            name=user,
            type=PrincipalType.USER if is_root else _kind(row),
            is_root=is_root,
            has_mfa=row.has_mfa if row is not None else None,
        )

    def _owner(self, tags: Mapping[str, str]) -> str | None:
        folded = {name.lower(): value for name, value in tags.items() if value.strip()}
        names = (folded.get(name.lower()) for name in self.owner_tags)
        return next((name.strip() for name in names if name is not None), None)

    def _url(self, user: str) -> str:
        console = _CONSOLE[self.partition]
        if user == ROOT_USER:
            return f"{console}/iam/home#/security_credentials"
        return f"{console}/iam/home#/users/details/{user}?section=security_credentials"


def _kind(row: Row | None) -> PrincipalType:
    """A user who cannot sign in to the console is a program's; without a report nobody knows."""
    if row is None or row.password is None:
        return PrincipalType.UNKNOWN
    return PrincipalType.USER if row.password.is_enabled else PrincipalType.SERVICE_ACCOUNT


def _raw(rights: Rights) -> dict[str, Any]:
    facts = {
        "permissions_boundary": rights.boundary,
        "conditional_permissions": list(rights.conditional),
    }
    return {name: value for name, value in facts.items() if value}
