"""Google's APIs, each on a host of its own, and the way all of them page."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import httpx

from auditor.client import Batch, Client, segment, walk
from auditor.collectors._gcp.options import GcpOptions
from auditor.errors import UnexpectedResponse

Api = Literal["iam", "policyanalyzer", "apikeys", "cloudresourcemanager", "storage"]
Params = dict[str, str | int | list[str]]

_APIS: tuple[Api, ...] = ("iam", "policyanalyzer", "apikeys", "cloudresourcemanager", "storage")


class Apis:
    """One client for each API, with one login for all of them."""

    def __init__(self, options: GcpOptions, auth: httpx.Auth, directory: Path) -> None:
        quota = options.quota_project
        self._clients = {
            api: Client(
                options.endpoint_url or f"https://{api}.googleapis.com",
                options,
                auth=auth,
                headers={"X-Goog-User-Project": quota} if quota else None,
                hint="`auditor providers show gcp` (or the API is not enabled in `quota_project`)",
                directory=directory,
            )
            for api in _APIS
        }

    async def aclose(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()

    async def get(self, api: Api, path: str, params: Params | None = None) -> dict[str, Any]:
        """Return one object; raises `SourceError`."""
        return (await self._clients[api].get(path, params)).object()

    async def policy(self, resource: str) -> dict[str, Any]:
        """Return the IAM policy of *resource*, such as ``folders/7``, with its conditions."""
        asked = {"options": {"requestedPolicyVersion": 3}}
        path = f"/v3/{path_of(resource)}:getIamPolicy"
        return (await self._clients["cloudresourcemanager"].post(path, json=asked)).object()

    async def pages(
        self, api: Api, path: str, member: str, what: str, params: Params, *, key: str = "name"
    ) -> AsyncIterator[list[Any]]:
        """Yield the records of each page; *member* is the list's name, absent where it is empty.

        An empty page is not the end: only a missing ``nextPageToken`` is.
        """

        async def fetch(cursor: str | None) -> Batch:
            token: Params = {"pageToken": cursor} if cursor else {}
            answer = await self._clients[api].get(path, {**params, **token})
            body = answer.object()
            records, more = body.get(member, []), body.get("nextPageToken") or None
            if not isinstance(records, list) or not isinstance(more, str | None):
                raise UnexpectedResponse(f"{answer.where} answered without a list of {member}")
            return Batch(records, more is not None, more)

        async for records in walk(fetch, what, key=key):
            yield records


def path_of(resource: str) -> str:
    """Return *resource*, a name with slashes, as a path; raises `UnexpectedResponse`."""
    return "/".join(segment(part) for part in resource.split("/"))
