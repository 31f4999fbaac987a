from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.collectors.gcp import Gcp, GcpOptions
from auditor.collectors.interface import Context
from auditor.model import Organization
from tests.fakes.gcp import FakeGcp
from tests.fakes.http import LoopbackServer

CI = "ci@acme.iam.gserviceaccount.com"


@pytest.fixture
def fake() -> FakeGcp:
    """Two projects below one organization; one of everything in the first."""
    fake = FakeGcp()
    fake.parents["folders/7"] = "organizations/55"
    fake.policies["folders/7"] = []
    fake.policies["organizations/55"] = []
    fake.add_project("acme", "folders/7")
    fake.add_account("acme", "ci", description="builds; owner: ci-team@example.com")
    fake.add_key(CI, "key1")
    fake.add_activity(CI, "key1", "2026-02-18T07:00:00Z")
    fake.add_api_key("acme", "api1")
    fake.add_hmac_key("acme", "GOOG1", CI)
    fake.policies["projects/acme"] = [{"role": "roles/viewer", "members": [f"serviceAccount:{CI}"]}]
    fake.add_project("beta")
    return fake


@pytest.fixture
def server(fake: FakeGcp) -> Iterator[LoopbackServer]:
    with fake.server() as running:
        yield running


OpenSource = Callable[..., Gcp]


@pytest.fixture
async def gcp(
    fake: FakeGcp, server: LoopbackServer, now: datetime, tmp_path: Path
) -> AsyncIterator[OpenSource]:
    """Open a source on the fake; keywords are options, *known* what was seen."""
    opened: list[Gcp] = []

    def open_source(*, known: Iterable[Organization] = (), **keys: Any) -> Gcp:
        defaults: dict[str, Any] = {
            "name": "gcp-prod",
            "provider": "gcp",
            "endpoint_url": server.url,
            "backoff": timedelta(milliseconds=2),
            "attempts": 2,
        }
        if "credentials_file" not in keys:
            defaults["token"] = fake.token
        context = Context(
            now=now, directory=tmp_path, resolve=str, known_organizations=lambda: known
        )
        collector = Gcp(GcpOptions(**(defaults | keys)), context)
        opened.append(collector)
        return collector

    yield open_source
    for collector in opened:
        await collector.aclose()
