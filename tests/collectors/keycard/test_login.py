"""Logging in, over real HTTP: tokens, their end, and what is shown when it fails."""

import logging
import traceback

import pytest
from pydantic import ValidationError

from auditor.collectors.keycard import KeycardOptions
from auditor.errors import AuthenticationFailed, ConfigError, SourceError
from tests.fakes.http import Reply

SECRET = "CANARY-client-secret-83"
PAIR = {"client_id": "auditor", "client_secret": SECRET}


@pytest.fixture(autouse=True)
def _known_client(fake):
    fake.clients["auditor"] = SECRET


async def test_a_token_is_sent_as_bearer(keycard, server, fake):
    await keycard().read()

    assert {request.headers["authorization"] for request in server.requests} == {
        f"Bearer {fake.token}"
    }


async def test_client_credentials_fetch_one_token_for_everything(keycard, server, fake):
    await keycard(**PAIR).read()

    assert server.paths().count("/service-account-token") == 1
    assert len(fake.issued) == 1


async def test_a_token_that_expires_in_mid_run_is_renewed(keycard, server, fake):
    for number in range(40):
        fake.add_account("org-1", f"account-{number}")
    fake.token_uses = 10

    read = await keycard(**PAIR, concurrency=1).read()

    assert {one.status for one in read.values()} == {"complete"}
    assert len(fake.issued) >= 4


async def test_a_token_is_renewed_before_it_expires(keycard, fake):
    fake.token_lifetime = 0

    read = await keycard(**PAIR).read()

    assert {one.status for one in read.values()} == {"complete"}
    assert len(fake.issued) > 1


async def test_a_token_refused_even_when_new_ends_with_the_401(keycard, fake):
    fake.token_uses = 0

    with pytest.raises(AuthenticationFailed, match="/organizations"):
        await keycard(**PAIR).collector.units()

    assert len(fake.issued) == 2


async def test_the_token_error_is_shown_not_the_401_after_it(keycard, server):
    with pytest.raises(AuthenticationFailed) as caught:
        await keycard(client_id="auditor", client_secret="CANARY-wrong").collector.units()

    assert "/service-account-token" in str(caught.value)
    assert "invalid_client" in str(caught.value)
    assert server.paths() == ["/service-account-token"]


async def test_a_secret_revoked_in_mid_run_makes_what_is_left_fail(keycard, fake, server):
    for number in range(40):
        fake.add_account("org-1", f"account-{number}")
    fake.token_uses = 10
    source = keycard(**PAIR, concurrency=1)
    units = await source.collector.units()
    fake.clients.clear()

    read = await source.read_unit(units[0])

    assert (read.status, read.reason) == ("partial", "authentication_failed")
    assert "/service-account-token" in str(read.error)


async def test_an_expired_static_token_fails_the_source(keycard, fake):
    source = keycard()
    fake.token = "another"

    with pytest.raises(AuthenticationFailed, match="wrong, revoked or expired"):
        await source.collector.units()


@pytest.mark.parametrize("token", ["", "a\nb", "tök"])
async def test_a_token_no_header_can_carry_is_a_configuration_error(keycard, token):
    with pytest.raises(ConfigError):
        keycard(token=token)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"token": "t", "client_id": "c", "client_secret": "s"},
        {"client_id": "c"},
        {"client_secret": "s"},
        {"token": "t", "client_id": "c"},
        {"token": "t", "organizations": []},
        {"token": "t", "organizations": 7},
        {"token": "t", "base_url": "http://api.keycard.ai"},
        {"token": "t", "permissions_subject": "nobody"},
        {"token": "t", "usage_tracked_since": "2026-01-01T00:00:00"},
        {"token": "t", "usage_tracked_since": "lately"},
        {"token": "t", "tokn": "t"},
    ],
)
def test_options_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValidationError):
        KeycardOptions(name="k", provider="keycard", **wrong)


def test_references_are_accepted_before_they_are_resolved():
    options = KeycardOptions(
        name="k", provider="keycard", token="${env:TOKEN}", base_url="${env:URL}"
    )

    assert options.organizations == "all"


def test_options_do_not_show_their_secrets():
    shown = repr(KeycardOptions(name="k", provider="keycard", **PAIR))

    assert SECRET not in shown


@pytest.mark.parametrize(
    "fault",
    [
        {"reply": Reply(401, {"message": SECRET})},
        {"reply": Reply(403, {"message": SECRET})},
        {"reply": Reply(500, SECRET.encode())},
        {"reply": Reply(200, SECRET.encode())},
        {"reply": Reply(200, {"items": [{"id": "x", "client_secret": SECRET}], "page_info": 1})},
        {"reply": Reply(302, headers={"Location": f"https://evil.example/?{SECRET}"})},
        {"raw": SECRET.encode()},
    ],
)
@pytest.mark.parametrize("path", ["/service-account-token", "/organizations"])
async def test_no_secret_and_no_body_comes_out_of_any_failure(keycard, server, caplog, path, fault):
    caplog.set_level(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    server.fault(path, **fault)

    with pytest.raises(SourceError) as caught:
        await keycard(**PAIR).collector.units()

    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "CANARY" not in shown
    assert "evil.example/?" not in shown


async def test_a_cross_origin_redirect_or_cursor_never_receives_the_token(keycard, server, fake):
    thief = fake.server()
    with thief:
        server.fault(
            "/organizations/org-1/service-accounts",
            reply=Reply(307, headers={"Location": f"{thief.url}/steal"}),
        )
        server.fault(
            "/organizations/org-2/service-accounts",
            reply=Reply(
                200,
                {
                    "items": [],
                    "page_info": {"has_next_page": True, "end_cursor": f"{thief.url}/next"},
                },
            ),
        )
        read = await keycard().read()
        assert thief.requests == []

    assert (read["org-1"].status, read["org-1"].reason) == ("failed", "unexpected_response")
    assert read["org-2"].status in ("partial", "failed")
