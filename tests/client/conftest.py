from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from auditor.client import Client, ConnectionOptions
from tests.fakes.http import LoopbackServer, Reply, Request


class Echo:
    """Answers every path with what came in; tests put faults in its way."""

    def __call__(self, request: Request) -> Reply:
        return Reply(200, {"path": request.path, "query": request.query, "method": request.method})


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(Echo()) as running:
        yield running


@pytest.fixture
def other() -> Iterator[LoopbackServer]:
    """Another origin, which nothing may ever reach."""
    with LoopbackServer(Echo()) as running:
        yield running


OpenClient = Callable[..., Client]


@pytest.fixture
async def client_for() -> AsyncIterator[OpenClient]:
    opened: list[Client] = []

    def open_client(url: str, *, auth: Any = None, **keys: Any) -> Client:
        made_for_client = {
            key: keys.pop(key)
            for key in ("dialect", "also", "max_bytes", "headers", "id_header", "hint")
            if key in keys
        }
        options = ConnectionOptions(**({"backoff": timedelta(milliseconds=2)} | keys))
        client = Client(url, options, auth=auth, **made_for_client)
        opened.append(client)
        return client

    yield open_client
    for client in opened:
        await client.aclose()
