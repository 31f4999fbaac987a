"""Google Cloud: the keys of service accounts, API keys and HMAC keys, project by project.

Facts are those of the discovery documents of IAM, API Keys, Cloud Storage, Resource Manager and
the Policy Analyzer, which tells when a key last authenticated.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from fnmatch import fnmatchcase
from typing import Any

from auditor.client import segment
from auditor.collectors._gcp.activities import activities_path
from auditor.collectors._gcp.apis import Api, Apis
from auditor.collectors._gcp.grants import Hierarchy
from auditor.collectors._gcp.listing import Listing
from auditor.collectors._gcp.login import login
from auditor.collectors._gcp.options import GcpOptions
from auditor.collectors._gcp.records import Records
from auditor.collectors._notebook import Notebook, child, identifier, text
from auditor.collectors._parts import concluded, tried
from auditor.collectors.interface import Access, Collector, Context, Item, Unit
from auditor.errors import AuthenticationFailed, NotFound, SourceError, UnexpectedResponse
from auditor.model import Credential, Organization

__all__ = ["Gcp", "GcpOptions"]

_SEARCH = "/v3/projects:search"
_GONE = "DELETE_REQUESTED"


class _Project:
    """What is kept of a project until it is read."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.parent = text(record, "parent")
        self.labels = child(record, "labels")


