"""Keycard: the credentials of service accounts, and by option those of applications.

Facts are those of the vendor's API reference and SDK (``keycardai_api`` 0.18): a listed credential
can log in, there is no expiry and no way to disable one; ``last_used_at`` is left out or null
where no use was recorded; ``permissions`` are documented as the *caller's* rights.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from auditor.client import Client, segment, walk
from auditor.collectors._again import found_or_gone, same
from auditor.collectors._keycard.listing import Listing, fetch
from auditor.collectors._keycard.options import KeycardOptions, login
from auditor.collectors._keycard.records import (
    Account,
    Reading,
    has_permissions,
    organization_of,
)
from auditor.collectors._parts import tried
from auditor.collectors.interface import Access, Collector, Context, Item, Unit
from auditor.errors import (
    AccessDenied,
    AuthenticationFailed,
    NotFound,
    SourceError,
    UnexpectedResponse,
)
from auditor.model import Credential, Organization

__all__ = ["Keycard", "KeycardOptions"]

_HINT = "`auditor providers show keycard`"


class Keycard(Collector):
    """Reads organizations, their service accounts, and the credentials of those."""

    Options = KeycardOptions
    options: KeycardOptions
    summary = "Credentials of service accounts; by option those of applications in zones"
    verified = "the vendor's SDK (keycardai-api), which reads our fake alike; no live organization"
    least_privileges = (
        "to list organizations, service accounts and their credentials (Viewer does)",
        "with zone_credentials: listing zones, applications and application credentials",
    )

    def __init__(self, options: KeycardOptions, context: Context) -> None:
        super().__init__(options, context)
        self._client = Client(
            options.base_url,
            options,
            auth=login(options),
            hint=_HINT,
            directory=context.directory,
        )
        self._unreadable: dict[str, SourceError] = {}
        """Units that are known to fail, by key."""

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @property
    def reads_all(self) -> bool:
        """Whether ``organizations: all`` is configured."""
        return self.options.organizations == "all"

    async def units(self) -> list[Unit]:
        """Return one unit per organization."""
        if self.reads_all:
            return await self._all_organizations()
        known = {one.id: one for one in self.context.known_organizations()}
        named = await asyncio.gather(*(self._named(r, known) for r in self.options.organizations))
        units = {unit.key: unit for unit in named}
        if any(unit.organization is None for unit in named):
            # A label that cannot be resolved may stand for any organization it led to before.
            error = next(iter(self._unreadable.values()))
            for organization in known.values():
                if organization.id not in units:
                    units[organization.id] = Unit(organization.id, organization)
                    self._unreadable[organization.id] = error
        return list(units.values())

    async def collect(self, unit: Unit) -> AsyncIterator[Item]:
        """Yield the credentials of one organization, side by side."""
        if unit.key in self._unreadable:
            raise self._unreadable[unit.key]
        if unit.organization is None:
            raise UnexpectedResponse(f"Keycard knows no unit {unit.key!r}")
        reading = self._reading(unit.organization)
        listing = Listing(
            self._client,
            reading,
            with_zones=self.options.zone_credentials,
            workers=self.options.concurrency,
        )
        try:
            async with aclosing(listing.items()) as items:
                async for item in items:
                    yield item
        except SourceError:
            for item in reading.conclusions(self.options.permissions_subject, is_whole=False):
                yield item
            raise
        for item in reading.conclusions(self.options.permissions_subject, is_whole=True):
            yield item

    async def check(self) -> list[Access]:
        """Try one list call of each kind for every organization."""
        rows = []
        for unit in await self.units():
            for what, path in self._probes(unit):
                rows.append(await self._access(unit, what, path))
        return rows

    async def refresh(self, credential: Credential) -> Credential | None:
        """Read one credential again; None where Keycard does not know it any more."""
        reading = self._reading(credential.organization)
        principal = Account(credential.principal.id, credential.principal.name)
        zone_id = credential.tags.get("zone_id")
        place = f"/organizations/{segment(credential.organization.id)}/service-accounts"
        if zone_id is not None:
            place = f"/zones/{segment(zone_id)}/application-credentials"

        async def read() -> Credential:
            if zone_id is None:
                found = reading.credential(principal, await self._retrieve(credential))
                return same(found, credential)
            answer = await self._client.get(f"{place}/{segment(credential.provider_id)}")
            zone = Account(zone_id, credential.tags.get("zone", zone_id))
            return same(
                reading.application_credential(principal, zone, answer.object()), credential
            )

        fresh = await found_or_gone(read, partial(self._client.get, place, {"limit": 1}))
        if fresh is None:
            return None
        return msgspec.structs.replace(
            fresh,
            permissions_subject=credential.permissions_subject,
            permissions_certainty=credential.permissions_certainty,
        )

    async def _retrieve(self, credential: Credential) -> dict[str, Any]:
        path = (
            f"/organizations/{segment(credential.organization.id)}/service-accounts/"
            f"{segment(credential.principal.id)}/credentials/{segment(credential.provider_id)}"
        )
        record = (await self._client.get(path, {"expand[]": "permissions"})).object()
        if has_permissions([record]):
            return record
        return (await self._client.get(path, {"expand": "permissions"})).object()

    def _reading(self, organization: Organization) -> Reading:
        host = self._client.origin.host
        is_vendor = self._client.origin.is_loopback or host == "api.keycard.ai"
        return Reading(
            organization,
            source=self.options.name,
            tenant=organization.id if is_vendor else f"{host}/{organization.id}",
            now=self.context.now,
            tracked_since=self.options.usage_tracked_since,
            own_client_id=self.options.client_id,
        )

    async def _all_organizations(self) -> list[Unit]:
        units: dict[str, Unit] = {}
        try:
            async for records in self._organizations():
                for record in records:
                    organization = organization_of(record)
                    if organization is None:
                        raise UnexpectedResponse(
                            "Keycard listed an organization without a usable id"
                        )
                    units[organization.id] = Unit(organization.id, organization)
        except SourceError as error:
            if not units:
                raise
            self._unreadable["*"] = error
            units["*"] = Unit("*")
        for known in self.context.known_organizations():
            if known.id in units:
                continue
            if "*" not in units:  # a list that was cut short has left out nothing
                doubt = await self._doubt(known)
                if doubt is None:
                    continue
                self._unreadable[known.id] = doubt
            units[known.id] = Unit(known.id, known)
        return list(units.values())

    def _organizations(self) -> AsyncIterator[list[Any]]:
        return walk(partial(fetch, self._client, "/organizations", {}), "Keycard organizations")

    async def _named(self, ref: str, known: Mapping[str, Organization]) -> Unit:
        try:
            answer = await self._client.get(f"/organizations/{segment(ref)}")
            organization = organization_of(answer.object())
            if organization is None:
                raise UnexpectedResponse(f"{answer.where} answered without a usable id")
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self._unreadable[ref] = error
            return Unit(ref, known.get(ref))
        return Unit(organization.id, organization)

    async def _doubt(self, organization: Organization) -> SourceError | None:
        """Return why an organization that is listed no more may still be there.

        None where it answers 404 itself: then the store holds it for missing, and takes it for
        gone when a second run finds the same.
        """
        try:
            await self._client.get(f"/organizations/{segment(organization.id)}")
        except NotFound:
            return None
        except AuthenticationFailed:
            raise
        except SourceError as error:
            return error
        hidden = AccessDenied(
            f"Keycard no longer lists the organization {organization.name!r} ({organization.id}), "
            "yet answers for it: the auditor's own credential may have lost its access. Name it "
            "under `organizations:` to read it all the same"
        )
        hidden.kind = "not_listed"
        return hidden

    def _probes(self, unit: Unit) -> Iterator[tuple[str, str]]:
        organization = segment(unit.organization.id) if unit.organization else ""
        yield "list service accounts", f"/organizations/{organization}/service-accounts"
        if self.options.zone_credentials:
            yield "list zones", f"/zones?filter[organization_id]={organization}"

    async def _access(self, unit: Unit, what: str, path: str) -> Access:
        subject = unit.organization.name if unit.organization else unit.key

        async def ask() -> None:
            if unit.key in self._unreadable:
                raise self._unreadable[unit.key]
            await self._client.get(path, {"limit": 1})

        return await tried(subject, what, ask)
