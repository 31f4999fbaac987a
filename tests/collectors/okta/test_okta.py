"""Okta: what is listed, what it means, and what happens when something cannot be read."""

from datetime import UTC, datetime

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError

from auditor.collectors._okta.paging import OktaDialect
from auditor.collectors.okta import Okta
from auditor.errors import AuthenticationFailed, ConfigError
from auditor.model import ExpiresState, LastUsedState, Principal, PrincipalType, Privilege, Status
from auditor.policy.privilege import classify
from tests.collectors.gathering import context, opener, read
from tests.fakes.http import Reply
from tests.fakes.okta import TOKEN, FakeOkta


@pytest.fixture
def fake():
    fake = FakeOkta()
    fake.add_user("00u1", "SUPER_ADMIN")
    fake.add_user("00u2")
    fake.add_token("00T1")
    fake.add_token("00T2", "00u2", name="hr-sync")
    fake.add_app("0oa1")
    fake.add_secret("0oa1", "ocs1")
    fake.add_app("0oa2", "private_key_jwt")
    fake.add_key("0oa2", id="pks1", kid="prod-key")
    with fake.server:
        yield fake


@pytest.fixture
def okta(fake, now, tmp_path):
    return opener(
        Okta,
        context(now, tmp_path),
        name="okta-prod",
        provider="okta",
        base_url=fake.server.url,
        token=TOKEN,
        unless="client_id",
    )


async def test_tokens_secrets_and_keys_are_read(okta, fake, now):
    found = await read(okta())

    assert found.status == "complete"
    assert set(found.credentials) == {
        "name of 00T1", "hr-sync", "label of 0oa1 ocs1", "label of 0oa2 prod-key",
    }  # fmt: skip
    token = found.credentials["name of 00T1"]
    host = f"127.0.0.1%3A{fake.server.port}"
    assert token.uid == f"okta:{host}:api_token:00T1"
    assert token.type == "API Token"
    assert token.principal == Principal(
        "00u1", "00u1@acme.example", PrincipalType.USER, status="ACTIVE", is_root=True
    )
    assert token.owner == "00u1@acme.example"
    assert token.created_at == datetime(2024, 3, 18, 9, 12, 44, tzinfo=UTC)
    assert token.expires_state is ExpiresState.SLIDING
    assert token.permissions == {"role": {"SUPER_ADMIN": True}}
    assert token.observed_at == token.data_as_of == now
    secret = found.credentials["label of 0oa1 ocs1"]
    assert (secret.type, secret.client_id) == ("Client Secret", "client-0oa1")
    assert secret.principal == Principal(
        "0oa1", "label of 0oa1", PrincipalType.APPLICATION, status="ACTIVE", is_root=False
    )
    assert secret.last_used_state is LastUsedState.UNKNOWN
    assert secret.expires_state is ExpiresState.UNSUPPORTED
    key = found.credentials["label of 0oa2 prod-key"]
    assert (key.type, key.key_algorithm) == ("Public Key", "RSA")


@pytest.mark.parametrize(
    ("fields", "state", "used_at"),
    [
        ({}, LastUsedState.USED, datetime(2026, 2, 20, 2, 0, 9, tzinfo=UTC)),
        (
            {"lastUpdated": "2024-03-18T09:12:44Z", "expiresAt": "2024-04-17T09:12:44Z"},
            LastUsedState.NEVER,
            None,
        ),
        # Its end was never moved, yet something was changed: nobody knows what.
        ({"expiresAt": "2024-04-17T09:12:44Z"}, LastUsedState.UNKNOWN, None),
        ({"expiresAt": "2030-04-17T09:12:44Z"}, LastUsedState.UNKNOWN, None),
        ({"expiresAt": None}, LastUsedState.UNKNOWN, None),
        ({"expiresAt": "soon"}, LastUsedState.UNKNOWN, None),
        ({"tokenWindow": None}, LastUsedState.UNKNOWN, None),
        ({"tokenWindow": "P1M"}, LastUsedState.UNKNOWN, None),
        ({"created": None}, LastUsedState.UNKNOWN, None),
    ],
)
async def test_a_tokens_last_use_is_where_its_window_began(okta, fake, fields, state, used_at):
    fake.tokens.clear()
    fake.add_token("00T9", **fields)

    token = (await read(okta())).credentials["name of 00T9"]

    assert (token.last_used_state, token.last_used_at) == (state, used_at)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("ACTIVE", Status.ACTIVE),
        ("PASSWORD_EXPIRED", Status.ACTIVE),
        ("DEPROVISIONED", Status.INACTIVE),
        ("SUSPENDED", Status.UNKNOWN),
    ],
)
async def test_a_token_is_worth_what_its_owner_is(okta, fake, status, expected):
    fake.add_user("00u2", status=status)

    token = (await read(okta())).credentials["hr-sync"]

    assert (token.status, token.principal.status) == (expected, status)
    assert token.permissions == {}


