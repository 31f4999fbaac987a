"""Reading what many need once, side by side with everything else."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from auditor.errors import SourceError

V = TypeVar("V")


class Once(Generic[V]):
    """Keeps what *read* returns for a key, or the `SourceError` that it raises.

    However many ask for a key at the same time, it is read once; other keys do not wait for it.
    """

    def __init__(self, read: Callable[[str], Awaitable[V]]) -> None:
        self._read = read
        self._found: dict[str, V | SourceError] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, key: str) -> V:
        """Return what is known of *key*; raises `SourceError`."""
        if key not in self._found:
            async with self._locks[key]:
                if key not in self._found:
                    try:
                        self._found[key] = await self._read(key)
                    except SourceError as error:
                        self._found[key] = error
        found = self._found[key]
        if isinstance(found, SourceError):
            raise found.with_traceback(None)
        return found
