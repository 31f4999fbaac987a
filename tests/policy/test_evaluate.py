"""What a set of policies says of a credential."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.model import (
    Credential,
    LastUsedState,
    Outcome,
    PermissionsSubject,
    Principal,
    Privilege,
    Severity,
    Verdict,
)
from auditor.policy import PolicySet, PolicySettings, load

Write = Callable[..., Path]
Build = Callable[..., Credential]
NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
RESTING = {"last_used_at": NOW - 100 * DAY}


@pytest.fixture
def policies(write_policy: Write) -> Callable[..., PolicySet]:
    """Load one policy with some blocks changed."""

    def build(identity: str = "resting", **changes: str) -> PolicySet:
        folder = write_policy(identity, **changes).parent
        return load(PolicySettings(), builtin=folder, directory=folder)

    return build


def test_a_pass_is_not_listed_and_a_violation_is(
    policies: Callable[..., PolicySet], credential: Build
) -> None:
    active = policies()
    assert active.evaluate(credential(), NOW) == []
    assert active.evaluate(credential(**RESTING), NOW) == [
        Verdict("resting", Outcome.VIOLATION, Severity.MEDIUM)
    ]


@pytest.mark.parametrize(
    ("offset", "is_violation"),
    [(-timedelta(seconds=1), False), (timedelta(0), True), (timedelta(seconds=1), True)],
)
@pytest.mark.parametrize("shift", [timedelta(0), timedelta(days=1400), timedelta(hours=-700)])
def test_a_limit_is_reached_at_the_very_second(
    policies: Callable[..., PolicySet],
    credential: Build,
    offset: timedelta,
    is_violation: bool,
    shift: timedelta,
) -> None:
    at = NOW + shift
    subject = credential(data_as_of=at, observed_at=at, last_used_at=at - 45 * DAY - offset)
    assert bool(policies().evaluate(subject, at)) is is_violation


def test_an_unknown_fact_makes_it_not_evaluable_and_is_named(
    policies: Callable[..., PolicySet], credential: Build
) -> None:
    active = policies()
    subject = credential(last_used_state=LastUsedState.UNKNOWN)
    expected = [Verdict("resting", Outcome.NOT_EVALUABLE, None, ("last_used_at",))]
    assert active.evaluate(subject, NOW) == expected
    assert active.evaluate(subject, NOW) == expected


def test_several_policies_answer_in_the_order_of_their_ids(
    write_policy: Write, credential: Build
) -> None:
    write_policy("zebra", supersedes="[ant]")
    folder = write_policy("ant").parent
    active = load(PolicySettings(), builtin=folder, directory=folder)
    verdicts = active.evaluate(credential(**RESTING), NOW)
    assert [verdict.policy_id for verdict in verdicts] == ["ant", "zebra"]


def test_limits_for_some_credentials_change_no_order(
    write_policy: Write, credential: Build
) -> None:
    for name in ("bee", "cat", "dog"):
        write_policy(name)
    folder = write_policy("ant").parent
    settings = PolicySettings.model_validate(
        {
            "override": [
                {"policy": name, "match": {"name": "x*"}, "parameters": {"idle_for": limit}}
                for name, limit in (("ant", "30d"), ("cat", "30d"), ("dog", "200d"))
            ]
        }
    )
    active = load(settings, builtin=folder, directory=folder)

    def found(name: str, days: int) -> list[str]:
        subject = credential(name=name, last_used_at=NOW - days * DAY)
        return [verdict.policy_id for verdict in active.evaluate(subject, NOW)]

    assert found("other", 40) == []
    assert found("x1", 40) == ["ant", "cat"]
    assert found("x1", 100) == ["ant", "bee", "cat"]
    assert found("other", 100) == ["ant", "bee", "cat", "dog"]


def test_a_policy_is_silent_about_those_it_is_not_about(
    policies: Callable[..., PolicySet], credential: Build
) -> None:
    active = policies(applies_to="{providers: [aws], types: [Access Key]}")
    assert not active.evaluate(credential(**RESTING), NOW)
    assert not active.evaluate(credential(**RESTING, provider="aws"), NOW)
    assert active.evaluate(credential(**RESTING, provider="aws", type="Access Key"), NOW)


def test_whom_a_policy_is_without_is_not_judged_by_it(
    policies: Callable[..., PolicySet], credential: Build
) -> None:
    active = policies(applies_to="{without: [{providers: [aws], types: [SSH Key]}]}")
    assert not active.evaluate(credential(**RESTING, provider="aws", type="SSH Key"), NOW)
    assert active.evaluate(credential(**RESTING, provider="aws", type="Access Key"), NOW)
    assert active.evaluate(credential(**RESTING, provider="gitlab", type="SSH Key"), NOW)


@pytest.mark.parametrize(
    ("when", "is_judged"),
    [
        ('credential.privilege == "admin"', False),
        ("granted(credential.permissions, 'a', 'b')", False),
        ("granted_count(credential.unused_permissions) > 0", False),
        ('credential.status == "active"', True),
        ('credential.permissions_subject == "caller"', True),
    ],
)
def test_the_callers_rights_judge_nobody(
    policies: Callable[..., PolicySet], credential: Build, when: str, is_judged: bool
) -> None:
    active = policies(when=when)
    subject = credential(
        permissions_subject=PermissionsSubject.CALLER, privilege=Privilege.ADMIN, permissions={}
    )
    (verdict,) = active.evaluate(subject, NOW)
    assert (verdict.outcome is not Outcome.NOT_JUDGED) is is_judged


@pytest.mark.parametrize(
    ("changes", "privilege", "severity"),
    [
        ({"severity": "informational"}, "admin", "low"),
        ({"severity": "low"}, "admin", "medium"),
        ({"severity": "medium"}, "admin", "high"),
        ({"severity": "high"}, "admin", "high"),
        ({"severity": "critical"}, "admin", "critical"),
        ({"severity": "low"}, "write", "low"),
        ({"severity": "low"}, "unknown", "low"),
        ({"severity": "low", "privileged_step": "false"}, "admin", "low"),
        ({"severity": "low", "when": 'credential.privilege == "admin"'}, "admin", "low"),
        ({"severity": "low", "when": "credential.principal.is_root"}, "admin", "low"),
        ({"severity": "low", "when": "granted_count(credential.permissions) == 0"}, "admin", "low"),
    ],
)
def test_the_severity_rises_one_step_for_administrators_up_to_high(
    policies: Callable[..., PolicySet],
    credential: Build,
    changes: dict[str, str],
    privilege: str,
    severity: str,
) -> None:
    subject = credential(
        **RESTING,
        privilege=Privilege(privilege),
        permissions={},
        principal=Principal(id="p", name="p", is_root=True),
    )
    (verdict,) = policies(**changes).evaluate(subject, NOW)
    assert verdict.severity == severity


def test_the_callers_rights_raise_no_severity(
    policies: Callable[..., PolicySet], credential: Build
) -> None:
    active = policies(
        tiers="[{when: \"credential.privilege == 'admin'\", severity: critical}]", severity="low"
    )
    facts: dict[str, Any] = {**RESTING, "privilege": Privilege.ADMIN}
    (verdict,) = active.evaluate(credential(**facts), NOW)
    assert verdict.severity is Severity.CRITICAL
    facts["permissions_subject"] = PermissionsSubject.CALLER
    (verdict,) = active.evaluate(credential(**facts), NOW)
    assert verdict.severity is Severity.LOW


def test_the_first_tier_that_certainly_holds_decides(
    policies: Callable[..., PolicySet], credential: Build
) -> None:
    active = policies(
        severity="low",
        tiers='[{when: "credential.key_bits < 10", severity: critical}, '
        "{when: \"credential.idle_for >= duration('200d')\", severity: high}, "
        "{when: \"credential.idle_for >= duration('90d')\", severity: medium}]",
    )

    def severity(days: int) -> Severity | None:
        return active.evaluate(credential(last_used_at=NOW - days * DAY), NOW)[0].severity

    assert severity(50) is Severity.LOW
    assert severity(90) is Severity.MEDIUM
    assert severity(300) is Severity.HIGH


def test_many_kinds_of_credentials_do_not_grow_the_memory_of_a_set_for_ever(
    policies: Callable[..., PolicySet], credential: Build
) -> None:
    active = policies()
    for number in range(5_000):
        assert not active.evaluate(credential(type=f"Kind {number}"), NOW)
    assert len(active._plans) <= 4_096


def test_evaluating_twice_says_the_same(
    policies: Callable[..., PolicySet], credential: Build
) -> None:
    active, subject = policies(), credential(**RESTING)
    assert active.evaluate(subject, NOW) == active.evaluate(subject, NOW)
    assert active.explain("resting", subject, NOW) == active.explain("resting", subject, NOW)