async def test_a_network_zone_is_a_restriction_and_anywhere_is_none(okta, fake):
    fake.add_token("00T3", network={"connection": "ZONE", "include": ["nzo1"]})

    found = await read(okta())

    assert found.credentials["name of 00T1"].restrictions is None
    assert found.credentials["name of 00T3"].restrictions == {
        "connection": "ZONE", "include": ["nzo1"], "exclude": [],
    }  # fmt: skip


async def test_owners_are_read_once_however_many_tokens_they_have(okta, fake):
    for number in range(3, 30):
        fake.add_token(f"00T{number}")

    await read(okta())

    assert fake.server.paths().count("/api/v1/users/00u1") == 1


async def test_a_service_app_has_its_scopes_and_its_admin_roles(okta, fake):
    fake.grants["0oa1"] = [
        {"id": "oag1", "scopeId": "okta.users.manage", "status": "ACTIVE"},
        {"id": "oag2", "scopeId": "okta.apps.manage", "status": "REVOKED"},
    ]
    fake.client_roles["client-0oa1"] = [
        {"id": "ra1", "type": "READ_ONLY_ADMIN", "status": "ACTIVE"},
        {"id": "ra2", "type": "ORG_ADMIN", "status": "INACTIVE"},
    ]

    secret = (await read(okta())).credentials["label of 0oa1 ocs1"]

    assert secret.permissions == {
        "role": {"READ_ONLY_ADMIN": True}, "scope": {"okta.users.manage": True},
    }  # fmt: skip
    assert classify(secret).privilege is Privilege.ADMIN


async def test_a_switched_off_secret_or_application_is_inactive(okta, fake):
    fake.add_secret("0oa1", "ocs2", status="INACTIVE", lastUpdated="2025-01-01T00:00:00Z")
    fake.apps[1]["status"] = "INACTIVE"

    found = await read(okta())

    assert found.credentials["label of 0oa1 ocs1"].status is Status.ACTIVE
    off = found.credentials["label of 0oa1 ocs2"]
    assert (off.status, off.status_changed_at) == (
        Status.INACTIVE, datetime(2025, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    assert found.credentials["label of 0oa2 prod-key"].status is Status.INACTIVE


async def test_an_unknown_status_word_is_unknown(okta, fake):
    fake.add_secret("0oa1", "ocs2", status="RESTING")

    assert (await read(okta())).credentials["label of 0oa1 ocs2"].status is Status.UNKNOWN


async def test_only_what_an_application_may_log_in_with_is_asked_for(okta, fake):
    fake.add_app("0oa3", "none")
    fake.add_app("0oa4", "private_key_jwt", jwks_uri="https://keys.example/jwks")
    fake.apps.append({"id": "0oa5", "signOnMode": "SAML_2_0", "label": "old"})

    found = await read(okta())

    asked = [path for path in fake.server.paths() if "/credentials/" in path]
    assert sorted(asked) == [
        "/api/v1/apps/0oa1/credentials/secrets", "/api/v1/apps/0oa2/credentials/jwks",
    ]  # fmt: skip
    assert any("jwks_uri" in note for note in found.notes)


async def test_a_key_without_an_id_is_known_by_application_and_key_id(okta, fake):
    fake.add_app("0oa3", "private_key_jwt")
    fake.add_key("0oa3", kid="k")
    fake.keys["0oa2"] = []
    fake.add_key("0oa2", kid="k")

    found = await read(okta())

    assert len(set(found.uids)) == 5
    assert {uid.rsplit(":", 1)[1] for uid in found.uids} >= {"0oa2/k", "0oa3/k"}


@pytest.mark.parametrize(
    ("path", "listed"),
    [("/api/v1/api-tokens", {"Client Secret", "Public Key"}), ("/api/v1/apps", {"API Token"})],
)
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(403, {"errorCode": "E0000006"}), "access_denied"),
        (Reply(404, {}), "not_found"),
        (Reply(500, b"oops"), "unavailable"),
        (Reply(200, b"{broken"), "unexpected_response"),
        (Reply(200, {"not": "a list"}), "unexpected_response"),
    ],
)
async def test_a_list_that_cannot_be_read_is_a_gap(okta, fake, path, listed, reply, reason):
    fake.server.fault(path, reply=reply)

    found = await read(okta())

    assert (found.status, found.reason) == ("partial", reason)
    assert {one.type for one in found.credentials.values()} == listed


