"""Reading one organization part by part: what fails is noted, the rest goes on."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
)
from contextlib import aclosing
from functools import partial
from typing import TypeVar

from auditor.client import BrokenPaging, Client, fan_out
from auditor.collectors._notebook import Notebook
from auditor.collectors._patience import Patience
from auditor.collectors.interface import Access, Item, Unit
from auditor.errors import AuthenticationFailed, NotFound, SourceError, Unavailable
from auditor.model import Organization

T = TypeVar("T")
Part = Callable[[], AsyncGenerator[Item, None]]


def parts_of(whole: str, parts: Mapping[str, Part], chosen: Collection[str]) -> dict[str, Part]:
    """Return the *chosen* ones of *parts* by what they are called in messages."""
    return {
        f"The {name.replace('_', ' ')} of {whole}": part
        for name, part in parts.items()
        if name in chosen
    }


def at_one_address(client: Client) -> Unit:
    """Return the one organization that the address of *client* stands for."""
    host = client.origin.place
    return Unit(host, Organization(host, host))


async def in_parts(
    parts: Mapping[str, Part], notebook: Notebook, *, an_outage_ends_it: bool = False
) -> AsyncGenerator[Item, None]:
    """Yield what each of *parts* yields, one after the other; their names are for messages.

    Raises the first error where every part has failed. A refusal of the auditor's own credential
    ends everything at once; so does an outage where the parts share one limit.
    """
    ends = (AuthenticationFailed, Unavailable) if an_outage_ends_it else (AuthenticationFailed,)
    refused: list[SourceError] = []
    for what, read in parts.items():
        try:
            async with aclosing(read()) as items:
                async for item in items:
                    yield item
        except ends:
            raise
        except SourceError as error:
            refused.append(error)
            notebook.failed(error, what)
    if refused and len(refused) == len(parts):
        raise refused[0]


async def concluded(
    items: AsyncGenerator[Item, None], conclusions: Callable[[], Iterable[Item]]
) -> AsyncGenerator[Item, None]:
    """Yield *items*, then *conclusions*: before the error, too, where one ends the reading."""
    try:
        async with aclosing(items):
            async for item in items:
                yield item
    except SourceError:
        for item in conclusions():
            yield item
        raise
    for item in conclusions():
        yield item


async def each_of(
    listed: AsyncIterator[T],
    read: Callable[[T], AsyncIterator[Item]],
    failed: Callable[[SourceError], None],
    patience: Patience,
    workers: int,
) -> AsyncGenerator[Item, None]:
    """Yield what *read* yields for everything *listed*, *workers* of them side by side.

    What answers 404 has vanished since it was listed; what fails otherwise is told to *failed*.
    Where the list breaks off, what it named before is read before its error comes out.
    """
    broken: list[SourceError] = []

    async def named() -> AsyncIterator[T]:
        try:
            async for thing in listed:
                yield thing
        except SourceError as error:
            broken.append(error)

    guarded = partial(_guarded, read, failed, patience)
    async with aclosing(fan_out(named(), guarded, workers)) as items:
        async for item in items:
            yield item
    for error in broken:
        if not isinstance(error, BrokenPaging):
            raise error
        failed(error)


async def _guarded(
    read: Callable[[T], AsyncIterator[Item]],
    failed: Callable[[SourceError], None],
    patience: Patience,
    thing: T,
) -> AsyncIterator[Item]:
    try:
        async for item in read(thing):
            yield item
    except NotFound:
        return
    except SourceError as error:
        patience.failed(error)
        failed(error)
    else:
        patience.went_well()


async def tried(subject: str, permission: str, ask: Callable[[], Awaitable[object]]) -> Access:
    """Return whether *ask* is answered; a refusal of the auditor's own credential is raised."""
    try:
        await ask()
    except AuthenticationFailed:
        raise
    except SourceError as error:
        return Access(subject, permission, is_granted=False, detail=str(error))
    return Access(subject, permission, is_granted=True)
