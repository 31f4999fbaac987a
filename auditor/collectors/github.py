"""GitHub: tokens, keys and Apps with access to an organization, on github.com or one's own server.

Facts are those of GitHub's OpenAPI description of its REST API (github.com and Enterprise Server).
Fine-grained tokens are shown to GitHub Apps only; classic tokens and SSH keys of members only
where SAML single sign-on makes them visible.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from auditor.client import Client, bearer, segment
from auditor.collectors._github.listing import Listing
from auditor.collectors._github.login import AppAuth, InstallationLogin
from auditor.collectors._github.options import GithubOptions
from auditor.collectors._github.paging import GithubDialect, pages
from auditor.collectors._github.records import Records
from auditor.collectors._notebook import Notebook, child, identifier, text
from auditor.collectors._parts import concluded, tried
from auditor.collectors.interface import Access, Collector, Context, Item, Unit
from auditor.errors import AccessDenied, AuthenticationFailed, SourceError, UnexpectedResponse
from auditor.model import Credential, Organization

__all__ = ["Github", "GithubOptions"]

_VENDOR = "api.github.com"
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


@dataclass(frozen=True)
class _Installation:
    """The App's own place in an organization."""

    id: str
    permissions: dict[str, str]
    is_suspended: bool
    sees_all: bool
    """Whether it may see every repository."""


