"""Vault: tokens and secret ids, their use, and what happens when something cannot be read."""

from datetime import UTC, datetime

import httpx
import pytest
from pydantic import ValidationError

from auditor.collectors._vault.acl import read_policy
from auditor.collectors.vault import DIALECT, Vault
from auditor.model import ExpiresState, LastUsedState, PrincipalType, Privilege, Status
from auditor.policy.privilege import classify
from tests.collectors.gathering import context, opener, read
from tests.fakes.http import Reply
from tests.fakes.vault import SECRET, TOKEN, FakeVault, too_many

ACCESSORS = "/v1/auth/token/accessors"
LOOKUP = "/v1/auth/token/lookup-accessor"


@pytest.fixture
def fake():
    fake = FakeVault()
    fake.policies["deploy"] = 'path "secret/data/app" { capabilities = ["read"] }'
    fake.add_token("a1", policies=["default", "deploy"])
    fake.add_token("a2")
    fake.add_role("ci")
    fake.add_secret_id("s1")
    with fake.server:
        yield fake


@pytest.fixture
def vault(fake, now, tmp_path):
    return opener(
        Vault,
        context(now, tmp_path),
        name="vault-prod",
        provider="vault",
        base_url=fake.server.url,
        token=TOKEN,
        unless="role_id",
    )


async def test_tokens_and_secret_ids_are_read(vault, fake):
    found = await read(vault())

    assert found.status == "complete"
    assert set(found.credentials) == {"token-a1", "token-a2", "ci"}
    token = found.credentials["token-a1"]
    assert token.uid.startswith(f"vault:127.0.0.1%3A{fake.server.port}:token:")
    assert (token.type, token.status) == ("Token", Status.ACTIVE)
    assert token.created_at == datetime(2024, 6, 17, 4, 53, 20, tzinfo=UTC)
    assert token.expires_at == datetime(2026, 12, 19, 10, 33, 20, 271828, tzinfo=UTC)
    assert token.expires_state is ExpiresState.AT
    assert token.principal.is_root is False
    assert token.permissions == {"secret/data/app": {"read": True}, "policy": {"default": True}}
    secret_id = found.credentials["ci"]
    assert (secret_id.type, secret_id.owner) == ("Secret ID", "team-pay")
    assert secret_id.principal.type is PrincipalType.MACHINE
    assert secret_id.expires_state is ExpiresState.NEVER
    assert secret_id.permissions == token.permissions
    assert secret_id.tags == {"mount": "approle", "role": "ci"}


async def test_an_accessor_is_kept_as_a_digest_only(vault, fake):
    fake.add_token("accessor-c41d7e02")

    found = await read(vault())

    uid = found.credentials["token-accessor-c41d7e02"].uid
    assert "accessor-c41d7e02" not in uid
    assert sorted(found.uids) == sorted((await read(vault(name="other"))).uids)
    assert len(set(found.uids)) == 4


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        (
            {"expire_time": None, "policies": ["root"], "path": "auth/token/root"},
            ExpiresState.NEVER,
        ),
        ({"period": 2_764_800}, ExpiresState.SLIDING),
        ({"period": 0}, ExpiresState.AT),
        ({"expire_time": "some day"}, ExpiresState.UNKNOWN),
    ],
)
async def test_how_a_token_ends(vault, fake, fields, state):
    fake.add_token("one", **fields)

    token = (await read(vault())).credentials["token-one"]

    assert token.expires_state is state
    assert token.principal.is_root is ("policies" in fields)


async def test_a_renewal_is_no_last_use(vault, fake):
    fake.add_token("one", last_renewal="2026-01-01T00:00:00Z", last_renewal_time=1_767_225_600)

    token = (await read(vault())).credentials["token-one"]

    assert (token.last_used_state, token.last_used_at) == (LastUsedState.UNKNOWN, None)
    assert token.raw["last_renewal"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("left", "configured", "updated", "state"),
    [
        (5, 10, "2026-01-01T00:00:00Z", LastUsedState.USED),
        (10, 10, "2025-06-30T07:41:12.300415926Z", LastUsedState.NEVER),
        # Another number than the role's: nobody knows how many there were to begin with.
        (5, 10, "2025-06-30T07:41:12.300415926Z", LastUsedState.UNKNOWN),
        (0, 0, "2025-06-30T07:41:12.300415926Z", LastUsedState.UNKNOWN),
        (0, 0, "2026-01-01T00:00:00Z", LastUsedState.UNKNOWN),
        (10, 10, "lately", LastUsedState.UNKNOWN),
        ("10", 10, "2026-01-01T00:00:00Z", LastUsedState.UNKNOWN),
        (10, 10, "2020-01-01T00:00:00Z", LastUsedState.UNKNOWN),
    ],
)
async def test_only_logins_that_are_counted_show_a_use(
    vault, fake, left, configured, updated, state
):
    fake.add_role("ci", secret_id_num_uses=configured)
    fake.add_secret_id("s2", secret_id_num_uses=left, last_updated_time=updated)

    assert (await read(vault())).credentials["ci"].last_used_state is state


