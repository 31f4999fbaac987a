"""Every construct of the condition language, and what it answers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from auditor.model import (
    Certainty,
    Credential,
    ExpiresState,
    LastUsedState,
    LastUsedSubject,
    Organization,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Privilege,
    Status,
)
from auditor.policy.language import Condition, compile_condition, parameter_value
from auditor.policy.language.derived import Neighbours, derive
from auditor.policy.language.fields import FIELDS, Absence
from tests.policy.conftest import Answer

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
RICH: dict[str, Any] = {
    "client_id": "client",
    "description": "builds",
    "rotated_at": NOW - 10 * DAY,
    "owner": "team@example.com",
    "owner_status": "present",
    "restrictions": {"ip": "10.0.0.0/8", "count": 1, "nothing": None},
    "fingerprint": "ab:cd",
    "url": "https://example.com",
    "tags": {"env": "prod", "team": "data"},
    "permissions": {"iam": {"read": True, "write": False}, "logs": {"*": True}},
    "permissions_subject": PermissionsSubject.CREDENTIAL,
    "unused_permissions": {"iam": {"read": True}},
    "privilege": Privilege.WRITE,
    "privilege_path": ("policy P through the group G",),
    "status_changed_at": NOW - 3 * DAY,
    "key_algorithm": "RSA",
    "key_bits": 1024,
    "reviewed_at": NOW - 100 * DAY,
    "principal": Principal(
        id="sa-1", name="ci", type=PrincipalType.SERVICE_ACCOUNT, status="Active", is_root=False,
        has_mfa=True,
    ),
    "last_used_precision": timedelta(hours=4),
    "last_used_window_start": NOW - 90 * DAY,
    "expires_at": NOW + 5 * DAY,
    "expires_state": ExpiresState.AT,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("false", False),
        ("!true", False),
        ("!!true", True),
        ("true && true", True),
        ("true && false", False),
        ("true && true && false", False),
        ("false || true", True),
        ("false || false", False),
        ("true || false && false", True),
        ("(true || false) && false", False),
        ("true ? false : true", False),
        ("false ? false : true", True),
        ("false ? true : false ? false : true", True),
        ("1 == 1", True),
        ("1 != 1", False),
        ("1 == 1.0", True),
        ("1 < 1.5", True),
        ("0x10 == 16", True),
        ("1e3 == 1000.0", True),
        ("2.5e-1 == 0.25", True),
        ("-1 < 0", True),
        ("- 1 == -1", True),
        ("--1 == 1", True),
        ("-1.5 < -1.0", True),
        ("1 + 2 - 3 == 0", True),
        ("1 - 2 - 3 == -4", True),
        ("2 >= 2 && 2 <= 2 && !(2 > 2) && !(2 < 2)", True),
        ("'a' < 'b' && 'a' <= 'a' && 'b' > 'a' && 'b' >= 'b'", True),
        ("'a' == \"a\"", True),
        ("true == true", True),
        ("true != false", True),
        ("duration('45d') == duration('1080h')", True),
        ("duration('1d12h') - duration('12h') == duration('1d')", True),
        ("duration('-1d') < duration('0s')", True),
        ("duration('1d') + duration('-1d') == duration('0s')", True),
        ("timestamp('2026-03-01T03:00:00Z') == now", True),
        ("timestamp('2026-03-01T04:00:00+01:00') == now", True),
        ("now - duration('1h') < now", True),
        ("duration('1h') + now > now", True),
        ("now + duration('1h') - now == duration('1h')", True),
        ("1 in [1, 2]", True),
        ("3 in [1, 2]", False),
        ("1.5 in [1.5]", True),
        ("1 in [1.0]", True),
        ("'a' in ['a', 'b']", True),
        ("'c' in []", False),
        ("true in [false, true]", True),
        ("duration('1d') in [duration('24h')]", True),
        ("now in [timestamp('2026-03-01T03:00:00Z'), now]", True),
        ("size('abc') == 3 && 'abc'.size() == 3", True),
        ("size([1, 2]) == 2", True),
        ("'abc'.startsWith('ab') && 'abc'.endsWith('bc') && 'abc'.contains('b')", True),
        ("'abc'.startsWith('b')", False),
        ("'abc'.contains('x')", False),
        ("'ABC'.lowerAscii() == 'abc'", True),
        ("'ÄB'.lowerAscii() == 'Äb'", True),
        ("'abc'.matches('b')", True),
        ("'abc'.matches('^b')", False),
        ("[1, 2].exists(x, x == 2)", True),
        ("[1, 2].exists(x, x == 3)", False),
        ("[1, 2].all(x, x < 3)", True),
        ("[1, 2].all(x, x < 2)", False),
        ("[1, 2].exists(x, [2, 3].exists(y, x == y))", True),
        ("[1, 2].exists(x, [1].exists(y, x == y) && [2].exists(y, x + 1 == y))", True),
        ("true ? 1 == 1 : 2 == 1", True),
        ("(true ? 1 : 2.5) == 1", True),
        ("(false ? 'a' : 'b') == 'b'", True),
        ("parameters.idle_for == duration('45d')", True),
        ("'data' in parameters.teams", True),
        ("'web' in parameters.teams", False),
        ("parameters.teams.exists(team, team.startsWith('plat'))", True),
        ("size(parameters.teams) == 2", True),
        ("parameters.bits == 2048 && parameters.ratio < 1.0 && parameters.is_strict", True),
        (r"size('a\n\t\\\'\"\x41\u00e9\U0001F600\?\`\a\b\f\v\r') == 16", True),
        (r"'\x41\u0042' == 'AB'", True),
        (r"r'\d' == '\\d'", True),
        ("'\\'' == \"'\"", True),
    ],
)
def test_expressions_without_facts(answer: Answer, text: str, expected: bool) -> None:
    assert answer(text) is expected


@pytest.mark.parametrize(
    "text",
    [
        "credential.uid.startsWith('keycard:')",
        "credential.provider == 'keycard'",
        "credential.source == 'keycard-prod'",
        "credential.organization.id == 'org-1' && credential.organization.name == 'Example'",
        "credential.principal.id == 'sa-1' && credential.principal.name == 'ci'",
        "credential.principal.type == 'service_account'",
        "credential.principal.status == 'Active'",
        "!credential.principal.is_root && credential.principal.has_mfa",
        "credential.client_id != null && credential.client_id == 'client'",
        "credential.name == 'key-1'",
        "credential.description != null && credential.description == 'builds'",
        "credential.type == 'Service Account Key'",
        "credential.status == 'active' && credential.status != 'revoked'",
        "credential.created_at == now - duration('20d')",
        "credential.rotated_at != null && credential.rotated_at == now - duration('10d')",
        "credential.observed_at == now && credential.data_as_of == now",
        "credential.last_used_at == now - duration('1d')",
        "credential.last_used_state == 'used'",
        "credential.last_used_window_start == now - duration('90d')",
        "credential.last_used_precision == duration('4h')",
        "credential.last_used_subject == 'credential'",
        "credential.expires_at == now + duration('5d') && credential.expires_state == 'at'",
        "granted(credential.permissions, 'iam', 'read')",
        "credential.permissions_subject == 'credential'",
        "credential.permissions_certainty == 'stated'",
        "granted_count(credential.permissions) == 2",
        "granted_count(credential.unused_permissions) == 1",
        "credential.privilege == 'write'",
        "credential.privilege_path.exists(step, step.contains('group'))",
        "credential.status_changed_at == now - duration('3d')",
        "credential.owner != null && credential.owner.endsWith('@example.com')",
        "credential.owner_status != null && credential.owner_status == 'present'",
        "size(credential.tags) == 2",
        "credential.restrictions != null && size(credential.restrictions) == 3",
        "credential.fingerprint != null && credential.fingerprint == 'ab:cd'",
        "credential.key_algorithm == 'RSA' && credential.key_bits < parameters.bits",
        "credential.reviewed_at == now - duration('100d')",
        "credential.url != null && credential.url.startsWith('https://')",
        "credential.age == duration('10d')",
        "credential.idle_for == duration('20h')",
        "credential.expires_in == duration('5d')",
        "credential.lifetime == duration('15d')",
    ],
)
def test_every_field_can_be_read(answer: Answer, text: str) -> None:
    assert answer(text, **RICH) is True


NEIGHBOUR_TEXTS = (
    "credential.active_siblings == 2",
    "credential.siblings_overlap_for >= duration('14d')",
    "credential.sharing_principals == 3",
    "credential.is_shared_across_production",
    "credential.peers > 20 && credential.peer_median == 4 && credential.peer_limit < 10",
    "credential.is_permission_outlier",
    "credential.gained_permissions.exists(one, one == 'iam:PassRole')",
    "credential.has_gained_admin",
)
NEIGHBOURS = Neighbours(
    active_siblings=2,
    siblings_overlap_for=15 * DAY,
    sharing_principals=3,
    is_shared_across_production=True,
    peers=40,
    peer_median=4,
    peer_limit=9,
    is_permission_outlier=True,
    gained_permissions=("iam:PassRole",),
    has_gained_admin=True,
)


@pytest.mark.parametrize("text", NEIGHBOUR_TEXTS)
def test_what_neighbours_tell_can_be_read_and_is_unknown_where_nobody_looked(
    text: str, credential: Callable[..., Credential], compiled: Callable[[str], Condition]
) -> None:
    subject, condition = credential(), compiled(text)

    assert condition.evaluate(subject, derive(subject, NOW, NEIGHBOURS), NOW) is True
    assert condition.evaluate(subject, derive(subject, NOW), NOW) is None
    assert set(condition.missing(subject, derive(subject, NOW))) == {
        field.name for field in condition.reads
    }


def test_every_field_of_the_table_has_an_expression_above() -> None:
    marks = test_every_field_can_be_read.pytestmark  # type: ignore[attr-defined]
    texts = " ".join((*marks[0].args[1], *NEIGHBOUR_TEXTS))
    assert [name for name in FIELDS if f"credential.{name}" not in texts] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'env' in credential.tags && credential.tags['env'] == 'prod'", True),
        ("'env' in credential.tags && credential.tags.env == 'prod'", True),
        ("has(credential.tags.env) && credential.tags.env == 'prod'", True),
        ("has(credential.tags['env']) && credential.tags['env'] == 'dev'", False),
        ("'cadence' in credential.tags && credential.tags['cadence'] == 'x'", False),
        ("!('cadence' in credential.tags) || credential.tags['cadence'] == 'x'", True),
        ("'env' in credential.tags ? credential.tags['env'] == 'prod' : false", True),
        ("credential.tags.exists(name, credential.tags[name] == 'data')", True),
        ("credential.tags.all(name, size(credential.tags[name]) == 4)", True),
        ("credential.name in credential.tags && credential.tags[credential.name] == 'x'", False),
        (("'iam' in credential.permissions && 'read' in credential.permissions['iam']"
         " && credential.permissions['iam']['read']"), True),
        (("credential.permissions.exists(kind, credential.permissions[kind]"
         ".exists(verb, !credential.permissions[kind][verb]))"), True),
        ("granted(credential.permissions, 'iam', 'write')", False),
        ("granted(credential.permissions, 'logs', 'delete')", True),
        ("granted(credential.permissions, 'iam', '*')", False),
        ("granted(credential.permissions, 'logs', '*')", True),
        ("granted(credential.permissions, 'nothing', 'read')", False),
        (("credential.restrictions != null && has(credential.restrictions.ip)"
         " && credential.restrictions.ip == '10.0.0.0/8'"), True),
        (("credential.restrictions != null && 'count' in credential.restrictions"
         " && credential.restrictions['count'] == true"), False),
        (("credential.restrictions != null && 'count' in credential.restrictions"
         " && credential.restrictions['count'] != '1'"), True),
        (("credential.restrictions != null && 'nothing' in credential.restrictions"
         " && credential.restrictions['nothing'] == 1"), None),
        (("credential.restrictions != null && 'count' in credential.restrictions"
         " && credential.restrictions['count'] in [2, 1]"), True),
        ("credential.restrictions != null && credential.restrictions.exists(k, k == 'ip')", True),
        ("credential.status in ['active', 'inactive']", True),
        ("credential.status in parameters.states", True),
        ("credential.status == parameters.word", True),
        ("parameters.word == credential.status", True),
        ("credential.key_bits in [1024, 2048]", True),
        ("credential.key_bits + 1024 == parameters.bits", True),
        ("-credential.key_bits < 0", True),
        ("credential.idle_for in [duration('20h')]", True),
        ("credential.created_at in [now, credential.created_at]", True),
        ("(credential.key_bits > 0 ? credential.name : credential.type) == 'key-1'", True),
        ("(true ? credential.status : credential.status) == 'active'", True),
        ("credential.status == credential.status", True),
        ("size(credential.tags) > 1", True),
        ("[credential.name, credential.type].exists(text, text == 'key-1')", True),
        ("[credential.created_at, credential.reviewed_at].all(at, at < now)", True),
        ("credential.owner == null", False),
        ("null == credential.owner", False),
        ("null != credential.owner && credential.owner == 'team@example.com'", True),
        ("has(credential.owner) && credential.owner == 'team@example.com'", True),
        ("has(credential.created_at) && has(credential.idle_for)", True),
    ],
)  # fmt: skip
def test_maps_permissions_and_guards(answer: Answer, text: str, expected: bool | None) -> None:
    assert answer(text, **RICH) is expected


def test_a_granted_star_covers_every_resource_type(answer: Answer) -> None:
    assert answer("granted(credential.permissions, 'iam', 'x')", permissions={"*": {"*": True}})
    assert not answer("granted(credential.permissions, 'iam', 'x')", permissions={"*": {"y": True}})
    assert not answer(
        "granted(credential.permissions, 'iam', 'x')", permissions={"*": {"*": False}}
    )


def test_the_compiled_code_of_an_expression_is_one_function_without_builtins() -> None:
    condition = compile_condition("credential.name == 'x'", {}, "dormant-credential")
    code = condition.test.__code__
    assert code.co_filename == "<dormant-credential>"
    assert condition.test.__globals__["__builtins__"] == {}


def test_reads_are_listed_in_order_and_limits_are_known(compiled: Any) -> None:
    condition = compiled("credential.status == 'active' && credential.idle_for >= duration('1d')")
    assert [field.name for field in condition.reads] == ["status", "idle_for"]
    assert list(condition.limits) == ["idle_for"]
    assert not condition.reads_grants
    assert compiled("granted(credential.permissions, 'a', 'b')").reads_grants


def test_a_limit_may_be_computed_and_is_left_out_behind_a_guard(
    compiled: Any, credential: Any
) -> None:
    subject = credential()
    derived = derive(subject, NOW)
    condition = compiled(
        "credential.age >= (credential.provider == 'keycard' ? duration('9d') : duration('1d'))"
    )
    assert condition.limit("age", subject, derived, NOW) == 9 * DAY
    assert condition.limit("idle_for", subject, derived, NOW) is None
    guarded = compiled("credential.owner != null && credential.key_bits > size(credential.owner)")
    assert guarded.limit("key_bits", subject, derived, NOW) is None


def test_a_sum_of_limits_is_a_limit_too_and_is_summed_once(compiled: Any, credential: Any) -> None:
    subject = credential(owner="team@example.com", created_at=NOW - 50 * DAY)
    condition = compiled(
        "credential.owner != null && credential.age > parameters.idle_for + duration('3d')"
    )
    derived = derive(subject, NOW)
    assert condition.limit("age", subject, derived, NOW) == 48 * DAY
    assert condition.evaluate(subject, derived, NOW) is True
    assert 48 * DAY in condition.test.__globals__.values()


def test_limits_are_found_on_either_side(compiled: Any, credential: Any) -> None:
    subject = credential()
    condition = compiled("parameters.idle_for <= credential.idle_for")
    assert condition.limit("idle_for", subject, derive(subject, NOW), NOW) == 45 * DAY


def test_parameters_have_the_type_their_yaml_value_suggests() -> None:
    assert parameter_value("45d").value == 45 * DAY
    assert parameter_value("forty").value == "forty"
    assert parameter_value(["1d", "2d"]).value == (DAY, 2 * DAY)
    assert parameter_value([]).value == ()
    with pytest.raises(ValueError, match="different types"):
        parameter_value([1, "a"])
    with pytest.raises(ValueError, match="must be text"):
        parameter_value({"a": 1})


def test_enumerations_of_the_model_are_the_states_of_the_language() -> None:
    states = {
        "status": Status,
        "last_used_state": LastUsedState,
        "last_used_subject": LastUsedSubject,
        "expires_state": ExpiresState,
        "permissions_subject": PermissionsSubject,
        "permissions_certainty": Certainty,
        "privilege": Privilege,
        "principal.type": PrincipalType,
    }
    for name, members in states.items():
        assert FIELDS[name].type.members == tuple(member.value for member in members)
        assert FIELDS[name].absence is Absence.NEVER


def test_every_field_of_a_credential_is_known_to_the_language() -> None:
    named = {name.partition(".")[0] for name in FIELDS} | {"raw"}
    assert set(Credential.__struct_fields__) <= named
    for group, kind in (("organization", Organization), ("principal", Principal)):
        for field in kind.__struct_fields__:
            assert f"{group}.{field}" in FIELDS
