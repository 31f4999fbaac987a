"""Three-valued logic: unknown is neither fine nor bad, and one certain operand may decide."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from auditor.model import LastUsedState, PermissionsSubject, Principal, PrincipalType, Status
from tests.policy.conftest import Answer

WRITTEN = {True: "true", False: "false", None: "credential.principal.has_mfa"}
VALUES = (True, False, None)


def kleene_and(*values: bool | None) -> bool | None:
    return False if False in values else None if None in values else True


def kleene_or(*values: bool | None) -> bool | None:
    return True if True in values else None if None in values else False


@pytest.mark.parametrize(("left", "right"), list(product(VALUES, VALUES)))
def test_and_and_or_of_two(answer: Answer, left: bool | None, right: bool | None) -> None:
    a, b = WRITTEN[left], WRITTEN[right]
    assert answer(f"{a} && {b}") is kleene_and(left, right)
    assert answer(f"{a} || {b}") is kleene_or(left, right)
    assert answer(f"!({a} && {b})") is kleene_or(negated(left), negated(right))


def negated(value: bool | None) -> bool | None:
    return None if value is None else not value


@pytest.mark.parametrize(("a", "b", "c"), list(product(VALUES, VALUES, VALUES)))
def test_chains_and_choices_of_three(
    answer: Answer, a: bool | None, b: bool | None, c: bool | None
) -> None:
    x, y, z = WRITTEN[a], WRITTEN[b], WRITTEN[c]
    assert answer(f"{x} && {y} && {z}") is kleene_and(a, b, c)
    assert answer(f"{x} || {y} || {z}") is kleene_or(a, b, c)
    assert answer(f"{x} || {y} && {z}") is kleene_or(a, kleene_and(b, c))
    assert answer(f"({x} || {y}) && {z}") is kleene_and(kleene_or(a, b), c)
    assert answer(f"{x} ? {y} : {z}") is (None if a is None else b if a else c)
    assert answer(f"[{x}, {y}, {z}].exists(v, v)") is kleene_or(a, b, c)
    assert answer(f"[{x}, {y}, {z}].all(v, v)") is kleene_and(a, b, c)
    assert answer(f"{z} in [{x}, {y}]") is (
        None if c is None else kleene_or(*(None if v is None else v == c for v in (a, b)))
    )


@pytest.mark.parametrize(("left", "right"), list(product(VALUES, VALUES)))
def test_equality_of_two_is_unknown_where_one_is(
    answer: Answer, left: bool | None, right: bool | None
) -> None:
    expected = None if None in (left, right) else left == right
    assert answer(f"{WRITTEN[left]} == {WRITTEN[right]}") is expected
    assert answer(f"{WRITTEN[left]} != {WRITTEN[right]}") is negated(expected)


UNKNOWN_STATE: dict[str, Any] = {
    "status": Status.UNKNOWN,
    "last_used_state": LastUsedState.UNKNOWN,
    "principal": Principal(id="p", name="p", type=PrincipalType.UNKNOWN),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("credential.status == 'active'", None),
        ("credential.status != 'active'", None),
        ("credential.status == 'unknown'", True),
        ("credential.status != 'unknown'", False),
        ("'unknown' == credential.status", True),
        ("credential.status in ['active', 'inactive']", None),
        ("credential.status in ['active', 'unknown']", True),
        ("!(credential.status in ['active'])", None),
        ("credential.status in parameters.states", None),
        ("credential.status == credential.status", None),
        ("credential.status != credential.status", None),
        ("credential.status == 'active' && false", False),
        ("credential.status == 'active' || true", True),
        ("credential.principal.type == 'user'", None),
        ("credential.privilege == 'admin'", None),
        ("credential.expires_state == 'unsupported'", True),
        ("credential.last_used_subject == 'credential'", True),
        ("(credential.principal.has_mfa ? credential.status : credential.status) == 'active'",
         None),
        ("(credential.principal.has_mfa ? credential.status : credential.status) == 'unknown'",
         None),
        ("(credential.principal.has_mfa ? credential.status : credential.status) in ['unknown']",
         None),
        ("(credential.principal.has_mfa ? credential.status : credential.status) in ['active']",
         None),
    ],
)  # fmt: skip
def test_an_unknown_state_is_neither_like_nor_unlike_another(
    answer: Answer, text: str, expected: bool | None
) -> None:
    assert answer(text, **UNKNOWN_STATE) is expected


def test_a_known_state_is_like_itself_and_unlike_the_others(answer: Answer) -> None:
    assert answer("credential.status == 'active'") is True
    assert answer("credential.status == 'revoked'") is False
    assert answer("credential.status != 'revoked'") is True
    assert answer("credential.status == 'unknown'") is False
    assert answer("credential.status in ['revoked', 'unknown']") is False


@pytest.mark.parametrize(
    "text",
    [
        "credential.created_at < now",
        "credential.created_at in [now]",
        "credential.age >= duration('1d')",
        "credential.key_bits + 1 > 2",
        "-credential.key_bits > 2",
        "size(credential.key_algorithm) > 2",
        "credential.key_algorithm.lowerAscii() == 'rsa'",
        "credential.key_algorithm.startsWith('r')",
        "'rsa'.startsWith(credential.key_algorithm)",
        "'rsa'.contains(credential.key_algorithm)",
        "credential.key_algorithm.matches('r')",
        "credential.key_algorithm in parameters.teams",
        "credential.key_algorithm in ['rsa']",
        "credential.key_algorithm in credential.tags",
        "'iam' in credential.permissions",
        "granted(credential.permissions, 'iam', 'read')",
        "granted_count(credential.permissions) > 0",
        "credential.permissions.exists(kind, kind == 'iam')",
        "'iam' in credential.permissions && 'x' in credential.permissions['iam']",
        "!credential.principal.is_root",
        "credential.principal.has_mfa ? true : true",
        "credential.name in [credential.key_algorithm]",
        "1 in [credential.key_bits]",
    ],
)
def test_what_rests_on_an_unknown_fact_is_unknown(answer: Answer, text: str) -> None:
    assert answer(text, created_at=None) is None


def test_asking_whether_something_is_known_is_never_unknown(answer: Answer) -> None:
    assert answer("has(credential.created_at)", created_at=None) is False
    assert answer("has(credential.idle_for)", last_used_state=LastUsedState.UNKNOWN) is False
    assert answer("!has(credential.age) || credential.age > duration('1d')", created_at=None)


def test_arithmetic_that_cannot_be_represented_is_unknown(answer: Answer) -> None:
    assert answer("now + duration('9000000d') > now") is None
    assert answer("now - duration('9000000d') > now") is None
    assert answer("9223372036854775807 + 1 > 0") is None
    assert answer("-9223372036854775807 - 2 < 0") is None
    assert answer("duration('999999999d') + duration('999999999d') > duration('1d')") is None


def test_what_never_expires_lasts_longer_than_any_limit(answer: Answer) -> None:
    assert answer("credential.expires_in > duration('99999d')") is True
    assert answer("credential.expires_in - duration('7d') > duration('99999d')") is True
    assert answer("credential.expires_in + duration('7d') > duration('99999d')") is True
    assert answer("now + credential.expires_in > now") is None
    assert answer("duration('1d') - credential.expires_in < duration('1d')") is None
    assert answer("credential.expires_in - credential.lifetime == duration('0s')") is None


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("credential.status == 'active' && credential.age > duration('1d')",
         {"status": Status.UNKNOWN, "created_at": None}, ("status", "created_at")),
        ("credential.idle_for > duration('1d')",
         {"last_used_state": LastUsedState.UNKNOWN}, ("last_used_at",)),
        ("credential.idle_for > duration('1d')",
         {"last_used_state": LastUsedState.NEVER, "created_at": None}, ("created_at",)),
        ("credential.idle_for > duration('1d')",
         {"last_used_state": LastUsedState.NOT_IN_WINDOW}, ("last_used_window_start",)),
        ("credential.idle_for > duration('1d')",
         {"last_used_state": LastUsedState.USED, "last_used_at": None}, ("last_used_at",)),
        ("credential.expires_in < duration('1d')", {"expires_state": "unknown"}, ("expires_at",)),
        ("credential.lifetime < duration('1d')", {"expires_state": "unknown"}, ("expires_at",)),
        ("credential.lifetime < duration('1d')",
         {"expires_at": "now", "created_at": None}, ("created_at",)),
        ("credential.privilege == 'admin'",
         {"permissions_subject": PermissionsSubject.UNKNOWN}, ("privilege",)),
        ("credential.principal.has_mfa && credential.status != 'unknown'",
         {"status": Status.UNKNOWN, "created_at": None} , ()),
        ("now + duration('9000000d') > credential.created_at", {}, ("created_at",)),
    ],
)  # fmt: skip
def test_the_missing_facts_are_named(
    missing: Callable[..., tuple[str, ...]],
    answer: Answer,
    now: Any,
    text: str,
    changes: dict[str, Any],
    expected: tuple[str, ...],
) -> None:
    facts = {key: now if value == "now" else value for key, value in changes.items()}
    if not expected:
        assert answer(text, **facts) is False
        return
    assert missing(text, **facts) == expected