class Github(Collector):
    """Reads organizations: fine-grained tokens, authorizations, deploy keys, installed Apps."""

    Options = GithubOptions
    options: GithubOptions
    summary = "Personal access tokens, SSO-authorized tokens and keys, deploy keys, installed Apps"
    last_use = "For tokens, authorizations and deploy keys; not for installed Apps"
    limits = (
        "Fine-grained tokens are shown to GitHub Apps only, and without the day they were made",
        "Classic tokens and SSH keys of members show only where SAML single sign-on admits them",
        "Deploy keys take one request for each repository",
    )
    verified = "GitHub's OpenAPI description; githubkit reads our fake alike; no live organization"
    least_privileges = (
        "GitHub App, organization permission: Personal access tokens, read",
        "GitHub App, organization permission: Administration, read",
        "GitHub App, repository permission: Administration, read, in all repositories",
        "or the token of an organization owner with read:org and repo (no fine-grained tokens)",
    )

    def __init__(self, options: GithubOptions, context: Context) -> None:
        super().__init__(options, context)
        key = options.private_key
        self._app = None if key is None else AppAuth(str(options.app_id), key)
        self._door = self._client(self._app or bearer(options.token or ""))
        """The App itself, or the token: finds out which organizations there are."""
        self._clients: list[Client] = [self._door]
        self._installations: dict[str, _Installation] = {}
        self._unreadable: dict[str, SourceError] = {}
        """Units that are known to fail, by key."""

    async def aclose(self) -> None:
        """Close the connections."""
        for client in self._clients:
            await client.aclose()

    @property
    def reads_all(self) -> bool:
        """Whether ``organizations: all`` is configured."""
        return self.options.organizations == "all"

    async def units(self) -> list[Unit]:
        """Return one unit per organization; ``*`` stands for those that could not be listed."""
        found: dict[str, Unit] = {}
        broken: SourceError | None = None
        try:
            if self.options.is_app:
                await self._installed(found)
            elif self.reads_all:
                await self._memberships(found)
            else:
                await self._named(found)
        except SourceError as error:
            if not found:
                raise
            broken = self._unreadable["*"] = error
            found["*"] = Unit("*")
        for organization in self.context.known_organizations() if self.reads_all else ():
            if organization.id not in found:
                found[organization.id] = Unit(organization.id, organization)
                self._unreadable[organization.id] = broken or _not_listed(organization)
        return list(found.values())

    async def collect(self, unit: Unit) -> AsyncIterator[Item]:
        """Yield what has access to one organization, part by part."""
        if unit.key in self._unreadable:
            raise self._unreadable[unit.key]
        if unit.organization is None:
            raise UnexpectedResponse(f"GitHub knows no unit {unit.key!r}")
        notebook = Notebook(unit.organization, self.context.now)
        self._foretell(unit.key, notebook)
        listing = self._listing(notebook)
        async with aclosing(concluded(listing.items(), notebook.conclusions)) as items:
            async for item in items:
                yield item

    async def check(self) -> list[Access]:
        """Try one call of each kind for every organization."""
        rows = []
        for unit in await self.units():
            for what, path in self._probes(unit):
                rows.append(await self._access(unit, what, path))
        return rows

    async def refresh(self, credential: Credential) -> Credential | None:
        """Read one credential again; None where it is gone."""
        organization = credential.organization
        if self.options.is_app:
            path = f"/orgs/{segment(organization.name)}/installation"
            answer = await self._door.get(path)
            record = answer.object()
            place = _installation_of(record)
            if place is None or identifier(child(record, "account")) != organization.id:
                raise UnexpectedResponse(f"{answer.where} answered for another organization")
            self._installations[organization.id] = place
        return await self._listing(Notebook(organization, self.context.now)).one(credential)

    def _listing(self, notebook: Notebook) -> Listing:
        organization = notebook.organization
        return Listing(
            self._entered(organization.id),
            self._records(notebook),
            parts=self.options.read,
            workers=self.options.concurrency,
            before=partial(self.context.previous, organization.id),
        )

    def _client(self, auth: httpx.Auth) -> Client:
        return Client(
            self.options.base_url,
            self.options,
            auth=auth,
            dialect=GithubDialect(),
            headers=_HEADERS,
            hint="`auditor providers show github`",
            directory=self.context.directory,
        )

    def _entered(self, key: str) -> Client:
        """Return the client for one organization: an App has a token, and limits, for each."""
        if self._app is None:
            return self._door
        place = self._installations[key]
        client = self._client(InstallationLogin(self._app, place.id, place.permissions))
        self._clients.append(client)
        return client

    def _foretell(self, key: str, notebook: Notebook) -> None:
        """Note what cannot be seen, whatever GitHub answers."""
        login = notebook.organization.name
        if not self.options.is_app and "fine_grained_tokens" in self.options.read:
            notebook.note(
                "GitHub may refuse to list fine-grained tokens to a token; log in as an App, or "
                "leave fine_grained_tokens out of `read`"
            )
        place = self._installations.get(key)
        if place is not None and not place.sees_all and "deploy_keys" in self.options.read:
            notebook.missing(
                "selected_repositories",
                f"The App is installed on some repositories of {login} only; deploy keys of the "
                "others are not seen. Install it on all, or leave deploy_keys out of `read`",
            )

    def _records(self, notebook: Notebook) -> Records:
        url = httpx.URL(self.options.base_url)
        is_vendor = url.host == _VENDOR or (self._door.origin.is_loopback and url.path == "/")
        number = notebook.organization.id
        host = url.host.removeprefix("api.")
        return Records(
            notebook,
            source=self.options.name,
            tenant=number if is_vendor else f"{url.host}/{number}",
            web="https://github.com" if is_vendor else f"https://{host}",
        )

    async def _installed(self, found: dict[str, Unit]) -> None:
        """Find the organizations that the App is installed on, those that are named or all."""
        wanted = None if self.reads_all else {one.lower() for one in self.options.organizations}
        async for records in pages(self._door, "/app/installations", "The App's installations"):
            for record in records:
                account = child(record, "account")
                organization, place = _organization_of(account), _installation_of(record)
                if text(record, "target_type") not in (None, "Organization"):
                    continue  # of a person or an enterprise
                if organization is None or place is None:
                    raise UnexpectedResponse("GitHub listed an installation without a usable id")
                if wanted is not None and organization.name.lower() not in wanted:
                    continue
                found[organization.id] = Unit(organization.id, organization)
                self._installations[organization.id] = place
                if place.is_suspended:
                    self._unreadable[organization.id] = AccessDenied(
                        f"The App's installation on {organization.name} is suspended"
                    )
        present = {unit.organization.name.lower() for unit in found.values() if unit.organization}
        for login in () if wanted is None else self.options.organizations:
            if login.lower() not in present:
                self._missing(found, login, AccessDenied(f"The App is not installed on {login!r}"))

    async def _memberships(self, found: dict[str, Unit]) -> None:
        async for records in pages(self._door, "/user/orgs", "The token's organizations"):
            for record in records:
                organization = _organization_of(record)
                if organization is None:
                    raise UnexpectedResponse("GitHub listed an organization without a usable id")
                found[organization.id] = Unit(organization.id, organization)

    async def _named(self, found: dict[str, Unit]) -> None:
        for login in self.options.organizations:
            try:
                answer = await self._door.get(f"/orgs/{segment(login)}")
                organization = _organization_of(answer.object())
                if organization is None:
                    raise UnexpectedResponse(f"{answer.where} answered without a usable id")
                found[organization.id] = Unit(organization.id, organization)
            except AuthenticationFailed:
                raise
            except SourceError as error:
                self._missing(found, login, error)

    def _missing(self, found: dict[str, Unit], login: str, error: SourceError) -> None:
        known = self.context.known_organizations()
        before = next((one for one in known if one.name.lower() == login.lower()), None)
        key = login if before is None else before.id
        found[key] = Unit(key, before)
        self._unreadable[key] = error

    def _probes(self, unit: Unit) -> Iterable[tuple[str, str]]:
        login = segment(unit.organization.name if unit.organization else unit.key)
        paths = {
            "fine_grained_tokens": "personal-access-tokens",
            "sso_authorizations": "credential-authorizations",
            "deploy_keys": "repos",
            "installations": "installations",
        }
        for part in self.options.read:
            yield f"list {part.replace('_', ' ')}", f"/orgs/{login}/{paths[part]}"

    async def _access(self, unit: Unit, what: str, path: str) -> Access:
        subject = unit.organization.name if unit.organization else unit.key

        async def ask() -> None:
            if unit.key in self._unreadable:
                raise self._unreadable[unit.key]
            await self._entered(unit.key).get(path, {"per_page": 1})

        return await tried(subject, what, ask)


def _organization_of(record: Any) -> Organization | None:
    found, login = identifier(record), text(record, "login")
    return None if found is None or login is None else Organization(found, login)


def _installation_of(record: Any) -> _Installation | None:
    found = identifier(record)
    if found is None:
        return None
    permissions = {k: v for k, v in child(record, "permissions").items() if isinstance(v, str)}
    return _Installation(
        found,
        permissions,
        is_suspended=record.get("suspended_at") is not None,
        sees_all=record.get("repository_selection") != "selected",
    )


def _not_listed(organization: Organization) -> SourceError:
    hidden = AccessDenied(
        f"GitHub no longer lists the organization {organization.name!r}: the App was removed from "
        "it, or the token left it. If it is to be left out, name the others under `organizations:`"
    )
    hidden.kind = "not_listed"
    return hidden
