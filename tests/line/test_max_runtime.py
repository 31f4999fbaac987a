"""A run whose time is over judges what it has read, and believes nothing of the rest."""

import asyncio
import json
from datetime import timedelta

import pytest

from auditor import pipeline
from auditor.line.setting import Order
from auditor.model import RunStatus

SOURCE = "  - {name: paced, provider: 'tests.fakes.paced:Paced', organizations: 3}"


@pytest.fixture
def paced(house):
    house.sources = ()
    house.extra = f"{SOURCE}\nreports: {{directory: reports, formats: [json]}}"
    return house


def audit(house, limit=None):
    order = Order(max_runtime=None if limit is None else timedelta(seconds=limit))
    result = asyncio.run(pipeline.audit(house.config(), order, clock=lambda: house.now))
    path = house.root / "reports" / f"report-{result.view.run.id}.json"
    return result, json.loads(path.read_text())


def unread(report):
    return {
        part["organization"]["id"]: part["reason"]
        for part in report["coverage"]
        if part["status"] == "failed"
    }


def findings(report):
    return {
        (one["credential"]["organization"]["id"], one["policy_id"]): one["status"]
        for one in report["findings"]
    }


def test_what_was_read_in_time_is_judged_and_the_rest_is_told(paced):
    (paced.root / "hold-2").touch()
    result, report = audit(paced, 1)
    assert unread(report)["org-2"] == "max_runtime"
    assert set(unread(report).values()) == {"max_runtime"}
    assert report["run"]["status"] == "incomplete"
    assert {place for place, _policy in findings(report)} == {"org-0", "org-1", "org-2"} - set(
        unread(report)
    )
    assert result.is_cut_short
    assert result.is_incomplete
    (told,) = (p["error"] for p in report["coverage"] if (p["organization"] or {})["id"] == "org-2")
    assert told.startswith("paced was not read to its end within `max_runtime` of the schedule (1s")


def test_nothing_is_resolved_by_what_was_not_read_in_time(paced):
    _, whole = audit(paced)
    assert len({place for place, _policy in findings(whole)}) == 3
    paced.later(days=1)
    calls = (paced.root / "calls").read_text()
    result, report = audit(paced, 0)
    assert (paced.root / "calls").read_text() == calls
    assert unread(report) == dict.fromkeys(("org-0", "org-1", "org-2"), "max_runtime")
    assert findings(report) == findings(whole)
    assert set(findings(report).values()) == {"open"}
    assert {one["change"] for one in report["findings"]} == {"unchanged"}
    paced.later(days=1)
    result, report = audit(paced, 600)
    assert result.view.run.status is RunStatus.COMPLETE
    assert unread(report) == {}
    assert not result.is_cut_short


def test_a_source_that_was_never_read_is_told_as_well(paced):
    _, report = audit(paced, 0)
    (part,) = report["coverage"]
    assert (part["source"], part["status"], part["reason"]) == ("paced", "failed", "max_runtime")
    assert report["run"]["status"] == "incomplete"
