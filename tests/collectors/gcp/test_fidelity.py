"""Google's own discovery documents vouch for what is asked and for what is read."""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from auditor.collectors._gcp import records
from tests.collectors.reading import read_all

HOSTS = {"iam": "v1", "policyanalyzer": "v1", "apikeys": "v2", "cloudresourcemanager": "v3"}
READ = {
    ("iam.v1", "ServiceAccount"): ("email", "uniqueId", "disabled", "description"),
    ("iam.v1", "ServiceAccountKey"): (*records._KEY_FIELDS, "extendedStatus"),
    ("iam.v1", "Role"): ("includedPermissions", "deleted"),
    ("iam.v1", "ListServiceAccountsResponse"): ("accounts", "nextPageToken"),
    ("iam.v1", "ListServiceAccountKeysResponse"): ("keys",),
    ("policyanalyzer.v1", "GoogleCloudPolicyanalyzerV1Activity"): (
        *("fullResourceName", "observationPeriod", "activity"),
    ),
    ("policyanalyzer.v1", "GoogleCloudPolicyanalyzerV1ObservationPeriod"): ("startTime", "endTime"),
    ("policyanalyzer.v1", "GoogleCloudPolicyanalyzerV1QueryActivityResponse"): (
        *("activities", "nextPageToken"),
    ),
    ("apikeys.v2", "V2Key"): (*records._API_KEY_FIELDS, "deleteTime", "restrictions"),
    ("apikeys.v2", "V2Restrictions"): (*records._RESTRICTIONS, "apiTargets"),
    ("apikeys.v2", "V2ListKeysResponse"): ("keys", "nextPageToken"),
    ("cloudresourcemanager.v3", "Project"): (
        *("projectId", "displayName", "parent", "state", "labels"),
    ),
    ("cloudresourcemanager.v3", "Folder"): ("parent",),
    ("cloudresourcemanager.v3", "Binding"): ("role", "members"),
    ("cloudresourcemanager.v3", "SearchProjectsResponse"): ("projects", "nextPageToken"),
    ("storage.v1", "HmacKeyMetadata"): records._HMAC_FIELDS,
    ("storage.v1", "HmacKeysMetadata"): ("items", "nextPageToken"),
}


@cache
def document(name: str) -> dict[str, Any]:
    """Return a discovery document, such as ``iam.v1``."""
    place = files("googleapiclient") / "discovery_cache" / "documents" / f"{name}.json"
    found: dict[str, Any] = json.loads(place.read_text())
    return found


def methods(resource: dict[str, Any]) -> list[dict[str, Any]]:
    below = [one for part in resource.get("resources", {}).values() for one in methods(part)]
    return [*resource.get("methods", {}).values(), *below]


def documented(name: str, method: str, path: str) -> set[str] | None:
    """Return the query parameters of a call; None where Google documents no such call."""
    for one in methods(document(name)):
        template = one.get("flatPath", one["path"])
        pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template))
        if one["httpMethod"] == method and re.fullmatch(pattern, path):
            return {
                key for key, it in one.get("parameters", {}).items() if it["location"] == "query"
            }
    return None


@pytest.mark.parametrize("place", READ, ids=lambda place: place[1])
def test_every_field_that_is_read_is_documented(place):
    name, schema = place

    assert set(READ[place]) <= set(document(name)["schemas"][schema]["properties"])


async def test_every_request_is_documented(gcp, fake, server):
    fake.page_size = 1
    fake.add_api_key("acme", "api2")
    fake.roles["projects/acme/roles/own"] = ["a.b.get"]
    member = "serviceAccount:ci@acme.iam.gserviceaccount.com"
    fake.policies["projects/acme"] = [{"role": "projects/acme/roles/own", "members": [member]}]
    fake.add_hmac_key("acme", "GOOG2", member.partition(":")[2])

    read = (await read_all(gcp()))["acme"]
    for credential in read.credentials.values():
        await gcp().refresh(credential)

    assert len(server.requests) > 30
    for request in server.requests:
        path = request.path.strip("/")
        if path.startswith("storage/v1/"):
            found = documented("storage.v1", request.method, path.removeprefix("storage/v1/"))
        else:
            names = (f"{api}.{version}" for api, version in HOSTS.items())
            calls = (documented(name, request.method, path) for name in names)
            found = next((one for one in calls if one is not None), None)
        assert found is not None, path
        assert set(request.query) <= found, path
