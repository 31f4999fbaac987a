import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from auditor.client import fan_out


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def twice(number: int) -> AsyncIterator[int]:
    await asyncio.sleep(0)
    yield number
    yield number + 1000


async def test_everything_listed_is_read():
    found = [result async for result in fan_out(numbers(50), twice, 4)]

    assert sorted(found) == sorted([*range(50), *range(1000, 1050)])


async def test_nothing_listed_is_nothing_read():
    assert [result async for result in fan_out(numbers(0), twice, 4)] == []


async def test_no_more_are_read_at_a_time_than_there_are_workers():
    busy = most = 0

    async def slowly(number: int) -> AsyncIterator[int]:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.001)
        busy -= 1
        yield number

    assert len([result async for result in fan_out(numbers(40), slowly, 5)]) == 40
    assert most == 5


async def test_the_listing_waits_for_a_slow_reader_instead_of_filling_the_memory():
    listed = 0

    async def listing() -> AsyncIterator[int]:
        nonlocal listed
        for number in range(1000):
            listed += 1
            yield number

    async with aclosing(fan_out(listing(), twice, 3)) as results:
        async for _ in results:
            await asyncio.sleep(0.01)
            break
        assert listed < 20


async def test_an_error_comes_out_after_the_results_before_it_and_ends_the_rest():
    async def failing(number: int) -> AsyncIterator[int]:
        if number == 3:
            raise ValueError("broken")
        yield number

    found = []

    async def read_all() -> None:
        async for result in fan_out(numbers(1000), failing, 1):
            found.append(result)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(ValueError, match="broken"):
        await read_all()
    assert found == [0, 1, 2]


async def test_an_error_of_the_listing_comes_out_too():
    async def listing() -> AsyncIterator[int]:
        yield 1
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        [result async for result in fan_out(listing(), twice, 2)]


@pytest.mark.parametrize("taken", [0, 1, 7])
async def test_leaving_early_stops_every_worker(taken):
    before = len(asyncio.all_tasks())
    async with asyncio.timeout(2), aclosing(fan_out(numbers(10**6), twice, 4)) as results:
        for _ in range(taken):
            await anext(results)

    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


async def test_cancelling_the_reader_stops_every_worker():
    async def read_all() -> None:
        async with aclosing(fan_out(numbers(10**9), twice, 4)) as results:
            async for _ in results:
                await asyncio.sleep(0.001)

    before = len(asyncio.all_tasks())
    task = asyncio.create_task(read_all())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(5):
        await asyncio.sleep(0)

    assert len(asyncio.all_tasks()) == before


async def test_leaving_early_closes_what_was_being_read():
    closed = []

    async def many(number: int) -> AsyncIterator[int]:
        try:
            while True:
                yield number
        finally:
            closed.append(number)

    async with aclosing(fan_out(numbers(3), many, 3)) as results:
        async for _result in results:
            break

    assert [0, 1, 2] == sorted(closed)
