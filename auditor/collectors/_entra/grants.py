"""What a service principal may do: application permissions, tenant-wide consents, directory roles.

What an application *asks for* in its manifest is no grant and is not read.
"""

from functools import partial

from auditor.collectors._entra.graph import Graph, below, equals
from auditor.collectors._notebook import child, identifier, text
from auditor.collectors._once import Once
from auditor.errors import AuthenticationFailed, SourceError
from auditor.model import PermissionMap

_PRINCIPALS = "servicePrincipals"
_NO_ROLE = "00000000-0000-0000-0000-000000000000"
"""Stands in an assignment for access without any role."""
_DELEGATED = "(delegated)"


class Resource:
    """An API that grants permissions: its name and its application permissions by id."""

    def __init__(self, record: object, object_id: str) -> None:
        self.name = text(record, "displayName") or object_id
        listed = record.get("appRoles") if isinstance(record, dict) else None
        roles = listed if isinstance(listed, list) else []
        self.roles = {
            found: value
            for one in roles
            if (found := identifier(one)) is not None and (value := text(one, "value")) is not None
        }


class Grants:
    """The rights of a tenant's service principals; resources are read once and kept."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._resources = Once(self._read_resource)
        self._consents: dict[str, list[tuple[str, str]]] = {}
        """Service principal → resource and scopes that hold for every user."""
        self._roles: dict[str, set[str]] = {}
        """Principal → directory roles."""
        self._has_all = True
        self.problem: SourceError | None = None
        """Why not everything could be read; None where it could."""

    async def read(self) -> None:
        """Read what is listed for the whole tenant."""
        await self._read("/v1.0/oauth2PermissionGrants", {})

    async def read_for(self, principal_id: str) -> None:
        """Read what is listed for one service principal alone."""
        path = below(_PRINCIPALS, principal_id, "oauth2PermissionGrants")
        await self._read(path, {"$filter": equals("principalId", principal_id)})

    async def _read(self, consents: str, of: dict[str, str | int]) -> None:
        for part in (partial(self._read_consents, consents), partial(self._read_roles, of)):
            try:
                await part()
            except AuthenticationFailed:
                raise
            except SourceError as error:
                self.problem, self._has_all = error, False

    async def of(self, principal_id: str) -> tuple[PermissionMap, bool]:
        """Return the permissions of a service principal, and whether these are all."""
        permissions: PermissionMap = {}
        is_whole = self._has_all
        for role in sorted(self._roles.get(principal_id, ())):
            permissions.setdefault("directory role", {})[role] = True
        try:
            for resource_id, scopes in self._consents.get(principal_id, ()):
                name = f"{(await self._resources.get(resource_id)).name} {_DELEGATED}"
                permissions.setdefault(name, {}).update(dict.fromkeys(scopes.split(), True))
            for resource_id, role_id in await self._assigned(principal_id):
                resource = await self._resources.get(resource_id)
                value = resource.roles.get(role_id, role_id)
                permissions.setdefault(resource.name, {})[value] = True
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self.problem, is_whole = error, False
        return permissions, is_whole

    async def _assigned(self, principal_id: str) -> list[tuple[str, str]]:
        path = below(_PRINCIPALS, principal_id, "appRoleAssignments")
        found = []
        async for records in self._graph.pages(path, "App role assignments", {"$top": 999}):
            for record in records:
                resource, role = identifier(record, "resourceId"), identifier(record, "appRoleId")
                if resource is not None and role is not None and role != _NO_ROLE:
                    found.append((resource, role))
        return found

    async def _read_resource(self, object_id: str) -> Resource:
        path = below(_PRINCIPALS, object_id, "").rstrip("/")
        return Resource(await self._graph.get(path, "id,displayName,appRoles"), object_id)

    async def _read_consents(self, path: str) -> None:
        """Keep the consents for everybody: one for a single person is that person's concern."""
        listed = self._graph.pages(path, "The OAuth grants", {"$top": 999})
        async for records in listed:
            for record in records:
                client, resource = identifier(record, "clientId"), identifier(record, "resourceId")
                scopes = text(record, "scope")
                is_for_all = text(record, "consentType") == "AllPrincipals"
                if is_for_all and client and resource and scopes:
                    self._consents.setdefault(client, []).append((resource, scopes))

    async def _read_roles(self, of: dict[str, str | int]) -> None:
        listed = self._graph.pages(
            "/v1.0/roleManagement/directory/roleAssignments",
            "The directory role assignments",
            {"$expand": "roleDefinition", **of},
        )
        async for records in listed:
            for record in records:
                principal = identifier(record, "principalId")
                role = text(child(record, "roleDefinition"), "displayName")
                role = role or identifier(record, "roleDefinitionId")
                if principal is not None and role is not None:
                    self._roles.setdefault(principal, set()).add(role)
