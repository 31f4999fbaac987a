"""Whom and what an event is about: the credential, its principal and the account around them."""

from auditor.model import Credential, Finding, PermissionMap, PrincipalType
from auditor.reports.events.parts import (
    Json,
    compact,
    https,
    json_data,
    keyed,
    present,
    text,
    times,
)
from auditor.wording import clean, rfc3339

_PROVIDERS = {
    "aws": "AWS",
    "entra": "Microsoft Entra",
    "gcp": "GCP",
    "github": "GitHub",
    "gitlab": "GitLab",
    "keycard": "Keycard",
    "npm": "npm",
    "pypi": "PyPI",
}
_ACCOUNTS = {"aws": (10, "AWS Account"), "gcp": (11, "GCP Project")}
_OTHER = 99
_USERS = {
    PrincipalType.SERVICE_ACCOUNT: (4, "Service"),
    PrincipalType.APPLICATION: (4, "Service"),
    PrincipalType.MACHINE: (4, "Service"),
    PrincipalType.USER: (1, "User"),
    PrincipalType.UNKNOWN: (0, "Unknown"),
}


def credential_id(credential: Credential) -> str:
    """Return the provider's own id, or our uid where the provider has none."""
    return text(credential.provider_id) or text(credential.uid) or "unknown"


def programmatic_credential(credential: Credential) -> Json:
    """Return OCSF's ``programmatic_credential``: id, type and last use, nothing else."""
    return {
        **compact({"uid": credential_id(credential), "type": text(credential.type)}),
        **times(last_used_time=credential.last_used_at),
    }


def cloud(credential: Credential) -> Json:
    """Return the account the credential belongs to; a SaaS tenant is an account too."""
    provider = text(credential.provider) or "unknown"
    name = _PROVIDERS.get(provider, provider)
    kind = _ACCOUNTS.get(provider, (_OTHER, f"{name} Organization"))
    organization = organization_of(credential)
    account = {**organization, "type_id": kind[0], "type": kind[1]} if organization else None
    return compact({"provider": name, "account": account, "org": organization})


def organization_of(credential: Credential) -> Json:
    """Return the organization's id and name, as far as it has them."""
    organization = credential.organization
    return compact({"uid": text(organization.id), "name": text(organization.name)})


def user(credential: Credential) -> Json:
    """Return the principal as OCSF's ``user``."""
    principal = credential.principal
    type_id, caption = (2, "Admin") if principal.is_root else _USERS[principal.type]
    name, uid = text(principal.name), text(principal.id)
    return compact(
        {
            "uid": uid if uid or name else "unknown",
            "name": name,
            "type_id": type_id,
            "type": caption,
            "has_mfa": principal.has_mfa,
            "org": organization_of(credential),
        }
    )


def holding(owner: Json, credential: Credential) -> Json:
    """Return *owner*, a `user`, with the credential that acts as it."""
    return {**owner, "programmatic_credentials": [programmatic_credential(credential)]}


def resource(finding: Finding, *, owner: Json, with_permissions: bool) -> Json:
    """Return the credential as the event's target resource, where consumers look first."""
    credential = finding.credential
    tags = sorted(credential.tags.items())
    group = text(credential.owner)
    return {
        **compact(
            {
                "uid": credential_id(credential),
                "uid_alt": text(credential.uid),
                "name": text(credential.name),
                "type": text(credential.type),
                "role_id": 1,
                "role": "Target",
                "owner": owner,
                "group": {"name": group, "type": "Owner"} if group else None,
                "tags": present(keyed(name, [value]) for name, value in tags),
                "data": {
                    "credential": credential_data(credential, with_permissions=with_permissions)
                },
            }
        ),
        **times(created_time=credential.created_at),
    }


def credential_data(credential: Credential, *, with_permissions: bool) -> Json:
    """Return the facts that OCSF has no attribute for."""
    rotated, expires, used = credential.rotated_at, credential.expires_at, credential.last_used_at
    return compact(
        {
            "source": text(credential.source),
            "status": credential.status.value,
            "client_id": text(credential.client_id),
            "description": text(credential.description),
            "created_time": rfc3339(credential.created_at) if credential.created_at else None,
            "rotated_time": rfc3339(rotated) if rotated else None,
            "last_used_time": rfc3339(used) if used else None,
            "last_used_state": credential.last_used_state.value,
            "last_used_subject": credential.last_used_subject.value,
            "data_as_of": rfc3339(credential.data_as_of),
            "expires_time": rfc3339(expires) if expires else None,
            "expires_state": credential.expires_state.value,
            "privilege": credential.privilege.value,
            "privilege_path": [clean(step) for step in credential.privilege_path if step],
            "permissions": granted(credential.permissions) if with_permissions else None,
            "restrictions": json_data(credential.restrictions),
            "console_url": https(credential.url),
        }
    )


def granted(permissions: PermissionMap | None) -> list[str]:
    """Return ``type:permission`` for what is granted, sorted."""
    return sorted(
        f"{text(kind) or '*'}:{text(permission) or '*'}"
        for kind, names in (permissions or {}).items()
        for permission, is_granted in names.items()
        if is_granted
    )


def permission_analysis(credential: Credential) -> Json | None:
    """Return what is granted and how much of it is unused, where the provider tells."""
    privileges = granted(credential.permissions)
    if not privileges:
        return None
    unused = credential.unused_permissions
    holder = text(credential.principal.name) or text(credential.principal.id) or "unknown"
    return compact(
        {
            "policy": {
                "name": f"Grants of {holder}",
                "type": "Identity Policy",
                "is_applied": True,
            },
            "granted_privileges": privileges,
            "unused_privileges_count": None if unused is None else len(granted(unused)),
            "unused_services_count": None if unused is None else _untouched(credential),
        }
    )


def _untouched(credential: Credential) -> int:
    """Count the resource types of which nothing that is granted was used."""
    unused = credential.unused_permissions or {}
    count = 0
    for kind, names in (credential.permissions or {}).items():
        allowed = {name for name, is_granted in names.items() if is_granted}
        idle = {name for name, is_idle in unused.get(kind, {}).items() if is_idle}
        count += bool(allowed) and allowed <= idle
    return count
