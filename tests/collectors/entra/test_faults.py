"""One failure at a time: logging in, refusals, limits, broken answers."""

import asyncio
import builtins
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from auditor.collectors.entra import EntraOptions
from auditor.errors import AuthenticationFailed, ConfigError
from auditor.model import Organization, Status
from tests.collectors.reading import read_unit
from tests.fakes.entra import TENANT, FakeEntra, secret
from tests.fakes.http import Reply

LISTS = {"/v1.0/applications": "object-erp", "/v1.0/servicePrincipals": "principal-saml"}
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem() -> str:
    """A certificate of the test's own, with its key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "auditor")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_KEY.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=365))
        .sign(_KEY, SHA256())
    )
    key = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (built.public_bytes(Encoding.PEM) + key).decode()


async def test_a_secret_fetches_one_token_for_both_paces(read, fake, server):
    assert (await read()).status == "complete"
    assert len(fake.issued) == 1
    assert server.paths()[0] == f"/{TENANT}/oauth2/v2.0/token"


async def test_a_certificate_signs_who_asks(read, fake, server):
    fake.public_key = _KEY.public_key()

    assert (await read(certificate=pem())).status == "complete"
    (claims,) = fake.assertions
    assert claims["aud"] == f"{server.url}/{TENANT}/oauth2/v2.0/token"
    assert claims["exp"] - claims["nbf"] <= 700
    digest = x509.load_pem_x509_certificate(pem().encode()).fingerprint(SHA256())
    assert len(digest) == 32
    assert len(claims["x5t#S256"]) == 43


async def test_a_federated_token_is_read_when_it_is_needed(read, fake, tmp_path):
    (tmp_path / "token").write_text(f"{fake.assertion}\n")

    assert (await read(assertion_file="token")).status == "complete"


@pytest.mark.parametrize("content", [None, "", "CANARY-untrusted"])
async def test_a_federated_token_that_does_not_work_is_an_authentication_failure(
    entra, tmp_path, content
):
    if content is not None:
        (tmp_path / "token").write_text(content)

    with pytest.raises(AuthenticationFailed) as caught:
        await entra(assertion_file="token").units()

    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("cut", ["", "nothing", "-----BEGIN CERTIFICATE-----\nx"])
async def test_a_certificate_that_cannot_sign_is_a_configuration_error(entra, cut):
    with pytest.raises(ConfigError, match="certificate"):
        entra(certificate=cut)


async def test_a_missing_library_is_named_with_its_extra(entra, monkeypatch):
    real = builtins.__import__

    def without_jwt(name, *rest, **more):
        if name == "jwt":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_jwt)

    with pytest.raises(ConfigError, match=r"auditor\[entra\]"):
        entra(certificate="x")


async def test_a_wrong_secret_is_an_authentication_failure(entra):
    with pytest.raises(AuthenticationFailed, match="invalid_client") as caught:
        await entra(client_secret="CANARY-wrong").units()

    assert "CANARY" not in str(caught.value)


async def test_a_token_that_ends_in_mid_run_is_renewed(read, fake):
    for number in range(20):
        fake.add_application(f"a{number}", passwordCredentials=[secret(f"x{number}")])
    fake.token_uses = 15

    found = await read(concurrency=1)

    assert found.status == "complete"
    assert len(fake.issued) > 2


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(403, {"error": {"message": "CANARY"}}), "access_denied"),
        (Reply(404, {}), "not_found"),
        (Reply(200, b"<html>CANARY"), "unexpected_response"),
        (Reply(200, [1]), "unexpected_response"),
        (Reply(200, {"value": 7}), "unexpected_response"),
        (Reply(200, {}), "unexpected_response"),
        (Reply(200, {"value": [], "@odata.nextLink": 7}), "unexpected_response"),
    ],
)
async def test_a_list_that_cannot_be_read_is_a_gap_and_the_rest_goes_on(
    read, server, path, reply, reason
):
    server.fault(path, reply=reply)

    found = await read()

    assert (found.status, found.reason) == ("partial", reason)
    assert found.credentials
    assert not any(LISTS[path] in uid for uid in found.credentials)
    assert "CANARY" not in found.shown()


async def test_without_service_principals_status_and_rights_are_unknown(read, server):
    server.fault("/v1.0/servicePrincipals", reply=Reply(403, {}))

    one = (await read()).one("client_secret", "s1")

    assert (one.status, one.permissions) == (Status.UNKNOWN, None)


async def test_where_nothing_may_be_read_the_tenant_fails(read, server):
    for path in LISTS:
        server.fault(path, reply=Reply(403, {}))

    found = await read()

    assert (found.status, found.reason) == ("failed", "access_denied")


async def test_an_empty_tenant_is_complete(read, fake):
    fake.applications.clear()
    fake.principals.clear()

    found = await read()

    assert (found.status, found.credentials) == ("complete", {})


@pytest.mark.parametrize("record", [None, 7, "x", [], {}, {"id": True}, {"id": ""}])
async def test_records_of_the_wrong_type_are_gaps(read, server, record):
    for path in LISTS:
        server.fault(path, reply=Reply(200, {"value": [record]}))

    found = await read()

    assert (found.status, found.reason) == ("partial", "malformed_record")


@pytest.mark.parametrize("key", ["passwordCredentials", "keyCredentials"])
@pytest.mark.parametrize("value", [None, 7, "absent"])
async def test_a_list_of_credentials_that_did_not_come_is_a_gap(read, fake, key, value):
    fake.applications[0] |= {key: value}
    if value == "absent":
        del fake.applications[0][key]

    found = await read()

    assert (found.status, found.reason) == ("partial", "unexpected_response")


async def test_fields_of_the_wrong_type_leave_facts_unknown(read, fake):
    fake.applications[0] |= {
        "passwordCredentials": [secret("s9", displayName=7, startDateTime={}, endDateTime=3), 7],
        "createdDateTime": [],
    }
    fake.federated["object-erp"] = [{"id": "f9", "audiences": 7, "issuer": 7}]
    fake.owners["object-erp"] = [7, {"displayName": 3}]
    fake.credential_sign_ins += [7, {"appId": "app-erp", "keyId": "s9", "signInActivity": 3}]
    fake.application_sign_ins += [7, {"appId": 7}]
    fake.assignments["principal-erp"] += [7, {"appRoleId": 7}]
    fake.grants += [7, {"clientId": 7}]

    found = await read()

    assert (found.status, found.reason) == ("partial", "malformed_record")
    assert found.one("client_secret", "s9").expires_state == "unknown"
    assert found.one("federated_credential", "f9").restrictions is None


async def test_a_trust_that_cannot_be_read_is_a_gap(read, server):
    server.fault("*/federatedIdentityCredentials", reply=Reply(403, {}))

    found = await read()

    assert (found.status, found.reason) == ("partial", "access_denied")
    assert found.one("client_secret", "s1").name == "secret s1"


async def test_being_asked_to_wait_is_heeded(read, server):
    for path in (*LISTS, "/beta/reports/appCredentialSignInActivities"):
        server.fault(path, reply=Reply(429, {}, {"Retry-After": "0"}), times=1)
    server.fault("/v1.0/oauth2PermissionGrants", reply=Reply(503, b""), times=1)

    found = await read()

    assert (found.status, found.notes) == ("complete", [])


async def test_server_errors_end_what_is_left(read, server):
    server.fault("/v1.0/applications", reply=Reply(500, b"CANARY"))

    found = await read()

    assert (found.status, found.reason) == ("partial", "unavailable")
    assert "CANARY" not in found.shown()


@pytest.mark.parametrize("kind", ["link", "redirect"])
@pytest.mark.parametrize("path", [*LISTS, "/beta/reports/appCredentialSignInActivities"])
async def test_nothing_is_sent_to_another_origin(read, server, kind, path):
    with FakeEntra().server() as thief:
        reply = Reply(200, {"value": [], "@odata.nextLink": f"{thief.url}/steal"})
        if kind == "redirect":
            reply = Reply(302, b"", {"Location": f"{thief.url}/steal"})
        server.fault(path, reply=reply)
        found = await read()

        assert thief.requests == []
    assert found.reason == "unexpected_response" or found.notes


async def test_a_next_link_in_a_circle_ends_as_a_gap(read, fake, server):
    link = f"{server.url}/v1.0/applications?$skiptoken=1"
    server.fault(
        "/v1.0/applications",
        reply=Reply(200, {"value": fake.applications, "@odata.nextLink": link}),
    )

    found = await read()

    assert (found.status, found.reason) == ("partial", "repeated_cursor")
    assert found.one("client_secret", "s1").name == "secret s1"


async def test_the_name_of_the_tenant_is_not_needed(entra, server):
    server.fault("/v1.0/organization", reply=Reply(403, {}))
    (unknown,) = await entra().units()
    (known,) = await entra(known=[Organization(TENANT, "Acme")]).units()

    assert unknown.organization == Organization(TENANT, TENANT)
    assert known.organization == Organization(TENANT, "Acme")


async def test_reading_can_be_cancelled_in_mid_page(entra, fake, server):
    for number in range(30):
        fake.add_application(f"a{number}", passwordCredentials=[secret(f"x{number}")])
    server.fault("*/owners", delay=30)
    source = entra()
    (unit,) = await source.units()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await read_unit(source, unit)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"client_secret": "s", "certificate": "c"},
        {"client_secret": "s", "tenant_id": "acme.onmicrosoft.com"},
        {"client_secret": "s", "base_url": "http://graph.example.com"},
        {"client_secret": "s", "reports_per_second": 0},
    ],
)
def test_options_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValidationError):
        EntraOptions(
            **({"name": "e", "provider": "entra", "tenant_id": TENANT, "client_id": "c"} | wrong)
        )


def test_options_do_not_show_their_secrets():
    options = EntraOptions(
        name="e", provider="entra", tenant_id=TENANT, client_id="c", client_secret="CANARY"
    )

    assert "CANARY" not in repr(options)
