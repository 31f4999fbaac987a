"""The line as a whole: real files, a real database, real reports."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from auditor.errors import ConfigError
from auditor.line.publish import open_formats, prepare_directory, publish
from auditor.line.recall import recall
from auditor.store import Store
from tests.house import DORMANT, NOW, House, key


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def states(report):
    """(credential, policy) → (status, change, resolution) of a report."""
    return {
        (f["credential"]["name"], f["policy_id"]): (f["status"], f["change"], f.get("resolution"))
        for f in report["findings"]
    }


def test_a_first_run_opens_findings_and_names_the_evidence(house):
    house.export(key(1), key(2, **DORMANT))

    result, report = house.audit()

    assert {("key-2", "dormant-credential"): ("open", "opened", None)} == states(report)
    assert not result.is_incomplete
    assert {"medium": 1} == dict(result.new_by_severity)
    (finding,) = report["findings"]
    assert "57 days" in json.dumps(finding["evidence"]) or "P57" in json.dumps(finding["evidence"])


def test_a_second_run_on_the_same_data_changes_nothing(house):
    house.export(key(1), key(2, **DORMANT))
    house.audit()
    house.later(hours=1)

    result, report = house.audit()

    assert {("key-2", "dormant-credential"): ("open", "unchanged", None)} == states(report)
    assert not result.new_by_severity


def test_use_resolves_a_dormant_finding_and_it_counts_as_fixed(house):
    house.export(key(1), key(2, **DORMANT))
    house.audit()
    house.later(days=1)
    house.export(key(1), key(2, used="2026-03-01T12:00:00Z", created=DORMANT["created"]))

    _, report = house.audit()

    expected = {("key-2", "dormant-credential"): ("resolved", "resolved", "condition_cleared")}
    assert expected == states(report)
    assert 1 == report["summary"]["fixed"]


def test_a_removed_credential_resolves_as_removed_and_reopens_with_its_first_date(house):
    house.export(key(1), key(2, **DORMANT))
    house.audit()
    house.later(days=1)
    house.export(key(1))
    _, gone = house.audit()
    house.later(days=1)
    house.export(key(1), key(2, **DORMANT))

    _, back = house.audit()

    assert ("resolved", "resolved", "removed") == states(gone)["key-2", "dormant-credential"]
    assert ("open", "reopened", None) == states(back)["key-2", "dormant-credential"]
    (finding,) = back["findings"]
    assert "2026-03-01T03:00:00Z" == finding["first_seen_at"]


def test_a_source_that_fails_keeps_its_findings_and_makes_the_run_incomplete(house):
    house.export(key(1), key(2, **DORMANT))
    house.audit()
    house.later(days=1)
    (house.root / "exports.json").unlink()

    result, report = house.audit()

    assert result.is_incomplete
    assert ("open", "unchanged", None) == states(report)["key-2", "dormant-credential"]
    (finding,) = report["findings"]
    assert "2026-03-02T03:00:00Z" == finding["stale_since"]
    assert "failed" == report["coverage"][0]["status"]


def test_a_broken_record_makes_its_organization_partial_and_removes_nothing(house):
    house.export(key(1), key(2, **DORMANT))
    house.audit()
    house.later(days=1)
    house.export(key(1), 42)

    result, report = house.audit()

    assert result.is_incomplete
    assert "partial" in {part["status"] for part in report["coverage"]}
    assert "open" == states(report)["key-2", "dormant-credential"][0]


def test_a_source_that_suddenly_shows_nothing_is_believed_the_second_time(house):
    house.export(key(1), key(2, **DORMANT))
    house.audit()
    house.later(days=1)
    house.export()
    first, report = house.audit()
    house.later(days=1)
    house.export()

    second, confirmed = house.audit()

    assert first.is_incomplete
    assert "suspicious_drop" == report["coverage"][0]["reason"]
    assert "open" == states(report)["key-2", "dormant-credential"][0]
    assert not second.is_incomplete
    assert ("resolved", "resolved", "removed") == states(confirmed)["key-2", "dormant-credential"]


def test_a_drop_is_believed_at_once_where_the_operator_says_so(house):
    house.export(key(1), key(2, **DORMANT))
    house.audit()
    house.later(days=1)
    house.export()

    result, report = house.audit(accept_drop=True)

    assert not result.is_incomplete
    assert ("resolved", "resolved", "removed") == states(report)["key-2", "dormant-credential"]


def test_sources_that_are_not_selected_change_nothing(house):
    house.sources = ("exports", "others")
    house.export(key(1, **DORMANT))
    house.export(key(2, **DORMANT, organization="beta"), source="others")
    house.audit()
    house.later(days=1)

    result, report = house.audit(sources=("exports",))

    assert not result.is_incomplete
    assert ("open", "unchanged", None) == states(report)["key-2", "dormant-credential"]
    assert {"complete", "not_selected"} == {part["status"] for part in report["coverage"]}


def test_a_source_that_left_the_configuration_ends_its_findings_as_out_of_scope(house):
    house.sources = ("exports", "others")
    house.export(key(1, **DORMANT))
    house.export(key(2, **DORMANT, organization="beta"), source="others")
    house.audit()
    house.later(days=1)
    house.sources = ("exports",)

    _, report = house.audit()

    assert ("resolved", "resolved", "out_of_scope") == states(report)["key-2", "dormant-credential"]
    assert 0 == report["summary"]["fixed"]


def test_one_credential_seen_by_two_sources_has_one_finding(house):
    house.sources = ("exports", "others")
    house.export(key(1, **DORMANT), at=NOW - timedelta(days=1))
    house.export(key(1, **DORMANT), source="others")

    _, report = house.audit()

    assert 1 == len(report["findings"])
    assert 1 == report["summary"]["credentials"]
    assert "others" == report["findings"][0]["credential"]["source"]


def test_a_disabled_policy_ends_its_findings_as_retired(house):
    house.export(key(1), key(2, **DORMANT))
    house.audit()
    house.later(days=1)
    house.extra = "policies: {disable: [dormant-credential]}"

    _, report = house.audit()

    expected = {("key-2", "dormant-credential"): ("resolved", "resolved", "policy_retired")}
    assert expected == states(report)


def test_an_exception_suppresses_visibly_until_its_last_day(house):
    (house.root / "exceptions.yaml").write_text(
        "exceptions:\n"
        "  - match: {policy: dormant-credential, name: key-2}\n"
        "    reason: quarterly job\n"
        "    approver: ciso@acme.example\n"
        "    created: 2026-02-01\n"
        "    expires: 2026-03-05\n"
    )
    house.extra = "exceptions: exceptions.yaml"
    house.export(key(1), key(2, **DORMANT))
    _, report = house.audit()
    house.later(days=10)

    _, later = house.audit()

    assert "suppressed" == states(report)["key-2", "dormant-credential"][0]
    assert "quarterly job" == report["findings"][0]["exception"]["reason"]
    assert 1 == report["summary"]["suppressed"]
    assert 0 == report["summary"]["findings"]
    assert "open" == states(later)["key-2", "dormant-credential"][0]


def test_a_known_gap_is_shown_and_does_not_count(house):
    house.extra = "known_gaps: [{source: exports, reason: vendor outage, expires: 2026-04-01}]"

    result, report = house.audit()

    assert not result.is_incomplete
    assert "failed" == report["coverage"][0]["status"]
    assert "vendor outage (until 2026-04-01)" == report["coverage"][0]["known_gap"]


def test_as_of_sets_now_for_file_sources(house):
    house.extra = "as_of: 2026-01-10T00:00:00Z"
    house.export(key(2, **DORMANT), at=datetime(2026, 1, 10, tzinfo=UTC))

    result, report = house.audit()

    assert datetime(2026, 1, 10, tzinfo=UTC) == result.view.run.now
    assert result.view.run.is_as_of
    assert {} == states(report)


def test_idleness_is_judged_up_to_the_export_not_beyond(house):
    house.export(key(2, **DORMANT), at=datetime(2026, 1, 20, tzinfo=UTC))

    _, report = house.audit()

    assert ("key-2", "dormant-credential") not in states(report)


def test_an_unwritable_report_folder_is_found_before_anything_is_read(house):
    house.export(key(1))
    (house.root / "reports").write_text("a file where the folder should be")

    with pytest.raises(ConfigError, match=r"report folder .* cannot be written"):
        house.audit()
    assert not (house.root / "auditor.db").exists()


def test_a_stored_run_renders_to_the_same_bytes_later(house):
    house.export(key(1), key(2, **DORMANT))
    result, _ = house.audit(formats=("json", "csv", "ocsf", "html"))
    house.later(days=3)
    house.export(key(1), key(3, **DORMANT))
    house.audit()
    config = house.config()
    with Store.open(config.database_url) as store, recall(store, config, "1") as view:
        formats = open_formats(("json", "csv", "ocsf", "html"))
        prepare_directory(house.root / "again")
        again, failures = publish(view, formats, house.root / "again")

    assert [] == failures
    for before, after in zip(result.reports, again, strict=True):
        assert before.read_bytes() == after.read_bytes(), after.name


def test_everything_a_run_writes_is_for_its_owner_only(house):
    house.export(key(1))
    house.audit()

    for path in [*house.root.glob("auditor.db*"), *(house.root / "reports").iterdir()]:
        assert 0o600 == path.stat().st_mode & 0o777, path.name


def test_a_held_finding_is_listed_by_the_risk_that_is_remembered(house):
    house.extra = "policies: {enable: [review-overdue]}"
    held = {"reviewed_at": "2025-01-01T00:00:00Z"}
    house.export(key(1, **held, permissions={"iam": {"*": True}}))
    _, before = house.audit()
    house.later(days=1)
    house.export(key(1, permissions={"items": {"read": True}}))

    _, report = house.audit()

    (first,) = [f for f in before["findings"] if f["policy_id"] == "review-overdue"]
    (finding,) = [f for f in report["findings"] if f["policy_id"] == "review-overdue"]
    assert finding["not_evaluable_since"] is not None
    assert first["risk"]["score"] == finding["risk"]["score"]
    with Store.open(house.config().database_url) as store:
        record = store.finding(finding["id"])
    assert record is not None
    assert finding["risk"]["score"] == record.state.risk_score


def test_report_options_reach_the_format(house):
    house.extra = "reports: {formats: [json, ocsf], options: {ocsf: {class: detection}}}"
    house.export(key(2, **DORMANT))
    house.audit()

    (event,) = (house.root / "reports" / "findings-1.ocsf.ndjson").read_text().splitlines()
    assert 2004 == json.loads(event)["class_uid"]
