"""The JSON report: keys to the letter, valid against its schema, exact to the byte."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import jsonschema
import pytest

from auditor.model import Evidence
from auditor.reports.json import SCHEMA_VERSION, schema
from tests.reports.conftest import Render
from tests.reports.hostile import every_hostile_text, poisoned_view
from tests.reports.views import credential, finding, full_view, generated, view


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(
        schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def _parsed(raw: bytes) -> dict[str, Any]:
    def refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    found: dict[str, Any] = json.loads(raw, object_pairs_hook=refuse_twins)
    return found


def test_the_report_reads_as_the_golden_one(
    render: Render, golden: Callable[[str, str], None]
) -> None:
    golden("report.json", render("json", full_view()).decode())


def test_the_schema_is_the_published_one(golden: Callable[[str, str], None]) -> None:
    """A change here is a change of the promise: raise the version and say so in the changelog."""
    golden("report.schema.json", json.dumps(schema(), indent=2) + "\n")


def test_the_keys_are_the_promised_ones(render: Render) -> None:
    report = _parsed(render("json", full_view()))

    assert set(report) == {
        "schema_version",
        "run",
        "coverage",
        "summary",
        "findings",
        "not_evaluable",
        "ending_exceptions",
        "compliance",
    }
    assert report["schema_version"] == SCHEMA_VERSION
    assert {"id", "started_at", "finished_at", "now", "status", "tool"} <= set(report["run"])
    first = report["findings"][0]
    promised = {
        "id",
        "policy_id",
        "title",
        "severity",
        "status",
        "change",
        "resolution",
        "risk",
        "first_seen_at",
        "last_seen_at",
        "stale_since",
        "credential",
        "evidence",
        "remediation",
        "controls",
        "exception",
    }
    assert promised <= set(first)
    assert set(first["risk"]) == {"score", "reasons"}
    assert "raw" not in first["credential"]


def test_a_finding_says_how_certainly_its_controls_are_mapped(render: Render) -> None:
    found = _parsed(render("json", full_view()))["findings"]

    dormant = next(one for one in found if one["policy_id"] == "dormant-credential")
    assert dormant["control_certainty"] == {
        "cis-aws-5.0": {"1.11": "high"},
        "nist-800-53-r5": {"AC-2(3)": "high", "IA-5(1)": "medium"},
        "owasp-nhi-2025": {"NHI1": "medium"},
    }
    unknown = next(one for one in found if one["policy_id"] == "never-used-credential")
    assert unknown["control_certainty"].keys() == unknown["controls"].keys()
    assert not any(unknown["control_certainty"].values())


def test_every_field_of_a_credential_but_the_raw_record_is_reported(render: Render) -> None:
    subject = credential(1, raw={"secretish": "canary"})

    raw = render("json", view([finding(1, subject=subject)]))

    reported = _parsed(raw)["findings"][0]["credential"]
    assert set(subject.__struct_fields__) - {"raw"} <= set(reported)
    assert b"canary" not in raw


def test_instants_are_aware_utc(render: Render) -> None:
    report = _parsed(render("json", full_view()))

    for text in (report["run"]["now"], report["findings"][0]["first_seen_at"]):
        assert text.endswith("Z")
        assert datetime.fromisoformat(text).utcoffset() is not None


@every_hostile_text
def test_hostile_text_survives_to_the_letter(
    text: str, render: Render, validator: jsonschema.Draft202012Validator
) -> None:
    report = _parsed(render("json", poisoned_view(text)))

    validator.validate(report)
    expected = text.replace("\ud800", "\ufffd")
    assert report["findings"][0]["credential"]["name"] == expected
    assert report["summary"]["verdict"] == expected


def test_generated_findings_are_valid(
    render: Render, validator: jsonschema.Draft202012Validator
) -> None:
    report = _parsed(render("json", view(*generated(200))))

    validator.validate(report)
    assert len(report["findings"]) == 200


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_comma_stands_between_findings_only(number: int, render: Render) -> None:
    found, credentials = generated(number)

    report = _parsed(render("json", view(found, credentials, not_evaluable=())))

    assert len(report["findings"]) == number


def test_a_number_that_json_cannot_say_becomes_null(render: Render) -> None:
    odd = finding(1, evidence=(Evidence("ratio", float("nan"), float("inf")),))

    evidence = _parsed(render("json", view([odd])))["findings"][0]["evidence"]

    assert evidence == [{"fact": "ratio", "observed": None, "limit": None}]


def test_one_finding_stands_on_one_line(render: Render) -> None:
    made = full_view()

    lines = render("json", replace(made)).decode().splitlines()

    assert sum('"policy_id"' in line and '"risk"' in line for line in lines) == 15


def test_controls_of_its_own_for_every_finding_are_told_apart(render: Render) -> None:
    """How certain controls are is remembered for some hundreds of them, by their identity."""
    control = {"owasp-nhi-2025": {"NHI1": "medium"}}
    findings = [
        finding(n, score=50, state={"id": f"{n:04}"}, controls={"owasp-nhi-2025": (f"NHI{n}",)})
        for n in range(1_500)
    ]
    made = view(findings, certainties={"dormant-credential": control})
    found = _parsed(render("json", made))["findings"]
    assert [one["controls"] for one in found] == [
        {"owasp-nhi-2025": [f"NHI{n}"]} for n in range(1_500)
    ]
    certain = [one["id"] for one in found if one["control_certainty"] == control]
    assert certain == ["0001"]
