"""What is listed of an organization, over real HTTP."""

import json

import pytest

from auditor.model import ExpiresState, LastUsedState, Organization, PrincipalType, Status
from auditor.policy.privilege import classify
from tests.collectors.reading import read_all
from tests.fakes.github import SECRET


async def test_every_part_of_every_organization_is_read(github):
    read = await read_all(github())

    assert sorted(read["1"].credentials) == [
        "github:1:classic_token:5001",
        "github:1:deploy_key:1",
        "github:1:fine_grained_token:9001",
        "github:1:installation:1",
    ]
    assert {one.status for one in read.values()} == {"complete"}
    assert read["2"].credentials == {}


async def test_a_fine_grained_token_has_its_permissions_and_repositories(github, fake):
    fake.add_token(
        "acme",
        2,
        repository_selection="subset",
        permissions={
            "repository": {"administration": "write"},
            "organization": {"members": "read"},
        },
        token_expires_at="2026-05-01T00:00:00+02:00",
    )
    fake.token_repositories[2] = [f"acme/r{number:03}" for number in range(250)]

    token = (await read_all(github()))["1"].one("fine_grained_token", "9002")

    assert token.type == "Personal Access Token"
    assert token.permissions == {"administration": {"write": True}, "members": {"read": True}}
    assert classify(token).privilege == "admin"
    assert token.restrictions is not None
    assert len(token.restrictions["repositories"]) == 100
    assert token.restrictions["number"] == 250
    assert token.expires_state is ExpiresState.AT
    assert str(token.expires_at) == "2026-04-30 22:00:00+00:00"
    assert (token.owner, token.principal.type) == ("mona", PrincipalType.USER)
    assert token.created_at is None


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"token_last_used_at": None}, LastUsedState.NEVER),
        ({"token_last_used_at": "2026-02-01T00:00:00Z"}, LastUsedState.USED),
        ({"token_last_used_at": "yesterday"}, LastUsedState.UNKNOWN),
        ({"token_last_used_at": 1767225600}, LastUsedState.UNKNOWN),
        ({"token_last_used_at": "2031-01-01T00:00:00Z"}, LastUsedState.UNKNOWN),
    ],
)
async def test_null_is_never_used_and_what_cannot_be_read_is_unknown(github, fake, fields, state):
    fake.add_token("acme", 2, **fields)

    token = (await read_all(github()))["1"].one("fine_grained_token", "9002")

    assert token.last_used_state is state


async def test_an_absent_field_is_unknown_everywhere(github, fake):
    del fake.add_token("acme", 2)["token_last_used_at"]
    del fake.tokens["acme"][-1]["token_expires_at"]
    del fake.tokens["acme"][-1]["permissions"]
    del fake.add_key("acme/api", 2)["last_used"]
    del fake.keys["acme/api"][0]["read_only"]
    del fake.add_authorization("acme", 2)["credential_accessed_at"]
    del fake.authorizations["acme"][-1]["authorized_credential_expires_at"]

    read = (await read_all(github()))["1"]

    found = [
        read.one("fine_grained_token", "9002"),
        read.one("deploy_key", "2"),
        read.one("classic_token", "5002"),
    ]
    assert {one.last_used_state for one in found} == {LastUsedState.UNKNOWN}
    assert found[0].expires_state is ExpiresState.UNKNOWN
    assert found[2].expires_state is ExpiresState.UNKNOWN
    assert (found[0].permissions, found[1].permissions) == (None, None)


async def test_an_expired_token_is_expired(github, fake):
    fake.add_token("acme", 2, token_expired=True, token_expires_at="2026-01-01T00:00:00Z")

    token = (await read_all(github()))["1"].one("fine_grained_token", "9002")

    assert token.status is Status.EXPIRED


async def test_authorizations_tell_classic_tokens_from_keys(github, fake):
    fake.add_authorization(
        "acme", 2, credential_type="SSH key", fingerprint="abc", credential_accessed_at=None
    )
    for key in ("scopes", "authorized_credential_expires_at", "authorized_credential_note"):
        del fake.authorizations["acme"][-1][key]
    fake.add_authorization("acme", 3, authorized_credential_id=None)

    read = (await read_all(github()))["1"]

    classic = read.one("classic_token")
    assert classic.type == "Classic Personal Access Token"
    assert classic.permissions == {"scope": {"repo": True, "admin:org": True}}
    assert classify(classic).privilege == "admin"
    assert classic.expires_state is ExpiresState.NEVER
    ssh_key = read.one("ssh_key", "5002")
    assert (ssh_key.type, ssh_key.fingerprint, ssh_key.permissions) == ("SSH Key", "abc", None)
    assert ssh_key.expires_state is ExpiresState.UNSUPPORTED
    assert ssh_key.last_used_state is LastUsedState.NEVER
    assert read.one("authorization", "3").type == "Classic Personal Access Token"


