"""An independent client walks the fake, logs in as the App and finds what we find.

githubkit's models are made from GitHub's OpenAPI description; every answer is held against them
with nothing converted, nothing missing and nothing that is not described.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from githubkit import AppAuthStrategy, GitHub, Response
from pydantic import TypeAdapter

from tests.collectors.reading import read_all
from tests.fakes.github import APP_ID, APP_KEY, FakeGithub

TRAPS = {"token", "hashed_token"}
"""Fields of records that GitHub does not describe: they are there to be kept inside."""
KINDS = {
    "personal access token": ("classic_token", "authorized_credential_note"),
    "SSH key": ("ssh_key", "authorized_credential_title"),
}
"""Our kind, and where the name is."""
Seen = dict[tuple[str, str], tuple[str | None, datetime | None, datetime | None, datetime | None]]
"""By kind and id: name, creation, last use, expiry."""


@pytest.fixture
def fake() -> FakeGithub:
    fake = FakeGithub(most=2)
    fake.add_organization("acme", 1)
    for number in range(1, 6):
        used = f"2026-02-0{number}T08:47:09.000-07:00" if number % 2 else None
        fake.add_token("acme", number, token_last_used_at=used)
        fake.add_authorization("acme", 10 + number, credential_accessed_at=None)
        fake.add_installation("acme", 20 + number)
    fake.add_token(
        "acme", 6, repository_selection="subset", token_expires_at="2027-01-01T00:00:00Z"
    )
    fake.token_repositories[6] = ["acme/web", "acme/api", "acme/app"]
    fake.add_authorization(
        "acme",
        16,
        credential_type="SSH key",
        fingerprint="jklmnop12345678",
        authorized_credential_title="laptop",
        authorized_credential_note=None,
    )
    fake.repositories["acme"] = ["web", "api", "app"]
    for number in range(3):
        fake.add_key("acme/web", 31 + number, last_used="2026-02-20T00:00:00Z")
    fake.add_key("acme/app", 34, enabled=False)
    return fake


def strictly(response: Response[Any, Any]) -> Any:
    """Return the answer's model after the answer was held against it word for word."""
    bare = json.loads(response.content, object_hook=without_traps)
    described = TypeAdapter(response._data_model)
    read = described.validate_json(json.dumps(bare), strict=True)
    assert names(bare) == names(described.dump_python(read, by_alias=True, exclude_unset=True))
    return response.parsed_data


def without_traps(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in TRAPS}


def names(answer: Any) -> Any:
    """The names in an answer, level by level: what is not described is missing where it is read."""
    if isinstance(answer, dict):
        return {name: names(value) for name, value in answer.items()}
    return [names(one) for one in answer] if isinstance(answer, list) else None


class Walk:
    """githubkit on the fake, as an installation of the App."""

    def __init__(self, url: str, organization: str) -> None:
        self._options: dict[str, Any] = {"base_url": url, "http_cache": False, "auto_retry": False}
        self._organization = organization

    def seen(self) -> Seen:
        with GitHub(AppAuthStrategy(APP_ID, APP_KEY), **self._options) as app:
            installations = self._all(app, "apps", "list_installations")
            (own,) = (one for one in installations if one.account.login == self._organization)
            with GitHub(app.auth.as_installation(own.id), **self._options) as github:
                return dict(self._listed(github))

    def _listed(self, github: GitHub[Any]) -> Iterator[tuple[tuple[str, str], Any]]:
        org = self._organization
        for one in self._all(github, "orgs", "list_pat_grants", org):
            named = self._all(github, "orgs", "list_pat_grant_repositories", org, one.id)
            assert bool(list(named)) is (one.repository_selection == "subset")
            used, ends = moment(one.token_last_used_at), moment(one.token_expires_at)
            yield ("fine_grained_token", str(one.token_id)), (one.token_name, None, used, ends)
        for one in self._authorizations(github):
            kind, name = KINDS[one.credential_type]
            used, ends = one.credential_accessed_at, one.authorized_credential_expires_at
            key = kind, str(one.authorized_credential_id)
            yield key, (getattr(one, name), None, used, ends or None)
        for repository in self._all(github, "repos", "list_for_org", org):
            for one in self._all(github, "repos", "list_deploy_keys", org, repository.name):
                made = moment(one.created_at)
                yield ("deploy_key", str(one.id)), (one.title, made, one.last_used, None)
        for one in self._all(github, "orgs", "list_app_installations", org, member="installations"):
            yield ("installation", str(one.id)), (one.app_slug, None, None, None)

    def _all(
        self, github: GitHub[Any], group: str, call: str, *args: Any, member: str | None = None
    ) -> Iterator[Any]:
        rest = github.rest("ghec-2022-11-28")

        def records(response: Response[Any, Any]) -> list[Any]:
            found = strictly(response)
            return list(getattr(found, member) if member else found)

        yield from github.rest.paginate(getattr(getattr(rest, group), call), records, *args)

    def _authorizations(self, github: GitHub[Any]) -> Iterator[Any]:
        """Page by number: for this list alone no ``Link`` is described."""
        call = github.rest("ghec-2022-11-28").orgs.list_saml_sso_authorizations
        page = 1
        while found := strictly(call(self._organization, per_page=2, page=page)):
            yield from found
            page += 1


async def test_an_independent_client_finds_the_same(github, fake, server):
    (read,) = (await read_all(github())).values()
    assert read.status == "complete"

    ours = {
        (one.uid.split(":")[2], one.provider_id): (
            *(one.name, one.created_at, one.last_used_at, one.expires_at),
        )
        for one in read.credentials.values()
    }
    assert Walk(server.url, "acme").seen() == ours
    assert len(ours) == 6 + 6 + 4 + 5


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@pytest.mark.parametrize(
    "call",
    [
        ("orgs", "get", "acme"),
        ("repos", "get", "acme", "web"),
        ("repos", "get_deploy_key", "acme", "web", 31),
        ("orgs", "list_for_authenticated_user"),
    ],
    ids=lambda call: call[1],
)
def test_what_is_read_one_by_one_is_as_described_too(fake, server, call):
    group, name, *rest = call
    with GitHub(fake.token, base_url=server.url, http_cache=False, auto_retry=False) as github:
        strictly(getattr(getattr(github.rest("ghec-2022-11-28"), group), name)(*rest))
