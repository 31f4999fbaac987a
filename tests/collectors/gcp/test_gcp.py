"""What is listed of a project, and what it may do, over real HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from auditor.model import ExpiresState, LastUsedState, Organization, PrincipalType, Status
from auditor.policy.privilege import classify
from tests.collectors.reading import read_all
from tests.fakes.gcp import SECRET
from tests.fakes.http import Reply

CI = "ci@acme.iam.gserviceaccount.com"
MEMBER = f"serviceAccount:{CI}"


async def test_every_part_of_every_project_is_read(gcp):
    read = await read_all(gcp())

    assert sorted(read["acme"].credentials) == [
        "gcp:acme/117300000000000000000:service_account_key:key1",
        "gcp:acme:api_key:api1",
        "gcp:acme:hmac_key:GOOG1",
    ]
    assert {key: one.status for key, one in read.items()} == {
        "acme": "complete",
        "beta": "complete",
    }
    assert read["beta"].credentials == {}


async def test_a_key_of_a_service_account_has_its_facts(gcp):
    key = (await read_all(gcp()))["acme"].one("service_account_key")

    assert (key.type, key.provider_id, key.principal.name) == ("Service Account Key", "key1", CI)
    assert key.principal.type is PrincipalType.SERVICE_ACCOUNT
    assert (key.organization.id, key.organization.name) == ("acme", "Acme")
    assert (key.expires_state, key.expires_at) == (ExpiresState.NEVER, None)
    assert (key.key_algorithm, key.key_bits) == ("RSA", 2048)
    assert key.owner == "ci-team@example.com"
    assert key.tags == {"team": "platform", "key_origin": "GOOGLE_PROVIDED"}
    assert key.last_used_state is LastUsedState.USED
    assert key.last_used_at == datetime(2026, 2, 18, 7, tzinfo=UTC)
    assert key.last_used_precision == timedelta(days=1)
    assert key.data_as_of == datetime(2026, 2, 27, 7, tzinfo=UTC)
    assert classify(key).privilege == "read"


@pytest.mark.parametrize(
    ("created", "row", "state"),
    [
        ("2025-06-01T00:00:00Z", {}, LastUsedState.NEVER),
        ("2024-06-01T00:00:00Z", {}, LastUsedState.NOT_IN_WINDOW),
        ("2025-01-10T07:00:00Z", {}, LastUsedState.NEVER),
        (None, {}, LastUsedState.NOT_IN_WINDOW),
        ("2024-06-01T00:00:00Z", None, LastUsedState.UNKNOWN),
        ("2024-06-01T00:00:00Z", {"used": "2026-02-01T08:00:00Z"}, LastUsedState.USED),
        ("2024-06-01T00:00:00Z", {"used": "lately"}, LastUsedState.UNKNOWN),
        ("2024-06-01T00:00:00Z", {"observationPeriod": {}}, LastUsedState.UNKNOWN),
    ],
)
async def test_what_a_row_of_the_policy_analyzer_means(gcp, fake, created, row, state):
    fake.add_key(CI, "key2", validAfterTime=created)
    if row is not None:
        fake.add_activity(CI, "key2", **row)

    key = (await read_all(gcp()))["acme"].one("service_account_key", "key2")

    assert key.last_used_state is state


async def test_rows_of_an_account_that_had_the_same_email_before_do_not_count(gcp, fake):
    fake.add_key(CI, "key2")
    row = fake.add_activity(CI, "key2", "2026-02-01T07:00:00Z")
    row["activity"]["serviceAccountKey"]["serviceAccountId"] = "999"

    key = (await read_all(gcp()))["acme"].one("service_account_key", "key2")

    assert key.last_used_state is LastUsedState.UNKNOWN


async def test_without_the_policy_analyzer_use_is_unknown_and_a_note_says_why(gcp, server):
    server.fault("*activities:query", reply=Reply(403, {"error": {"message": SECRET}}))

    read = (await read_all(gcp()))["acme"]

    assert read.status == "complete"
    assert read.one("service_account_key").last_used_state is LastUsedState.UNKNOWN
    assert any("403" in note for note in read.notes)
    assert SECRET not in read.shown()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, Status.ACTIVE),
        ({"disabled": True}, Status.INACTIVE),
        ({"validBeforeTime": "2026-01-01T00:00:00Z"}, Status.EXPIRED),
        ({"validBeforeTime": "2027-01-01T00:00:00Z"}, Status.ACTIVE),
    ],
)
async def test_the_status_of_a_key(gcp, fake, fields, status):
    fake.add_key(CI, "key2", **fields)

    key = (await read_all(gcp()))["acme"].one("service_account_key", "key2")

    assert key.status is status


async def test_a_disabled_account_disables_what_it_holds(gcp, fake):
    off = fake.add_account("acme", "off", disabled=True)
    fake.add_key(off, "key2")
    fake.add_hmac_key("acme", "GOOG2", off)
    fake.add_hmac_key("acme", "GOOG3", "elsewhere@other.iam.gserviceaccount.com")
    fake.add_hmac_key("acme", "GOOG4", CI, state="INACTIVE")

    read = (await read_all(gcp()))["acme"]

    assert read.one("service_account_key", "key2").status is Status.INACTIVE
    assert read.one("hmac_key", "GOOG1").status is Status.ACTIVE
    assert read.one("hmac_key", "GOOG2").status is Status.INACTIVE
    assert read.one("hmac_key", "GOOG3").status is Status.UNKNOWN
    assert read.one("hmac_key", "GOOG4").status is Status.INACTIVE


async def test_a_key_google_found_in_public_says_so_without_the_address(gcp, fake):
    fake.add_key(
        CI,
        "key2",
        disabled=True,
        disableReason="SERVICE_ACCOUNT_KEY_DISABLE_REASON_EXPOSED",
        extendedStatus=[
            {
                "key": "SERVICE_ACCOUNT_KEY_EXTENDED_STATUS_KEY_EXPOSED",
                "value": f"https://example.com/{SECRET}",
            }
        ],
    )

    read = (await read_all(gcp()))["acme"]

    assert read.one("service_account_key", "key2").tags["key_exposed"] == "true"
    assert SECRET not in read.shown()


async def test_keys_that_google_manages_are_not_listed(gcp, fake, server):
    fake.add_key(CI, "key2", keyType="SYSTEM_MANAGED")

    assert len((await read_all(gcp()))["acme"].credentials) == 3
    assert any("keyTypes=USER_MANAGED" in request.target for request in server.requests)


async def test_an_api_key_shows_what_narrows_it(gcp, fake):
    fake.add_api_key(
        "acme",
        "api2",
        restrictions={
            "apiTargets": [{"service": "maps-backend.googleapis.com"}],
            "browserKeyRestrictions": {"allowedReferrers": ["https://shop.example.com/*"]},
        },
    )
    fake.add_api_key("acme", "api3", serviceAccountEmail=CI)

    read = (await read_all(gcp()))["acme"]

    open_key, narrow, bound = (read.one("api_key", f"api{n}") for n in (1, 2, 3))
    assert (open_key.type, open_key.restrictions) == ("API Key", None)
    assert (open_key.permissions, open_key.last_used_state) == (None, LastUsedState.UNKNOWN)
    assert open_key.expires_state is ExpiresState.UNSUPPORTED
    assert narrow.restrictions == {
        "services": ["maps-backend.googleapis.com"],
        "allowed_referrers": ["https://shop.example.com/*"],
    }
    assert (bound.principal.name, bound.permissions) == (CI, {"role": {"roles/viewer": True}})


@pytest.mark.parametrize("level", ["projects/acme", "folders/7", "organizations/55"])
async def test_roles_are_inherited_from_everything_above(gcp, fake, level):
    fake.policies["projects/acme"] = []
    fake.policies[level] = [
        {"role": "roles/owner", "members": ["user:a@b.c", MEMBER], "condition": {"title": "x"}},
        {"role": "roles/browser", "members": [f"deleted:{MEMBER}?uid=1"]},
    ]

    key = (await read_all(gcp()))["acme"].one("service_account_key")

    assert key.permissions == {"role": {"roles/owner": True}}
    assert classify(key).privilege == "admin"


async def test_custom_roles_are_opened(gcp, fake):
    role = "organizations/55/roles/deployer"
    fake.policies["organizations/55"] = [{"role": role, "members": [MEMBER]}]
    fake.roles[role] = ["iam.serviceAccounts.actAs", "storage.objects.get"]

    key = (await read_all(gcp()))["acme"].one("service_account_key")

    assert key.permissions == {
        "role": {"roles/viewer": True},
        "iam.serviceAccounts": {"actAs": True},
        "storage.objects": {"get": True},
    }
    assert classify(key).privilege == "admin"


@pytest.mark.parametrize("missing", ["organizations/55", "folders/7", "projects/acme"])
async def test_where_a_level_is_hidden_rights_are_unknown_unless_they_are_administration(
    gcp, fake, missing
):
    del fake.policies[missing]
    boss = fake.add_account("acme", "boss")
    fake.add_key(boss, "key2")
    above = next(level for level in ("folders/7", "organizations/55") if level != missing)
    fake.policies[above] = [{"role": "roles/editor", "members": [f"serviceAccount:{boss}"]}]

    read = (await read_all(gcp()))["acme"]

    assert read.status == "complete"
    assert read.one("service_account_key", "key1").permissions is None
    assert read.one("service_account_key", "key2").permissions is not None
    assert any("Not every role could be read" in note for note in read.notes)


async def test_a_custom_role_that_cannot_be_opened_leaves_others_alone(gcp, fake):
    other = fake.add_account("acme", "other")
    fake.add_key(other, "key2")
    fake.policies["projects/acme"] += [
        {"role": "projects/acme/roles/hidden", "members": [f"serviceAccount:{other}"]}
    ]

    read = (await read_all(gcp()))["acme"]

    assert read.one("service_account_key", "key1").permissions == {"role": {"roles/viewer": True}}
    assert read.one("service_account_key", "key2").permissions is None


async def test_what_lies_above_is_read_once_for_all_projects(gcp, fake, server):
    for number in range(20):
        fake.add_project(f"more-{number}", "folders/7")

    read = await read_all(gcp())

    assert {one.status for one in read.values()} == {"complete"}
    assert server.paths().count("/v3/folders/7") == 1
    assert server.paths().count("/v3/organizations/55:getIamPolicy") == 1


@pytest.mark.parametrize("starts_empty", [False, True])
async def test_every_page_of_every_list_is_followed(gcp, fake, starts_empty):
    fake.page_size = 2
    fake.starts_empty = starts_empty
    for number in range(5):
        fake.add_project(f"more-{number}")
        email = fake.add_account("acme", f"sa-{number}")
        fake.add_key(email, f"key-{number}")
        fake.add_activity(email, f"key-{number}", "2026-02-01T07:00:00Z")
        fake.add_api_key("acme", f"api-{number}")
        fake.add_hmac_key("acme", f"GOOG-{number}", email)

    read = await read_all(gcp())

    assert len(read) == 7
    assert len(read["acme"].credentials) == 18
    keys = [c for c in read["acme"].credentials.values() if c.type == "Service Account Key"]
    assert {key.last_used_state for key in keys} == {LastUsedState.USED}


async def test_projects_can_be_named(gcp):
    read = await read_all(gcp(projects=["acme", "gone"]))

    assert (read["acme"].status, read["gone"].status) == ("complete", "failed")
    assert read["gone"].reason == "access_denied"


async def test_an_organization_narrows_the_projects_to_those_below_it(gcp, fake):
    fake.add_project("foreign", "organizations/66")
    fake.add_project("alone", parent=None)
    fake.add_project("hidden", "folders/8")

    read = await read_all(gcp(organization="organizations/55"))

    assert sorted(read) == ["acme", "beta", "hidden"]
    assert read["hidden"].status == "failed"


async def test_projects_of_scripts_and_those_being_deleted_are_left_out(gcp, fake):
    fake.add_project("sys-1234")
    fake.add_project("leaving", state="DELETE_REQUESTED")

    assert sorted(await read_all(gcp())) == ["acme", "beta"]


async def test_a_project_that_is_no_longer_listed_is_asked_for(gcp, fake):
    fake.add_project("leaving", state="DELETE_REQUESTED")
    known = [Organization("leaving", "Leaving"), Organization("hidden", "Hidden")]

    read = await read_all(gcp(known=known))

    assert sorted(read) == ["acme", "beta", "hidden"]
    assert (read["hidden"].status, read["hidden"].reason) == ("failed", "access_denied")


async def test_reading_again_gives_the_same_uids_and_no_secret(gcp):
    first, second = await read_all(gcp()), await read_all(gcp())

    assert list(first["acme"].credentials) == list(second["acme"].credentials)
    assert "CANARY" not in first["acme"].shown()


async def test_parts_left_out_are_not_asked_for(gcp, server):
    read = (await read_all(gcp(read=["hmac_keys"])))["acme"]

    assert {one.type for one in read.credentials.values()} == {"HMAC Key"}
    assert not any("keys" in path or "activities" in path for path in server.paths())


async def test_check_names_what_is_missing(gcp, fake):
    del fake.policies["projects/acme"]

    rows = await gcp().check()

    assert [(row.subject, row.permission) for row in rows if not row.is_granted] == [
        ("acme", "resourcemanager.projects.getIamPolicy")
    ]
    assert len(rows) == 10
