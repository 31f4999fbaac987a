"""Reading many things side by side while they are still being listed, in bounded memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _End:
    """Marks the end of a queue."""


_END = _End()


async def fan_out(
    things: AsyncIterator[T], read: Callable[[T], AsyncIterator[R]], workers: int
) -> AsyncGenerator[R, None]:
    """Yield what *read* yields for each of *things*, with *workers* of them at a time.

    The order is that of arrival. At most twice *workers* things and results wait at any time. An
    error of *things* or *read* comes out after the results that arrived before it, and ends the
    rest. Close it (``aclosing``) where it may be left early.
    """
    todo: asyncio.Queue[T | _End] = asyncio.Queue(2 * workers)
    done: asyncio.Queue[R | _End] = asyncio.Queue(2 * workers)
    running = asyncio.create_task(_run(things, read, workers, todo, done))
    try:
        while not isinstance(result := await done.get(), _End):
            yield result
        try:
            await running
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _run(
    things: AsyncIterator[T],
    read: Callable[[T], AsyncIterator[R]],
    workers: int,
    todo: "asyncio.Queue[T | _End]",
    done: "asyncio.Queue[R | _End]",
) -> None:
    async def feed() -> None:
        async for thing in things:
            await todo.put(thing)
        for _ in range(workers):
            await todo.put(_END)

    async def work() -> None:
        while not isinstance(thing := await todo.get(), _End):
            async with aclosing(read(thing)) as results:  # type: ignore[type-var]
                async for result in results:
                    await done.put(result)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            for _ in range(workers):
                group.create_task(work())
    except BaseExceptionGroup:
        await done.put(_END)
        raise
    # Not in a `finally`: cancelled means that nobody empties the queue any more.
    await done.put(_END)
