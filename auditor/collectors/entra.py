"""Microsoft Entra ID: secrets, certificates and federated credentials of a tenant's applications.

Facts are those of Microsoft Graph v1.0 as its SDK models it; when a credential was last used comes
from two reports that exist in the beta of Graph only.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing

from auditor.collectors._entra.graph import Graph
from auditor.collectors._entra.listing import Listing
from auditor.collectors._entra.options import EntraOptions
from auditor.collectors._entra.records import Records
from auditor.collectors._notebook import Notebook, text
from auditor.collectors._parts import concluded, tried
from auditor.collectors.interface import Access, Collector, Context, Item, Unit
from auditor.errors import AuthenticationFailed, SourceError, UnexpectedResponse
from auditor.model import Credential, Organization

__all__ = ["Entra", "EntraOptions"]


class Entra(Collector):
    """Reads one tenant: what its applications and service principals log in with."""

    Options = EntraOptions
    options: EntraOptions
    summary = "Secrets, certificates and federated credentials of applications"
    last_use = "From beta reports with Entra ID P1 or P2, about a day late; never called unused"
    limits = (
        "Applications of other tenants keep their secrets there",
        "Azure roles on subscriptions, and rights in other tenants, are not seen",
    )
    verified = "Microsoft's types of Graph (npm), which our fake's answers are of; no live tenant"
    least_privileges = (
        "Application.Read.All: applications, service principals, their owners and app roles",
        "Directory.Read.All: OAuth grants, the tenant's name",
        "RoleManagement.Read.Directory: directory roles",
        "AuditLog.Read.All, and Entra ID P1 or P2: when credentials were last used",
    )

    def __init__(self, options: EntraOptions, context: Context) -> None:
        super().__init__(options, context)
        self._graph = Graph(options, context.directory)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._graph.aclose()

    @property
    def reads_all(self) -> bool:
        """Never: the configuration names the one tenant."""
        return False

    async def units(self) -> list[Unit]:
        """Return the tenant."""
        tenant = self.options.tenant_id
        return [Unit(tenant, Organization(tenant, await self._name()))]

    async def collect(self, unit: Unit) -> AsyncIterator[Item]:
        """Yield the credentials of the tenant."""
        if unit.organization is None:
            raise UnexpectedResponse(f"Microsoft Entra knows no unit {unit.key!r}")
        notebook = Notebook(unit.organization, self.context.now)
        listing = self._listing(notebook)
        async with aclosing(concluded(listing.items(), notebook.conclusions)) as items:
            async for item in items:
                yield item

    async def refresh(self, credential: Credential) -> Credential | None:
        """Read the holder of one credential again, and its rights; None where it is gone."""
        listing = self._listing(Notebook(credential.organization, self.context.now))
        return await listing.one(credential)

    def _listing(self, notebook: Notebook) -> Listing:
        return Listing(self._graph, Records(notebook, source=self.options.name), self.options)

    async def check(self) -> list[Access]:
        """Try one call of each kind."""
        (unit,) = await self.units()
        subject = unit.organization.name if unit.organization else unit.key
        return [await self._access(subject, what, path) for what, path in self._probes()]

    async def _name(self) -> str:
        tenant = self.options.tenant_id
        known = next((one for one in self.context.known_organizations() if one.id == tenant), None)
        try:
            listed = (await self._graph.get("/v1.0/organization", "id,displayName")).get("value")
        except AuthenticationFailed:
            raise
        except SourceError:  # the name is for people only
            return tenant if known is None else known.name
        first = listed[0] if isinstance(listed, list) and listed else None
        return text(first, "displayName") or tenant

    def _probes(self) -> Iterable[tuple[str, str]]:
        yield "Application.Read.All", "/v1.0/applications"
        yield "Application.Read.All", "/v1.0/servicePrincipals"
        yield "Directory.Read.All", "/v1.0/oauth2PermissionGrants"
        yield "RoleManagement.Read.Directory", "/v1.0/roleManagement/directory/roleAssignments"
        if self.options.usage_reports:
            yield "AuditLog.Read.All", "/beta/reports/appCredentialSignInActivities"
            yield "AuditLog.Read.All", "/beta/reports/servicePrincipalSignInActivities"

    async def _access(self, subject: str, what: str, path: str) -> Access:
        async def ask() -> None:
            async with aclosing(self._graph.pages(path, what, {"$top": 1})) as pages:  # type: ignore[type-var]
                async for _ in pages:
                    break

        return await tried(subject, what, ask)
