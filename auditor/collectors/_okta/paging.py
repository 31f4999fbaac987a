"""How Okta pages, and how it says that it is asked too fast."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

from auditor.client import Answer, Batch, Client, Dialect, Wait, walk
from auditor.errors import UnexpectedResponse

PAGE = 200  # the most applications Okta hands out at once
_NEXT = re.compile(r'<([^<>]*)>[^<>,]*;\s*rel\s*=\s*"?next"?\s*(?=[;,]|$)')
_BELIEVABLE = 120.0
"""Seconds; windows last a minute, so a later reset is no reset of a window."""
_WHEN_ODD = 30.0


@dataclass(frozen=True)
class OktaDialect(Dialect):
    """Limits are per minute and name the second in which the next minute begins.

    A limit on requests in flight answers 429 as well, with a reset that means nothing.
    """

    def pause(self, response: httpx.Response) -> float | None:
        """Return the seconds to wait: a second past the reset."""
        reset = Wait("x-rate-limit-reset", "epoch_s").seconds(response)
        if reset is None:
            return super().pause(response)
        return reset + 1 if reset <= _BELIEVABLE else _WHEN_ODD


def next_link(answer: Answer) -> str | None:
    """Return the address of the next page; None on the last."""
    found = _NEXT.search(answer.headers.get("link", ""))
    return found[1] if found else None


async def pages(
    client: Client, path: str, what: str, params: dict[str, str | int | list[str]] | None = None
) -> AsyncIterator[list[Any]]:
    """Yield the records of each page; *what* names the listing in messages."""
    last: Answer | None = None

    async def fetch(link: str | None) -> Batch:
        nonlocal last
        if last is None or link is None:
            last = await client.get(path, params)
        else:
            last = await client.get_link(link, last)
        records = last.json()
        if not isinstance(records, list):
            raise UnexpectedResponse(f"{last.where} answered without a list")
        found = next_link(last)
        return Batch(records, found is not None, found)

    async for records in walk(fetch, what):
        yield records
