"""The built-in policies: their examples hold, their limits are exact, their page is true."""

import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.errors import PolicyError
from auditor.model import (
    Credential,
    ExpiresState,
    LastUsedState,
    Outcome,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Privilege,
    Remediation,
    Severity,
)
from auditor.policy import (
    ExampleResult,
    PolicySet,
    PolicySettings,
    catalogue,
    load,
    presets,
    run_examples,
)
from auditor.policy.page import policies_page
from auditor.policy.policy import Policy
from auditor.resources import bundled

BUILTIN = bundled("policies")
POLICIES = {policy.id: policy for policy in catalogue(BUILTIN)}
ON_BY_DEFAULT = {
    "dormant-credential",
    "never-used-credential",
    "stale-credential",
    "long-lived-credential",
    "over-permissioned-credential",
    "dormant-privileged-credential",
    "root-or-owner-key",
    "expired-credential",
    "expiring-soon",
    "unobservable-usage",
}
SECOND = timedelta(seconds=1)
Build = Callable[..., Credential]


def everything(**changes: Any) -> PolicySet:
    return load(
        PolicySettings(enable=tuple(POLICIES), **changes), builtin=BUILTIN, directory=BUILTIN
    )


ALL = everything()
RESULTS = run_examples(BUILTIN)


@pytest.mark.parametrize("result", RESULTS, ids=lambda one: f"{one.policy_id}: {one.name}")
def test_the_policy_says_what_its_example_expects(result: ExampleResult) -> None:
    assert result.is_ok, f"policies/{result.policy_id}.yaml:{result.line}: {result.problem}"


@pytest.mark.parametrize("policy_id", POLICIES)
def test_every_policy_shows_a_violation_a_pass_and_a_gap(policy_id: str) -> None:
    shown = {result.expected for result in RESULTS if result.policy_id == policy_id}
    assert shown >= {"violation", "pass", "not_evaluable"}


@pytest.mark.parametrize("policy_id", POLICIES)
def test_every_example_is_named_once(policy_id: str) -> None:
    names = [result.name for result in RESULTS if result.policy_id == policy_id]
    assert len(names) == len(set(names))
    assert not any(name.startswith("example") for name in names)


def test_ten_policies_are_on_by_default() -> None:
    assert {policy.id for policy in POLICIES.values() if policy.is_default} == ON_BY_DEFAULT


def test_supersession_is_as_documented() -> None:
    taken = {policy.id: set(policy.supersedes) for policy in POLICIES.values() if policy.supersedes}
    assert taken == {
        "dormant-privileged-credential": {"dormant-credential", "never-used-credential"},
        "long-lived-credential": {"stale-credential"},
        "root-or-owner-key": {"over-permissioned-credential"},
    }


@pytest.mark.parametrize("policy_id", POLICIES)
def test_texts_are_sentences_that_promise_no_compliance(policy_id: str) -> None:
    policy = POLICIES[policy_id]
    sentences = [policy.message, policy.rationale, policy.remediation.summary]
    sentences += [remedy.summary for remedy in remedies_of(policy)]
    for sentence in sentences:
        assert sentence.rstrip().endswith("."), sentence
        assert not re.search(r"\bcompl(y|ies|iant|iance)\b", sentence, re.IGNORECASE), sentence
    assert not policy.title.endswith(".")
    assert len(policy.title) <= 70


def test_what_was_never_used_is_worded_as_no_use_recorded() -> None:
    for policy_id in ("never-used-credential", "dormant-credential"):
        policy = POLICIES[policy_id]
        assert "no use" in (policy.title + policy.message).lower()
        assert "never used" not in (policy.title + policy.message).lower()


def remedies_of(policy: Policy) -> list[Remediation]:
    return [
        one
        for remedies in policy.remedies.values()
        for one in (remedies.every, *remedies.types.values(), remedies.root)
        if one is not None
    ]


def test_a_hostile_name_stays_one_word_of_a_command(credential: Build) -> None:
    hostile = "a'b $(touch x) \"; rm -rf ~ #\n"

    def commands(name: str) -> tuple[str, ...]:
        holder = Principal(id=name, name=name, type=PrincipalType.USER)
        named = credential(name, provider="aws", type="SSH Key", name=name, principal=holder)
        found = ALL.explain("stale-credential", named, named.observed_at)
        return found.remediation.commands

    pairs = list(zip(commands("harmless"), commands(hostile), strict=True))
    assert len(pairs) == 4
    for plain, evil in pairs:
        assert len(shlex.split(evil)) == len(shlex.split(plain)), evil


def outcome(policy_id: str, credential: Credential, now: datetime) -> Outcome | None:
    for verdict in ALL.evaluate(credential, now):
        if verdict.policy_id == policy_id:
            return verdict.outcome
    return None


MOMENTS = [
    datetime(2026, 3, 1, 3, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 30, tzinfo=UTC),  # the hour European clocks skip
    datetime(2024, 2, 29, tzinfo=UTC),
    datetime(2024, 3, 1, tzinfo=UTC),
    datetime(2027, 1, 1, tzinfo=UTC),
]


def _idle(at: datetime, length: timedelta) -> dict[str, Any]:
    return {"last_used_state": LastUsedState.USED, "last_used_at": at - length}


def _idle_admin(at: datetime, length: timedelta) -> dict[str, Any]:
    rights = {
        "privilege": Privilege.ADMIN,
        "permissions_subject": PermissionsSubject.CREDENTIAL,
    }
    return _idle(at, length) | rights


