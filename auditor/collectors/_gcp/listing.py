"""Listing one project: its service accounts and their keys, API keys, HMAC keys."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

from auditor.client import fan_out, segment
from auditor.collectors._again import found_or_gone, kind_of, same
from auditor.collectors._gcp.activities import Activities
from auditor.collectors._gcp.apis import Api, Apis, Params
from auditor.collectors._gcp.grants import Grants, Hierarchy
from auditor.collectors._gcp.options import Part
from auditor.collectors._gcp.records import Account, Records
from auditor.collectors._notebook import settled, text
from auditor.collectors._parts import in_parts, parts_of
from auditor.collectors.interface import Item, Page
from auditor.errors import (
    AccessDenied,
    AuthenticationFailed,
    NotFound,
    SourceError,
    Unavailable,
    UnexpectedResponse,
)
from auditor.model import Credential


class Listing:
    """One project's credentials. A part that cannot be read is noted, the rest goes on."""

    def __init__(
        self,
        apis: Apis,
        hierarchy: Hierarchy,
        records: Records,
        *,
        parent: str | None,
        parts: tuple[Part, ...],
        workers: int,
    ) -> None:
        self._apis = apis
        self._records = records
        self._notebook = records.notebook
        self._project = segment(self._notebook.organization.id)
        self._parent = parent
        self._parts = parts
        self._workers = workers
        self._grants = Grants(hierarchy)
        self._activities = Activities()
        self._accounts: dict[str, Account] = {}
        self._without_accounts: SourceError | None = None

    async def items(self) -> AsyncGenerator[Item, None]:
        """Yield pages; raises `SourceError` where nothing at all can be read."""
        readers = {
            "service_account_keys": self._keys,
            "api_keys": self._api_keys,
            "hmac_keys": self._hmac_keys,
        }
        await self._grants.read(self._notebook.organization.id, self._parent)
        await self._read_accounts()
        parts = parts_of(self._notebook.organization.id, readers, self._parts)
        async with aclosing(in_parts(parts, self._notebook, an_outage_ends_it=True)) as items:
            async for item in items:
                yield item
        if self._grants.problem is not None:
            self._notebook.note(
                "Not every role could be read, so what service accounts may do is unknown where it "
                f"is not administration already: {self._grants.problem}"
            )

    async def one(self, wanted: Credential) -> Credential | None:
        """Return *wanted* as it is now; None where it is gone. Raises `SourceError`."""
        await self._grants.read(self._notebook.organization.id, self._parent)
        account, found = segment(wanted.principal.name), segment(wanted.provider_id)
        match kind_of(wanted):
            case "service_account_key":
                await self._activities.read(self._apis, self._project, self._notebook, wanted)
                keys = self._keys_path(account)
                read = partial(self._one_key, wanted, f"{keys}/{found}")
                return await found_or_gone(read, partial(self._apis.get, "iam", self._path))
            case "api_key":
                keys = self._api_keys_path
                read = partial(self._one_of, "apikeys", f"{keys}/{found}", self._api_key, wanted)
                return await found_or_gone(read, partial(self._apis.get, "apikeys", keys))
            case _:
                keys = self._hmac_keys_path
                read = partial(self._one_of, "storage", f"{keys}/{found}", self._hmac_key, wanted)
                return await found_or_gone(read, partial(self._apis.get, "storage", keys))

    async def _one_key(self, wanted: Credential, path: str) -> Credential:
        email = wanted.principal.name
        about = await self._apis.get("iam", f"{self._path}/{segment(email)}")
        record = await self._apis.get("iam", path)
        return same(await self._key(Account(email, about), record), wanted)

    async def _one_of(
        self,
        api: Api,
        path: str,
        make: Callable[[Any], Awaitable[Credential | None]],
        wanted: Credential,
    ) -> Credential:
        record = await self._apis.get(api, path)
        email = text(record, "serviceAccountEmail")
        if email is not None:
            with suppress(NotFound, AccessDenied):  # as where it belongs to another project
                about = await self._apis.get("iam", f"{self._path}/{segment(email)}")
                self._accounts[email] = Account(email, about)
        return same(await make(record), wanted)

    @property
    def _path(self) -> str:
        return f"/v1/projects/{self._project}/serviceAccounts"

    def _keys_path(self, account: str) -> str:
        return f"{self._path}/{account}/keys"

    @property
    def _api_keys_path(self) -> str:
        return f"/v2/projects/{self._project}/locations/global/keys"

    @property
    def _hmac_keys_path(self) -> str:
        return f"/storage/v1/projects/{self._project}/hmacKeys"

    async def _read_accounts(self) -> None:
        """Read the service accounts: a project has a few hundred at most."""
        what = f"The service accounts of {self._project}"
        try:
            listed = self._apis.pages("iam", self._path, "accounts", what, {"pageSize": 100})
            async for records in listed:
                for record in records:
                    email = text(record, "email")
                    if email is None:
                        self._notebook.malformed(f"A service account of {self._project}")
                    else:
                        self._accounts[email] = Account(email, record)
        except (AuthenticationFailed, Unavailable):
            raise
        except SourceError as error:
            self._without_accounts = error  # whether an HMAC key still works is unknown then

    async def _keys(self) -> AsyncGenerator[Item, None]:
        if self._without_accounts is not None:
            raise self._without_accounts
        await self._activities.read(self._apis, self._project, self._notebook)

        async def accounts() -> AsyncIterator[Account]:
            for account in self._accounts.values():
                yield account

        async with aclosing(fan_out(accounts(), self._keys_of, self._workers)) as items:
            async for item in items:
                yield item

    async def _keys_of(self, account: Account) -> AsyncIterator[Item]:
        path = self._keys_path(segment(account.email))
        try:
            body = await self._apis.get("iam", path, {"keyTypes": "USER_MANAGED"})
        except NotFound:
            return  # deleted after it was listed
        except (AuthenticationFailed, Unavailable):
            raise
        except SourceError as error:
            self._notebook.failed(error)
            return
        listed = body.get("keys", [])
        if not isinstance(listed, list):
            wrong = UnexpectedResponse(f"The keys of {account.email} are not a list")
            self._notebook.failed(wrong)
            return
        found = []
        for record in listed:
            if text(record, "keyType") == "SYSTEM_MANAGED":
                continue  # Google rotates its own
            found.append(await self._key(account, record))
        yield self._page(found)

    async def _key(self, account: Account, record: Any) -> Credential | None:
        permissions, is_whole = await self._grants.of(account.email)
        key = self._records.key(account, record, permissions)
        if key is None:
            return None
        key = self._activities.applied(key, (account.unique_id or "", account.email))
        return settled(key, is_whole=is_whole)

    async def _api_keys(self) -> AsyncGenerator[Item, None]:
        what = f"The API keys of {self._project}"
        asked: Params = {"pageSize": 300}
        path = self._api_keys_path
        async for records in self._apis.pages("apikeys", path, "keys", what, asked):
            yield self._page([await self._api_key(record) for record in records])

    async def _api_key(self, record: Any) -> Credential | None:
        email = text(record, "serviceAccountEmail")
        if email is None:
            return self._records.api_key(None, record, None)
        permissions, is_whole = await self._grants.of(email)
        key = self._records.api_key(self._account(email), record, permissions)
        return key and settled(key, is_whole=is_whole)

    async def _hmac_keys(self) -> AsyncGenerator[Item, None]:
        what = f"The HMAC keys of {self._project}"
        asked: Params = {"maxResults": 250}
        async for records in self._apis.pages(
            "storage", self._hmac_keys_path, "items", what, asked, key="accessId"
        ):
            yield self._page([await self._hmac_key(record) for record in records])

    async def _hmac_key(self, record: Any) -> Credential | None:
        email = text(record, "serviceAccountEmail") or "unknown"
        permissions, is_whole = await self._grants.of(email)
        key = self._records.hmac_key(self._account(email), record, permissions)
        return key and settled(key, is_whole=is_whole)

    def _account(self, email: str) -> Account:
        return self._accounts.get(email) or Account(email)

    def _page(self, found: Sequence[Credential | None]) -> Page:
        return Page(self._notebook.organization, tuple(one for one in found if one is not None))
