"""Listing one organization: each part on its own, repositories side by side as they are listed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from functools import partial
from typing import Any

from auditor.client import Client, fan_out, segment
from auditor.collectors._again import found_or_gone, kind_of, picked, same
from auditor.collectors._github.options import Part
from auditor.collectors._github.paging import Params, pages
from auditor.collectors._github.records import Records
from auditor.collectors._notebook import identifier, text
from auditor.collectors._parts import each_of, in_parts, parts_of
from auditor.collectors._patience import Patience
from auditor.collectors.interface import Item, Page
from auditor.errors import AccessDenied, AuthenticationFailed, NotFound, SourceError
from auditor.model import Credential

_REPOSITORIES_KEPT = 100
_PAGES_AT_ONCE = 2
"""Of tokens: each waits for the repositories of all its tokens, side by side."""
_AUTHORIZED = (*("classic_token", "ssh_key", "oauth_token", "app_user_token", "authorization"),)

Subset = tuple[list[str], int]


class Listing:
    """One organization's credentials. A part that cannot be read is noted, the rest goes on.

    *before* yields what the last complete collection held.
    """

    def __init__(
        self,
        client: Client,
        records: Records,
        *,
        parts: tuple[Part, ...],
        workers: int,
        before: Callable[[], Iterable[Credential]],
    ) -> None:
        self._client = client
        self._records = records
        self._notebook = records.notebook
        self._parts = parts
        self._workers = workers
        self._before = before
        self._login = self._notebook.organization.name
        self._path = f"/orgs/{segment(self._login)}"
        self._patience = Patience()
        self._without_access = 0

    async def items(self) -> AsyncGenerator[Item, None]:
        """Yield pages; raises `SourceError` where nothing at all can be read."""
        readers = {
            "installations": self._installations,
            "fine_grained_tokens": self._tokens,
            "sso_authorizations": self._authorizations,
            "deploy_keys": self._deploy_keys,
        }
        parts = parts_of(self._login, readers, self._parts)
        async with aclosing(in_parts(parts, self._notebook, an_outage_ends_it=True)) as items:
            async for item in items:
                yield item

    async def one(self, wanted: Credential) -> Credential | None:
        """Return *wanted* as it is now; None where it is gone. Raises `SourceError`.

        Deploy keys have an address of their own; the others are looked for on their list, which
        GitHub narrows to one token or one member.
        """
        kind = kind_of(wanted)
        if kind == "deploy_key":
            return await self._one_key(wanted)
        if kind == "fine_grained_token":
            return await self._one_token(wanted)
        if kind == "installation":
            return await self._search(self._listed_installations(), wanted)
        member: Params = {"login": wanted.principal.name}
        return await self._search(self._listed_authorizations(member), wanted)

    async def _search(
        self, listed: AsyncIterator[list[Credential | None]], wanted: Credential
    ) -> Credential | None:
        return picked([one async for found in listed for one in found], wanted, self._notebook)

    async def _one_key(self, wanted: Credential) -> Credential | None:
        repository = wanted.principal.name
        owner, _, name = repository.partition("/")
        path = f"/repos/{segment(owner)}/{segment(name)}/keys"

        async def read() -> Credential:
            answer = await self._client.get(f"{path}/{segment(wanted.provider_id)}")
            return same(self._records.deploy_key(repository, answer.object()), wanted)

        return await found_or_gone(read, partial(self._client.get, path, {"per_page": 1}))

    async def _one_token(self, wanted: Credential) -> Credential | None:
        async for records in self._listed_tokens({"token_id[]": [wanted.provider_id]}):
            for record in records:
                if identifier(record, "token_id") == wanted.provider_id:
                    subset = await self._subset(record)
                    return same(self._records.fine_grained_token(record, subset), wanted)
        return None

    def _page(self, found: list[Credential | None]) -> Page:
        return Page(self._notebook.organization, tuple(one for one in found if one is not None))

    async def _installations(self) -> AsyncGenerator[Item, None]:
        async for found in self._listed_installations():
            yield self._page(found)

    async def _listed_installations(self) -> AsyncIterator[list[Credential | None]]:
        what = f"The App installations of {self._login}"
        path = f"{self._path}/installations"
        async for records in pages(self._client, path, what, member="installations"):
            yield [self._records.installation(record) for record in records]

    async def _tokens(self) -> AsyncGenerator[Item, None]:
        async with aclosing(fan_out(self._listed_tokens(), self._token, _PAGES_AT_ONCE)) as items:
            async for item in items:
                yield item

    async def _listed_tokens(self, params: Params | None = None) -> AsyncIterator[list[Any]]:
        what = f"The fine-grained tokens of {self._login}"
        path = f"{self._path}/personal-access-tokens"
        async for records in pages(self._client, path, what, params=params, key="token_id"):
            yield records

    async def _token(self, records: list[Any]) -> AsyncIterator[Item]:
        subsets = await asyncio.gather(*map(self._subset, records))
        found = map(self._records.fine_grained_token, records, subsets)
        yield self._page(list(found))

    async def _subset(self, record: Any) -> Subset | None:
        """Return the repositories of a token that is bound to some; None where unknown."""
        grant = identifier(record)
        if grant is None or record.get("repository_selection") != "subset":
            return None
        path = f"{self._path}/personal-access-tokens/{segment(grant)}/repositories"
        names: list[str] = []
        count = 0
        try:
            async for listed in pages(self._client, path, f"The repositories of grant {grant}"):
                found = [name for one in listed if (name := text(one, "full_name")) is not None]
                count += len(found)
                names += found[: _REPOSITORIES_KEPT - len(names)]
        except AuthenticationFailed:
            raise
        except SourceError as error:  # what it may do is known, only not where
            self._notebook.note(f"The repositories of some tokens could not be read: {error}")
            return None
        return names, count

    async def _authorizations(self) -> AsyncGenerator[Item, None]:
        try:
            async for found in self._listed_authorizations():
                yield self._page(found)
        except NotFound:
            # An organization without SAML has no such list. One that had credentials on it may
            # just as well hide it now, and then nothing is known to be gone.
            if any(one.uid.split(":")[2] in _AUTHORIZED for one in self._before()):
                raise
            self._notebook.note(
                f"{self._login} shows no single sign-on authorizations (404): without SAML "
                "single sign-on, classic tokens and SSH keys of members cannot be listed"
            )

    async def _listed_authorizations(
        self, params: Params | None = None
    ) -> AsyncIterator[list[Credential | None]]:
        what = f"The single sign-on authorizations of {self._login}"
        path = f"{self._path}/credential-authorizations"
        async for records in pages(
            self._client, path, what, params=params, key="credential_id", is_counted=True
        ):
            yield [self._records.authorization(record) for record in records]

    async def _deploy_keys(self) -> AsyncGenerator[Item, None]:
        found = each_of(
            self._repositories(), self._keys, self._notebook.failed, self._patience, self._workers
        )
        async with aclosing(found) as items:
            async for item in items:
                yield item
        if self._without_access:
            self._notebook.missing(
                "access_denied",
                f"The deploy keys of {self._without_access} repositories of {self._login} may not "
                "be read; the auditor needs read access to Administration in all repositories",
            )

    async def _repositories(self) -> AsyncIterator[str]:
        what = f"The repositories of {self._login}"
        path = f"{self._path}/repos"
        async for records in pages(self._client, path, what, params={"type": "all"}):
            for record in records:
                name = text(record, "name")
                if name is None:
                    self._notebook.malformed(f"A repository of {self._login}")
                else:
                    yield name

    async def _keys(self, name: str) -> AsyncIterator[Item]:
        repository = f"{self._login}/{name}"
        path = f"/repos/{segment(self._login)}/{segment(name)}"
        try:
            async for records in pages(self._client, f"{path}/keys", f"The keys of {repository}"):
                yield self._page([self._records.deploy_key(repository, r) for r in records])
        except AccessDenied:
            self._without_access += 1
        except NotFound:
            await self._hidden(path)

    async def _hidden(self, path: str) -> None:
        """Tell a repository that was deleted since it was listed from one whose keys are hidden."""
        await self._client.get(path)  # one that is gone answers 404 as well
        self._without_access += 1