def _unused(at: datetime, length: timedelta) -> dict[str, Any]:
    return {
        "last_used_state": LastUsedState.NEVER,
        "last_used_at": None,
        "created_at": at - length,
    }


def _aged(at: datetime, length: timedelta) -> dict[str, Any]:
    return {"created_at": at - length}


def _expired(at: datetime, length: timedelta) -> dict[str, Any]:
    return {"expires_state": ExpiresState.AT, "expires_at": at - length}


def _reviewed(at: datetime, length: timedelta) -> dict[str, Any]:
    return {"reviewed_at": at - length}


Facts = Callable[[datetime, timedelta], dict[str, Any]]
LIMITS: list[tuple[str, int, Facts]] = [
    ("dormant-credential", 45, _idle),
    ("dormant-privileged-credential", 30, _idle_admin),
    ("never-used-credential", 30, _unused),
    ("stale-credential", 90, _aged),
    ("long-lived-credential", 365, _aged),
    ("expired-credential", 30, _expired),
    ("review-overdue", 90, _reviewed),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
@pytest.mark.parametrize(("policy_id", "days", "facts"), LIMITS)
def test_exactly_n_days_violate_and_a_second_less_does_not(
    credential: Build, policy_id: str, days: int, facts: Facts, moment: datetime
) -> None:
    limit = timedelta(days=days)
    for length, expected in (
        (limit - SECOND, None),
        (limit, Outcome.VIOLATION),
        (limit + SECOND, Outcome.VIOLATION),
    ):
        times = {"observed_at": moment, "data_as_of": moment}
        judged = credential(**(times | facts(moment, length)))
        assert outcome(policy_id, judged, moment) is expected, length


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
@pytest.mark.parametrize(
    ("days", "severity"), [(30, Severity.LOW), (14, Severity.MEDIUM), (7, Severity.HIGH)]
)
def test_an_end_within_n_days_is_announced_in_tiers(
    credential: Build, moment: datetime, days: int, severity: Severity
) -> None:
    def announced(left: timedelta) -> Severity | None:
        judged = credential(
            observed_at=moment,
            data_as_of=moment,
            expires_state=ExpiresState.AT,
            expires_at=moment + left,
        )
        found = [v for v in ALL.evaluate(judged, moment) if v.policy_id == "expiring-soon"]
        return found[0].severity if found else None

    left = timedelta(days=days)
    assert announced(left) is severity
    assert announced(left - SECOND) is severity
    assert announced(left + SECOND) is not severity


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    age=st.timedeltas(timedelta(0), timedelta(days=800)),
    idle=st.timedeltas(timedelta(0), timedelta(days=800)),
    later=st.timedeltas(timedelta(0), timedelta(days=800)),
)
def test_time_alone_never_mends_an_age_or_an_idleness(
    credential: Build, age: timedelta, idle: timedelta, later: timedelta
) -> None:
    start = MOMENTS[0]

    def seen(at: datetime) -> Credential:
        return credential(
            created_at=start - age,
            last_used_at=start - min(idle, age),
            observed_at=at,
            data_as_of=at,
        )

    assert _violations(seen(start)) <= _violations(seen(start + later))


def _violations(judged: Credential) -> set[str]:
    aging = {"dormant-credential", "stale-credential", "long-lived-credential"}
    return {
        verdict.policy_id
        for verdict in ALL.evaluate(judged, judged.observed_at)
        if verdict.outcome is Outcome.VIOLATION
    } & aging


def test_the_presets_are_these_and_each_loads_once_its_numbers_are_given() -> None:
    assert set(presets()) == {"cis-45-90", "strict", "relaxed", "e8", "pci"}
    for name in presets():
        override = [{"policy": "stale-credential", "parameters": {"max_age": "90d"}}]
        given = PolicySettings.model_validate({"preset": name, "override": override})
        active = load(given, builtin=BUILTIN, directory=BUILTIN).policies
        assert {policy.id for policy in active} >= ON_BY_DEFAULT


def test_pci_has_no_rotation_period_of_its_own() -> None:
    with pytest.raises(PolicyError, match=r"stale-credential needs a value for 'max_age'"):
        load(PolicySettings(preset="pci"), builtin=BUILTIN, directory=BUILTIN)


@pytest.mark.parametrize(
    ("name", "idle", "stale", "long"),
    [("cis-45-90", 45, 90, 365), ("strict", 30, 60, 180), ("relaxed", 90, 180, 365)],
)
def test_a_preset_sets_the_three_numbers(name: str, idle: int, stale: int, long: int) -> None:
    active = load(PolicySettings(preset=name), builtin=BUILTIN, directory=BUILTIN).policies
    titles = {policy.id: policy.title for policy in active}
    assert titles["dormant-credential"] == f"Not used for {idle} days"
    assert titles["stale-credential"] == f"Not rotated for {stale} days"
    assert titles["long-lived-credential"] == f"Not rotated for {long} days"


def test_the_essential_eight_preset_asks_for_45_days_and_for_confirmation() -> None:
    active = load(PolicySettings(preset="e8"), builtin=BUILTIN, directory=BUILTIN).policies
    titles = {policy.id: policy.title for policy in active}
    assert titles["dormant-privileged-credential"] == "Administrative, and not used for 45 days"
    assert "review-overdue" in titles


def test_the_page_about_policies_is_what_the_files_say() -> None:
    page = BUILTIN.parent / "docs" / "policies.md"
    written = policies_page(BUILTIN)
    assert page.read_text(encoding="utf-8") == written, (
        "docs/policies.md is out of date; write it again with "
        "`python -m auditor.policy.page > docs/policies.md`"
    )
