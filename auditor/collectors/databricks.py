"""Databricks: personal access tokens and OAuth secrets of service principals of a workspace.

Facts were read in the vendor's SDK (0.133). The day of a token's last use is told where the
platform knows it; a token without one may be unused or older than the record, so that is unknown.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

from auditor.client import Client, fan_out, segment
from auditor.collectors._again import found_or_gone, kind_of, picked, same
from auditor.collectors._databricks.options import DatabricksOptions, login
from auditor.collectors._databricks.paging import scim, secrets
from auditor.collectors._databricks.records import Holder, Reading, holder_of
from auditor.collectors._notebook import child, identifier, text
from auditor.collectors._parts import at_one_address, concluded, in_parts, tried
from auditor.collectors._patience import Patience
from auditor.collectors.interface import Access, Collector, Context, Item, Page, Unit
from auditor.errors import (
    AccessDenied,
    AuthenticationFailed,
    NotFound,
    SourceError,
    UnexpectedResponse,
)
from auditor.model import Credential, Organization, PrincipalType

__all__ = ["Databricks", "DatabricksOptions"]

_TOKENS = "/api/2.0/token-management/tokens"
_USERS = "/api/2.0/preview/scim/v2/Users"
_SECRETS = "/api/2.0/accounts/servicePrincipals/{}/credentials/secrets"
_PRINCIPALS = "/api/2.0/preview/scim/v2/ServicePrincipals"


class Databricks(Collector):
    """Reads one workspace."""

    Options = DatabricksOptions
    options: DatabricksOptions
    summary = "Personal access tokens; OAuth secrets of service principals"
    last_use = "Of tokens, by the day; where none is told it is unknown. Not of secrets"
    limits = (
        "One workspace for each source",
        "What becomes of the credentials of a deactivated holder is not documented",
    )
    verified = "the vendor's SDK for Python, which reads our fake alike; no live workspace"
    least_privileges = (
        "workspace admin, for token management and the holders' groups",
        "manager of the service principals, or account admin, for their secrets",
    )

    def __init__(self, options: DatabricksOptions, context: Context) -> None:
        super().__init__(options, context)
        self._client = Client(
            options.base_url,
            options,
            auth=login(options),
            hint="`auditor providers show databricks`",
            directory=context.directory,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def units(self) -> list[Unit]:
        """Return the one workspace that the address stands for."""
        return [at_one_address(self._client)]

    async def collect(self, unit: Unit) -> AsyncIterator[Item]:
        """Yield the tokens, then the secrets of each service principal, side by side."""
        organization = unit.organization or Organization(unit.key, unit.key)
        listing = self._listing(organization)
        await listing.learn_principals()
        parts = {"Tokens": listing.tokens, "Secrets": listing.secrets}
        found = concluded(in_parts(parts, listing.reading), listing.reading.conclusions)
        async with aclosing(found) as items:
            async for item in items:
                yield item

    async def refresh(self, credential: Credential) -> Credential | None:
        """Read one token or secret again, and its holder; None where it is gone."""
        listing = self._listing(credential.organization)
        if kind_of(credential) == "personal_access_token":
            read = partial(listing.one_token, credential)
            return await found_or_gone(read, partial(self._client.get, _TOKENS))
        read = partial(listing.one_secret, credential)
        return await found_or_gone(read, partial(self._client.get, _PRINCIPALS, {"count": 1}))

    def _listing(self, organization: Organization) -> "_Listing":
        reading = Reading(organization, source=self.options.name, now=self.context.now)
        return _Listing(self._client, reading, self.options.concurrency)

    async def check(self) -> list[Access]:
        """Try one list call of each kind."""
        host = self._client.origin.host
        principals = partial(self._client.get, _PRINCIPALS, {"count": 1})
        return [
            await tried(host, "list tokens", partial(self._client.get, _TOKENS)),
            await tried(host, "list service principals", principals),
        ]


class _Listing:
    """The calls that read a workspace; parts that fail are told to *reading*."""

    def __init__(self, client: Client, reading: Reading, workers: int) -> None:
        self._client = client
        self.reading = reading
        self._workers = workers
        self._principals: dict[str, Holder] = {}
        self._users: dict[str, Holder] = {}
        self._patience = Patience()
        self._answered = 0
        self._absent: NotFound | None = None
        self._without_principals: SourceError | None = None

    async def learn_principals(self) -> None:
        """Read all service principals; where that breaks off, `secrets` raises why."""
        try:
            async for records in scim(self._client, _PRINCIPALS, "The service principals"):
                for record in records:
                    holder = holder_of(record, PrincipalType.SERVICE_ACCOUNT)
                    if holder is None:
                        self.reading.malformed("A service principal")
                    else:
                        self._principals[holder.id] = holder
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self._without_principals = error

    async def tokens(self) -> AsyncGenerator[Item, None]:
        """Yield the personal access tokens; they come in one answer."""
        answer = await self._client.get(_TOKENS)
        records = answer.object().get("token_infos", [])
        if not isinstance(records, list):
            raise UnexpectedResponse(f"{answer.where} answered without a list of tokens")
        owners = {identifier(record, "owner_id") for record in records}
        unknown = [one for one in owners if one is not None and one not in self._principals]
        for user in await asyncio.gather(*(self._user(one) for one in unknown)):
            self._users[user.id] = user
        found = [self._token(record) for record in records]
        tokens = {token.uid: token for token in found if token is not None}
        yield Page(self.reading.organization, tuple(tokens.values()))

    async def secrets(self) -> AsyncGenerator[Item, None]:
        """Yield the secrets of each service principal."""

        async def principals() -> AsyncIterator[Holder]:
            for holder in self._principals.values():
                yield holder

        async with aclosing(fan_out(principals(), self._secrets_of, self._workers)) as pages:
            async for page in pages:
                yield page
        if self._without_principals is not None:
            raise self._without_principals
        if self._absent is not None and not self._answered:
            raise self._absent

    async def one_token(self, wanted: Credential) -> Credential | None:
        """Return a token as it is now; raises `SourceError`."""
        answer = await self._client.get(f"{_TOKENS}/{segment(wanted.provider_id)}")
        record = child(answer.object(), "token_info")
        owner = identifier(record, "owner_id") or "unknown"
        if wanted.principal.type is PrincipalType.SERVICE_ACCOUNT:
            with suppress(NotFound, AccessDenied):  # what is unknown of its holder stays so
                await self._learn_principal(owner)
        else:
            self._users[owner] = await self._user(owner)
        return same(self._token(record), wanted)

    async def one_secret(self, wanted: Credential) -> Credential | None:
        """Return a secret as it is now; None where its holder lists it no more."""
        holder = await self._learn_principal(wanted.principal.id)
        path = _SECRETS.format(segment(holder.id))
        found: list[Credential] = []
        async for records in secrets(self._client, path, f"The secrets of {holder.id}"):
            found += self._made(records, holder)
        return picked(found, wanted, self.reading)

    async def _learn_principal(self, number: str) -> Holder:
        answer = await self._client.get(f"{_PRINCIPALS}/{segment(number)}")
        holder = holder_of(answer.object(), PrincipalType.SERVICE_ACCOUNT)
        if holder is None or holder.id != number:
            raise UnexpectedResponse(f"{answer.where} answered for another service principal")
        self._principals[number] = holder
        return holder

    def _token(self, record: Any) -> Credential | None:
        found = identifier(record, "token_id")
        if found is None:
            self.reading.malformed("A token")
            return None
        owner = identifier(record, "owner_id") or "unknown"
        holder = self._principals.get(owner) or self._users.get(owner) or Holder(owner, owner)
        is_own = owner == identifier(record, "created_by_id")
        if holder.name == owner and is_own:
            name = text(record, "created_by_username") or owner
            holder = Holder(owner, name, holder.type)
        return self.reading.token(record, found, holder)

    async def _secrets_of(self, holder: Holder) -> AsyncIterator[Page]:
        path = _SECRETS.format(segment(holder.id))
        try:
            async for records in secrets(self._client, path, f"The secrets of {holder.id}"):
                self._answered += 1
                yield Page(self.reading.organization, tuple(self._made(records, holder)))
        except NotFound as error:
            self._absent = error  # it vanished after it was listed, unless all of them did
        except SourceError as error:
            self._patience.failed(error)
            self.reading.failed(error, f"The secrets of service principal {holder.id}")
        else:
            self._patience.went_well()

    def _made(self, records: list[Any], holder: Holder) -> list[Credential]:
        made = []
        for record in records:
            found = identifier(record)
            if found is None:
                self.reading.malformed(f"A secret of service principal {holder.id}")
            else:
                made.append(self.reading.secret(record, found, holder))
        return made

    async def _user(self, found: str) -> Holder:
        unknown = Holder(found, found)
        try:
            record = (await self._client.get(f"{_USERS}/{segment(found)}")).object()
        except NotFound:
            return unknown  # no user, or one that is gone
        except SourceError as error:
            self._patience.failed(error)
            self.reading.failed(error, f"User {found}")
            return unknown
        self._patience.went_well()
        holder = holder_of(record, PrincipalType.USER)
        return holder if holder is not None and holder.id == found else unknown
