"""OCSF events: what the schema demands, what the life cycle means, ids that never move."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from auditor.model import Change, FindingState, FindingStatus, Resolution
from auditor.reports.events.parts import stable_id
from tests.reports.conftest import Render
from tests.reports.hostile import every_hostile_text, poisoned_view
from tests.reports.views import NOW, RUN, cases, credential, finding, full_view, generated, view

CLASSES = {"iam-analysis": 2008, "detection": 2004, "compliance": 2003}
every_class = pytest.mark.parametrize("kind", CLASSES)

REQUIRED = {
    "activity_id",
    "category_uid",
    "class_uid",
    "severity_id",
    "time",
    "type_uid",
    "metadata",
    "finding_info",
    "cloud",
}


def _events(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in raw.splitlines()]


def _one(render: Render, kind: str = "iam-analysis", **state: Any) -> dict[str, Any]:
    return _events(render("ocsf", view([finding(1, state=state)]), **{"class": kind}))[0]


def _empties(value: Any, path: str = "") -> list[str]:
    """Return the paths at which an event says nothing, which OCSF wants left out."""
    if value in (None, "", [], {}):
        return [path]
    if isinstance(value, dict):
        return [hit for name, part in value.items() for hit in _empties(part, f"{path}.{name}")]
    if isinstance(value, list):
        return [hit for part in value for hit in _empties(part, f"{path}[]")]
    return []


@every_class
def test_the_events_read_as_the_golden_ones(
    kind: str, render: Render, golden: Callable[[str, str], None]
) -> None:
    golden(f"findings.{kind}.ocsf.ndjson", render("ocsf", full_view(), **{"class": kind}).decode())


@every_class
@every_hostile_text
def test_required_attributes_are_there_and_nothing_is_empty(
    kind: str, text: str, render: Render
) -> None:
    for event in _events(render("ocsf", poisoned_view(text), **{"class": kind})):
        assert set(event) >= REQUIRED
        assert event["class_uid"] == CLASSES[kind]
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert event["metadata"]["version"] == "1.6.0"
        assert event["remediation"]["desc"]
        assert event["resources"][0]["uid"]
        assert event["cloud"]["provider"]
        assert [hit for hit in _empties(event) if ".data." not in hit] == []
        assert all(tag["name"] and tag["values"] for tag in event["finding_info"].get("tags", ()))


def test_the_default_class_is_iam_analysis_with_the_providers_own_id(render: Render) -> None:
    event = _events(render("ocsf", full_view()))[0]

    assert event["class_uid"] == 2008
    held = event["user"]["programmatic_credentials"][0]
    assert held == {
        "uid": "AKIAIOSFODNN7EXAMPLE",
        "type": "API Key",
        "last_used_time": 1761948000000,
        "last_used_time_dt": "2025-10-31T22:00:00.000Z",
    }
    assert event["identity_activity_metrics"]["programmatic_credentials"] == [held]
    assert event["resources"][0]["uid"] == "AKIAIOSFODNN7EXAMPLE"


def test_over_permission_tells_what_is_granted_and_unused(render: Render) -> None:
    events = _events(render("ocsf", full_view()))
    found = next(e for e in events if "permission_analysis_results" in e)

    analysis = found["permission_analysis_results"][0]
    assert analysis["granted_privileges"] == ["*:*"]
    assert analysis["unused_privileges_count"] == 1
    assert analysis["unused_services_count"] == 1
    assert (found["confidence_id"], found["confidence"]) == (2, "Medium")


def test_the_finding_keeps_its_uid_and_every_run_has_its_own_event(render: Render) -> None:
    first = _one(render)
    second = _events(render("ocsf", view([finding(1)], run=replace(RUN, id=8))))[0]

    assert first["finding_info"]["uid"] == second["finding_info"]["uid"]
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert uuid.UUID(first["finding_info"]["uid"]).version == 5
    assert first["finding_info"]["uid_alt"] == finding(1).state.id


def test_the_same_finding_has_another_uid_in_another_class(render: Render) -> None:
    uids = {_one(render, kind)["finding_info"]["uid"] for kind in CLASSES}

    assert len(uids) == 3


SEEN = {"first_seen_at": NOW - timedelta(days=9)}
ENDED = SEEN | {"status": FindingStatus.RESOLVED, "change": Change.RESOLVED}


@pytest.mark.parametrize(
    ("state", "activity", "status", "control"),
    [
        ({}, "Create", "New", "Fail"),
        (SEEN | {"change": Change.REOPENED, "opened_at": NOW}, "Create", "New", "Fail"),
        (SEEN | {"change": Change.UNCHANGED}, "Update", "New", "Fail"),
        (
            {"status": FindingStatus.SUPPRESSED, "change": Change.SUPPRESSED},
            "Create",
            "Suppressed",
            "Fail",
        ),
        (
            SEEN | {"status": FindingStatus.SUPPRESSED, "change": Change.SUPPRESSED},
            "Update",
            "Suppressed",
            "Fail",
        ),
        (ENDED | {"resolution": Resolution.REMOVED}, "Close", "Resolved", "Pass"),
        (ENDED | {"resolution": Resolution.CONDITION_CLEARED}, "Close", "Resolved", "Pass"),
        (ENDED | {"resolution": Resolution.SUPERSEDED}, "Close", "Archived", "Fail"),
        (ENDED | {"resolution": Resolution.POLICY_RETIRED}, "Close", "Archived", "Unknown"),
        (ENDED | {"resolution": Resolution.OUT_OF_SCOPE}, "Close", "Archived", "Unknown"),
        (ENDED | {"resolution": Resolution.NOT_JUDGED}, "Close", "Archived", "Unknown"),
    ],
)
def test_the_life_of_a_finding(
    state: dict[str, Any], activity: str, status: str, control: str, render: Render
) -> None:
    event = _one(render, "compliance", **state)

    assert (event["activity_name"], event["status"]) == (activity, status)
    assert event["compliance"]["status"] == control
    assert event["compliance"]["assessments"][0]["meets_criteria"] is (control == "Pass")


def test_created_time_is_the_present_lifes_and_first_seen_the_first(render: Render) -> None:
    since = NOW - timedelta(days=9)
    event = _one(render, change=Change.REOPENED, opened_at=NOW, first_seen_at=since)
    info = event["finding_info"]

    assert info["created_time_dt"] == "2026-03-01T03:00:00.000Z"
    assert info["first_seen_time_dt"] == "2026-02-20T03:00:00.000Z"


def test_only_a_new_finding_of_high_severity_is_an_alert(render: Render) -> None:
    events = _events(render("ocsf", full_view(), **{"class": "detection"}))

    alerts = [event for event in events if event["is_alert"]]
    assert [(e["activity_name"], e["severity"]) for e in alerts] == [("Create", "Critical")]


@pytest.mark.parametrize(
    "at", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)]
)
def test_a_time_that_nobody_believes_is_left_to_the_data(at: datetime, render: Render) -> None:
    subject = credential(1, created_at=at, last_used_at=None)

    resource = _events(render("ocsf", view([finding(1, subject=subject)])))[0]["resources"][0]

    assert ("created_time" in resource) is (at.year == 9999)
    assert resource["data"]["credential"]["created_time"].startswith(f"{at.year:04d}-")


@every_class
def test_time_twins_agree(kind: str, render: Render) -> None:
    def pairs(value: Any) -> list[tuple[int, str]]:
        if isinstance(value, list):
            return [pair for part in value for pair in pairs(part)]
        if not isinstance(value, dict):
            return []
        here = [(value[k[:-3]], value[k]) for k in value if k.endswith("_dt")]
        return here + [pair for part in value.values() for pair in pairs(part)]

    found = [
        pair for e in _events(render("ocsf", full_view(), **{"class": kind})) for pair in pairs(e)
    ]

    assert found
    for number, text in found:
        assert datetime.fromisoformat(text).timestamp() * 1000 == number


@every_class
def test_observables_repeat_what_the_event_says(kind: str, render: Render) -> None:
    for event in _events(render("ocsf", view(*generated(50)), **{"class": kind})):
        names = [entry["name"] for entry in event["observables"]]
        assert len(names) == len(set(names))
        for entry in event["observables"]:
            here: Any = event
            for part in entry["name"].split("."):
                here = here[0] if isinstance(here, list) else here
                here = here[part]
            assert here == entry["value"]


def test_lines_are_compact_sorted_utf8(render: Render) -> None:
    line = render("ocsf", view([finding(1, title="\u00e9")])).splitlines()[0]

    parsed = json.loads(line)
    again = json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert line == again.encode()


def test_event_uids_of_a_run_are_distinct(render: Render) -> None:
    events = _events(render("ocsf", view(*generated(500))))

    assert len({event["metadata"]["uid"] for event in events}) == 500


@pytest.mark.parametrize("text", ["f3a", "", '"', "\\", "\n", "\b", "\x7f", "\u00e9", "\ud800"])
def test_an_id_is_the_uuid_5_of_its_parts_as_json(text: str) -> None:
    namespace = uuid.UUID("c3c1cc2e-6d4c-5f2d-9d4e-6a2d7b7f1c55")
    for number in range(40):  # every variant digit
        parts = ("finding", number, text, None)
        name = json.dumps(parts, separators=(",", ":"))
        assert stable_id(*parts) == str(uuid.uuid5(namespace, name))


def test_every_case_has_an_event() -> None:
    assert all(isinstance(one.state, FindingState) for one in cases())
