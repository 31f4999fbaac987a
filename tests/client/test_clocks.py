"""A provider whose clock differs from ours is noticed, once, and not by mistake."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from auditor import tally
from auditor.clocks import TOLERANCE, ClockWatch, clocks_watched
from tests.client.conftest import OpenClient
from tests.fakes.http import LoopbackServer, Reply

NOW = datetime(2026, 3, 1, 3, 0, 0, 400_000, tzinfo=UTC)


def dated(at: datetime, **more: str) -> Mapping[str, str]:
    return {"Date": format_datetime(at.astimezone(UTC), usegmt=True), **more}


def lower(headers: Mapping[str, str]) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@pytest.mark.parametrize("minutes", [-600_000, -10, 10, 600_000])
async def test_a_clock_that_differs_is_told_by_how_much(
    server: LoopbackServer, client_for: OpenClient, minutes: int
):
    apart = timedelta(minutes=minutes)
    server.fault("*", reply=Reply(200, {}, dated(NOW + apart)))
    with clocks_watched(lambda: NOW) as watch:
        await client_for(server.url).get("/v1/keys")
    ((host, told),) = watch.news()
    assert host == "127.0.0.1"
    assert abs(told - apart) <= timedelta(seconds=1)
    assert tally.clock_skews["127.0.0.1"] == told.total_seconds()


@pytest.mark.parametrize("status", [401, 404, 429, 500])
async def test_a_refusal_tells_the_time_as_well(
    server: LoopbackServer, client_for: OpenClient, status: int
):
    server.fault("*", reply=Reply(status, {}, dated(NOW + timedelta(hours=1))))
    with clocks_watched(lambda: NOW) as watch, pytest.raises(Exception, match=str(status)):
        await client_for(server.url, attempts=1).get("/v1/keys")
    assert len(list(watch.news())) == 1


async def test_nobody_watches_unless_asked(server: LoopbackServer, client_for: OpenClient):
    server.fault("*", reply=Reply(200, {}, dated(NOW)))
    answer = await client_for(server.url).get("/v1/keys")
    assert answer.status == 200


@pytest.mark.parametrize("apart", [timedelta(0), TOLERANCE, -TOLERANCE, timedelta(seconds=-1)])
def test_clocks_within_the_tolerance_agree(apart: timedelta):
    watch = ClockWatch(lambda: NOW)
    watch.heard("api", lower(dated(NOW + apart)), NOW)
    assert list(watch.news()) == []


def test_the_time_an_answer_takes_is_not_held_against_anybody():
    watch = ClockWatch(lambda: NOW + timedelta(minutes=20))
    watch.heard("api", lower(dated(NOW + timedelta(minutes=9))), NOW)
    assert list(watch.news()) == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"date": "yesterday"},
        {"date": ""},
        {"date": "Mon, 99 Foo 20260 99:99:99 GMT"},
        lower(dated(NOW - timedelta(hours=3), Age="10800")),
    ],
)
def test_what_does_not_tell_the_time_accuses_nobody(headers: Mapping[str, str]):
    watch = ClockWatch(lambda: NOW)
    watch.heard("api", headers, NOW)
    assert list(watch.news()) == []


def test_one_odd_answer_among_many_accuses_nobody():
    watch = ClockWatch(lambda: NOW)
    for hours in (0, 3, 0):
        watch.heard("api", lower(dated(NOW - timedelta(hours=hours))), NOW)
    assert list(watch.news()) == []


def test_a_date_without_a_zone_is_utc():
    watch = ClockWatch(lambda: NOW)
    watch.heard("api", {"date": "Sun, 01 Mar 2026 03:00:00 -0000"}, NOW)
    assert list(watch.news()) == []


def test_a_difference_is_told_once_whoever_else_has_it_and_another_one_too():
    watch = ClockWatch(lambda: NOW)
    late = lower(dated(NOW - timedelta(hours=1)))
    for host in ("a", "b"):
        watch.heard(host, late, NOW)
    assert [host for host, _ in watch.news()] == ["a"]
    watch.heard("c", late, NOW)
    watch.heard("d", lower(dated(NOW + timedelta(hours=1))), NOW)
    assert [host for host, _ in watch.news()] == ["d"]
    assert list(watch.news()) == []


def test_a_source_of_endless_hosts_fills_no_memory():
    watch = ClockWatch(lambda: NOW)
    for number in range(1000):
        watch.heard(f"host-{number}", lower(dated(NOW)), NOW)
    assert len(watch._apart) == 100
    for number in range(1000):
        tally.clock_skews.pop(f"host-{number}", None)
