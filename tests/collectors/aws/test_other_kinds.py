"""What is not an access key: service-specific credentials, passwords, certificates, SSH keys."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from auditor.collectors._aws.x509 import read_certificate
from auditor.model import ExpiresState, LastUsedState, Status

DAY = timedelta(days=1)


def specific(number, now, **changes):
    return {
        "UserName": "ci",
        "Status": "Active",
        "ServiceCredentialAlias": f"alias-{number}",
        "ServiceSpecificCredentialId": f"ACCA{number:016}",
        "ServiceName": "bedrock.amazonaws.com",
        "CreateDate": now - 90 * DAY,
        **changes,
    }


async def test_api_keys_of_bedrock_and_cloudwatch_are_found_with_their_end(account, source, now):
    account.user("ci", now - 100 * DAY, owner="ai@example.com")
    account.specific = [
        specific(1, now, ExpirationDate=now + 9 * DAY),
        specific(2, now, ServiceName="logs.amazonaws.com"),
        specific(3, now, ExpirationDate=now - DAY),
        specific(4, now, ServiceName="codecommit.amazonaws.com", ServiceUserName="ci-at-1234"),
        specific(5, now, Status="Expired"),
    ]
    found = list((await source().read()).credentials.values())
    assert [c.type for c in found] == [
        "API Key",
        "API Key",
        "API Key",
        "Service-Specific Credential",
        "API Key",
    ]
    assert [c.expires_state for c in found] == [
        ExpiresState.AT,
        ExpiresState.NEVER,
        ExpiresState.AT,
        ExpiresState.UNSUPPORTED,
        ExpiresState.NEVER,
    ]
    assert [c.status for c in found] == [
        Status.ACTIVE,
        Status.ACTIVE,
        Status.EXPIRED,
        Status.ACTIVE,
        Status.EXPIRED,
    ]
    assert {c.last_used_state for c in found} == {LastUsedState.UNKNOWN}
    assert {c.owner for c in found} == {"ai@example.com"}
    assert found[3].client_id == "ci-at-1234"
    assert found[0].uid == "aws:123456789012:ssc:ACCA0000000000000001"


async def test_they_are_paged_and_asked_for_by_service_where_all_at_once_is_refused(
    account, fake, source, now
):
    account.user("ci", now - 100 * DAY)
    account.specific = [specific(n, now) for n in range(250)]
    assert len((await source().read()).credentials) == 250
    account.unsupported_all_users = True
    account.specific[7]["ServiceName"] = "cassandra.amazonaws.com"
    assert len((await source().read()).credentials) == 250
    fake.calls.clear()
    assert (await source(service_specific_credentials=False).read()).credentials == {}
    assert fake.calls["ListServiceSpecificCredentials"] == 0


async def test_passwords_are_listed_by_option(account, source, now):
    for name in ("ann", "bob", "old", "program"):
        account.user(name, datetime(2013, 1, 1, tzinfo=UTC) if name == "old" else now - 90 * DAY)
    users = account.backend.users
    for name in ("ann", "bob", "old"):
        users[name].password = "canary-password"
    users["ann"].password_last_used = (now - 3 * DAY).replace(tzinfo=None)
    assert (await source().read()).credentials == {}
    found = (await source(console_passwords=True).read()).credentials
    assert sorted(found) == ["ann", "bob", "old"]
    assert {c.type for c in found.values()} == {"Console Password"}
    assert found["ann"].last_used_at == now - 3 * DAY
    assert found["ann"].last_used_precision == timedelta(minutes=5)
    assert found["bob"].last_used_state is LastUsedState.NEVER
    assert found["old"].last_used_state is LastUsedState.NOT_IN_WINDOW
    assert found["ann"].uid == "aws:123456789012:password:ann"


def certificate(now, ends):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ci")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(2**100)
        .not_valid_before(now - 900 * DAY)
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


async def test_signing_certificates_are_asked_for_only_where_a_slot_is_taken(
    account, fake, source, now
):
    for name in ("ci", "other"):
        account.user(name, now - 90 * DAY)
    good = account.backend.upload_signing_certificate("ci", certificate(now, now + 40 * DAY))
    ended = account.backend.upload_signing_certificate("ci", certificate(now, now - 4 * DAY))
    found = (await source(signing_certificates=True).read()).credentials
    assert fake.calls["ListSigningCertificates"] == 1
    assert found[good.id].type == "Signing Certificate"
    assert found[good.id].expires_at == now + 40 * DAY
    assert found[good.id].last_used_state is LastUsedState.UNKNOWN
    assert found[ended.id].status is Status.EXPIRED


def test_the_end_of_a_certificate_is_read_as_the_library_reads_it(now):
    for ends in (now + DAY, datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), now + 30000 * DAY):
        read = read_certificate(certificate(now, ends))
        assert read is not None
        assert read.expires_at == ends
    assert read_certificate("no certificate") is None
    assert read_certificate("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----") is None
    damaged = read_certificate("-----BEGIN CERTIFICATE-----\nMIIBaaaa\n-----END CERTIFICATE-----")
    assert damaged is not None
    assert damaged.expires_at is None


async def test_ssh_keys_are_asked_for_by_option(account, fake, source, now):
    account.user("ci", now - 90 * DAY)
    key = account.backend.upload_ssh_public_key("ci", "ssh-rsa AAAA")
    assert fake.calls["ListSSHPublicKeys"] == 0
    found = (await source(ssh_public_keys=True).read()).credentials
    assert found[key.ssh_public_key_id].type == "SSH Key"
    assert found[key.ssh_public_key_id].expires_state is ExpiresState.UNSUPPORTED