@pytest.mark.parametrize(
    ("end", "state", "status"),
    [
        ("2030-01-01T00:00:00Z", ExpiresState.AT, Status.ACTIVE),
        ("2026-01-01T00:00:00Z", ExpiresState.AT, Status.EXPIRED),
        ("0001-01-01T00:00:00Z", ExpiresState.NEVER, Status.ACTIVE),
        ("soon", ExpiresState.UNKNOWN, Status.ACTIVE),
    ],
)
async def test_how_a_secret_id_ends(vault, fake, end, state, status):
    fake.add_secret_id("s1", expiration_time=end)

    secret_id = (await read(vault())).credentials["ci"]

    assert (secret_id.expires_state, secret_id.status) == (state, status)


async def test_addresses_that_bind_are_restrictions(vault, fake):
    fake.add_token("one", bound_cidrs=["192.0.2.0/24"])
    fake.add_role("ci", secret_id_bound_cidrs=["198.51.100.0/24"])
    fake.add_secret_id("s1", cidr_list=["192.0.2.1/32"])

    found = await read(vault())

    assert found.credentials["token-one"].restrictions == {"bound_cidrs": ["192.0.2.0/24"]}
    assert found.credentials["token-a1"].restrictions is None
    assert found.credentials["ci"].restrictions == {
        "bound_cidrs": ["192.0.2.1/32", "198.51.100.0/24"],
    }  # fmt: skip


async def test_a_holder_is_named_and_a_disabled_one_holds_nothing(vault, fake):
    fake.mounts[""] |= {"people": "ldap", "k8s": "kubernetes"}
    fake.entities["e1"] = {"id": "e1", "name": "alice", "disabled": True, "metadata": {"x": SECRET}}
    fake.add_token("one", entity_id="e1", path="auth/people/login/alice")
    fake.add_token("two", path="auth/k8s/login")

    found = await read(vault())

    alice = found.credentials["token-one"]
    assert (alice.principal.id, alice.principal.name) == ("e1", "alice")
    assert alice.principal.type is PrincipalType.USER
    assert alice.status is Status.INACTIVE
    assert found.credentials["token-two"].principal.type is PrincipalType.MACHINE
    assert found.credentials["token-a1"].principal.type is PrincipalType.UNKNOWN


@pytest.mark.parametrize(
    ("policy", "privilege"),
    [
        ('path "*" { capabilities = ["create", "update", "sudo"] }', Privilege.ADMIN),
        ('path "sys/policies/acl/*" { capabilities = ["update"] }', Privilege.ADMIN),
        ('path "secret/*" { capabilities = ["read", "list"] }', Privilege.READ),
        ('path "secret/*" { capabilities = ["read", "delete"] }', Privilege.WRITE),
        ('path "secret/*" { capabilities = ["deny"] }', Privilege.READ),  # default remains
        ('path "auth/token/renew-self" { capabilities = ["update"] }', Privilege.READ),
        ('path "sys/capabilities-self" { capabilities = ["update"] }', Privilege.READ),
        ('path "auth/token/create" { capabilities = ["update", "sudo"] }', Privilege.ADMIN),
        ("not a policy at all", Privilege.WRITE),
    ],
)
async def test_policies_amount_to_a_privilege(vault, fake, policy, privilege):
    fake.policies["p"] = policy
    fake.add_token("one", policies=["default"], identity_policies=["p"])

    assert classify((await read(vault())).credentials["token-one"]).privilege is privilege


async def test_a_policy_that_is_refused_is_known_by_name(vault, fake):
    fake.server.fault("/v1/sys/policies/acl/deploy", reply=Reply(403, {}))

    found = await read(vault())

    assert found.status == "complete"
    assert found.credentials["token-a1"].permissions == {
        "policy": {"default": True, "deploy": True}
    }
    assert any("by name" in note for note in found.notes)


async def test_a_policy_that_is_not_there_grants_nothing(vault, fake):
    fake.add_token("one", policies=["gone"])

    assert (await read(vault())).credentials["token-one"].permissions == {}


