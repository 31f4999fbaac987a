"""Listing one tenant: service principals first, then applications, many at a time."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from auditor.client import segment
from auditor.collectors._again import found_or_gone, picked
from auditor.collectors._entra.activity import Activity
from auditor.collectors._entra.grants import Grants
from auditor.collectors._entra.graph import Graph, below, equals
from auditor.collectors._entra.options import EntraOptions
from auditor.collectors._entra.records import Holder, Records
from auditor.collectors._notebook import identifier, settled, text
from auditor.collectors._parts import each_of, in_parts
from auditor.collectors._patience import Patience
from auditor.collectors.interface import Item, Page
from auditor.errors import AuthenticationFailed, SourceError, UnexpectedResponse
from auditor.model import Credential, PermissionMap

_APPLICATION_FIELDS = (
    "id,appId,displayName,createdDateTime,passwordCredentials,keyCredentials,signInAudience,"
    "disabledByMicrosoftStatus"
)
_PRINCIPAL_FIELDS = (
    "id,appId,displayName,accountEnabled,servicePrincipalType,passwordCredentials,keyCredentials,"
    "disabledByMicrosoftStatus"
)
_MANAGED = "ManagedIdentity"
"""Its certificates are Microsoft's own, and Microsoft rotates them."""
_UNREAD_OWNERS = "unknown (the owners could not be read)"
_LISTED = "servicePrincipals"
_APPLICATIONS = "applications"

_Rights = tuple[PermissionMap | None, bool]
"""What is granted, where it is known, and whether that is all."""


