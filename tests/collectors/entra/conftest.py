from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.collectors.entra import Entra, EntraOptions
from auditor.collectors.interface import Context
from auditor.model import Organization
from tests.collectors.reading import Read, read_unit
from tests.fakes.entra import TENANT, FakeEntra, certificate, secret
from tests.fakes.http import LoopbackServer


@pytest.fixture
def fake() -> FakeEntra:
    """An application with a secret, a certificate and a trust; a service principal with a key."""
    fake = FakeEntra()
    fake.add_application(
        "erp", passwordCredentials=[secret("s1")], keyCredentials=[certificate("c1")]
    )
    fake.assign("erp", "User.Read.All")
    fake.owners["object-erp"] = [
        {"id": "u2", "displayName": "Zed", "userPrincipalName": "zed@example.com"},
        {"id": "u1", "displayName": "Ann", "userPrincipalName": "ann@example.com"},
    ]
    fake.federated["object-erp"] = [
        {
            "id": "f1",
            "name": "deploy",
            "issuer": "https://token.example.com",
            "subject": "repo:acme/web:ref:refs/heads/main",
            "audiences": ["api://AzureADTokenExchange"],
        }
    ]
    fake.sign_in("erp", "s1", "2026-02-20T22:17:36.48Z")
    fake.sign_in_as_application("erp", "2026-02-20T22:17:36.48Z")
    fake.add_principal("saml", passwordCredentials=[secret("s2")])
    return fake


@pytest.fixture
def server(fake: FakeEntra) -> Iterator[LoopbackServer]:
    with fake.server() as running:
        yield running


OpenSource = Callable[..., Entra]


@pytest.fixture
async def entra(
    fake: FakeEntra, server: LoopbackServer, now: datetime, tmp_path: Path
) -> AsyncIterator[OpenSource]:
    """Open a source on the fake; keywords are options, *known* what was seen."""
    opened: list[Entra] = []

    def open_source(*, known: Iterable[Organization] = (), **keys: Any) -> Entra:
        defaults: dict[str, Any] = {
            "name": "entra-prod",
            "provider": "entra",
            "tenant_id": TENANT.upper(),
            "client_id": fake.client_id,
            "base_url": server.url,
            "login_url": server.url,
            "backoff": timedelta(milliseconds=2),
            "attempts": 2,
            "reports_per_second": 1000,
        }
        if not {"certificate", "assertion_file"} & keys.keys():
            defaults["client_secret"] = fake.client_secret
        context = Context(
            now=now, directory=tmp_path, resolve=str, known_organizations=lambda: known
        )
        collector = Entra(EntraOptions(**(defaults | keys)), context)
        opened.append(collector)
        return collector

    yield open_source
    for collector in opened:
        await collector.aclose()


ReadTenant = Callable[..., Any]


@pytest.fixture
def read(entra: OpenSource) -> ReadTenant:
    """Read the tenant."""

    async def read_tenant(**keys: Any) -> Read:
        source = entra(**keys)
        (unit,) = await source.units()
        return await read_unit(source, unit)

    return read_tenant
