import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import httpx
import pytest

from auditor.client import Dialect, Gate, Sign, Wait

DATE = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def answer(status: int = 429, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers={"date": format_datetime(DATE, usegmt=True), **named})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("-5", 0),
        ("1.5", 1.5),
        ("99999999", 99999999),
        (format_datetime(DATE + timedelta(seconds=30), usegmt=True), 30),
        (format_datetime(DATE - timedelta(days=1), usegmt=True), 0),
        ("soon", None),
        ("", None),
        ("1e999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(text, seconds):
    assert Dialect().pause(answer(retry_after=text)) == seconds


def test_without_a_header_nothing_is_known_about_the_pause():
    assert Dialect().pause(answer()) is None


EPOCH = DATE.timestamp()


@pytest.mark.parametrize(
    ("wait", "value"),
    [
        (Wait("x-reset", "epoch_s"), f"{EPOCH + 9:.0f}"),
        (Wait("x-reset", "epoch_ms"), f"{(EPOCH + 9) * 1000:.0f}"),
        (Wait("x-reset", "seconds"), "9.0"),
        (Wait("x-reset", "rfc3339"), "2026-03-01T03:00:09Z"),
        (Wait("x-reset", "seconds", r";t=(\d+)"), '"default";r=0;t=9'),
    ],
)
def test_every_dialect_of_a_reset_header_is_read(wait, value):
    assert Dialect(waits=(wait,)).pause(answer(x_reset=value)) == 9


@pytest.mark.parametrize("value", ["nonsense", "inf-inf", "nan", "\x00"])
def test_a_reset_header_that_says_nothing_means_no_pause_is_known(value):
    pause = Dialect(waits=(Wait("x-reset", "epoch_s"),)).pause(answer(x_reset=value))

    assert pause in (None, 0.0)


def test_the_first_header_that_says_something_counts():
    dialect = Dialect(waits=(Wait("retry-after"), Wait("x-reset", "seconds")))

    assert dialect.pause(answer(x_reset="4")) == 4
    assert dialect.pause(answer(x_reset="4", retry_after="2")) == 2


def test_a_403_counts_as_throttled_only_with_the_sign_that_says_so():
    dialect = Dialect(
        signs=(Sign(429), Sign(403, "retry-after"), Sign(403, "x-ratelimit-remaining", "0"))
    )

    assert dialect.is_throttled(answer(429))
    assert dialect.is_throttled(answer(403, retry_after="3"))
    assert dialect.is_throttled(answer(403, x_ratelimit_remaining="0"))
    assert not dialect.is_throttled(answer(403, x_ratelimit_remaining="12"))
    assert not dialect.is_throttled(answer(403))
    assert not dialect.is_throttled(answer(200, retry_after="3"))


async def test_the_gate_admits_no_more_than_its_limit():
    gate, inside, most = Gate(3), 0, 0

    async def visit() -> None:
        nonlocal inside, most
        async with gate.place():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(20)))

    assert most == 3


async def test_a_burst_of_throttled_answers_halves_the_limit_once():
    gate = Gate(16)
    async with gate.place() as first, gate.place() as second:
        gate.throttled(first)
        gate.throttled(second)
    assert gate.limit == 8

    async with gate.place() as later:
        gate.throttled(later)
    assert gate.limit == 4


async def test_the_limit_never_falls_below_one_and_recovers_slowly():
    gate = Gate(4)
    for _ in range(10):
        async with gate.place() as burst:
            gate.throttled(burst)
    assert gate.limit == 1

    gate.went_well()
    assert gate.limit == 2
    gate.went_well()
    assert gate.limit == 2
    for _ in range(100):
        gate.went_well()
    assert gate.limit == 4


async def test_a_cancelled_visitor_leaves_its_turn_to_the_next():
    gate = Gate(1)
    order = []

    async def visit(name: str) -> None:
        async with gate.place():
            order.append(name)
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        group.create_task(visit("first"))
        await asyncio.sleep(0)
        gone = group.create_task(visit("gone"))
        group.create_task(visit("last"))
        await asyncio.sleep(0)
        gone.cancel()

    assert order == ["first", "last"]


async def test_a_visitor_cancelled_in_the_moment_of_admission_gives_its_place_back():
    gate = Gate(1)
    async with gate.place():
        waiting = asyncio.create_task(gate.place().__aenter__())
        await asyncio.sleep(0)
    waiting.cancel()  # admitted by the line above, and cancelled before it runs
    with pytest.raises(asyncio.CancelledError):
        await waiting

    async with asyncio.timeout(1), gate.place():
        pass


async def test_starts_are_spaced_by_the_rate():
    gate = Gate(16, per_second=200)
    clock = asyncio.get_running_loop().time
    starts = []

    async def visit() -> None:
        async with gate.place():
            starts.append(clock())

    await asyncio.gather(*(visit() for _ in range(9)))

    assert starts[-1] - starts[0] >= 8 / 200 - 0.002


async def test_starts_that_fell_due_while_the_loop_was_busy_do_not_leave_together():
    gate = Gate(16, apart=0.01)
    clock = asyncio.get_running_loop().time
    starts = []

    async def visit() -> None:
        async with gate.place():
            starts.append(clock())
            if len(starts) == 1:
                time.sleep(0.05)  # noqa: ASYNC251 - the loop is busy

    await asyncio.gather(*(visit() for _ in range(6)))

    assert min(later - earlier for earlier, later in pairwise(starts)) >= 0.008


async def test_who_is_cancelled_before_the_next_step_holds_up_nobody():
    gate = Gate(2, apart=0.01)
    async with gate.place():
        gone = asyncio.create_task(gate.place().__aenter__())
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        async with asyncio.timeout(1), gate.place():
            pass
