"""Okta's own SDK walks the fake, page by page, and finds what we find.

Its models are made from Okta's description of the management API; no field of an answer may be
unknown to them, but for those that are there to be kept inside.
"""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from okta.client import Client
from okta.models.standard_role import StandardRole
from okta.pagination import paginate_all
from pydantic import BaseModel

from auditor.collectors.okta import Okta, OktaOptions
from tests.collectors.gathering import context, read
from tests.fakes.okta import TOKEN, FakeOkta

TRAPS = {"token", "d"}
ROLE = {
    "id": "ra1",
    "label": "Super Administrator",
    "type": "SUPER_ADMIN",
    "status": "ACTIVE",
    "created": "2024-01-02T03:04:05.000Z",
    "lastUpdated": "2024-01-02T03:04:05.000Z",
    "assignmentType": "CLIENT",
}
GRANT = {
    "id": "oag1",
    "issuer": "https://acme.okta.com",
    "scopeId": "okta.users.manage",
    "source": "ADMIN",
    "status": "ACTIVE",
    "created": "2024-01-02T03:04:05.000Z",
    "lastUpdated": "2024-01-02T03:04:05.000Z",
}


@pytest.fixture
def fake():
    fake = FakeOkta(page_size=2)
    fake.add_user("00u1", "SUPER_ADMIN")
    fake.add_token("00T1")
    fake.add_token("00T2", tokenWindow="P5D", network={"connection": "ZONE", "include": ["nzo1"]})
    for number in range(1, 4):
        fake.add_app(f"0oa{number}", "client_secret_post" if number < 3 else "private_key_jwt")
        if number < 3:
            fake.add_secret(f"0oa{number}", f"ocs{number}", status="INACTIVE")
        fake.grants[f"0oa{number}"] = [GRANT | {"clientId": f"client-0oa{number}"}]
        fake.client_roles[f"client-0oa{number}"] = [ROLE]
    fake.add_key("0oa3", id="pks1", kid="prod-key", alg="RS256")
    with fake.server:
        yield fake


@pytest.fixture
async def client(fake, monkeypatch) -> AsyncIterator[Client]:
    monkeypatch.setenv("OKTA_TESTING_TESTINGDISABLEHTTPSCHECK", "true")
    token = f" {TOKEN}"  # the SDK forgets the space behind SSWS
    settings = {"orgUrl": fake.server.url, "token": token, "logging": {"enabled": False}}
    async with Client(settings) as client:
        yield client


class Walk:
    """What the SDK finds: by id, the name, creation and expiry."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.owners: set[tuple[str, str]] = set()
        self.roles: set[str] = set()
        self.client_ids: list[str] = []

    async def seen(self) -> dict[str, tuple[str | None, datetime | None, datetime | None]]:
        found: dict[str, Any] = {}
        for token in await self._listed("list_api_tokens"):
            found[token.id] = token.name, token.created, token.expires_at
            (user,) = await self._listed("get_user", token.user_id)
            self.owners.add((token.user_id, user.profile.login))
            roles = await self._listed("list_assigned_roles_for_user", token.user_id)
            self.roles |= {one.actual_instance.type.value for one in roles}
        async for app in paginate_all(self._page, limit=2):
            for one in await self._listed("list_o_auth2_client_secrets", app.id):
                found[one.id] = None, datetime.fromisoformat(one.created), None
            for inner in await self._listed("list_jwk", app.id):
                one = inner.actual_instance
                found[one.id] = one.kid, datetime.fromisoformat(one.created), None
            client_id = app.credentials.oauth_client.client_id
            assert await self._listed("list_scope_consent_grants", app.id)
            self.client_ids.append(client_id)
        return found

    async def _page(self, **options: Any) -> Any:
        answer = await self._client.list_applications(**options)
        _strict(answer)
        return answer

    async def _listed(self, call: str, *args: str) -> list[Any]:
        found = _strict(await getattr(self._client, call)(*args))
        return found if isinstance(found, list) else [found]


def _strict(answer: Any) -> Any:
    found, response, error = answer
    assert error is None
    assert [] == list(_unknown(json.loads(response.raw_data), found))
    return found


def _unknown(sent: Any, read: Any) -> Iterator[str]:
    """Yield the names in an answer that the model made of it does not know."""
    read = getattr(read, "actual_instance", read)
    if isinstance(sent, list):
        for one, model in zip(sent, read, strict=True):
            yield from _unknown(one, model)
    elif isinstance(sent, dict) and isinstance(read, BaseModel):
        known = {field.alias or name: name for name, field in type(read).model_fields.items()}
        for name, value in sent.items():
            if name in known:
                yield from _unknown(value, getattr(read, known[name]))
            elif name not in TRAPS:
                yield f"{type(read).__name__}.{name}"


async def test_the_vendors_own_sdk_finds_the_same(fake, client, now, tmp_path):
    options = {"name": "o", "provider": "okta", "base_url": fake.server.url, "token": TOKEN}
    ours = await read(Okta(OktaOptions.model_validate(options), context(now, tmp_path)))
    walk = Walk(client)
    theirs = await walk.seen()

    assert ours.status == "complete"
    assert walk.client_ids == [f"client-0oa{number}" for number in (1, 2, 3)]
    tokens = [one for one in ours.credentials.values() if one.provider_id.startswith("00T")]
    assert walk.owners == {(one.principal.id, one.principal.name) for one in tokens}
    assert walk.roles == {"SUPER_ADMIN"}
    assert len(theirs) == 2 + 2 + 1
    assert {key: made for key, (_, made, _) in theirs.items()} == {
        one.provider_id: one.created_at for one in ours.credentials.values()
    }
    assert {key: (name, ends) for key, (name, _, ends) in theirs.items() if key[:3] == "00T"} == {
        one.provider_id: (one.name, one.expires_at) for one in tokens
    }


def test_the_roles_of_a_client_are_of_the_model_that_the_sdk_has_for_them(fake):
    """Its own call cannot tell a standard role from a custom one: every answer fits both."""
    url = f"{fake.server.url}/oauth2/v1/clients/client-0oa1/roles"
    (role,) = httpx.get(url, headers={"Authorization": f"SSWS {TOKEN}"}).json()

    assert [] == list(_unknown(role, StandardRole.from_dict(role)))