async def test_a_deploy_key_shows_its_public_facts_only(github, fake):
    fake.add_key("acme/web", 2, read_only=False, enabled=False, last_used="2026-02-01T00:00:00Z")

    read = (await read_all(github()))["1"]

    reader, writer = read.one("deploy_key", "1"), read.one("deploy_key", "2")
    assert (classify(reader).privilege, classify(writer).privilege) == ("read", "write")
    assert (reader.status, writer.status) == (Status.ACTIVE, Status.INACTIVE)
    assert (reader.key_algorithm, reader.key_bits) == ("ssh-ed25519", 256)
    assert reader.fingerprint is not None
    assert reader.fingerprint.startswith("SHA256:")
    assert reader.tags == {"repository": "acme/web", "added_by": "mona"}
    assert reader.url == "https://github.com/acme/web/settings/keys"
    assert reader.expires_state is ExpiresState.UNSUPPORTED
    assert "key" not in reader.raw


async def test_an_installed_app_is_inventory_without_an_age(github, fake):
    fake.add_installation("acme", 2, suspended_at="2026-01-01T00:00:00Z")

    read = (await read_all(github()))["1"]

    app = read.one("installation", "1")
    assert app.created_at is None
    assert app.tags == {"installed_at": "2022-01-10T15:53:42Z"}
    assert app.permissions == {"contents": {"write": True}, "metadata": {"read": True}}
    assert read.one("installation", "2").status is Status.INACTIVE


async def test_every_page_of_every_list_is_followed_and_nothing_counts_twice(github, fake):
    for number in range(2, 232):
        fake.add_token("acme", number)
        fake.add_authorization("acme", number)
        fake.add_installation("acme", number)
        fake.add_key("acme/web", number)
        fake.repositories["acme"].append(f"repository-{number}")
    fake.tokens["acme"].append(fake.tokens["acme"][0])  # the order shifted while it was read
    fake.add_key("acme/repository-231", 999)

    read = (await read_all(github()))["1"]

    assert len(read.credentials) == 4 * 231 + 1
    assert (read.status, read.duplicates) == ("complete", 0)


async def test_reading_again_gives_the_same_uids(github):
    first, second = await read_all(github()), await read_all(github())

    assert list(first["1"].credentials) == list(second["1"].credentials)


async def test_a_server_of_ones_own_puts_its_host_into_the_uids(github, fake, server):
    fake.prefix = "/api/v3"

    read = (await read_all(github(base_url=f"{server.url}/api/v3")))["1"]

    assert read.status == "complete"
    assert {uid.split(":")[1] for uid in read.credentials} == {"127.0.0.1/1"}


async def test_no_secret_field_comes_out(github, fake):
    fake.add_token("acme", 2, token_name="ghp_" + "a" * 36)
    fake.authorizations["beta"] = None

    read = await read_all(github())

    shown = "".join(one.shown() for one in read.values())
    assert "CANARY" not in shown
    assert SECRET not in shown
    assert "ghp_" not in shown
    assert "AAAAC3" not in shown


async def test_parts_left_out_are_not_asked_for(github, server):
    read = (await read_all(github(read=["deploy_keys"])))["1"]

    assert sorted(read.credentials) == ["github:1:deploy_key:1"]
    assert not any("personal-access" in path or "credential-a" in path for path in server.paths())


async def test_organizations_can_be_named_by_login(github):
    read = await read_all(github(organizations=["ACME", "gone"]))

    assert sorted(read) == ["1", "gone"]
    assert (read["gone"].status, read["gone"].reason) == ("failed", "access_denied")


async def test_an_organization_the_app_was_removed_from_is_unread_not_gone(github):
    gone = Organization("7", "gone")

    read = await read_all(github(known=[gone]))

    assert (read["7"].status, read["7"].reason) == ("failed", "not_listed")


async def test_a_suspended_installation_fails_its_organization_only(github, fake):
    fake.suspended.add("acme")

    read = await read_all(github())

    assert (read["1"].status, read["2"].status) == ("failed", "complete")


async def test_an_app_on_selected_repositories_is_partial_for_deploy_keys(github, fake):
    fake.selected.add("acme")

    assert (await read_all(github()))["1"].reason == "selected_repositories"
    assert (await read_all(github(read=["installations"])))["1"].status == "complete"


async def test_without_saml_the_missing_list_is_a_note_unless_it_was_there_before(github, fake):
    before = list((await read_all(github()))["1"].credentials.values())
    fake.authorizations["acme"] = None

    first = (await read_all(github()))["1"]
    again = (await read_all(github(previous=lambda _organization: before)))["1"]

    assert first.status == "complete"
    assert any("without SAML" in note for note in first.notes)
    assert (again.status, again.reason) == ("partial", "not_found")


async def test_a_token_sees_everything_but_fine_grained_tokens(github, fake):
    read = (await read_all(github(token=fake.token)))["1"]

    assert {uid.split(":")[2] for uid in read.credentials} == {
        "classic_token", "deploy_key", "installation",
    }  # fmt: skip
    assert read.reason == "not_found"
    assert any("log in as an App" in note for note in read.notes)


async def test_installation_tokens_are_narrowed_to_reading(github, fake):
    await read_all(github())

    assert [json.loads(body) for body in fake.narrowed] == [
        {"permissions": {"administration": "read", "metadata": "read"}}
    ] * 2


async def test_check_names_what_is_missing(github, fake, server):
    fake.authorizations["acme"] = None

    rows = await github().check()

    denied = {(row.subject, row.permission) for row in rows if not row.is_granted}
    assert denied == {("acme", "list sso authorizations")}
    assert len(rows) == 8
