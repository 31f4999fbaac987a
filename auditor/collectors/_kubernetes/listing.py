"""How a Kubernetes API server pages."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from auditor.client import Batch, Client, walk
from auditor.errors import NotFound, UnexpectedResponse

_PAGE = 500


async def _fetch(
    client: Client, path: str, kind: str, params: dict[str, str], cursor: str | None
) -> Batch:
    asked: dict[str, str | int | list[str]] = {**params, "limit": _PAGE}
    if cursor:
        asked["continue"] = cursor
    answer = await client.get(path, asked)
    body = answer.object()
    items, meta = body.get("items"), body.get("metadata")
    # Asked for metadata, no answer with more than that is looked at.
    if body.get("kind") != kind or not isinstance(meta, dict):
        raise UnexpectedResponse(f"{answer.where} answered with something else than a {kind}")
    # An empty list is null where the server is old.
    if items is not None and not isinstance(items, list):
        raise UnexpectedResponse(f"{answer.where} answered without a list of items")
    following = meta.get("continue")
    if following is not None and not isinstance(following, str):
        raise UnexpectedResponse(f"{answer.where} answered without telling whether more follows")
    return Batch(items or [], bool(following), following)


async def listed(
    client: Client, path: str, kind: str, params: dict[str, str] | None = None
) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the objects of each page; *kind* is what the whole must call itself.

    A list that took so long that the server forgot where it stood (410) is begun anew, once.
    """
    seen: set[str] = set()
    for is_last_try in (False, True):
        try:
            async for items in walk(partial(_fetch, client, path, kind, params or {}), path):
                yield [one for one in items if isinstance(one, dict) and _is_new(one, seen)]
        except NotFound as error:
            if error.status != 410 or is_last_try:
                raise
        else:
            return


def _is_new(item: dict[str, Any], seen: set[str]) -> bool:
    meta = item.get("metadata")
    uid = meta.get("uid") if isinstance(meta, dict) else None
    if not isinstance(uid, str):
        return True
    if uid in seen:
        return False
    seen.add(uid)
    return True
