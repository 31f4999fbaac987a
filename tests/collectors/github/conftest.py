from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.collectors.github import Github, GithubOptions
from auditor.collectors.interface import Context
from auditor.model import Credential, Organization
from tests.fakes.github import APP_ID, APP_KEY, FakeGithub
from tests.fakes.http import LoopbackServer


@pytest.fixture
def fake() -> FakeGithub:
    """Two organizations; one of everything in the first, nothing in the second."""
    fake = FakeGithub()
    fake.add_organization("acme", 1)
    fake.add_token("acme", 1, token_last_used_at="2026-02-27T18:11:19Z")
    fake.add_authorization("acme", 1)
    fake.repositories["acme"] = ["web", "api"]
    fake.add_key("acme/web", 1)
    fake.add_installation("acme", 1)
    fake.add_organization("beta", 2)
    return fake


@pytest.fixture
def server(fake: FakeGithub) -> Iterator[LoopbackServer]:
    with fake.server() as running:
        yield running


OpenSource = Callable[..., Github]


@pytest.fixture
async def github(
    server: LoopbackServer, now: datetime, tmp_path: Path
) -> AsyncIterator[OpenSource]:
    """Open a source on the fake; keywords are options, *known* and *previous* what was seen."""
    opened: list[Github] = []

    def open_source(
        *,
        known: Iterable[Organization] = (),
        previous: Callable[[str], Iterable[Credential]] = lambda _organization: (),
        **keys: Any,
    ) -> Github:
        defaults: dict[str, Any] = {
            "name": "github-prod",
            "provider": "github",
            "base_url": server.url,
            "backoff": timedelta(milliseconds=2),
            "attempts": 2,
            "requests_per_second": None,
        }
        if "token" not in keys:
            defaults |= {"app_id": APP_ID, "private_key": APP_KEY}
        context = Context(
            now=now,
            directory=tmp_path,
            resolve=str,
            previous=previous,
            known_organizations=lambda: known,
        )
        collector = Github(GithubOptions(**(defaults | keys)), context)
        opened.append(collector)
        return collector

    yield open_source
    for collector in opened:
        await collector.aclose()