@pytest.mark.parametrize(
    "path", ["/api/v1/users/00u1", "/api/v1/users/00u1/roles", "/api/v1/apps/0oa1/grants"]
)
async def test_what_adds_to_a_credential_and_cannot_be_read_is_unknown(okta, fake, path):
    fake.server.fault(path, reply=Reply(403, {}))

    found = await read(okta())

    assert (found.status, found.reason) == ("partial", "access_denied")
    assert len(found.uids) == 4
    if path.endswith("grants"):
        assert found.credentials["label of 0oa1 ocs1"].permissions is None
    if path.endswith("roles"):
        assert found.credentials["name of 00T1"].permissions is None
        assert found.credentials["name of 00T1"].principal.is_root is None


async def test_what_vanishes_while_it_is_read_is_gone(okta, fake):
    fake.server.fault("/api/v1/apps/0oa1/credentials/secrets", reply=Reply(404, {}))

    found = await read(okta())

    assert found.status == "complete"
    assert "label of 0oa1 ocs1" not in found.credentials


async def test_application_after_application_that_fails_ends_the_reading(okta, fake):
    for number in range(10, 60):
        fake.add_app(f"0oa{number}")
    fake.server.fault("/api/v1/apps/*/credentials/*", reply=Reply(500, b""))

    found = await read(okta(concurrency=1, attempts=1))

    asked = [path for path in fake.server.paths() if "/credentials/" in path]
    assert found.status == "partial"
    assert len(asked) < 10


@pytest.mark.parametrize(
    ("reset", "pause"), [(1_000_020, 21.0), (999_000, 1.0), (1_000_500, 30.0), (None, None)]
)
def test_the_pause_ends_a_second_after_the_reset_if_that_can_be_believed(reset, pause):
    headers = {"date": "Mon, 12 Jan 1970 13:46:40 GMT"}
    if reset is not None:
        headers["x-rate-limit-reset"] = str(reset)

    assert OktaDialect().pause(httpx.Response(429, headers=headers)) == pause


async def test_values_of_wrong_types_are_left_out_and_told(okta, fake):
    fake.tokens[:] = [
        {"id": 7},
        "text",
        {"name": "no id"},
        {"id": "00T4", "created": 17, "network": 4},
    ]
    fake.apps.extend([None, {"id": "0oa9", "signOnMode": "OPENID_CONNECT", "credentials": []}])

    found = await read(okta())

    assert (found.status, found.reason) == ("partial", "malformed_record")
    assert len(found.gaps) == 3
    assert found.credentials["00T4"].created_at is None
    assert any("created" in note for note in found.notes)


async def test_the_check_tells_what_is_granted(okta, fake):
    fake.server.fault("/api/v1/api-tokens", reply=Reply(403, {}))
    collector = okta()

    rows = await collector.check()
    await collector.aclose()

    assert [(row.permission, row.is_granted) for row in rows] == [
        ("list API tokens", False), ("list applications", True),
    ]  # fmt: skip


async def test_the_check_of_a_refused_token_fails(okta):
    collector = okta(token="00wrong-token")

    with pytest.raises(AuthenticationFailed):
        await collector.check()
    await collector.aclose()


@pytest.fixture(scope="module")
def private_key():
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


async def test_a_service_app_signs_in_with_its_key(okta, fake, private_key):
    found = await read(okta(client_id="0oaAuditor", private_key=private_key, key_id="k1"))

    assert found.status == "complete"
    (claims,) = fake.claims
    assert claims["iss"] == claims["sub"] == "0oaAuditor"
    assert claims["aud"] == f"{fake.server.url}/oauth2/v1/token"
    assert 0 < claims["exp"] - claims["iat"] <= 3600


def test_a_key_that_is_none_is_refused_before_anything_is_sent(okta):
    with pytest.raises(ConfigError, match="not an RSA private key"):
        okta(client_id="0oaAuditor", private_key="-----BEGIN NOTHING-----")


@pytest.mark.parametrize(
    "keys",
    [
        {"token": None},
        {"client_id": "a"},
        {"client_id": "a", "private_key": "b", "token": "c"},
        {"base_url": "http://acme.okta.com"},
    ],
)
def test_there_is_one_way_to_log_in(okta, keys):
    with pytest.raises(ValidationError):
        okta(**keys)