async def test_each_policy_is_read_once(vault, fake):
    for number in range(30):
        fake.add_token(f"more-{number}", policies=["deploy"])

    await read(vault())

    assert fake.server.paths().count("/v1/sys/policies/acl/deploy") == 1


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('path "a" { capabilities = ["read"] }', {"a": {"read"}}),
        ('path "/a/+/b" {\n  # why\n  capabilities = ["READ", "list",]\n}',
         {"a/+/b": {"read", "list"}}),
        ('name = "x"\npath "a" { policy = "write" }',
         {"a": {"create", "read", "update", "delete", "list"}}),
        ('path "a" {capabilities=["read"]} path "a" {capabilities=["update"]}',
         {"a": {"read", "update"}}),
        ('path "a" { capabilities = ["update"] required = { "*" = [] "n" = [1, "two"] } }',
         {"a": {"update"}}),
        ('path "s/{{identity.entity.id}}/*" { capabilities = ["read"] /* } */ }',
         {"s/{{identity.entity.id}}/*": {"read"}}),
        ('{"path": {"a": {"capabilities": ["read"]}}}', {"a": {"read"}}),
        ('path "a" { capabilities = [] }', {"a": set()}),
        ("", {}),
        ('path "a" { capabilities = ["read"]', None),
        ('path "a" { capabilities = ["read" }', None),
        ('path "a" { capabilities = "read" }', None),
        ('path "a" = 7', None),
        ("path = 7", None),
        ('path "a" { capabilities = <<EOT\nread\nEOT\n}', None),
        ('path "a" { capabilities = ["read"] } }', None),
        ("[1]", None),
        ('{"path": []}', None),
        ("{" * 5000, None),
        ("a {" * 5000, None),
        ("a = " + "[" * 5000, None),
    ],
)  # fmt: skip
def test_the_text_of_a_policy_is_understood_or_not_at_all(source, expected):
    found = read_policy(source)

    assert (
        None if found is None else {path: set(names) for path, names in found.items()}
    ) == expected


async def test_a_path_that_one_policy_denies_is_denied(vault, fake):
    fake.policies |= {
        "yes": 'path "secret/x" { capabilities = ["update"] }',
        "no": 'path "secret/x" { capabilities = ["deny"] }',
    }
    fake.add_token("one", policies=["yes", "no"])

    token = (await read(vault())).credentials["token-one"]

    assert token.permissions == {"secret/x": {"update": False}}


async def test_a_token_that_ends_while_it_is_read_is_gone(vault, fake):
    fake.server.fault(LOOKUP, times=1, reply=Reply(403, {"errors": ["bad token"]}))

    found = await read(vault())

    assert found.status == "complete"
    assert len(found.uids) == 2


async def test_tokens_that_are_all_refused_are_not_gone(vault, fake):
    fake.server.fault(LOOKUP, reply=Reply(403, {}))

    found = await read(vault())

    assert (found.status, found.reason) == ("partial", "access_denied")
    assert set(found.credentials) == {"ci"}


async def test_a_secret_id_that_is_refused_is_not_gone_and_one_that_ended_is(vault, fake):
    path = "/v1/auth/approle/role/ci/secret-id-accessor/lookup"
    fault = fake.server.fault(path, times=1, reply=Reply(403, {}))
    assert (await read(vault())).reason == "access_denied"

    for reply in (Reply(404, {}), Reply(204), Reply(200, {"data": None})):
        fault.times, fault.reply = 1, reply
        found = await read(vault())
        assert (found.status, set(found.credentials)) == ("complete", {"token-a1", "token-a2"})


async def test_a_cluster_without_approle_is_read_whole(vault, fake):
    fake.roles.clear()

    assert (await read(vault())).status == "complete"
    del fake.mounts[""]["approle"]
    assert (await read(vault())).status == "complete"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(403, {}), "access_denied"),
        (Reply(404, {}), "not_found"),
        (Reply(500, b"oops"), "unavailable"),
        (Reply(503, {"errors": ["Vault is sealed"]}), "unavailable"),
        (Reply(200, b"{broken"), "unexpected_response"),
        (Reply(200, []), "unexpected_response"),
        (Reply(200, {"data": {"keys": "all"}}), "unexpected_response"),
    ],
)
async def test_a_list_that_cannot_be_read_is_a_gap(vault, fake, reply, reason):
    fake.server.fault(ACCESSORS, reply=reply)

    found = await read(vault())

    assert (found.status, found.reason) == ("partial", reason)
    assert set(found.credentials) == {"ci"}


@pytest.mark.parametrize(
    "path", ["/v1/sys/auth", "/v1/auth/approle/role", "*/role/ci", "*/role/ci/secret-id"]
)
async def test_secret_ids_that_cannot_be_listed_are_a_gap(vault, fake, path):
    fake.server.fault(path, reply=Reply(403, {}))

    found = await read(vault())

    assert (found.status, found.reason) == ("partial", "access_denied")
    assert set(found.credentials) == {"token-a1", "token-a2"}


async def test_a_refused_token_fails_the_source(vault):
    found = await read(vault(token="CANARY-wrong"))

    assert (found.status, found.reason) == ("failed", "access_denied")


