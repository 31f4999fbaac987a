"""Microsoft Graph: its clients and the way it pages."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from auditor.client import Answer, Batch, Client, segment, walk
from auditor.collectors._entra.login import login
from auditor.collectors._entra.options import EntraOptions
from auditor.errors import UnexpectedResponse

_HEADERS = {"x-ms-throttle-priority": "Low"}
"""An audit can wait: of all who ask, it is throttled first."""


class Graph:
    """Two clients with one login: the reports have a much narrower limit than the rest."""

    def __init__(self, options: EntraOptions, directory: Path) -> None:
        auth = login(options, directory)
        slow = {"concurrency": 1, "requests_per_second": options.reports_per_second}
        self._clients = {
            pace: Client(
                options.base_url,
                settings,
                auth=auth,
                headers=_HEADERS,
                id_header="client-request-id",
                also=(options.login_url,),
                hint="`auditor providers show entra`",
                directory=directory,
            )
            for pace, settings in (
                ("usual", options),
                ("report", options.model_copy(update=slow)),
            )
        }

    async def aclose(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()

    async def get(self, path: str, select: str | None = None) -> dict[str, Any]:
        """Return one object; raises `SourceError`."""
        params = {"$select": select} if select else None
        return (await self._clients["usual"].get(path, params)).object()

    async def pages(
        self, path: str, what: str, params: dict[str, str | int] | None = None, *, key: str = "id"
    ) -> AsyncIterator[list[Any]]:
        """Yield the records of each page, at the pace that *path* bears."""
        client = self._clients["report" if "/reports/" in path else "usual"]
        last: Answer | None = None

        async def fetch(cursor: str | None) -> Batch:
            nonlocal last
            if cursor is None or last is None:
                last = await client.get(path, params)
            else:
                last = await client.get_link(cursor, last)
            body = last.object()
            records, link = body.get("value"), body.get("@odata.nextLink") or None
            if not isinstance(records, list) or not isinstance(link, str | None):
                raise UnexpectedResponse(f"{last.where} answered without a list of values")
            return Batch(records, link is not None, link)

        async for records in walk(fetch, what, key=key):
            yield records


def equals(field: str, value: str) -> str:
    """Return the OData filter for records whose *field* is *value*."""
    return f"{field} eq '{value.replace(chr(39), chr(39) * 2)}'"


def below(collection: str, object_id: str, relation: str) -> str:
    """Return the path of a relation of one object."""
    return f"/v1.0/{collection}/{segment(object_id)}/{relation}"
