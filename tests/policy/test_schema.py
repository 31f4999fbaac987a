"""Policy files: what they hold, and what is said about one that is wrong."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from auditor.errors import PolicyError
from auditor.model import Remediation, Severity
from auditor.policy import Control, catalogue
from auditor.policy.reading import find_files, read
from auditor.policy.settings import PolicySettings
from auditor.resources import bundled

Write = Callable[..., Path]

BUILTIN = bundled("policies")


def problem(path: Path) -> str:
    """Return what is said about a file, without the folder it is in."""
    with pytest.raises(PolicyError) as caught:
        read(path)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_a_minimal_file_becomes_a_policy_with_defaults(write_policy: Write) -> None:
    path = write_policy()
    policy = read(path, is_builtin=True).policy
    assert policy.id == "resting"
    assert policy.title == "Not used for 45 days"
    assert policy.severity is Severity.MEDIUM
    assert policy.tiers == ()
    assert policy.privileged_step
    assert policy.is_default
    assert policy.is_builtin
    assert policy.version == 1
    assert policy.supersedes == ()
    assert policy.controls == {}
    assert policy.file == str(path)
    assert policy.parameters["idle_for"].type_name == "duration"
    assert policy.applies_to("aws", "API Key")


def test_a_full_file_is_read_whole(write_policy: Write) -> None:
    policy = read(
        write_policy(
            tiers="[{when: \"credential.idle_for > duration('90d')\", severity: high}]",
            severity="",
            privileged_step="false",
            enabled="false",
            version="3",
            applies_to="{providers: [aws], types: [Access Key]}",
            parameters="{idle_for: {type: duration, value: 45d, description: how long}, "
            "words: {type: list<string>, value: [a]}, ratio: {type: float, value: 1}, "
            "at: {type: timestamp, value: '2026-01-01T00:00:00Z'}, count: {type: int, value: 2}, "
            "strict: {type: bool, value: true}, word: {type: string, value: 45d}}",
            supersedes="[other]",
            remediation="{summary: s, commands: ['x {{ credential.name }}'], "
            "url: 'https://example.com', providers: {aws: {commands: [y]}}}",
            controls='{cis-aws-5.0: ["1.11", {id: "1.12", certainty: H}], pci: {"8.2": low}}',
        )
    ).policy
    assert policy.severity is Severity.HIGH  # the mildest tier's
    assert not policy.privileged_step
    assert not policy.is_default
    assert policy.version == 3
    assert policy.applies_to("aws", "Access Key")
    assert not policy.applies_to("gcp", "Access Key")
    assert not policy.applies_to("aws", "API Key")
    assert policy.parameters["idle_for"].description == "how long"
    values = {name: one.constant and one.constant.value for name, one in policy.parameters.items()}
    assert values["words"] == ("a",)
    assert values["ratio"] == 1.0
    assert values["word"] == "45d"
    assert values["idle_for"] == timedelta(days=45)
    assert policy.remedies["aws"].every == Remediation("s", ("y",))
    assert policy.action is None
    assert policy.controls["cis-aws-5.0"] == (Control("1.11", "medium"), Control("1.12", "high"))
    assert policy.controls["pci"] == (Control("8.2", "low"),)


def test_a_parameter_may_be_left_to_the_configuration(write_policy: Write) -> None:
    kinds = "bool", "int", "float", "string", "duration", "timestamp", "list<string>"
    for kind in kinds:
        policy = read(
            write_policy(parameters=f"{{idle_for: {{type: duration}}, x: {{type: {kind}}}}}")
        ).policy
        assert policy.parameters["x"].constant is None
        assert policy.title == "Not used for <idle_for>"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"when": "credential.idel_for > parameters.idle_for"},
         "resting.yaml:6:18: unknown field credential.idel_for; did you mean credential.idle_for?"),
        ({"tiers": '[{when: "credential.name", severity: low}]'},
         "resting.yaml:10:17: a condition must be true or false, not text"),
        ({"sevrity": "low"}, "resting.yaml:10:1: unknown key 'sevrity'; did you mean 'severity'?"),
        ({"severity": "hihg"}, "resting.yaml:3:11: severity must be"),
        ({"severity": "hihg"}, "did you mean 'high'?"),
        ({"severity": ""}, "resting.yaml:1:1: 'severity' is missing; give it, or `tiers`"),
        ({"when": ""}, "the file: 'when' is missing"),
        ({"title": "12"}, "title: input should be a valid string"),
        ({"category": "Not A Word"}, "category: string should match pattern"),
        ({"version": "0"}, "version: input should be greater than or equal to 1"),
        ({"id": "Rest Ing"}, "resting.yaml:1:5: id: string should match pattern"),
        ({"id": "other"}, "resting.yaml:1:5: the id must be the file's name, 'resting'"),
        ({"controls": "{cis: [1.10]}"}, "a control is text; put its id in quotes"),
        ({"controls": "{cis: []}"}, "controls.cis must hold 1 or more"),
        ({"controls": "{cis: word}"}, "controls.cis must be a list"),
        ({"controls": '{cis: [{id: "1", certainty: sure}]}'}, "must be 'high', 'medium' or 'low'"),
        ({"parameters": "{idle_for: {value: 45d}}"}, "'type' is missing; write {type: duration"),
        ({"parameters": "{idle_for: {type: durration}}"}, "is not a type; write one of bool, int"),
        ({"parameters": "{idle_for: {type: duration, value: soon}}"}, "is not a duration"),
        ({"parameters": "{idle_for: {type: duration, value: 1}}"}, "a duration, such as 45d"),
        ({"parameters": "{idle_for: {type: list<int>, value: 1}}"}, "must be a list"),
        ({"parameters": "{idle_for: {type: int, value: true}}"}, "must be a whole number"),
        ({"parameters": "{idle_for: {type: duration, size: 1}}"}, "unknown key 'size'; known: "),
        ({"parameters": "{idle_for: [1, a]}"}, "resting.yaml:5:24: parameters.idle_for: holds"),
        ({"parameters": "{idle_for: null}"}, "must be text, a number, true, false"),
        ({"parameters": "{Idle: 1}"}, "string should match pattern"),
        ({"message": "'{{ credential.nmae }}'"},
         "resting.yaml:7:14: unknown credential.nmae; did you mean 'name'?"),
        ({"message": "'{{ name }}'"},
         "'name' is neither credential.<field> nor parameters.<name>"),
        ({"message": "'{{ credential.name | upper }}'"}, "is neither credential.<field>"),
        ({"message": "'{{ credential.__class__ }}'"}, "unknown credential.__class__"),
        ({"message": "'{{ 7 * 7 }}'"}, "is neither credential.<field>"),
        ({"message": "'{% for x in y %}'"}, "resting.yaml:7:11: '{%' is not part of"),
        ({"message": "'{{ credential.name'"}, "'{{' is not part of"),
        ({"message": "'credential.name }}'"}, "'}}' is not part of"),
        ({"title": "'{{ credential.name }}'"}, "credential.name cannot be used here"),
        ({"title": "'{{ parameters.x }}'"}, "unknown parameters.x; known: idle_for"),
        ({"remediation": "{summary: s, commands: [\"x '{{ credential.name }}'\"]}"},
         "{{ credential.name }} stands inside quotes; values are quoted already"),
        ({"remediation": "{summary: s, providers: {aws: {commands: ['{{ x }}']}}}"},
         "resting.yaml:9:60: 'x' is neither"),
        ({"remediation": "{summary: s, url: 'http://example.com'}"}, "remediation.url"),
        ({"remediation": "{commands: []}"}, "remediation: 'summary' is missing"),
        ({"examples": "[{credential: {}, expect: maybe}]"}, "expect must be 'violation', 'pass'"),
        ({"parameters": "&x {idle_for: 45d}"}, "anchors (&x) are not allowed"),
        ({"parameters": "{idle_for: 45d, idle_for: 1d}"}, "the key 'idle_for' stands here twice"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_place(
    write_policy: Write, changes: dict[str, str], message: str
) -> None:
    said = problem(write_policy(**changes))
    assert said.startswith("resting.yaml:")
    assert message in said


def test_the_problems_of_all_files_are_told_at_once(write_policy: Write) -> None:
    first = write_policy("first", when="credential.x")
    write_policy("second", when="credential.y")
    write_policy("third")
    with pytest.raises(PolicyError) as caught:
        catalogue(BUILTIN, PolicySettings(directories=(str(first.parent),)), first.parent)
    assert "first.yaml:6:18" in str(caught.value)
    assert "second.yaml:6:18" in str(caught.value)


@pytest.mark.parametrize("path", find_files(BUILTIN), ids=lambda path: path.stem)
def test_what_ships_passes_every_check_of_a_users_file(path: Path) -> None:
    assert read(path).policy.id == path.stem


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no such folder of policies"):
        catalogue(tmp_path / "none")


@pytest.mark.parametrize(
    ("inferior", "message"),
    [
        ("otter", "cannot supersede 'otter'; did you mean 'other'?"),
        ("resting", "cannot supersede 'resting'"),
    ],
)
def test_only_another_known_policy_can_be_superseded(
    write_policy: Write, inferior: str, message: str
) -> None:
    write_policy("other")
    folder = write_policy(supersedes=f"[{inferior}]").parent
    with pytest.raises(PolicyError) as caught:
        catalogue(folder)
    assert f"resting.yaml:10:14: {message}" in str(caught.value)
