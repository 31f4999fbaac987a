"""Which policies are active and under which limits: preset, enable, disable, override."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.errors import PolicyError
from auditor.model import Credential, Severity
from auditor.policy import PolicySet, PolicySettings, catalogue, load, presets
from auditor.resources import bundled
from auditor.yamlfile import parse

Write = Callable[..., Path]
NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def active(folder: Path, **settings: Any) -> PolicySet:
    return load(PolicySettings(**settings), builtin=folder, directory=folder.parent)


def names(policies: PolicySet) -> list[str]:
    return [policy.id for policy in policies.policies]


def test_policies_are_active_unless_their_file_says_no(write_policy: Write) -> None:
    folder = write_policy("one").parent
    write_policy("two", enabled="false")
    assert names(active(folder)) == ["one"]
    assert names(active(folder, enable=["two"])) == ["one", "two"]
    assert names(active(folder, disable=["one"])) == []
    assert len(active(folder, enable=["two"], disable=["one"])) == 1
    assert [policy.id for policy in catalogue(folder)] == ["one", "two"]


def test_directories_add_policies_beside_the_built_in_ones(write_policy: Write) -> None:
    folder = write_policy("one").parent
    write_policy("two", folder="mine")
    settings = PolicySettings(directories=("mine",))
    policies = load(settings, builtin=folder, directory=folder.parent)
    assert [(policy.id, policy.is_builtin) for policy in policies.policies] == [
        ("one", True),
        ("two", False),
    ]
    assert len(catalogue(folder, settings, folder.parent)) == 2


def test_an_id_is_taken_once(write_policy: Write) -> None:
    folder = write_policy("one").parent
    write_policy("one", folder="mine")
    with pytest.raises(PolicyError, match=r"the id 'one' is taken by .*policies/one\.yaml"):
        active(folder, directories=["mine"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"enable": ["restin"]}, ("policies.enable[0]: there is no policy 'restin'; "
         "did you mean 'resting'?")),
        ({"disable": ["zz"]}, "policies.disable[0]: there is no policy 'zz'"),
        ({"override": [{"policy": "zz"}]}, "policies.override[0].policy: there is no policy 'zz'"),
        ({"enable": ["resting"], "disable": ["resting"]}, "'resting' is enabled above"),
        ({"preset": "strikt"}, "policies.preset: unknown preset 'strikt'; did you mean 'strict'?"),
        ({"override": [{"policy": "resting", "parameters": {"idle": "1d"}}]},
         ("policies.override[0].parameters.idle: resting has no parameter 'idle'; "
         "did you mean 'idle_for'?")),
        ({"override": [{"policy": "resting", "parameters": {"zz": "1d"}}]},
         "resting has no parameter 'zz'; known: idle_for"),
        ({"override": [{"policy": "resting", "parameters": {"idle_for": "soon"}}]},
         "policies.override[0].parameters.idle_for: 'soon' is not a duration"),
        ({"override": [{"policy": "resting", "parameters": {"idle_for": 30}}]},
         "must be a duration"),
        ({"override": [{"policy": "resting", "match": {"provider": "aws"},
                        "parameters": {"idle_for": 30}}]}, "must be a duration"),
    ],
)  # fmt: skip
def test_mistakes_of_the_configuration_are_named(
    write_policy: Write, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        active(write_policy().parent, **settings)
    assert message in str(caught.value)


def test_mistakes_of_the_configuration_have_its_line_where_it_is_at_hand(
    write_policy: Write,
) -> None:
    document = parse("a: 1\npolicies:\n  enable: [restin]", "config.yaml")
    folder = write_policy().parent
    with pytest.raises(PolicyError, match=r"config\.yaml:3:12: policies\.enable\[0\]: there is"):
        load(
            PolicySettings(enable=("restin",)), builtin=folder, directory=folder, document=document
        )


def test_a_limit_outside_the_states_is_found_when_an_override_brings_it(
    write_policy: Write,
) -> None:
    folder = write_policy(
        parameters="{states: [active], idle_for: 45d}",
        when="credential.status in parameters.states",
    ).parent
    override = {"policy": "resting", "parameters": {"states": ["dead"]}}
    with pytest.raises(PolicyError) as caught:
        active(folder, override=[override])
    assert "policies.override[0]: with these limits, " in str(caught.value)
    assert "'dead' is not one of active" in str(caught.value)


def test_overrides_change_title_limits_and_severity_for_everybody(write_policy: Write) -> None:
    folder = write_policy(
        tiers="[{when: \"credential.idle_for > duration('90d')\", severity: high}]"
    ).parent
    first = {"policy": "resting", "parameters": {"idle_for": "30d"}, "severity": "low"}
    second = {"policy": "resting", "match": {}, "parameters": {"idle_for": "20d"}}
    (policy,) = active(folder, override=[first, second]).policies
    assert policy.title == "Not used for 20 days"
    assert policy.severity is Severity.LOW
    assert policy.tiers == ()
    limit = policy.parameters["idle_for"].constant
    assert limit is not None
    assert limit.value == timedelta(days=20)


def test_scoped_overrides_hold_for_whom_they_match_and_the_last_one_wins(
    write_policy: Write, credential: Callable[..., Credential]
) -> None:
    policies = active(
        write_policy().parent,
        override=[
            {"policy": "resting", "parameters": {"idle_for": "30d"}},
            {"policy": "resting", "match": {"tags": {"cadence": "quarterly"}},
             "parameters": {"idle_for": "120d"}},
            {"policy": "resting", "match": {"tags": {"env": "prod"}}, "severity": "high"},
            {"policy": "resting", "match": {"tags": {"env": "prod*"}, "name": "late"},
             "parameters": {"idle_for": "200d"}, "severity": "low"},
        ],
    )  # fmt: skip

    def judged(days: int, name: str = "key", **tags: str) -> Severity | None:
        subject = credential(name=name, tags=tags, last_used_at=NOW - timedelta(days=days))
        verdicts = policies.evaluate(subject, NOW)
        return verdicts[0].severity if verdicts else None

    assert judged(29) is None
    assert judged(30) is Severity.MEDIUM
    assert judged(119, cadence="quarterly") is None
    assert judged(120, cadence="quarterly") is Severity.MEDIUM
    assert judged(30, env="prod") is Severity.HIGH
    assert judged(120, env="prod", cadence="quarterly") is Severity.HIGH
    assert judged(199, env="prod", name="late", cadence="quarterly") is None
    assert judged(200, env="prod", name="late", cadence="quarterly") is Severity.LOW
    subject = credential(tags={"cadence": "quarterly"}, last_used_at=NOW - timedelta(days=130))
    explanation = policies.explain("resting", subject, NOW)
    assert explanation.title == "Not used for 120 days"
    assert {one.fact: one.limit for one in explanation.evidence}["idle_for"] == "P120D"


def test_presets_change_the_built_in_limits() -> None:
    builtin = bundled("policies")

    def limits(preset: str, **settings: Any) -> dict[str, timedelta]:
        policies = load(
            PolicySettings(preset=preset, **settings), builtin=builtin, directory=builtin
        )
        return {
            f"{policy.id}.{name}": one.constant.value
            for policy in policies.policies
            for name, one in policy.parameters.items()
            if one.constant is not None and isinstance(one.constant.value, timedelta)
        }

    days = {name: limit.days for name, limit in limits("cis-45-90").items()}
    assert (days["dormant-credential.idle_for"], days["stale-credential.max_age"]) == (45, 90)
    days = {name: limit.days for name, limit in limits("strict").items()}
    assert days["dormant-credential.idle_for"] == 30
    assert (days["stale-credential.max_age"], days["long-lived-credential.max_age"]) == (60, 180)
    days = {name: limit.days for name, limit in limits("relaxed").items()}
    assert (days["dormant-credential.idle_for"], days["stale-credential.max_age"]) == (90, 180)
    days = {name: limit.days for name, limit in limits("e8").items()}
    assert days["dormant-privileged-credential.idle_for"] == 45
    assert days["review-overdue.service_review_age"] == 365
    age = {"policy": "stale-credential", "parameters": {"max_age": "120d"}}
    days = {name: limit.days for name, limit in limits("pci", override=[age]).items()}
    assert (days["dormant-credential.idle_for"], days["stale-credential.max_age"]) == (90, 120)


def test_a_preset_without_a_number_asks_for_one() -> None:
    builtin = bundled("policies")
    with pytest.raises(PolicyError, match="stale-credential needs a value for 'max_age'"):
        load(PolicySettings(preset="pci"), builtin=builtin, directory=builtin)
    scoped = {
        "policy": "stale-credential",
        "match": {"provider": "aws"},
        "parameters": {"max_age": "90d"},
    }
    with pytest.raises(PolicyError, match="needs a value"):
        load(
            PolicySettings.model_validate({"preset": "pci", "override": [scoped]}),
            builtin=builtin,
            directory=builtin,
        )
    settings = PolicySettings(preset="pci", disable=("stale-credential",))
    assert "stale-credential" not in names(load(settings, builtin=builtin, directory=builtin))


def test_every_preset_names_policies_and_parameters_that_exist() -> None:
    known = {policy.id: policy for policy in catalogue(bundled("policies"))}
    for preset in presets().values():
        assert preset.title
        for policy_id in (*preset.enable, *preset.disable, *preset.severity):
            assert policy_id in known
        for policy_id, parameters in preset.parameters.items():
            assert set(parameters) <= set(known[policy_id].parameters)
