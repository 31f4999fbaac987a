"""Microsoft's own types of Graph vouch for what is asked, for what the fake answers and for more.

They are the types of npm's ``@microsoft/microsoft-graph-types`` and its ``-beta`` for the sign-in
reports, kept here in excerpt: the SDKs for Python take 400 MB for the same.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.collectors.entra.graph_types.reading import PACKAGES, excerpt, published, release
from tests.fakes.entra import FakeEntra, certificate, secret

MODULES = Path(__file__).parents[3] / "node_modules"
ANSWERED = {
    "organization": "Organization",
    "applications": "Application",
    "servicePrincipals": "ServicePrincipal",
    "owners": "User",
    "federatedIdentityCredentials": "FederatedIdentityCredential",
    "appRoleAssignments": "AppRoleAssignment",
    "oauth2PermissionGrants": "OAuth2PermissionGrant",
    "roleAssignments": "UnifiedRoleAssignment",
    "appCredentialSignInActivities": "AppCredentialSignInActivity",
    "servicePrincipalSignInActivities": "ServicePrincipalSignInActivity",
}
"""By the last word of a path that is no id."""


@pytest.fixture
def rich(fake: FakeEntra) -> FakeEntra:
    fake.page_size = 1
    fake.add_application("crm", passwordCredentials=[secret("s3"), secret("s4")])
    fake.add_principal("scim", keyCredentials=[certificate("c2")])
    fake.sign_in("crm", "s3", None)
    fake.sign_in_as_application("crm", None)
    fake.assign("crm", "Mail.Read")
    fake.add_consent("crm", "Mail.Read User.Read.All")
    fake.directory_roles.append(
        {
            "id": "ra-1",
            "principalId": "principal-crm",
            "roleDefinitionId": "62e90394-69f5-4237-9190-012177145e10",
            "directoryScopeId": "/",
        }
    )
    return fake


async def test_every_answer_is_of_its_published_type(rich, server, read):
    found = await read()
    asked = [request for request in server.requests if request.method == "GET"]
    token = asked[0].headers["authorization"]
    unasked = set(ANSWERED)
    async with httpx.AsyncClient(headers={"Authorization": token}) as client:
        for request in asked:
            answer = (await client.get(f"{server.url}{request.target}")).json()
            version, name = described(request.path)
            types = excerpt(version)
            unasked.discard(word(request.path))
            records = answer.get("value", [answer])
            faults = [fault for one in records for fault in types.faults(one, name)]
            assert [] == faults, request.path
            chosen = ",".join(request.query.get("$select", [])).split(",")
            assert set(chosen) - {""} <= set(types.fields(name)), request.target
    assert found.status == "complete"
    assert set() == unasked


async def test_a_plain_walk_over_the_pages_finds_the_same(rich, server, read):
    found = await read()
    token = next(r for r in server.requests if r.method == "GET").headers["authorization"]
    theirs: dict[str, Any] = {}
    async with httpx.AsyncClient(headers={"Authorization": token}) as client:
        for kind in ("applications", "servicePrincipals"):
            link = f"{server.url}/v1.0/{kind}"
            while link:
                page = (await client.get(link)).json()
                link = page.get("@odata.nextLink")
                for owner in page["value"]:
                    for one in (*owner["passwordCredentials"], *owner["keyCredentials"]):
                        made, ends = one["startDateTime"], one["endDateTime"]
                        theirs[one["keyId"]] = one["displayName"], moment(made), moment(ends)

    ours = {
        one.provider_id.rpartition("/")[2]: (one.name, one.created_at, one.expires_at)
        for one in found.credentials.values()
        if "federated" not in one.uid
    }
    assert len(theirs) == 6
    assert theirs == ours


def moment(stated: str) -> datetime:
    return datetime.fromisoformat(stated)


def word(path: str) -> str:
    return next(part for part in reversed(urlsplit(path).path.split("/")) if part in ANSWERED)


def described(path: str) -> tuple[str, str]:
    """Return version and type of what is at *path*."""
    return path.split("/")[1], ANSWERED[word(path)]


@pytest.mark.parametrize("version", PACKAGES)
def test_the_excerpt_is_what_is_published(version):
    """Only with the npm packages: absence skips, and fails with ``AUDITOR_REQUIRE_NPM=1``."""
    found = published(version, MODULES)
    if found is None:
        missing = pytest.fail if os.environ.get("AUDITOR_REQUIRE_NPM") == "1" else pytest.skip
        missing(f"{PACKAGES[version]} is not installed")
        return
    installed, types = found
    kept = excerpt(version)

    assert installed == release(version)
    assert kept.names
    for name in kept.names:
        assert types.fields(name) == kept.fields(name)
    assert kept.literals.items() <= types.literals.items()
