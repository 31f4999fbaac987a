"""How GitHub pages, and how it says that it is asked too fast."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

from auditor.client import Answer, Batch, Client, Dialect, Sign, Wait, walk
from auditor.errors import UnexpectedResponse

PAGE = 100  # the most GitHub hands out at once
_NEXT = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^\s;,"]+))*)')
_IS_NEXT = re.compile(r';\s*rel\s*=\s*"?next"?(?:\s|;|$)', re.IGNORECASE)
_WHEN_NOTHING_IS_SAID = 60.0

Params = dict[str, str | int | list[str]]


@dataclass(frozen=True)
class GithubDialect(Dialect):
    """Primary limits name the second of their reset, secondary ones a pause or nothing at all.

    Both come as 429 or 403. A 403 without one of their signs is a want of rights.
    """

    signs: tuple[Sign, ...] = (
        Sign(429),
        Sign(403, "retry-after"),
        Sign(403, "x-ratelimit-remaining", "0"),
    )

    def pause(self, response: httpx.Response) -> float | None:
        """Return the seconds to wait; at least a minute where GitHub does not say."""
        if not self.is_throttled(response):
            return None
        told = Wait("retry-after").seconds(response)
        if told is not None:
            return told
        if response.headers.get("x-ratelimit-remaining", "").strip() == "0":
            reset = Wait("x-ratelimit-reset", "epoch_s").seconds(response)
            if reset is not None:
                return reset + 1
        return _WHEN_NOTHING_IS_SAID


def next_link(answer: Answer) -> str | None:
    """Return the address of the next page; None on the last."""
    for match in _NEXT.finditer(answer.headers.get("link", "")):
        if _IS_NEXT.search(match[2]):
            return match[1]
    return None


async def pages(
    client: Client,
    path: str,
    what: str,
    *,
    params: Params | None = None,
    member: str | None = None,
    key: str = "id",
    is_counted: bool = False,
) -> AsyncIterator[list[Any]]:
    """Yield the records of each page, without those whose *key* came before.

    *member* names the list inside an object. *is_counted*: where no next link is given, the next
    page is asked for until one brings nothing new, as a short page need not be the last.
    """
    last: Answer | None = None
    seen: set[str | int] = set()
    number = 1

    async def fetch(cursor: str | None) -> Batch:
        nonlocal last, number
        if last is None or cursor is None or cursor.startswith("page "):
            asked: Params = {**(params or {}), "per_page": PAGE}
            if number > 1:
                asked["page"] = number
            last = await client.get(path, asked)
        else:
            last = await client.get_link(cursor, last)
        number += 1
        known = len(seen)  # records without a key would never stop being new
        records = _fresh(_records(last, member), key, seen)
        link = next_link(last)
        if link is None and is_counted and len(seen) > known:
            link = f"page {number}"
        return Batch(records, link is not None, link)

    async for records in walk(fetch, what):
        yield records


def _records(answer: Answer, member: str | None) -> list[Any]:
    found = answer.json() if member is None else answer.object().get(member)
    if not isinstance(found, list):
        raise UnexpectedResponse(f"{answer.where} answered without a list")
    return found


def _fresh(records: list[Any], key: str, seen: set[str | int]) -> list[Any]:
    """The order may shift while pages are read, so that a record comes twice."""
    fresh = []
    for record in records:
        found = record.get(key) if isinstance(record, dict) else None
        if isinstance(found, str | int):
            if found in seen:
                continue
            seen.add(found)
        fresh.append(record)
    return fresh