@pytest.mark.parametrize(
    "reply",
    [too_many(), too_many(Retry_After="0"), too_many(X_Ratelimit_Reset="0"), Reply(412, {})],
)
async def test_a_server_that_asks_for_patience_is_asked_again(vault, fake, reply):
    fake.server.fault(ACCESSORS, times=1, reply=reply)
    fake.server.fault(LOOKUP, times=1, reply=reply)

    assert (await read(vault())).status == "complete"


def test_the_reset_is_in_seconds_from_now():
    assert DIALECT.pause(httpx.Response(429, headers={"X-Ratelimit-Reset": "7"})) == 7


async def test_values_of_wrong_types_are_left_out(vault, fake):
    fake.add_token(
        "one", creation_time="2024", policies="root", display_name=7, meta=[], period="x"
    )
    fake.add_role("ci", token_policies={}, secret_id_num_uses="many")
    fake.add_secret_id("s1", creation_time=17, metadata="x", cidr_list="192.0.2.1")

    found = await read(vault())

    assert found.credentials["token"].created_at is None
    assert found.credentials["ci"].created_at is None
    assert any("creation_time" in note for note in found.notes)


@pytest.mark.parametrize("keys", [["a1", "", 7, None], ["a1"]])
async def test_a_name_that_is_none_is_left_out(vault, fake, keys):
    fake.server.fault(ACCESSORS, reply=Reply(200, {"data": {"keys": keys}}))

    assert set((await read(vault())).credentials) == {"token-a1", "ci"}


@pytest.mark.parametrize("name", ["../../sys/raw", "a/../b", "."])
async def test_a_role_whose_name_would_lead_elsewhere_is_not_asked_for(vault, fake, name):
    fake.server.fault("/v1/auth/approle/role", reply=Reply(200, {"data": {"keys": [name, "ci"]}}))

    found = await read(vault())

    assert (found.status, found.reason) == ("partial", "unexpected_response")
    assert "ci" in found.credentials
    assert not any(".." in path for path in fake.server.paths())


async def test_namespaces_are_read_to_the_bottom(vault, fake):
    fake.namespaces = {"": ["team"], "team": ["sub"]}
    fake.add_token("t", "team")
    fake.add_token("s", "team/sub")
    collector = vault(namespaces="all")

    units = await collector.units()
    found = [await read(vault(namespaces="all"), unit) for unit in units]
    await collector.aclose()

    assert [unit.key for unit in units] == ["/", "team", "team/sub"]
    assert [set(one.credentials) for one in found[1:]] == [{"token-t"}, {"token-s"}]
    assert found[2].credentials["token-s"].organization.id.endswith("/team/sub")
    assert "/v1/team/sub/auth/token/accessors" in fake.server.paths()


async def test_an_edition_without_namespaces_has_its_root(vault):
    collector = vault(namespaces="all")

    assert [unit.key for unit in await collector.units()] == ["/"]
    await collector.aclose()


async def test_namespaces_that_cannot_be_listed_are_a_gap_where_they_hang(vault, fake):
    fake.server.fault("/v1/sys/namespaces", reply=Reply(403, {}))
    collector = vault(namespaces="all")
    (unit,) = await collector.units()

    found = await read(collector, unit)

    assert (found.status, found.reason) == ("partial", "access_denied")
    assert len(found.uids) == 3


async def test_namespaces_without_end_are_not_walked_for_ever(vault, fake):
    fake.server.fault("*/sys/namespaces", reply=Reply(200, {"data": {"keys": ["again/"]}}))
    collector = vault(namespaces="all")

    assert len(await collector.units()) < 20
    await collector.aclose()


async def test_a_login_by_approle_does_not_report_itself(vault):
    found = await read(vault(role_id="auditor", secret_id=SECRET))

    assert found.status == "complete"
    assert set(found.credentials) == {"token-a1", "token-a2", "ci"}


async def test_a_login_that_is_refused_fails_the_source(vault):
    found = await read(vault(role_id="auditor", secret_id="CANARY-wrong"))

    assert (found.status, found.reason) == ("failed", "authentication_failed")


async def test_the_check_tells_what_is_granted(vault, fake):
    fake.policies["default"] = ""
    fake.server.fault(ACCESSORS, reply=Reply(403, {}))
    collector = vault()

    rows = await collector.check()
    await collector.aclose()

    assert [row.is_granted for row in rows] == [False, True, True]


def test_the_policy_for_the_auditor_is_understood_by_the_auditor():
    (text,) = Vault.setup_documents().values()

    found = read_policy(text)

    assert found is not None
    assert found["auth/+/role/+/secret-id"] == {"list"}
    assert all(names <= {"list", "read", "sudo", "update"} for names in found.values())


@pytest.mark.parametrize(
    "keys", [{"token": None}, {"role_id": "a", "secret_id": "b", "token": "c"}, {"namespaces": []}]
)
def test_options_that_make_no_sense_are_refused(vault, keys):
    with pytest.raises(ValidationError):
        vault(**keys)
