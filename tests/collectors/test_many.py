"""2,000 repositories are read at the pace that the provider asks for."""

import time
from collections import deque
from contextlib import aclosing
from pathlib import Path

import pytest

from auditor.collectors.interface import Collector, Context, Gap, Page
from tests.collectors.clouds import open_github
from tests.fakes.github import FakeGithub
from tests.fakes.http import LoopbackServer, Reply, Request

MANY = 2_000
FASTER = 10
"""A minute of the provider's lasts six seconds here, and our pace is as much quicker."""

pytestmark = pytest.mark.slow


class Limit:
    """*most* requests in a minute; the next ones get *refusal*."""

    def __init__(self, server: LoopbackServer, most: int, refusal: Reply) -> None:
        self.refused = 0
        self._answer = server.handler
        self._most = most
        self._refusal = refusal
        self._times: deque[float] = deque()
        server.handler = self.handle

    def handle(self, request: Request) -> Reply:
        now = time.monotonic()
        while self._times and now - self._times[0] > 60 / FASTER:
            self._times.popleft()
        if len(self._times) >= self._most:
            self.refused += 1
            return self._refusal
        self._times.append(now)
        return self._answer(request)


async def drained(collector: Collector) -> tuple[int, list[Gap]]:
    """Return how many credentials there are, keeping none of them, and the gaps."""
    found, gaps = 0, []
    for unit in await collector.units():
        async with aclosing(collector.collect(unit)) as items:  # type: ignore[type-var]
            async for item in items:
                found += len(item.credentials) if isinstance(item, Page) else 0
                gaps += [item] if isinstance(item, Gap) else []
    await collector.aclose()
    return found, gaps


async def test_github_is_asked_within_its_secondary_limits(now, tmp_path: Path):
    """900 points a minute, of which a GET takes one, and 100 requests at once."""
    fake = FakeGithub()
    fake.add_organization("acme", 1)
    for number in range(MANY):
        fake.repositories["acme"].append(f"r{number}")
        fake.add_key(f"acme/r{number}", number)
    with fake.server() as server:
        refusal = Reply(403, {"message": "secondary rate limit"}, {"Retry-After": "60"})
        limit = Limit(server, 900, refusal)
        context = Context(now=now, directory=tmp_path, resolve=str)
        usual = open_github(server, context)
        await usual.aclose()
        pace = (usual.options.requests_per_second or 0) * FASTER
        found, gaps = await drained(open_github(server, context, requests_per_second=pace))

        assert (found, gaps) == (MANY, [])
        assert limit.refused == 0
        assert server.most_in_flight <= 100
