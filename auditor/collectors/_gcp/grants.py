"""What a service account may do: the roles bound to it on a project and on everything above.

Roles that come through groups are not seen, so the map is a lower bound and counts as inferred.
Where a part cannot be read, only a map that reaches administration already is kept.
"""

import re
from typing import Any

from auditor.collectors._gcp.apis import Apis, path_of
from auditor.collectors._notebook import text, texts
from auditor.collectors._once import Once
from auditor.errors import AuthenticationFailed, SourceError, UnexpectedResponse
from auditor.model import PermissionMap

_MEMBER = "serviceAccount:"
_EVERYBODY = ("allUsers", "allAuthenticatedUsers")
_CUSTOM = re.compile(r"(?:projects|organizations)/[^/]+/roles/[\w.]+")
_ABOVE = re.compile(r"(?:folders|organizations)/\d+")
_DEEPEST = 12
"""Folders nest ten deep at most."""

Bound = dict[str, set[str]]
"""E-mail of a service account, or *everybody*, to role names."""


class Hierarchy:
    """Folders and organizations: their parents, policies and custom roles, each read once."""

    def __init__(self, apis: Apis) -> None:
        self._apis = apis
        self._parents = Once(self._read_parent)
        self._bound = Once(self._read_bound)
        self._roles = Once(self._read_role)

    async def above(self, parent: str | None) -> list[str]:
        """Return *parent* and what lies above it, ending with the organization."""
        line: list[str] = []
        while parent is not None and _ABOVE.fullmatch(parent) and len(line) < _DEEPEST:
            line.append(parent)
            parent = await self._parents.get(parent) if parent.startswith("folders/") else None
        return line

    async def bound(self, resource: str) -> Bound:
        """Return the roles bound on *resource*; raises `SourceError`.

        A project's are not kept: there may be thousands, and each is asked for once.
        """
        if resource.startswith("projects/"):
            return await self._read_bound(resource)
        return await self._bound.get(resource)

    async def permissions(self, role: str) -> list[str]:
        """Return the permissions of a custom role; raises `SourceError`."""
        return await self._roles.get(role)

    async def _read_bound(self, resource: str) -> Bound:
        return bound_by(await self._apis.policy(resource))

    async def _read_role(self, role: str) -> list[str]:
        found = await self._apis.get("iam", f"/v1/{path_of(role)}")
        is_gone = found.get("deleted") is True
        listed = texts(found, "includedPermissions")
        return [] if is_gone or listed is None else listed

    async def _read_parent(self, folder: str) -> str | None:
        found = await self._apis.get("cloudresourcemanager", f"/v3/{path_of(folder)}")
        return text(found, "parent")


class Grants:
    """The roles of one project's service accounts."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self._hierarchy = hierarchy
        self._levels: list[Bound] = []
        self._has_all_levels = True
        self.problem: SourceError | None = None
        """Why not every level or role could be read; None where all were."""

    async def read(self, project: str, parent: str | None) -> None:
        """Read the policies of the project and of what lies above it."""
        levels = [f"projects/{project}"]
        try:
            levels += await self._hierarchy.above(parent)
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self._missed(error)
        for level in levels:
            try:
                self._levels.append(await self._hierarchy.bound(level))
            except AuthenticationFailed:
                raise
            except SourceError as error:
                self._missed(error)

    async def of(self, email: str) -> tuple[PermissionMap, bool]:
        """Return the permissions of a service account, and whether these are all."""
        roles = {
            role
            for level in self._levels
            for member in (email, *_EVERYBODY)
            for role in level.get(member, ())
        }
        permissions: PermissionMap = {}
        is_whole = self._has_all_levels
        for role in sorted(roles):
            if not _CUSTOM.fullmatch(role):
                permissions.setdefault("role", {})[role] = True
                continue
            try:
                granted = await self._hierarchy.permissions(role)
            except AuthenticationFailed:
                raise
            except SourceError as error:
                self.problem, is_whole = error, False
                continue
            for permission in granted:
                resource, _, verb = permission.rpartition(".")
                permissions.setdefault(resource or permission, {})[verb] = True
        return permissions, is_whole

    def _missed(self, error: SourceError) -> None:
        self.problem, self._has_all_levels = error, False


def bound_by(policy: dict[str, Any]) -> Bound:
    """Return who is bound to what by *policy*; a condition may narrow a role, never widen it."""
    bindings = policy.get("bindings", [])
    if not isinstance(bindings, list):
        raise UnexpectedResponse("An IAM policy holds bindings that are not a list")
    bound: Bound = {}
    for binding in bindings:
        role = text(binding, "role")
        if role is None:
            continue
        for member in texts(binding, "members") or ():
            if member in _EVERYBODY:
                bound.setdefault(member, set()).add(role)
            elif member.startswith(_MEMBER):
                bound.setdefault(member.removeprefix(_MEMBER), set()).add(role)
    return bound
