"""One failure at a time: logging in, refusals, limits, broken answers."""

import asyncio
import json
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from auditor.collectors.gcp import GcpOptions
from auditor.errors import AuthenticationFailed, ConfigError, Unavailable
from tests.collectors.reading import read_all, read_unit
from tests.fakes.gcp import FakeGcp
from tests.fakes.http import Reply

PARTS = {
    "/v1/projects/acme/serviceAccounts": "service_account_key",
    "/v2/projects/acme/locations/global/keys": "api_key",
    "/storage/v1/projects/acme/hmacKeys": "hmac_key",
}
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def credentials_file(server, fake, tmp_path):
    """A service account's file whose token endpoint is the fake."""
    fake.clients["auditor@acme"] = _KEY.public_key()
    pem = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    path = tmp_path / "auditor.json"
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "client_email": "auditor@acme",
                "private_key": pem,
                "token_uri": f"{server.url}/token",
            }
        )
    )
    return path


async def test_a_credentials_file_fetches_one_token_for_all_apis(gcp, fake, credentials_file):
    read = await read_all(gcp(credentials_file="auditor.json"))

    assert {one.status for one in read.values()} == {"complete"}
    assert len(fake.issued) == 1


async def test_a_refused_file_is_an_authentication_failure(gcp, fake, credentials_file):
    fake.clients.clear()

    with pytest.raises(AuthenticationFailed) as caught:
        await gcp(credentials_file="auditor.json").units()

    assert "CANARY" not in str(caught.value)
    assert "RefreshError" in str(caught.value)


@pytest.mark.parametrize("content", ["CANARY", "{}", '{"type": "CANARY"}', "[]", None])
async def test_a_file_that_is_none_of_googles_is_a_configuration_error(gcp, tmp_path, content):
    if content is not None:
        (tmp_path / "auditor.json").write_text(content)
    source = gcp(credentials_file="auditor.json")

    with pytest.raises(ConfigError, match="credentials_file") as caught:
        await source.units()

    assert "CANARY" not in str(caught.value)


async def test_a_missing_library_is_named_with_its_extra(gcp, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.auth.exceptions", None)

    with pytest.raises(ConfigError, match=r"auditor\[gcp\]"):
        gcp(credentials_file="auditor.json")


@pytest.mark.parametrize("path", PARTS)
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(403, {"error": {"message": "CANARY"}}), "access_denied"),
        (Reply(404, {}), "not_found"),
        (Reply(200, b"<html>CANARY"), "unexpected_response"),
        (Reply(200, [1]), "unexpected_response"),
        (Reply(200, {"accounts": 7, "keys": 7, "items": 7}), "unexpected_response"),
        (Reply(200, {"nextPageToken": 7}), "unexpected_response"),
        (Reply(200, {"nextPageToken": "1"}), "repeated_cursor"),
    ],
)
async def test_a_part_that_cannot_be_read_is_a_gap_and_the_rest_goes_on(
    gcp, server, path, reply, reason
):
    server.fault(path, reply=reply)

    read = (await read_all(gcp()))["acme"]

    assert (read.status, read.reason) == ("partial", reason)
    assert {uid.split(":")[2] for uid in read.credentials} == set(PARTS.values()) - {PARTS[path]}
    assert "CANARY" not in read.shown()


async def test_keys_of_one_account_that_cannot_be_read_are_a_gap(gcp, fake, server):
    email = fake.add_account("acme", "other")
    fake.add_key(email, "key2")
    server.fault(f"*/{email}/keys", reply=Reply(403, {}))

    read = (await read_all(gcp()))["acme"]

    assert (read.status, read.reason) == ("partial", "access_denied")
    assert read.one("service_account_key").provider_id == "key1"


async def test_an_account_deleted_after_it_was_listed_is_no_gap(gcp, fake):
    del fake.keys[fake.add_account("acme", "other")]

    assert (await read_all(gcp()))["acme"].status == "complete"


