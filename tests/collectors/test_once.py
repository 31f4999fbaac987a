"""What many need is read once, and nobody waits for what somebody else needs."""

import asyncio

import pytest

from auditor.collectors._once import Once
from auditor.errors import NotFound


async def test_however_many_ask_it_is_read_once():
    read = []

    async def reading(key: str) -> str:
        read.append(key)
        await asyncio.sleep(0.001)
        return key.upper()

    once = Once(reading)

    assert ["A", "B", "A"] == await asyncio.gather(*map(once.get, ("a", "b", "a")))
    assert await once.get("a") == "A"
    assert ["a", "b"] == sorted(read)


async def test_other_keys_do_not_wait():
    slow = asyncio.Event()

    async def reading(key: str) -> str:
        if key == "slow":
            await slow.wait()
        return key

    once = Once(reading)
    waiting = asyncio.create_task(once.get("slow"))
    await asyncio.sleep(0)

    assert await once.get("quick") == "quick"
    slow.set()
    assert await waiting == "slow"


async def test_an_error_is_kept_too():
    asked = []

    async def reading(key: str) -> str:
        asked.append(key)
        raise NotFound(f"no {key}")

    once = Once(reading)
    for _again in range(2):
        with pytest.raises(NotFound, match="no x"):
            await once.get("x")

    assert ["x"] == asked


async def test_one_who_is_cancelled_leaves_it_to_the_next():
    started = []

    async def reading(key: str) -> str:
        started.append(key)
        if len(started) == 1:
            await asyncio.sleep(60)
        return key

    once = Once(reading)
    first = asyncio.create_task(once.get("x"))
    await asyncio.sleep(0)
    second = asyncio.create_task(once.get("x"))
    first.cancel()

    assert await second == "x"
