"""`auditor diff` on real runs."""

import json
from pathlib import Path

import pytest

from tests.house import DORMANT, House, key

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def house(tmp_path):
    """Three runs: a quiet one, one in which everything happens, and one that changes nothing."""
    house = House(tmp_path)
    house.export(
        key(1),
        key(2, **DORMANT, owner="old@example.com"),
        key(3, permissions={"items": {"read": True, "write": True}}),
        key(4),
    )
    house.audit()
    house.later(days=1)
    house.export(
        key(2, created=DORMANT["created"], owner="new@example.com"),
        key(3, permissions={"items": {"read": True}, "users": {"read": True}}),
        key(4, rotated_at="2026-03-01T12:00:00Z"),
        key(5, **DORMANT),
    )
    house.audit()
    house.later(days=1)
    house.audit()
    return house


def golden(name, text, request):
    path = GOLDEN / name
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.parametrize("name", ["diff.txt", "diff.json"])
def test_the_diff_of_two_runs_is_the_golden_one(run, house, request, name):
    as_json = ["--json"] if name.endswith("json") else []

    answer = run(
        "diff", "-c", house.root / "config.yaml", "--from", "1", "--to", "2", *as_json
    )  # fmt: skip

    assert answer.code == 0, answer.err
    golden(name, answer.out, request)


def test_the_counts_are_those_of_the_entries(run, house):
    found = json.loads(
        run(
            "diff", "-c", house.root / "config.yaml", "--from", "1", "--to", "2", "--json"
        ).out
    )  # fmt: skip

    steps = [change["change"] for entry in found["credentials"] for change in entry["changes"]]
    assert {step: steps.count(step) for step in steps} == found["counts"]["credentials"]
    assert {"added", "removed", "rotated", "reowned", "permissions_grew"} <= set(steps)
    turns = [entry["change"] for entry in found["findings"]]
    assert {turn: turns.count(turn) for turn in turns} == found["counts"]["findings"]
    assert {"opened", "resolved"} == set(turns)


def test_a_run_is_compared_with_the_one_before_unless_told_otherwise(run, house):
    config = house.root / "config.yaml"

    same = json.loads(run("diff", "-c", config, "--json").out)
    back = json.loads(run("diff", "-c", config, "--from", "2", "--to", "1", "--json").out)

    assert (2, 3) == (same["from"]["id"], same["to"]["id"])
    assert {"credentials": {}, "findings": {}} == same["counts"]
    assert 1 == back["counts"]["credentials"]["removed"]


def test_the_first_run_has_nothing_before_it(run, house):
    answer = run("diff", "-c", house.root / "config.yaml", "--to", "1")

    assert answer.code == 2
    assert "nothing before it" in answer.err


def test_a_credential_nobody_reads_any_more_is_not_called_removed(run, tmp_path):
    house = House(tmp_path)
    house.sources = ("exports", "others")
    house.export(key(1))
    house.export(key(2, **DORMANT, organization="other"), source="others")
    house.audit()
    house.sources = ("exports",)
    house.audit()

    found = json.loads(run("diff", "-c", tmp_path / "config.yaml", "--json").out)

    assert {"out_of_scope": 1} == found["counts"]["credentials"]
    assert ["out_of_scope"] == [entry["resolution"] for entry in found["findings"]]