class Gcp(Collector):
    """Reads projects: named ones, all that can be seen, or those of one organization."""

    Options = GcpOptions
    options: GcpOptions
    summary = "Keys of service accounts, API keys, HMAC keys of Cloud Storage"
    units_at_once = 24  # a project is a handful of requests that wait for each other
    last_use = "For keys of service accounts, by the day, one or two days late; not for others"
    limits = (
        "Roles that come through groups or single resources are not seen",
        "Use through Google Workspace delegation and of HMAC keys is not recorded by Google",
    )
    verified = "Google's discovery documents; no live organization"
    least_privileges = (
        "resourcemanager.projects.get and .list, resourcemanager.folders.get",
        "resourcemanager.projects.getIamPolicy, .folders.getIamPolicy, .organizations.getIamPolicy",
        "iam.serviceAccounts.list, iam.serviceAccountKeys.list, iam.roles.get",
        "policyanalyzer.serviceAccountKeyLastAuthenticationActivities.query",
        "apikeys.keys.list, storage.hmacKeys.list",
        "serviceusage.services.use on the quota project, in which these APIs are enabled",
        "to look again at one key: iam.serviceAccounts.get, iam.serviceAccountKeys.get",
        "to look again at one key: apikeys.keys.get, storage.hmacKeys.get",
    )

    def __init__(self, options: GcpOptions, context: Context) -> None:
        super().__init__(options, context)
        self._apis = Apis(options, login(options, context.directory), context.directory)
        self._hierarchy = Hierarchy(self._apis)
        self._projects: dict[str, _Project] = {}
        self._unreadable: dict[str, SourceError] = {}
        """Units that are known to fail, by key."""

    async def aclose(self) -> None:
        """Close the connections."""
        await self._apis.aclose()

    @property
    def reads_all(self) -> bool:
        """Whether ``projects: all`` is configured."""
        return self.options.projects == "all"

    async def units(self) -> list[Unit]:
        """Return one unit per project; ``*`` stands for those that could not be listed."""
        units: dict[str, Unit] = {}
        known = {one.id: one for one in self.context.known_organizations()}
        if not self.reads_all:
            for project in self.options.projects:
                await self._named(units, project, known.get(project))
            return list(units.values())
        try:
            await self._search(units)
        except SourceError as error:
            if not units:
                raise
            self._unreadable["*"] = error
            units["*"] = Unit("*")
        for organization in known.values():
            if organization.id not in units and not self._is_skipped(organization.id):
                await self._look_again(units, organization)
        return list(units.values())

    async def collect(self, unit: Unit) -> AsyncIterator[Item]:
        """Yield the credentials of one project."""
        if unit.key in self._unreadable:
            raise self._unreadable[unit.key]
        if unit.organization is None:
            raise UnexpectedResponse(f"Google Cloud knows no unit {unit.key!r}")
        notebook = Notebook(unit.organization, self.context.now)
        listing = self._listing(notebook, self._projects.get(unit.key, _Project({})))
        async with aclosing(concluded(listing.items(), notebook.conclusions)) as items:
            async for item in items:
                yield item

    async def check(self) -> list[Access]:
        """Try one call of each kind for every project."""
        rows = []
        for unit in await self.units():
            for what, api, path in self._probes(unit.key):
                rows.append(await self._access(unit, what, api, path))
        return rows

    async def refresh(self, credential: Credential) -> Credential | None:
        """Read one credential again, and what its account may do; None where it is gone."""
        organization = credential.organization
        path = f"/v3/projects/{segment(organization.id)}"
        project = _Project(await self._apis.get("cloudresourcemanager", path))
        listing = self._listing(Notebook(organization, self.context.now), project)
        return await listing.one(credential)

    def _listing(self, notebook: Notebook, project: _Project) -> Listing:
        return Listing(
            self._apis,
            self._hierarchy,
            Records(notebook, source=self.options.name, labels=project.labels),
            parent=project.parent,
            parts=self.options.read,
            workers=self.options.concurrency,
        )

    async def _search(self, units: dict[str, Unit]) -> None:
        listed = self._apis.pages(
            "cloudresourcemanager", _SEARCH, "projects", "The projects",
            {"query": "state:ACTIVE", "pageSize": 200},
        )  # fmt: skip
        async for records in listed:
            for record in records:
                organization = _organization_of(record)
                if organization is None:
                    raise UnexpectedResponse("Google listed a project without a usable id")
                if text(record, "state") == _GONE or self._is_skipped(organization.id):
                    continue
                await self._admit(units, organization, record)

    async def _admit(
        self, units: dict[str, Unit], organization: Organization, record: dict[str, Any]
    ) -> None:
        """Add a project, if it lies below the configured organization or nobody can tell."""
        wanted = self.options.organization
        if wanted is not None:
            try:
                line = await self._hierarchy.above(text(record, "parent"))
            except AuthenticationFailed:
                raise
            except SourceError as error:
                self._unreadable[organization.id] = error
            else:
                if f"organizations/{wanted}" not in line:
                    return
        units[organization.id] = Unit(organization.id, organization)
        self._projects[organization.id] = _Project(record)

    async def _look_again(self, units: dict[str, Unit], organization: Organization) -> None:
        """Ask for a project that is listed no more: the search lags, and access can be lost.

        One that is being deleted is left out: then the store holds it for missing.
        """
        try:
            record = await self._apis.get(
                "cloudresourcemanager", f"/v3/projects/{segment(organization.id)}"
            )
        except NotFound:
            return
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self._unreadable[organization.id] = error
            units[organization.id] = Unit(organization.id, organization)
            return
        if text(record, "state") != _GONE:
            await self._admit(units, organization, record)

    async def _named(
        self, units: dict[str, Unit], project: str, known: Organization | None
    ) -> None:
        try:
            record = await self._apis.get(
                "cloudresourcemanager", f"/v3/projects/{segment(project)}"
            )
            organization = _organization_of(record)
            if organization is None:
                raise UnexpectedResponse(f"Google answered for {project!r} without a usable id")
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self._unreadable[project] = error
            units[project] = Unit(project, known)
            return
        units[organization.id] = Unit(organization.id, organization)
        self._projects[organization.id] = _Project(record)

    def _is_skipped(self, project: str) -> bool:
        return any(fnmatchcase(project, pattern) for pattern in self.options.skip)

    def _probes(self, project: str) -> Iterable[tuple[str, Api, str]]:
        at = segment(project)
        yield "iam.serviceAccounts.list", "iam", f"/v1/projects/{at}/serviceAccounts"
        if "service_account_keys" in self.options.read:
            yield (
                "policyanalyzer.serviceAccountKeyLastAuthenticationActivities.query",
                "policyanalyzer",
                activities_path(at),
            )
        if "api_keys" in self.options.read:
            yield "apikeys.keys.list", "apikeys", f"/v2/projects/{at}/locations/global/keys"
        if "hmac_keys" in self.options.read:
            yield "storage.hmacKeys.list", "storage", f"/storage/v1/projects/{at}/hmacKeys"
        yield "resourcemanager.projects.getIamPolicy", "cloudresourcemanager", ""

    async def _access(self, unit: Unit, what: str, api: Api, path: str) -> Access:
        async def ask() -> None:
            if unit.key in self._unreadable:
                raise self._unreadable[unit.key]
            if path:
                await self._apis.get(api, path)
            else:
                await self._apis.policy(f"projects/{unit.key}")

        return await tried(unit.key, what, ask)


def _organization_of(record: Any) -> Organization | None:
    found = identifier(record, "projectId")
    return None if found is None else Organization(found, text(record, "displayName") or found)
