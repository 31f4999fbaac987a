"""`auditor compliance` on the example configuration."""

import json
from pathlib import Path

from auditor.findings.compliance import ControlRow


def test_the_four_counts_of_every_control_add_up(run, home):
    found = json.loads(run("compliance", "-c", home / "config.yaml", "--json").out)
    report = json.loads((home / "reports" / "report-1.json").read_text())

    assert found == report["compliance"]
    controls = [control for row in found for control in row["controls"]]
    assert len(controls) > 20
    for control in controls:
        parts = ("passed", "failed", "excepted", "not_evaluable")
        assert control["credentials"] == sum(control[name] for name in parts)
        assert control["maps_from"]
    assert any(control["failed"] for control in controls)


def test_the_failed_count_is_that_of_the_findings_and_what_they_took_over(run, home):
    """Control AC-2(3) of 800-53 is mapped by policies that supersede each other."""
    report = json.loads((home / "reports" / "report-1.json").read_text())
    (row,) = (row for row in report["compliance"] if row["key"] == "nist-800-53-r5")
    (control,) = (one for one in row["controls"] if one["id"] == "AC-2(3)")
    policies = {one["policy_id"] for one in control["maps_from"]}

    flagged = {
        finding["credential"]["uid"]
        for finding in report["findings"]
        if finding["policy_id"] in policies and finding["status"] == "open"
    }
    assert len(flagged) == control["failed"]


def test_one_framework_is_shown_as_a_table_with_certainty_and_denominator(run, home):
    answer = run("compliance", "-c", home / "config.yaml", "--framework", "cis-aws-5.0")

    assert answer.code == 0
    assert "(cis-aws-5.0)" in answer.out
    assert "dormant-credential (high)" in answer.out
    assert "compl" not in answer.out.lower().replace("compliance", "")


def test_an_unknown_framework_gets_a_hint(run, home):
    answer = run("compliance", "-c", home / "config.yaml", "--framework", "cis-aws-5")

    assert answer.code == 2
    assert "cis-aws-5.0" in answer.err


def test_the_page_names_every_count():
    text = (Path(__file__).parents[2] / "docs" / "compliance.md").read_text()
    for name in ControlRow.__struct_fields__:
        if name not in ("id", "title", "policies"):
            assert f"| `{name}` |" in text


def test_findings_and_the_report_tell_the_certainty_of_every_control(run, home):
    listed = json.loads(run("findings", "list", "-c", home / "config.yaml", "--json").out)
    report = json.loads(next((home / "reports").glob("report-*.json")).read_text())
    for finding in (*listed, *report["findings"]):
        certainty = finding["control_certainty"]
        assert {name: list(known) for name, known in certainty.items()} == finding["controls"]
        words = {word for known in certainty.values() for word in known.values()}
        assert words <= {"high", "medium", "low"}
