"""Listing one Keycard organization: one request per page and account, many at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial

from auditor.client import Batch, Client, segment, walk
from auditor.collectors._keycard.records import (
    Account,
    Reading,
    batch_of,
    has_permissions,
    identifier,
)
from auditor.collectors._parts import each_of
from auditor.collectors._patience import Patience
from auditor.collectors.interface import Item, Page
from auditor.errors import UnexpectedResponse

_PAGE = 100  # the most the API hands out at once

Params = dict[str, str | int | list[str]]


async def fetch(client: Client, path: str, params: Params, cursor: str | None) -> Batch:
    """Return one page of a list."""
    after: Params = {"after": cursor} if cursor else {}
    answer = await client.get(path, {"limit": _PAGE, **params, **after})
    return batch_of(answer.object(), answer.where)


class Listing:
    """One organization: its accounts' credentials and, *with_zones*, its applications'.

    A part that cannot be read is told to *reading* and the rest goes on.
    """

    def __init__(self, client: Client, reading: Reading, *, with_zones: bool, workers: int) -> None:
        self._client = client
        self._reading = reading
        self._with_zones = with_zones
        self._workers = workers
        self._path = f"/organizations/{segment(reading.organization.id)}/service-accounts"
        self._expand = "expand[]"
        self._is_settled = False
        """Whether it is known which spelling of ``expand`` this organization honours."""
        self._settling = asyncio.Lock()
        self._patience = Patience(counts_refusals=True)

    async def items(self) -> AsyncGenerator[Item, None]:
        """Yield pages; raises `SourceError` where the organization cannot be read on."""
        parts: list[
            tuple[Callable[[], AsyncIterator[Account]], Callable[[Account], AsyncIterator[Item]]]
        ] = [(self._accounts, self._credentials)]
        if self._with_zones:
            parts.append((self._zones, self._application_credentials))
        for listing, read in parts:
            found = each_of(listing(), read, self._reading.failed, self._patience, self._workers)
            async with aclosing(found) as items:
                async for item in items:
                    yield item

    async def _accounts(self) -> AsyncIterator[Account]:
        what = f"The service accounts of {self._reading.organization.id}"
        async for records in walk(partial(fetch, self._client, self._path, {}), what):
            for record in records:
                account = Account.of(record)
                if account is None:
                    self._reading.malformed(f"A service account of {self._reading.organization.id}")
                else:
                    yield account

    async def _credentials(self, account: Account) -> AsyncIterator[Item]:
        path = f"{self._path}/{segment(account.id)}/credentials"
        what = f"The credentials of service account {account.id}"
        async for records in walk(partial(self._expanded, path), what):
            found = [self._reading.credential(account, record) for record in records]
            yield Page(self._reading.organization, tuple(c for c in found if c is not None))

    async def _expanded(self, path: str, cursor: str | None) -> Batch:
        """Return a page with permission maps, in the spelling that this API honours.

        The reference documents ``expand[]``, the vendor's own client sends ``expand``; where the
        first brings no map, the second is tried once.
        """
        params: Params = {"limit": _PAGE, **({"after": cursor} if cursor else {})}
        asked = self._expand
        answer = await self._client.get(path, {**params, asked: "permissions"})
        batch = batch_of(answer.object(), answer.where)
        if self._is_settled and asked == self._expand:
            return batch
        if not batch.records:
            return batch
        if has_permissions(batch.records):
            self._is_settled = True
            return batch
        async with self._settling:
            if self._is_settled and asked == self._expand:
                return batch
            again = await self._other_spelling(path, params)
            if again is not None and has_permissions(again.records):
                self._expand = "expand"
                batch = again
            self._is_settled = True
        return batch

    async def _other_spelling(self, path: str, params: Params) -> Batch | None:
        try:
            answer = await self._client.get(path, {**params, "expand": "permissions"})
            return batch_of(answer.object(), answer.where)
        except UnexpectedResponse:  # a server that knows only the first spelling may object
            return None

    async def _zones(self) -> AsyncIterator[Account]:
        organization = self._reading.organization.id
        params: Params = {"filter[organization_id]": organization}
        what = f"The zones of {organization}"
        async for records in walk(partial(fetch, self._client, "/zones", params), what):
            for record in records:
                zone = Account.of(record)
                if zone is None:
                    self._reading.malformed(f"A zone of {organization}")
                elif identifier(record, "organization_id") in (None, organization):
                    yield zone

    async def _application_credentials(self, zone: Account) -> AsyncIterator[Item]:
        base = f"/zones/{segment(zone.id)}"
        names = {account.id: account async for account in self._applications(base, zone)}
        fetch_page = partial(fetch, self._client, f"{base}/application-credentials", {})
        async for records in walk(fetch_page, f"The application credentials of zone {zone.id}"):
            found = []
            for record in records:
                owner = identifier(record, "application_id") or "unknown"
                application = names.get(owner, Account(owner, owner))
                found.append(self._reading.application_credential(application, zone, record))
            yield Page(self._reading.organization, tuple(c for c in found if c is not None))

    async def _applications(self, base: str, zone: Account) -> AsyncIterator[Account]:
        fetch_page = partial(fetch, self._client, f"{base}/applications", {})
        async for records in walk(fetch_page, f"The applications of zone {zone.id}"):
            for record in records:
                application = Account.of(record)
                if application is not None:
                    yield application
