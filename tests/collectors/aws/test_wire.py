"""How calls travel: counted, timed, and side by side where none waits for another's answer."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from auditor import tally
from auditor.clocks import clocks_watched
from auditor.errors import AuthenticationFailed
from tests.collectors.aws.conftest import OWN
from tests.fakes.http import Reply

DAY = timedelta(days=1)
HOST = "127.0.0.1"


@pytest.fixture
def counted():
    """What the metrics of this process count while the test runs."""
    before, throttled = Counter(tally.calls), tally.throttled[HOST]

    def read():
        calls = {
            status: number - before[host, status]
            for (host, status), number in tally.calls.items()
            if host == HOST and number != before[host, status]
        }
        return calls, tally.throttled[HOST] - throttled

    return read


@pytest.fixture
def holder(account, now):
    account.user("ci", now - 90 * DAY)
    account.key("ci", now - 80 * DAY)
    return account


async def test_every_call_is_counted_with_its_status(holder, fake, server, source, counted):
    await source().read()
    calls, throttled = counted()
    assert calls.pop("200") == sum(fake.calls.values())
    assert calls == {}
    assert throttled == 0
    assert len(server.requests) == sum(fake.calls.values())


async def test_throttled_refused_and_broken_calls_are_counted_too(
    holder, fake, server, source, counted
):
    fake.trouble("ListAccessKeys", 400, "Throttling", times=3)
    fake.trouble("ListAccountAliases", 403, "AccessDenied")
    server.fault("/", reset=True, times=2)
    read = await source().read()
    assert list(read.credentials)
    calls, throttled = counted()
    assert calls["400"] == throttled == 3
    assert calls["403"] == 1
    assert calls["error"] == 2
    assert sum(calls.values()) == len(server.requests)


async def test_the_clock_of_aws_is_watched(holder, server, source, now):
    answer = server.handler

    def late(request):
        reply = answer(request)
        return Reply(
            reply.status, reply.body, {**reply.headers, "Date": "Sun, 01 Mar 2026 02:40:00 GMT"}
        )

    server.handler = late
    with clocks_watched(lambda: now) as watch:
        await source().read()
        assert [host for host, _apart in watch.news()] == [HOST]


async def test_what_concerns_the_whole_account_is_asked_for_at_once(holder, fake, server, source):
    holder.make_report()
    collector = source().collector()
    server.together = 7  # identity, report and its generation, details, summary, alias, services
    try:
        (unit,) = await collector.units()
        async for _item in collector.collect(unit):
            pass
    finally:
        await collector.aclose()
    assert server.most_in_flight >= 7
    assert fake.calls["GetCredentialReport"] == 1
    assert fake.calls["GenerateCredentialReport"] == 1


async def test_calls_whose_answers_nobody_waits_for_any_more_are_given_up(account, fake, source):
    fake.trouble("GetCallerIdentity", 403, "InvalidClientTokenId")
    account.reporting.polls = -1  # a report that is never there is asked for again and again
    collector = source().collector()
    try:
        with pytest.raises(AuthenticationFailed):
            await collector.units()
    finally:
        await collector.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_keys_of_one_user_are_asked_for_side_by_side(account, fake, server, source, now):
    account.user("ci", now - 90 * DAY)
    for _ in range(2):
        account.key("ci", now - 80 * DAY)
    account.reporting.polls = -1
    answer, seen = server.handler, []

    def counting(request):
        asked = [one for one in server.requests if b"GetAccessKeyLastUsed" in one.body]
        if b"GetAccessKeyLastUsed" in request.body:
            seen.append(len(asked))
        return answer(request)

    server.handler, server.latency = counting, 0.2
    read = await source(report_wait=timedelta(seconds=1)).read(OWN)
    assert len(read.credentials) == 2
    assert seen == [2, 2]


async def test_who_may_need_a_further_call_is_asked_first(account, server, source, now):
    for name, number in (("one", 1), ("none", 0), ("two", 2), ("uno", 1)):
        account.user(name, now - 90 * DAY)
        for _ in range(number):
            account.key(name, now - 80 * DAY)
    await source(concurrency=1).read(OWN)
    asked = [one.form for one in server.requests if b"ListAccessKeys" in one.body]
    assert [form["UserName"] for form in asked] == [["two"], ["one"], ["uno"]]
