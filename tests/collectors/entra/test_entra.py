"""What is listed of a tenant, what it may do and when it was used, over real HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from auditor.model import (
    ExpiresState,
    LastUsedState,
    LastUsedSubject,
    Organization,
    PrincipalType,
    Status,
)
from auditor.policy.privilege import classify, reasons
from tests.fakes.entra import GRAPH, TENANT, certificate, secret
from tests.fakes.http import Reply

USED = datetime(2026, 2, 20, 22, 17, 36, 480000, tzinfo=UTC)


async def test_everything_applications_log_in_with_is_read(read):
    found = await read()

    assert sorted(found.credentials) == [
        f"entra:{TENANT}/object-erp:client_certificate:c1",
        f"entra:{TENANT}/object-erp:client_secret:s1",
        f"entra:{TENANT}/object-erp:federated_credential:f1",
        f"entra:{TENANT}/principal-saml:client_secret:s2",
    ]
    assert (found.status, found.notes) == ("complete", [])


async def test_a_secret_has_its_facts(read):
    one = (await read()).one("client_secret", "s1")

    assert (one.type, one.name, one.client_id) == ("Client Secret", "secret s1", "app-erp")
    assert (one.principal.id, one.principal.name) == ("object-erp", "erp")
    assert one.principal.type is PrincipalType.APPLICATION
    assert one.organization == Organization(TENANT, "Acme")
    assert one.owner == "ann@example.com"
    assert one.created_at == datetime(2025, 2, 1, 10, 11, 12, 123456, tzinfo=UTC)
    assert (one.expires_state, one.status) == (ExpiresState.AT, Status.ACTIVE)
    assert (one.last_used_state, one.last_used_at) == (LastUsedState.USED, USED)
    assert one.last_used_precision == timedelta(days=1)
    assert one.permissions == {"Microsoft Graph": {"User.Read.All": True}}
    assert classify(one).privilege == "read"


async def test_a_certificate_and_a_trust_have_theirs(read):
    found = await read()
    key, trust = found.one("client_certificate"), found.one("federated_credential")

    assert (key.type, key.fingerprint) == ("Client Certificate", "5tC0m0Gk2y2lq9pJ1n6m1w7y3bU=")
    assert (trust.type, trust.name) == ("Federated Credential", "deploy")
    assert trust.restrictions == {
        "issuer": "https://token.example.com",
        "subject": "repo:acme/web:ref:refs/heads/main",
        "audiences": ["api://AzureADTokenExchange"],
    }
    assert (trust.created_at, trust.expires_state) == (None, ExpiresState.UNSUPPORTED)
    assert trust.permissions == key.permissions


@pytest.mark.parametrize(
    ("fields", "status", "state"),
    [
        ({}, Status.ACTIVE, ExpiresState.AT),
        ({"endDateTime": "2026-01-01T00:00:00Z"}, Status.EXPIRED, ExpiresState.AT),
        ({"endDateTime": None}, Status.ACTIVE, ExpiresState.NEVER),
        ({"endDateTime": "2299-12-31T05:00:00Z"}, Status.ACTIVE, ExpiresState.NEVER),
        ({"endDateTime": "9999-12-31T23:59:59Z"}, Status.ACTIVE, ExpiresState.NEVER),
        ({"endDateTime": "2027-01-01T00:00:00-8:00"}, Status.ACTIVE, ExpiresState.UNKNOWN),
    ],
)
async def test_the_end_of_a_secret(read, fake, fields, status, state):
    fake.applications[0]["passwordCredentials"] = [secret("s9", **fields)]

    one = (await read()).one("client_secret", "s9")

    assert (one.status, one.expires_state) == (status, state)


async def test_a_secret_is_not_older_than_its_application(read, fake):
    early = secret("s9", startDateTime="2001-01-01T00:00:00Z")
    late = secret("s10", startDateTime="2031-01-01T00:00:00Z")
    fake.applications[0]["passwordCredentials"] = [early, late]

    found = await read()

    assert found.one("client_secret", "s9").created_at == datetime(
        2021, 5, 4, 9, 31, 12, tzinfo=UTC
    )
    assert found.one("client_secret", "s10").created_at is None


@pytest.mark.parametrize(
    ("application", "principal", "status"),
    [
        ({}, {}, Status.ACTIVE),
        ({}, {"accountEnabled": False}, Status.INACTIVE),
        ({}, {"accountEnabled": None}, Status.UNKNOWN),
        ({"disabledByMicrosoftStatus": "NotDisabled"}, {}, Status.ACTIVE),
        ({"disabledByMicrosoftStatus": "DisabledDueToViolation"}, {}, Status.INACTIVE),
    ],
)
async def test_the_status_of_a_secret(read, fake, application, principal, status):
    fake.applications[0] |= application
    fake.principals[0] |= principal

    assert (await read()).one("client_secret", "s1").status is status


async def test_a_saml_pair_of_certificates_is_one(read, fake):
    fake.add_principal(
        "sso",
        keyCredentials=[
            certificate("c8", usage="Sign", type="X509CertAndPassword"),
            certificate("c9", usage="Verify"),
            certificate("c10", usage="Verify", customKeyIdentifier="another"),
        ],
    )

    found = await read()

    assert found.one("signing_certificate").type == "SAML Signing Certificate"
    assert found.one("client_certificate", "c10").principal.name == "sso"
    assert not any(uid.endswith("c9") for uid in found.credentials)


async def test_certificates_of_managed_identities_are_microsofts(read, fake):
    fake.add_principal(
        "mi", servicePrincipalType="ManagedIdentity", keyCredentials=[certificate("c8")]
    )

    assert not any("principal-mi" in uid for uid in (await read()).credentials)


async def test_dangerous_permissions_are_named(read, fake):
    fake.assign("erp", "Application.ReadWrite.All")
    fake.assign("erp", "00000000-0000-0000-0000-000000000000")
    fake.add_consent("erp", " Directory.ReadWrite.All openid ")
    fake.add_consent("erp", "Mail.Send", consent="Principal")
    fake.directory_roles.append(
        {
            "id": "r1",
            "principalId": "principal-erp",
            "roleDefinition": {"id": "x", "displayName": "Privileged Role Administrator"},
        }
    )

    one = classify((await read()).one("client_secret", "s1"))

    assert one.permissions == {
        "Microsoft Graph": {"Application.ReadWrite.All": True, "User.Read.All": True},
        "Microsoft Graph (delegated)": {"Directory.ReadWrite.All": True, "openid": True},
        "directory role": {"Privileged Role Administrator": True},
    }
    assert one.privilege == "admin"
    assert reasons(one) == [
        "Microsoft Graph (delegated):Directory.ReadWrite.All",
        "Microsoft Graph:Application.ReadWrite.All",
        "directory role:Privileged Role Administrator",
    ]


async def test_a_permission_its_api_no_longer_names_keeps_its_id(read, fake):
    fake.assign("erp", "11111111-2222-3333-4444-555555555555")

    one = classify((await read()).one("client_secret", "s1"))

    assert one.permissions is not None
    assert one.permissions["Microsoft Graph"]["11111111-2222-3333-4444-555555555555"]
    assert one.privilege == "write"


@pytest.mark.parametrize(
    "path",
    [
        "/v1.0/oauth2PermissionGrants",
        "/v1.0/roleManagement/directory/roleAssignments",
        "/v1.0/servicePrincipals/principal-erp/appRoleAssignments",
        f"/v1.0/servicePrincipals/{GRAPH}",
    ],
)
async def test_where_grants_are_hidden_rights_are_unknown(read, server, path):
    server.fault(path, reply=Reply(403, {}))

    found = await read()

    assert found.status == "complete"
    assert found.one("client_secret", "s1").permissions is None
    assert any("Not every grant could be read" in note for note in found.notes)


async def test_what_is_administration_already_stays_when_the_rest_is_hidden(read, fake, server):
    fake.assign("erp", "Application.ReadWrite.All")
    server.fault("/v1.0/oauth2PermissionGrants", reply=Reply(403, {}))

    one = classify((await read()).one("client_secret", "s1"))

    assert one.privilege == "admin"


@pytest.mark.parametrize(
    ("audience", "permissions"), [("AzureADMyOrg", {}), ("AzureADMultipleOrgs", None)]
)
async def test_an_application_without_a_principal_can_act_elsewhere_only(
    read, fake, audience, permissions
):
    fake.add_application(
        "loose", with_principal=False, signInAudience=audience, passwordCredentials=[secret("s9")]
    )

    assert (await read()).one("client_secret", "s9").permissions == permissions


async def test_resources_are_read_once(read, fake, server):
    for number in range(20):
        fake.add_application(f"a{number}", passwordCredentials=[secret(f"x{number}")])
        fake.assign(f"a{number}", "Mail.Read")

    await read()

    assert server.paths().count(f"/v1.0/servicePrincipals/{GRAPH}") == 1


async def test_a_credential_without_a_row_was_last_used_no_later_than_its_application(read):
    one = (await read()).one("client_certificate", "c1")

    assert one.last_used_state is LastUsedState.NOT_IN_WINDOW
    assert one.last_used_window_start == USED
    assert one.last_used_subject is LastUsedSubject.PRINCIPAL


async def test_a_window_does_not_begin_before_the_credential(read, fake):
    born = "2026-02-25T00:00:00Z"
    fake.applications[0]["passwordCredentials"] = [secret("s9", startDateTime=born)]

    one = (await read()).one("client_secret", "s9")

    assert one.last_used_window_start == datetime(2026, 2, 25, tzinfo=UTC)


async def test_no_time_anywhere_is_unknown_and_never_never(read, fake):
    fake.application_sign_ins.clear()
    fake.sign_in_as_application("erp", None)
    fake.sign_in("erp", "c1", None)

    found = await read()

    states = {one.provider_id: one.last_used_state for one in found.credentials.values()}
    assert states == {
        "s1": LastUsedState.USED,
        "c1": LastUsedState.UNKNOWN,
        "f1": LastUsedState.UNKNOWN,
        "s2": LastUsedState.UNKNOWN,
    }


async def test_an_empty_report_says_nothing(read, fake):
    fake.credential_sign_ins.clear()

    found = await read()

    assert {one.last_used_state for one in found.credentials.values()} == {LastUsedState.UNKNOWN}


async def test_the_newest_of_several_rows_counts(read, fake):
    fake.sign_in("erp", "S1", "2026-02-22T00:00:00Z")
    fake.sign_in("erp", "s1", "2026-01-01T00:00:00Z")
    fake.sign_in("erp", "s1", None)
    fake.sign_in("other", "s1", "2026-02-25T00:00:00Z")

    one = (await read()).one("client_secret", "s1")

    assert one.last_used_at == datetime(2026, 2, 22, tzinfo=UTC)


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_without_a_licence_use_is_unknown_and_a_note_says_why(read, server, status):
    server.fault("/beta/reports/*", reply=Reply(status, {"error": {"code": "CANARY"}}))

    found = await read()

    assert found.status == "complete"
    assert {one.last_used_state for one in found.credentials.values()} == {LastUsedState.UNKNOWN}
    assert any("P1 or P2" in note for note in found.notes)
    assert "CANARY" not in found.shown()


async def test_reports_and_trusts_can_be_left_out(read, server):
    found = await read(usage_reports=False, federated_credentials=False)

    assert len(found.credentials) == 3
    assert not any("reports" in path or "federated" in path for path in server.paths())


async def test_every_page_of_every_list_is_followed(read, fake):
    fake.page_size = 2
    for number in range(7):
        fake.add_application(f"a{number}", passwordCredentials=[secret(f"x{number}")])
        fake.assign("erp", "Mail.Read")
        fake.sign_in(f"a{number}", f"x{number}", "2026-02-01T00:00:00Z")
        fake.federated["object-erp"].append({"id": f"f-{number}", "name": "more"})

    found = await read()

    assert (found.status, len(found.credentials)) == ("complete", 4 + 7 + 7)
    assert found.one("client_secret", "x6").last_used_state is LastUsedState.USED


async def test_an_unread_owner_is_not_a_missing_one(read, fake, server):
    server.fault("/v1.0/applications/object-erp/owners", reply=Reply(403, {}))

    found = await read()

    assert found.one("client_secret", "s1").owner == "unknown (the owners could not be read)"
    assert found.one("client_secret", "s2").owner is None


async def test_the_same_key_id_on_two_objects_is_two_credentials(read, fake):
    fake.principals[0]["passwordCredentials"] = [secret("s1")]

    found = await read()

    assert sum(uid.endswith(":s1") for uid in found.credentials) == 2
    assert found.duplicates == 0


async def test_reading_again_gives_the_same_uids_and_no_secret(read):
    first, second = await read(), await read()

    assert sorted(first.credentials) == sorted(second.credentials)
    assert "CANARY" not in first.shown()


async def test_check_names_what_is_missing(entra, server):
    server.fault("/beta/reports/servicePrincipal*", reply=Reply(403, {}))

    rows = await entra().check()

    assert [row.permission for row in rows if not row.is_granted] == ["AuditLog.Read.All"]
    assert (len(rows), rows[0].subject) == (6, "Acme")
