"""Databricks: tokens and secrets, their use, and what happens when something cannot be read."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from auditor.collectors.databricks import Databricks
from auditor.model import (
    ExpiresState,
    LastUsedState,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Privilege,
    Status,
)
from auditor.policy.privilege import classify
from tests.collectors.gathering import context, opener, read
from tests.fakes.databricks import SECRET, TOKEN, FakeDatabricks, too_many
from tests.fakes.http import Reply

TOKENS = "/api/2.0/token-management/tokens"
PRINCIPALS = "/api/2.0/preview/scim/v2/ServicePrincipals"


@pytest.fixture
def fake():
    fake = FakeDatabricks()
    fake.add_user("1", "admins")
    fake.add_principal("20", "etl")
    fake.add_principal("30")
    fake.add_token("t1")
    fake.add_token("t2", 20, comment="nightly")
    fake.add_secret("20", "s1")
    with fake.server:
        yield fake


@pytest.fixture
def databricks(fake, now, tmp_path):
    return opener(
        Databricks,
        context(now, tmp_path),
        name="dbx-prod",
        provider="databricks",
        base_url=fake.server.url,
        token=TOKEN,
        unless="client_id",
    )


async def test_tokens_and_secrets_are_read(databricks, fake):
    found = await read(databricks())

    assert found.status == "complete"
    assert set(found.credentials) == {"comment of t1", "nightly", "principal 20 s1"}
    token = found.credentials["comment of t1"]
    host = f"127.0.0.1%3A{fake.server.port}"
    assert token.uid == f"databricks:{host}:personal_access_token:t1"
    assert token.type == "Personal Access Token"
    assert token.principal == Principal(
        "1", "user1@acme.example", PrincipalType.USER, status="active", is_root=False
    )
    assert token.owner == "user1@acme.example"
    assert token.created_at == datetime(2024, 1, 1, 0, 0, 0, 123000, tzinfo=UTC)
    assert token.last_used_at == datetime(2026, 2, 27, tzinfo=UTC)
    assert token.last_used_precision == timedelta(days=1)
    assert (token.expires_state, token.status) == (ExpiresState.NEVER, Status.ACTIVE)
    assert token.permissions == {
        "group": {"admins": True}, "entitlement": {"workspace-access": True},
    }  # fmt: skip
    assert classify(token).privilege is Privilege.ADMIN
    nightly = found.credentials["nightly"]
    assert nightly.principal.type is PrincipalType.SERVICE_ACCOUNT
    assert nightly.permissions == {"group": {"etl": True}}
    secret = found.credentials["principal 20 s1"]
    assert (secret.type, secret.client_id) == ("Client Secret", "app-20")
    assert secret.expires_at == datetime(2027, 11, 1, 8, 10, 11, tzinfo=UTC)
    assert secret.last_used_state is LastUsedState.UNKNOWN


@pytest.mark.parametrize(
    ("value", "used_at"),
    [
        (1_772_150_400_000, datetime(2026, 2, 27, tzinfo=UTC)),
        (1_772_150_400, datetime(2026, 2, 27, tzinfo=UTC)),
        (20_511, datetime(2026, 2, 27, tzinfo=UTC)),
        (0, None),
        (-1, None),
        (None, None),
        (True, None),
        ("1772150400000", None),
        (10**20, None),
        (1_900_000_000_000, None),
    ],
)
async def test_a_day_is_understood_in_any_unit_and_its_absence_is_unknown(
    databricks, fake, value, used_at
):
    fake.add_token("t9", last_used_day=value)

    token = (await read(databricks())).credentials["comment of t9"]

    expected = LastUsedState.UNKNOWN if used_at is None else LastUsedState.USED
    assert (token.last_used_state, token.last_used_at) == (expected, used_at)


@pytest.mark.parametrize(
    ("value", "state", "status"),
    [
        (-1, ExpiresState.NEVER, Status.ACTIVE),
        (1_893_456_000_000, ExpiresState.AT, Status.ACTIVE),
        (1_704_067_200_000, ExpiresState.AT, Status.EXPIRED),
        (1_704_067_200, ExpiresState.UNKNOWN, Status.ACTIVE),
        (None, ExpiresState.UNKNOWN, Status.ACTIVE),
        ("never", ExpiresState.UNKNOWN, Status.ACTIVE),
    ],
)
async def test_how_a_token_ends(databricks, fake, value, state, status):
    fake.add_token("t9", expiry_time=value)

    token = (await read(databricks())).credentials["comment of t9"]

    assert (token.expires_state, token.status) == (state, status)


@pytest.mark.parametrize(
    ("fields", "state", "status"),
    [
        ({}, ExpiresState.AT, Status.ACTIVE),
        ({"expire_time": "2026-01-01T00:00:00Z"}, ExpiresState.AT, Status.EXPIRED),
        ({"expire_time": "soon"}, ExpiresState.UNKNOWN, Status.ACTIVE),
        ({"status": "RESTING"}, ExpiresState.AT, Status.UNKNOWN),
    ],
)
async def test_how_a_secret_ends(databricks, fake, fields, state, status):
    fake.add_secret("30", "s9", **fields)

    secret = (await read(databricks())).credentials["principal 30 s9"]

    assert (secret.expires_state, secret.status) == (state, status)


async def test_a_secret_without_an_end_never_ends(databricks, fake):
    del fake.secrets["20"][0]["expire_time"]

    secret = (await read(databricks())).credentials["principal 20 s1"]

    assert secret.expires_state is ExpiresState.NEVER


async def test_scopes_limit_a_token_and_all_apis_is_no_limit(databricks, fake):
    fake.add_token("t8", scopes=["sql", "jobs"])
    fake.add_token("t9", scopes=["all-apis"])

    found = (await read(databricks())).credentials

    limited = found["comment of t8"]
    assert limited.permissions == {"scope": {"jobs": True, "sql": True}}
    assert limited.permissions_subject is PermissionsSubject.CREDENTIAL
    assert found["comment of t9"].permissions == found["comment of t1"].permissions


async def test_what_becomes_of_a_deactivated_holders_token_is_unknown(databricks, fake):
    fake.add_user("1", active=False)

    token = (await read(databricks())).credentials["comment of t1"]

    assert (token.status, token.principal.status) == (Status.UNKNOWN, "inactive")


async def test_a_holder_that_is_gone_is_known_by_what_the_token_says(databricks, fake):
    fake.users.clear()

    found = await read(databricks())

    token = found.credentials["comment of t1"]
    assert found.status == "complete"
    assert (token.principal.id, token.principal.name) == ("1", "etl@acme.example")
    assert token.permissions is None


async def test_an_empty_page_of_secrets_is_not_the_end(databricks, fake):
    path = "/api/2.0/accounts/servicePrincipals/20/credentials/secrets"
    fake.server.fault(path, times=1, reply=Reply(200, {"next_page_token": "0"}))

    assert "principal 20 s1" in (await read(databricks())).credentials


async def test_a_list_that_repeats_itself_is_cut_and_partial(databricks, fake):
    same = Reply(200, {"Resources": fake.principals})
    fake.server.fault(PRINCIPALS, reply=same)

    found = await read(databricks())

    assert (found.status, found.reason) == ("partial", "repeated_cursor")
    assert len(found.uids) == 3


async def test_a_refused_login_fails_the_source(databricks):
    for keys in ({"token": "CANARY-wrong"}, {"client_id": "auditor", "client_secret": "wrong-one"}):
        found = await read(databricks(**keys))

        assert (found.status, found.reason) == ("failed", "authentication_failed")


async def test_a_service_principal_logs_in(databricks):
    found = await read(databricks(client_id="auditor", client_secret=SECRET))

    assert found.status == "complete"


@pytest.mark.parametrize(
    ("path", "listed"), [(TOKENS, {"principal 20 s1"}), (PRINCIPALS, {"comment of t1", "nightly"})]
)
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(403, {}), "access_denied"),
        (Reply(404, {"error_code": "FEATURE_DISABLED"}), "not_found"),
        (Reply(500, b"oops"), "unavailable"),
        (Reply(200, b"{broken"), "unexpected_response"),
        (Reply(200, []), "unexpected_response"),
        (Reply(200, {"token_infos": {}, "Resources": {}}), "unexpected_response"),
    ],
)
async def test_a_list_that_cannot_be_read_is_a_gap(databricks, fake, path, listed, reply, reason):
    fake.server.fault(path, reply=reply)

    found = await read(databricks())

    assert (found.status, found.reason) == ("partial", reason)
    assert set(found.credentials) == listed


@pytest.mark.parametrize(("status", "reason"), [(403, "access_denied"), (404, "not_found")])
async def test_secrets_that_are_all_refused_are_a_gap(databricks, fake, status, reason):
    fake.server.fault("*/credentials/secrets", reply=Reply(status, {}))

    found = await read(databricks())

    assert (found.status, found.reason) == ("partial", reason)


async def test_a_service_principal_that_vanishes_is_gone(databricks, fake):
    fake.server.fault("*/servicePrincipals/20/credentials/secrets", reply=Reply(404, {}))

    found = await read(databricks())

    assert found.status == "complete"
    assert set(found.credentials) == {"comment of t1", "nightly"}


@pytest.mark.parametrize("status", [429, 503])
async def test_a_provider_that_asks_for_patience_is_asked_again(databricks, fake, status):
    for path in (TOKENS, PRINCIPALS, "*/secrets"):
        fake.server.fault(path, times=1, reply=too_many(status))

    assert (await read(databricks())).status == "complete"


async def test_records_of_wrong_types_are_left_out_and_told(databricks, fake):
    fake.tokens += [None, {"token_id": 7.5}, {"token_id": "t9", "creation_time": "x"}]
    fake.principals += ["x", {"id": "40", "groups": [1, {"display": 2}], "active": "yes"}]

    found = await read(databricks())

    assert (found.status, found.reason) == ("partial", "malformed_record")
    assert len(found.gaps) == 3
    assert found.credentials["t9"].created_at is None
    assert any("creation_time" in note for note in found.notes)


async def test_the_check_tells_what_is_granted(databricks, fake):
    fake.server.fault(TOKENS, reply=Reply(403, {}))
    collector = databricks()

    rows = await collector.check()
    await collector.aclose()

    assert [row.is_granted for row in rows] == [False, True]


@pytest.mark.parametrize("keys", [{"token": None}, {"client_id": "a", "token": "b"}])
def test_there_is_one_way_to_log_in(databricks, keys):
    with pytest.raises(ValidationError):
        databricks(**keys)
