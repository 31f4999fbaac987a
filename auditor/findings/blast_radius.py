"""What somebody who finds a credential can do with it, in one plain sentence."""

from auditor import wording
from auditor.findings.diff import granted_pairs
from auditor.model import Certainty, Credential, PermissionsSubject, Privilege
from auditor.policy.privilege import reasons

NAMED = 3
"""How many permissions the sentence names before it counts the others."""

_VERBS = {
    Privilege.ADMIN: "administer",
    Privilege.WRITE: "change things in",
    Privilege.READ: "read from",
}


def blast_radius(credential: Credential) -> str:
    """Return the sentence; it says so where the reach is unknown or only inferred."""
    organization = wording.shown(credential.organization.name, 60)
    if credential.principal.is_root:
        return f"Whoever has it is the root of {organization}: no policy limits it."
    if credential.permissions_subject is PermissionsSubject.CALLER:
        return "What it can do is not known: the permissions on record are the auditor's own."
    if credential.privilege is Privilege.UNKNOWN:
        return "What it can do is not known."
    if credential.privilege is Privilege.NONE:
        return f"It is granted nothing in {organization}."
    text = f"Whoever has it can {_VERBS[credential.privilege]} {organization}"
    if strongest := _strongest(credential):
        text += f", by {strongest}"
    if credential.permissions_subject is PermissionsSubject.PRINCIPAL:
        text += f", as {wording.shown(credential.principal.name, 60)} can"
    if credential.permissions_certainty is Certainty.INFERRED:
        text += " (inferred, not stated by the provider)"
    return f"{text}."


def _strongest(credential: Credential) -> str:
    """Name the permissions that make it what it is, and count all the others."""
    named = [wording.shown(one, 60) for one in reasons(credential)[:NAMED]]
    if not named:
        return ""
    more = len(granted_pairs(credential.permissions or {})) - len(named)
    return wording.listing([*named, f"{more:,} more"] if more > 0 else named)