async def test_where_nothing_may_be_read_the_project_fails(gcp, server):
    for path in PARTS:
        server.fault(path, reply=Reply(403, {}))

    read = (await read_all(gcp()))["acme"]

    assert (read.status, read.reason) == ("failed", "access_denied")


@pytest.mark.parametrize("record", [None, 7, "x", [], {}, {"email": 7, "name": 7, "uid": True}])
async def test_records_of_the_wrong_type_are_gaps(gcp, server, record):
    for path in PARTS:
        server.fault(
            path, reply=Reply(200, {"accounts": [record], "keys": [record], "items": [record]})
        )
    read = (await read_all(gcp()))["acme"]

    assert (read.status, read.reason) == ("partial", "malformed_record")


async def test_fields_of_the_wrong_type_leave_facts_unknown(gcp, fake):
    email = "ci@acme.iam.gserviceaccount.com"
    wrong = {"validAfterTime": 7, "validBeforeTime": [], "keyAlgorithm": {}, "extendedStatus": 3}
    fake.add_key(email, "key2", **wrong)
    fake.add_api_key("acme", "api2", displayName=7, createTime="x", restrictions=[1])
    fake.add_hmac_key("acme", "GOOG2", email, state=7, timeCreated=None)
    fake.activities["acme"].append({"activity": 7, "fullResourceName": 7})
    fake.policies["projects/acme"] += [{"role": 7}, {"role": "r", "members": 7}, 7]

    read = (await read_all(gcp()))["acme"]

    assert read.status == "complete"
    assert read.one("service_account_key", "key2").expires_state == "unknown"
    assert read.one("hmac_key", "GOOG2").status == "unknown"


@pytest.mark.parametrize("path", ["/v3/projects:search", "/v3/projects/acme:getIamPolicy"])
async def test_a_401_is_an_authentication_failure(gcp, server, path):
    server.fault(path, reply=Reply(401, {}))
    source = gcp()

    if path.endswith("search"):
        with pytest.raises(AuthenticationFailed):
            await source.units()
    else:
        assert (await read_all(source))["acme"].reason == "authentication_failed"


async def test_being_asked_to_wait_is_heeded(gcp, server):
    for path in PARTS:
        server.fault(path, reply=Reply(429, {}), times=1)
    server.fault("/v3/projects:search", reply=Reply(503, {}), times=1)

    assert (await read_all(gcp()))["acme"].status == "complete"


async def test_projects_listed_before_the_list_broke_are_read(gcp, fake, server):
    fake.page_size = 1
    server.fault("/v3/projects:search", query={"pageToken": "1"}, reply=Reply(403, {}))

    read = await read_all(gcp())

    assert {key: one.status for key, one in read.items()} == {"acme": "complete", "*": "failed"}


async def test_server_errors_end_what_is_left(gcp, server):
    server.fault("/v3/projects:search", reply=Reply(500, b"CANARY"))

    with pytest.raises(Unavailable) as caught:
        await gcp().units()

    assert "CANARY" not in str(caught.value)


async def test_a_redirect_to_another_origin_is_not_followed(gcp, server):
    with FakeGcp().server() as thief:
        for path in PARTS:
            server.fault(path, reply=Reply(302, b"", {"Location": f"{thief.url}/steal"}))
        read = (await read_all(gcp()))["acme"]

        assert thief.requests == []
    assert (read.status, read.reason) == ("failed", "unexpected_response")


async def test_reading_can_be_cancelled_in_mid_page(gcp, fake, server):
    for number in range(40):
        fake.add_account("acme", f"sa-{number}")
    server.fault("*/sa-*/keys", delay=30)
    source = gcp()
    unit = (await source.units())[0]

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await read_unit(source, unit)


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": "t", "credentials_file": "f"},
        {"projects": []},
        {"projects": ["a"], "organization": "55"},
        {"organization": "acme.com"},
        {"read": []},
        {"endpoint_url": "http://iam.example.com"},
    ],
)
def test_options_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValidationError):
        GcpOptions(name="g", provider="gcp", **wrong)


def test_the_number_of_an_organization_may_be_a_number():
    assert GcpOptions(name="g", provider="gcp", organization=55).organization == "55"
