"""Okta: API tokens, and the client secrets and keys of OAuth applications.

Facts are those of the management API description (2026.06). An API token's end is moved a whole
window away by every use, which tells the last one; of secrets and keys Okta records no use.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from auditor.client import Client, segment
from auditor.collectors._again import found_or_gone, kind_of, picked, same
from auditor.collectors._notebook import child, identifier, settled, text
from auditor.collectors._okta.login import login
from auditor.collectors._okta.options import OktaOptions
from auditor.collectors._okta.paging import PAGE, OktaDialect, pages
from auditor.collectors._okta.records import (
    App,
    Owner,
    Reading,
    app_of,
    is_oauth,
    permission_map,
    role_types,
    scopes,
)
from auditor.collectors._parts import at_one_address, concluded, each_of, in_parts, tried
from auditor.collectors._patience import Patience
from auditor.collectors.interface import Access, Collector, Context, Item, Page, Unit
from auditor.errors import NotFound, SourceError, UnexpectedResponse
from auditor.model import Credential, Organization, PermissionMap

__all__ = ["Okta", "OktaOptions"]

_TOKENS = "/api/v1/api-tokens"
_APPS = "/api/v1/apps"


class Okta(Collector):
    """Reads one Okta organization."""

    Options = OktaOptions
    options: OktaOptions
    summary = "API tokens; client secrets and keys of OAuth applications"
    last_use = "Of API tokens, worked out from their sliding end; not of secrets and keys"
    limits = (
        "Signing certificates, keys at a jwks_uri and API service integrations are not listed",
        "What an application may do at your own APIs is not seen",
    )
    verified = "Okta's API description; its SDK reads our fake alike; no live organization"
    least_privileges = (
        "okta.apiTokens.read okta.apps.read okta.appGrants.read okta.roles.read okta.users.read",
        "admin role: Read-Only Administrator for applications",
        "admin role: Super Administrator where a lesser one is refused the list of API tokens",
    )

    def __init__(self, options: OktaOptions, context: Context) -> None:
        super().__init__(options, context)
        self._client = Client(
            options.base_url,
            options,
            auth=login(options),
            dialect=OktaDialect(),
            hint="`auditor providers show okta`",
            directory=context.directory,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def units(self) -> list[Unit]:
        """Return the one organization that the address stands for."""
        return [at_one_address(self._client)]

    async def collect(self, unit: Unit) -> AsyncIterator[Item]:
        """Yield the tokens, then the secrets and keys of each application, side by side."""
        organization = unit.organization or Organization(unit.key, unit.key)
        listing = self._listing(organization)
        parts = {"API tokens": listing.tokens, "Applications": listing.applications}
        found = concluded(in_parts(parts, listing.reading), listing.reading.conclusions)
        async with aclosing(found) as items:
            async for item in items:
                yield item

    async def refresh(self, credential: Credential) -> Credential | None:
        """Read one token again, or the application of a secret or key; None where it is gone."""
        listing = self._listing(credential.organization)
        if kind_of(credential) == "api_token":
            read, place = partial(listing.one_token, credential), _TOKENS
        else:
            read, place = partial(listing.one_of_application, credential), _APPS
        return await found_or_gone(read, partial(self._client.get, place, {"limit": 1}))

    def _listing(self, organization: Organization) -> "_Listing":
        reading = Reading(organization, source=self.options.name, now=self.context.now)
        return _Listing(self._client, reading, self.options.concurrency)

    async def check(self) -> list[Access]:
        """Try one list call of each kind."""
        host, asked = self._client.origin.host, (("API tokens", _TOKENS), ("applications", _APPS))
        return [
            await tried(host, f"list {what}", partial(self._client.get, path, {"limit": 1}))
            for what, path in asked
        ]


class _Listing:
    """The calls that read an organization; parts that fail are told to *reading*."""

    def __init__(self, client: Client, reading: Reading, workers: int) -> None:
        self._client = client
        self.reading = reading
        self._workers = workers
        self._owners: dict[str, Owner] = {}
        self._patience = Patience()

    async def tokens(self) -> AsyncGenerator[Item, None]:
        """Yield the API tokens with what is known of their owners."""
        records: list[Any] = []
        broken: SourceError | None = None
        try:
            async for page in pages(self._client, _TOKENS, "The API tokens"):
                records += page
        except SourceError as error:
            if not records:
                raise
            broken = error
        await self._read_owners(records)
        found = [self._token(record) for record in records]
        tokens = tuple(token for token in found if token is not None)
        if tokens:
            self.reading.note(
                "The last use of API tokens is worked out from when they would end: every use "
                "moves the end a whole window away."
            )
        yield Page(self.reading.organization, tokens)
        if broken is not None:
            raise broken

    async def applications(self) -> AsyncGenerator[Item, None]:
        """Yield the secrets and keys of each application."""
        found = each_of(
            self._apps(), self._of_app, self.reading.failed, self._patience, self._workers
        )
        async with aclosing(found) as items:
            async for item in items:
                yield item

    async def one_token(self, wanted: Credential) -> Credential | None:
        """Return a token as it is now; raises `SourceError`."""
        record = (await self._client.get(f"{_TOKENS}/{segment(wanted.provider_id)}")).object()
        await self._read_owners([record])
        return same(self._token(record), wanted)

    async def one_of_application(self, wanted: Credential) -> Credential | None:
        """Return a secret or key as it is now; None where its application lists it no more."""
        answer = await self._client.get(f"{_APPS}/{segment(wanted.principal.id)}")
        app = app_of(answer.object())
        if app is None or app.id != wanted.principal.id:
            raise UnexpectedResponse(f"{answer.where} answered for another application")
        return picked(await self._credentials(app), wanted, self.reading)

    def _token(self, record: Any) -> Credential | None:
        found = identifier(record)
        if found is None:
            self.reading.malformed("An API token")
            return None
        user = identifier(record, "userId") or "unknown"
        return self.reading.token(record, found, self._owners.get(user, Owner(user)))

    async def _apps(self) -> AsyncIterator[App]:
        async for records in pages(self._client, _APPS, "The applications", {"limit": PAGE}):
            for record in records:
                app = app_of(record)
                if app is None:
                    self.reading.malformed("An application")
                    continue
                if not is_oauth(record):
                    continue
                if app.has_keys_elsewhere:
                    self.reading.note(
                        "Applications that publish their keys at an address of their own "
                        "(jwks_uri) keep none at Okta; those keys are not listed."
                    )
                yield app

    async def _of_app(self, app: App) -> AsyncIterator[Item]:
        yield Page(self.reading.organization, tuple(await self._credentials(app)))

    async def _credentials(self, app: App) -> list[Credential]:
        base = f"{_APPS}/{segment(app.id)}/credentials"
        secrets = await self._whole(f"{base}/secrets") if app.has_secrets else []
        keys = await self._whole(f"{base}/jwks") if app.has_keys else []
        if not secrets and not keys:
            return []
        permissions, is_whole = await self._permissions(app)
        credentials = []
        for records, make in ((secrets, self.reading.secret), (keys, self.reading.key)):
            for record in records:
                found = identifier(record) or _key_id(app, record)
                if found is None:
                    self.reading.malformed(f"A credential of application {app.id}")
                else:
                    credential = make(record, found, app, permissions)
                    credentials.append(settled(credential, is_whole=is_whole))
        return credentials

    async def _permissions(self, app: App) -> tuple[PermissionMap, bool]:
        """Return what *app* may do at Okta itself, and whether all of that could be read."""
        granted = await self._optional(f"{_APPS}/{segment(app.id)}/grants", f"Grants of {app.id}")
        roles: list[Any] | None = []
        if app.is_service and app.client_id is not None:
            path = f"/oauth2/v1/clients/{segment(app.client_id)}/roles"
            roles = await self._optional(path, f"Admin roles of {app.id}")
        found = permission_map(role=role_types(roles or []), scope=scopes(granted or []))
        return found, granted is not None and roles is not None

    async def _read_owners(self, records: list[Any]) -> None:
        """Read the users that *records* name, each once."""
        named = {identifier(record, "userId") for record in records} - {None, *self._owners}
        for owner in await asyncio.gather(*(self._read_owner(one) for one in named if one)):
            self._owners[owner.id] = owner

    async def _read_owner(self, user: str) -> Owner:
        path = f"/api/v1/users/{segment(user)}"
        record: dict[str, Any] = {}
        try:
            record = (await self._client.get(path)).object()
        except NotFound:
            pass  # deleted after the token was listed; what is unknown stays so
        except SourceError as error:
            self._patience.failed(error)
            self.reading.failed(error, f"User {user}")
        else:
            self._patience.went_well()
        profile = child(record, "profile")
        roles = await self._optional(f"{path}/roles", f"Admin roles of user {user}")
        return Owner(
            user,
            login=text(profile, "login"),
            email=text(profile, "email"),
            status=text(record, "status"),
            roles=None if roles is None else role_types(roles),
        )

    async def _optional(self, path: str, what: str) -> list[Any] | None:
        """Return a list that adds to a credential; None where it cannot be read."""
        try:
            records = await self._whole(path)
        except NotFound:
            return None
        except SourceError as error:
            self._patience.failed(error)
            self.reading.failed(error, what)
            return None
        self._patience.went_well()
        return records

    async def _whole(self, path: str) -> list[Any]:
        return [record async for page in pages(self._client, path, path) for record in page]


def _key_id(app: App, record: Any) -> str | None:
    """Return an identity for a key without an id of its own: its ``kid`` is the app's choice."""
    kid = identifier(record, "kid")
    return None if kid is None else f"{app.id}/{kid}"
