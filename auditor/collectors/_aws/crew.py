"""Reading users side by side while the rest of the account is still on its way."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from auditor.collectors._aws.users import Holding, UserReader
from auditor.errors import AccessDenied, AuthenticationFailed, SourceError


class Crew:
    """Some workers that read users; close it with `aclose`.

    What they find is small and waits in memory until it is asked for.
    """

    def __init__(self, reader: UserReader, workers: int) -> None:
        self._reader = reader
        self._workers = workers
        self._found: asyncio.Queue[Holding | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self.failures: dict[str, SourceError] = {}
        """By user: what could not be read; the others go on."""
        self.fatal: SourceError | None = None
        """A refusal that concerns all users alike; nobody is asked for after it."""

    def start(self, users: Iterable[str]) -> None:
        """Read *users* as well."""
        todo = iter(users)
        for _ in range(self._workers):
            task = asyncio.create_task(self._work(todo))
            self._tasks.add(task)
            task.add_done_callback(lambda _task: self._found.put_nowait(None))

    async def found(self) -> AsyncIterator[Holding]:
        """Yield what every user has, in the order of arrival, until all are read."""
        waited_for = len(self._tasks)
        while waited_for:
            holding = await self._found.get()
            if holding is None:
                waited_for -= 1
            else:
                yield holding
        for task in self._tasks:
            await task

    async def aclose(self) -> None:
        """Stop whoever is still at work."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _work(self, todo: Iterable[str]) -> None:
        for name in todo:
            if self.fatal is not None:
                return
            try:
                self._found.put_nowait(await self._reader.read(name))
            except (AuthenticationFailed, AccessDenied) as error:
                self.fatal = self.fatal or error
            except SourceError as error:
                self.failures[name] = error
