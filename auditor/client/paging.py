"""Following cursors: what is listed twice counts once, and no provider can lead us in circles."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from auditor.errors import SourceError

MAX_PAGES = 10_000


class BrokenPaging(SourceError):
    """A listing cannot be followed to its end; what came before this is good.

    Its *kind* is ``repeated_cursor``, ``missing_cursor`` or ``too_many_pages``.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Batch:
    """One page as received."""

    records: list[Any]
    has_more: bool
    cursor: str | None
    """Where the next page begins."""


async def walk(
    fetch: Callable[[str | None], Awaitable[Batch]],
    what: str,
    *,
    key: str = "id",
    max_pages: int = MAX_PAGES,
) -> AsyncIterator[list[Any]]:
    """Yield the records of each page, without those whose *key* came before.

    *fetch* gets a cursor, None for the first page; *what* names the listing in messages. Raises
    `BrokenPaging`, after the records of the page that shows it.
    """
    seen_ids: set[str] = set()
    seen_cursors: set[str] = set()
    cursor: str | None = None
    for _ in range(max_pages):
        batch = await fetch(cursor)
        yield _fresh(batch.records, key, seen_ids)
        if not batch.has_more:
            return
        if not batch.cursor:
            raise BrokenPaging(
                "missing_cursor",
                f"{what}: more pages are announced, but not where they begin; the list is cut "
                "short. Report it to the provider",
            )
        if batch.cursor in seen_cursors:
            raise BrokenPaging(
                "repeated_cursor",
                f"{what}: the provider leads back to a page that was read; the list is cut "
                "short. Report it to the provider",
            )
        cursor = batch.cursor
        seen_cursors.add(cursor)
    raise BrokenPaging(
        "too_many_pages", f"{what}: more than {max_pages} pages; the list is cut short"
    )


def _fresh(records: list[Any], key: str, seen: set[str]) -> list[Any]:
    fresh = []
    for record in records:
        found = record.get(key) if isinstance(record, dict) else None
        if isinstance(found, str):
            if found in seen:
                continue
            seen.add(found)
        fresh.append(record)
    return fresh
