"""The page about the policy language is true."""

import re
from pathlib import Path

import pytest

from auditor.model import Privilege
from auditor.policy import PolicySettings, load, run_examples
from auditor.policy.language import compile_condition
from auditor.policy.language.fields import DERIVED, FIELDS, Absence
from auditor.policy.language.functions import FUNCTION_NAMES, METHOD_NAMES
from auditor.policy.reading import read
from auditor.policy.schema import PolicyFile
from auditor.resources import bundled
from auditor.yamlfile import parse

PAGE = (Path(__file__).parents[2] / "docs" / "policy-language.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
CONDITIONS = [line for kind, text in BLOCKS if kind == "cel" for line in text.splitlines()]
FILE, SETTINGS = (text for kind, text in BLOCKS if kind == "yaml")


def _rows(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def test_the_policy_on_the_page_loads_and_its_examples_hold(tmp_path: Path) -> None:
    path = tmp_path / "quarterly-key-idle.yaml"
    path.write_text(FILE, encoding="utf-8")
    assert read(path).policy.category == "dormant"
    results = run_examples(path)
    assert [result.problem for result in results] == ["", "", ""]


@pytest.mark.parametrize("text", CONDITIONS)
def test_the_conditions_on_the_page_compile(text: str) -> None:
    compile_condition(text, {}, "page")


def test_the_settings_on_the_page_load(tmp_path: Path) -> None:
    (tmp_path / "my-policies").mkdir()
    settings = parse(SETTINGS, "page").validate(PolicySettings, ("policies",))
    policies = load(settings, builtin=bundled("policies"), directory=tmp_path)
    assert "unused-permissions" in {policy.id for policy in policies.policies}


def test_every_field_stands_on_the_page_with_what_its_absence_means() -> None:
    absences = {
        "always there": Absence.NEVER,
        "always there, maybe empty": Absence.NEVER,
        "`unknown`": Absence.NEVER,
        "null: guard it": Absence.NONE,
        "unknown": Absence.UNKNOWN,
    }
    told = {}
    for row in _rows("Fields"):
        for name in re.findall(r"`([a-z_.]+)`", row[0]):
            told[name] = absences.get(row[2], Absence.UNKNOWN) if row[2:] else Absence.UNKNOWN
            members = re.findall(r"`([a-z_]+)`", row[1]) if row[1].startswith("state") else []
            if members:
                assert tuple(members) == FIELDS[name].type.members
                assert (row[2] == "`unknown`") is FIELDS[name].type.can_be_unknown
    assert told == {name: field.absence for name, field in FIELDS.items()}
    assert set(DERIVED) <= set(told)
    assert "admin" in {member.value for member in Privilege}


def test_every_function_and_every_key_of_a_file_stands_on_the_page() -> None:
    section = PAGE.partition("\n## Conditions\n")[2]
    for name in (*FUNCTION_NAMES, *METHOD_NAMES):
        assert f"{name}(" in section, name
    told = {name for row in _rows("The file") for name in re.findall(r"`([a-z_]+)`", row[0])}
    assert told == set(PolicyFile.model_fields)
