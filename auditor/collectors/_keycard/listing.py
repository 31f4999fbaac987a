"""Listing one Keycard organization: one request per page and account, many at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial

from auditor.client import Batch, BrokenPaging, Client, fan_out, segment, walk
from auditor.collectors._keycard.records import (
    Account,
    Reading,
    batch_of,
    has_permissions,
    identifier,
)
from auditor.collectors.interface import Item, Page
from auditor.errors import AuthenticationFailed, NotFound, SourceError, UnexpectedResponse

_PAGE = 100  # the most the API hands out at once
_FAILURES_IN_A_ROW = 5  # of parts of one organization, before the rest is given up

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
        self._failures = 0

    async def items(self) -> AsyncGenerator[Item, None]:
        """Yield pages; raises `SourceError` where the organization cannot be read on."""
        parts: list[
            tuple[Callable[[], AsyncIterator[Account]], Callable[[Account], AsyncIterator[Item]]]
        ] = [(self._accounts, self._credentials)]
        if self._with_zones:
            parts.append((self._zones, self._application_credentials))
        for listing, read in parts:
            async with aclosing(self._each(listing, read)) as items:
                async for item in items:
                    yield item

    async def _each(
        self,
        listing: Callable[[], AsyncIterator[Account]],
        read: Callable[[Account], AsyncIterator[Item]],
    ) -> AsyncGenerator[Item, None]:
        """Yield what *read* yields for everything of *listing*.

        Where the listing breaks off, what it named before is read before its error comes out.
        """
        broken: list[SourceError] = []

        async def listed() -> AsyncIterator[Account]:
            try:
                async for account in listing():
                    yield account
            except SourceError as error:
                broken.append(error)

        guarded = partial(self._guarded, read)
        async with aclosing(fan_out(listed(), guarded, self._workers)) as items:
            async for item in items:
                yield item
        for error in broken:
            if not isinstance(error, BrokenPaging):
                raise error
            self._reading.failed(error)

    async def _guarded(
        self, read: Callable[[Account], AsyncIterator[Item]], account: Account
    ) -> AsyncIterator[Item]:
        try:
            async for item in read(account):
                yield item
        except NotFound:
            return  # it vanished after it was listed: removed, not unread
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self._failures += 1
            if self._failures >= _FAILURES_IN_A_ROW:
                raise
            self._reading.failed(error)
        else:
            self._failures = 0

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
