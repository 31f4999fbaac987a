"""The two ways in which Databricks pages."""

from collections.abc import AsyncIterator
from typing import Any

from auditor.client import Batch, BrokenPaging, Client, walk
from auditor.errors import UnexpectedResponse

_PAGE = 100


async def scim(client: Client, path: str, what: str) -> AsyncIterator[list[Any]]:
    """Yield the records of each page of a SCIM list: pages are counted, an empty one is the end.

    Raises `BrokenPaging` where the same records come again, for the count alone cannot tell.
    """
    seen: set[str] = set()

    async def fetch(cursor: str | None) -> Batch:
        start = int(cursor or 1)
        answer = await client.get(path, {"startIndex": start, "count": _PAGE})
        records = answer.object().get("Resources", [])
        if not isinstance(records, list):
            raise UnexpectedResponse(f"{answer.where} answered without a list of resources")
        ids = {one["id"] for one in records if isinstance(one, dict) and _is_id(one.get("id"))}
        if ids and ids <= seen:
            raise BrokenPaging(
                "repeated_cursor",
                f"{what}: the provider repeats a page that was read; the list is cut short. "
                "Report it to the provider",
            )
        seen.update(ids)
        return Batch(records, bool(records), str(start + len(records)))

    async for records in walk(fetch, what):
        yield records


async def secrets(client: Client, path: str, what: str) -> AsyncIterator[list[Any]]:
    """Yield the records of each page of secrets; an empty page is not the end."""

    async def fetch(cursor: str | None) -> Batch:
        params: dict[str, str | int | list[str]] = {"page_size": _PAGE}
        if cursor:
            params["page_token"] = cursor
        answer = await client.get(path, params)
        body = answer.object()
        records, following = body.get("secrets", []), body.get("next_page_token")
        if not isinstance(records, list):
            raise UnexpectedResponse(f"{answer.where} answered without a list of secrets")
        if following is not None and not isinstance(following, str):
            raise UnexpectedResponse(f"{answer.where} answered without telling if more follows")
        return Batch(records, bool(following), following)

    async for records in walk(fetch, what):
        yield records


def _is_id(value: object) -> bool:
    return isinstance(value, str)
