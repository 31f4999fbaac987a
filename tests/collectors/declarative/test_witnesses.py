"""Vendors' own clients read our fakes, page by page and strictly, and see what we see.

They are witnesses of paging, field names, types and time formats: none of it is ours.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic
from cloudflare import Cloudflare
from openai import OpenAI

from auditor.collectors.interface import Context
from auditor.model import Credential
from tests.collectors.reading import read_all
from tests.collectors.subjects import DESCRIBED

SUBJECTS = {subject.name: subject for subject in DESCRIBED}
Seen = dict[str, tuple[str | None, datetime | None, datetime | None, datetime | None]]
"""By id: name, creation, last use, expiry."""

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def openai_sees(url: str) -> Seen:
    with OpenAI(
        base_url=f"{url}/v1",
        api_key="unused",
        admin_api_key="sk-admin-of-the-auditor",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        organization = client.admin.organization
        keys: list[Any] = [
            key
            for project in organization.projects.list()
            for key in organization.projects.api_keys.list(project.id)
        ]
        keys += organization.admin_api_keys.list()
    return {
        key.id: (
            key.name,
            epoch(key.created_at),
            epoch(key.last_used_at),
            epoch(getattr(key, "expires_at", None)),
        )
        for key in keys
    }


def epoch(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def anthropic_sees(url: str) -> Seen:
    with Anthropic(base_url=url, api_key="sk-ant-of-the-auditor", max_retries=0) as client:
        keys: list[Any] = list(client.beta.organization.api_keys.list())
    return {key.id: (key.name, key.created_at, None, key.expires_at) for key in keys}


def cloudflare_sees(url: str) -> Seen:
    with Cloudflare(
        base_url=f"{url}/client/v4",
        api_token="cf-of-the-auditor",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        tokens: list[Any] = [
            token
            for account in client.accounts.list()
            for token in client.accounts.tokens.list(account_id=account.id)
        ]
    return {
        token.id: (token.name, token.issued_on, token.last_used_on, token.expires_on)
        for token in tokens
    }


WITNESSES: dict[str, Callable[[str], Seen]] = {
    "openai": openai_sees,
    "anthropic": anthropic_sees,
    "cloudflare": cloudflare_sees,
}


@contextmanager
def serving(name: str) -> Iterator[Any]:
    with SUBJECTS[name].serve() as server:
        yield server


@pytest.mark.parametrize("name", WITNESSES)
async def test_the_vendors_own_client_sees_the_same(name, now, tmp_path: Path):
    with serving(name) as server:
        theirs = WITNESSES[name](server.url)
        collector = SUBJECTS[name].open(server, Context(now=now, directory=tmp_path, resolve=str))
        reads = await read_all(collector)
        await collector.aclose()

    def facts(credential: Credential) -> Any:
        named = credential.name if credential.name != credential.provider_id else None
        return (
            named,
            credential.created_at,
            credential.last_used_at,
            credential.expires_at,
        )

    ours = {c.provider_id: facts(c) for one in reads.values() for c in one.credentials.values()}
    assert theirs == ours