class Listing:
    """One tenant's credentials. A part that cannot be read is noted, the rest goes on."""

    def __init__(self, graph: Graph, records: Records, options: EntraOptions) -> None:
        self._graph = graph
        self._records = records
        self._notebook = records.notebook
        self._options = options
        self._grants = Grants(graph)
        self._activity = Activity()
        self._principals: dict[str, tuple[str, bool | None]] = {}
        """App id → service principal and whether it is enabled."""
        self._has_principals = False
        self._patience = Patience()

    async def items(self) -> AsyncGenerator[Item, None]:
        """Yield pages; raises `SourceError` where nothing at all can be read."""
        await self._grants.read()
        if self._options.usage_reports:
            await self._activity.read(self._graph, self._notebook)
        parts = {
            "The service principals": self._read_principals,
            "The applications": self._read_apps,
        }
        async with aclosing(in_parts(parts, self._notebook, an_outage_ends_it=True)) as items:
            async for item in items:
                yield item
        if self._grants.problem is not None:
            self._notebook.note(
                "Not every grant could be read, so what applications may do is unknown where it "
                f"is not administration already: {self._grants.problem}"
            )

    async def one(self, wanted: Credential) -> Credential | None:
        """Return *wanted* as it is now; None where it is gone. Raises `SourceError`.

        Its application or service principal is read, which lists all of its credentials.
        """
        collection, fields = _APPLICATIONS, _APPLICATION_FIELDS
        if wanted.tags.get("held_by") == "service principal":
            collection, fields = _LISTED, _PRINCIPAL_FIELDS
        list_path = f"/v1.0/{collection}"
        path = f"{list_path}/{segment(wanted.principal.id)}"
        read = partial(self._one_holder, wanted, path, fields)
        return await found_or_gone(read, partial(self._graph.get, list_path, "id"))

    async def _one_holder(self, wanted: Credential, path: str, fields: str) -> Credential | None:
        record = await self._graph.get(path, fields)
        if self._options.usage_reports:
            app_id = identifier(record, "appId")
            await self._activity.read(self._graph, self._notebook, app_id)
        if fields == _PRINCIPAL_FIELDS:
            holder, read = self._principal(record), self._of_principal
        else:
            await self._learn_principal(identifier(record, "appId") or "")
            holder, read = self._application(record), self._of_application
        if holder is None or holder.id != wanted.principal.id:
            raise UnexpectedResponse(f"Microsoft Graph answered for another object than {path}")
        await self._grants.read_for(self._principals.get(holder.app_id or "", (holder.id, None))[0])
        found: list[Credential] = []
        async for item in read(holder):
            found += item.credentials if isinstance(item, Page) else ()
        return picked(found, wanted, self._notebook)

    async def _learn_principal(self, app_id: str) -> None:
        """Read the service principal of one application; where that fails it stays unknown."""
        params: dict[str, str | int] = {
            "$filter": equals("appId", app_id),
            "$select": _PRINCIPAL_FIELDS,
        }
        try:
            async for records in self._graph.pages(f"/v1.0/{_LISTED}", _LISTED, params):
                for record in records:
                    self._principal(record)
            self._has_principals = True
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self._notebook.note(f"The service principal could not be read: {error}")

    async def _read_principals(self) -> AsyncGenerator[Item, None]:
        path, what = f"/v1.0/{_LISTED}", "The service principals"
        params: dict[str, str | int] = {"$top": 999, "$select": _PRINCIPAL_FIELDS}

        async def holders() -> AsyncIterator[Holder]:
            async for records in self._graph.pages(path, what, params):
                for record in records:
                    holder = self._principal(record)
                    if holder is not None and holder.has_credentials:
                        yield holder
            self._has_principals = True

        async with aclosing(self._each(holders(), self._of_principal)) as items:
            async for item in items:
                yield item

    async def _read_apps(self) -> AsyncGenerator[Item, None]:
        path, what = f"/v1.0/{_APPLICATIONS}", "The applications"
        params: dict[str, str | int] = {"$top": 999, "$select": _APPLICATION_FIELDS}

        async def holders() -> AsyncIterator[Holder]:
            async for records in self._graph.pages(path, what, params):
                for record in records:
                    holder = self._application(record)
                    if holder is None:
                        self._notebook.malformed("An application")
                    elif holder.has_credentials or self._options.federated_credentials:
                        yield holder

        async with aclosing(self._each(holders(), self._of_application)) as items:
            async for item in items:
                yield item

    def _application(self, record: Any) -> Holder | None:
        app_id = identifier(record, "appId") or ""
        _, is_enabled = self._principals.get(app_id, ("", self._has_principals or None))
        return Holder.of(record, is_application=True, is_enabled=is_enabled)

    def _principal(self, record: Any) -> Holder | None:
        said = record.get("accountEnabled") if isinstance(record, dict) else None
        is_enabled = said if isinstance(said, bool) else None
        holder = Holder.of(record, is_application=False, is_enabled=is_enabled)
        if holder is None:
            self._notebook.malformed("A service principal")
            return None
        if holder.app_id is not None:
            self._principals[holder.app_id] = holder.id, holder.is_enabled
        return None if text(record, "servicePrincipalType") == _MANAGED else holder

    def _each(
        self,
        holders: AsyncIterator[Holder],
        read: Callable[[Holder], AsyncIterator[Item]],
    ) -> AsyncGenerator[Item, None]:
        return each_of(
            holders, read, self._notebook.failed, self._patience, self._options.concurrency
        )

    async def _of_principal(self, holder: Holder) -> AsyncIterator[Item]:
        found = self._records.credentials(holder)
        yield await self._page(holder, found, await self._grants.of(holder.id))

    async def _of_application(self, holder: Holder) -> AsyncIterator[Item]:
        found = self._records.credentials(holder)
        if self._options.federated_credentials:
            path = below(_APPLICATIONS, holder.id, "federatedIdentityCredentials")
            what = f"The federated credentials of {holder.name}"
            try:
                async for records in self._graph.pages(path, what):
                    listed = (self._records.federated(holder, record) for record in records)
                    found += [one for one in listed if one is not None]
            except AuthenticationFailed:
                raise
            except SourceError as error:
                self._notebook.failed(error)
        if not found:
            return
        principal_id, _ = self._principals.get(holder.app_id or "", (None, None))
        rights: _Rights = self._without_principal(holder)
        if principal_id is not None:
            rights = await self._grants.of(principal_id)
        yield await self._page(holder, found, rights)

    def _without_principal(self, holder: Holder) -> _Rights:
        """An application that is not in its own tenant can do nothing there; elsewhere it may."""
        is_single = text(holder.record, "signInAudience") == "AzureADMyOrg"
        return ({} if is_single and self._has_principals else None), True

    async def _page(self, holder: Holder, found: list[Credential], rights: _Rights) -> Page:
        permissions, is_whole = rights
        facts = {"owner": await self._owner(holder), "permissions": permissions}
        page = []
        for one in found:
            credential = settled(msgspec.structs.replace(one, **facts), is_whole=is_whole)
            page.append(self._activity.applied(credential))
        return Page(self._notebook.organization, tuple(page))

    async def _owner(self, holder: Holder) -> str | None:
        """Return the first owner, by name; None where there is none."""
        collection = _APPLICATIONS if holder.is_application else _LISTED
        path = below(collection, holder.id, "owners")
        params: dict[str, str | int] = {"$select": "id,displayName,userPrincipalName"}
        names = []
        try:
            async for records in self._graph.pages(path, f"The owners of {holder.name}", params):
                names += [text(r, "userPrincipalName") or text(r, "displayName") for r in records]
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self._notebook.note(f"The owners of some applications could not be read: {error}")
            return _UNREAD_OWNERS
        return min((name for name in names if name), default=None)
