"""Weeks of a whole company through the real line: every count of every report from the events.

Nothing is taken from a report to explain another: the expected figures come from the log of
finding events, and from what the company's exports said when they were read.
"""

import csv
import json
import sqlite3
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from auditor.line.compare import Comparison
from auditor.line.trends import trends
from auditor.policy.controls import framework
from auditor.store import Store
from tests.house import House
from tests.line.simulation import Company

FIXED = ("removed", "condition_cleared")
SIZES = [
    pytest.param(10, 200, id="10 days of 200 credentials"),
    pytest.param(90, 2_000, id="90 days of 2000 credentials", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("days", "size"), SIZES)
def test_every_count_of_every_report_follows_from_the_events(tmp_path, days, size):
    house = House(tmp_path)
    company = Company(house, size, seed=days)
    ledgers = [_one_day(house, company, day) for day in range(days)]

    log = Log(tmp_path / "auditor.db")
    for run_id, ledger in enumerate(ledgers, 1):
        log.advance(run_id)
        _check_report(tmp_path, run_id, log, ledger)
    assert log.changes.total() > days * size / 5
    assert {"opened", "reopened", "resolved", "suppressed"} <= set(log.changes)
    assert {"removed", "condition_cleared", "superseded", "policy_retired"} <= set(log.endings)
    _check_trends(house, log, days)
    _check_diffs(house, days)


def _one_day(house: House, company: Company, day: int) -> dict[str, Any]:
    """Audit a day; returns what was read in it and what is known of everything since."""
    if day:
        company.day()
    company.configure(day)
    shown, selected = company.publish()
    house.audit(sources=selected)
    company.remember(shown)
    read = set().union(*shown.values())
    return {"read": read, "known": {uid: _facts(one) for uid, one in company.known.items()}}


def _facts(entry: dict[str, Any]) -> tuple[str, str, str]:
    organization = f"{entry['provider']}:{entry['organization']['id']}"
    return entry["provider"], organization, entry["owner"] or ""


class Log:
    """The events of the database, replayed run by run."""

    def __init__(self, path) -> None:
        self._rows: dict[int, list[tuple[str, dict[str, Any]]]] = {}
        with sqlite3.connect(path) as connection:
            query = (
                "SELECT e.run_id, f.id, e.body FROM finding_event e "
                "JOIN finding f ON f.number = e.finding ORDER BY e.id"
            )
            for run_id, finding, body in connection.execute(query):
                self._rows.setdefault(run_id, []).append((finding, json.loads(body)))
        connection.close()
        self.run_id = 0
        self.states: dict[str, dict[str, Any]] = {}
        self.now: dict[str, dict[str, Any]] = {}
        """What the run did, by finding."""
        self.changes: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.opened: list[int] = []
        self.fixed: list[int] = []
        self.open: list[int] = []
        self.mended: Counter[tuple[str, int]] = Counter()

    def advance(self, run_id: int) -> None:
        self.now = dict(self._rows.get(run_id, ()))
        self.states |= self.now
        self.changes.update(state["change"] for state in self.now.values())
        ended = [s for s in self.now.values() if s["status"] == "resolved"]
        self.endings.update(state["resolution"] for state in ended)
        fixed = [state for state in ended if state["resolution"] in FIXED]
        self.fixed.append(len(fixed))
        for state in fixed:
            begun = state.get("opened_at") or state["first_seen_at"]
            days = (_at(state["resolved_at"]) - _at(begun)).days
            self.mended[state["policy_id"], days] += 1
        live = list(self.live())
        self.open.append(sum(state["status"] == "open" for _id, state in live))
        news = [one for one in live if one[0] in self.now and one[1]["status"] == "open"]
        self.opened.append(sum(s["change"] in ("opened", "reopened") for _id, s in news))

    def live(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for finding, state in self.states.items():
            if state["status"] != "resolved":
                yield finding, state

    def shown(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Yield what a report of the run lists: finding, state, change."""
        for finding, state in self.live():
            yield finding, state, state["change"] if finding in self.now else "unchanged"
        for finding, state in self.now.items():
            if state["status"] == "resolved" and state["change"] == "resolved":
                yield finding, state, "resolved"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _check_report(root, run_id: int, log: Log, ledger: dict[str, Any]) -> None:
    report = json.loads((root / "reports" / f"report-{run_id}.json").read_text())
    shown = list(log.shown())
    open_ones = [state for _id, state, _change in shown if state["status"] == "open"]
    summary, known = report["summary"], ledger["known"]
    open_uids = {state["credential_uid"] for state in open_ones}
    ended = [s for _id, s, _change in shown if s["status"] == "resolved"]
    facts = [known[state["credential_uid"]] for state in open_ones]
    expected = {
        "credentials": len(ledger["read"]) + len(open_uids - ledger["read"]),
        "credentials_with_findings": len(open_uids),
        "findings": len(open_ones),
        "suppressed": sum(state["status"] == "suppressed" for _id, state, _change in shown),
        "stale": sum(state.get("stale_since") is not None for state in open_ones),
        "resolved": len(ended),
        "fixed": sum(state["resolution"] in FIXED for state in ended),
        "by_status": Counter(state["status"] for _id, state, _change in shown),
        "by_change": Counter(change for _id, _state, change in shown),
        "by_severity": Counter(state["severity"] for state in open_ones),
        "by_resolution": Counter(state["resolution"] for state in ended),
        "by_policy": Counter(state["policy_id"] for state in open_ones),
        "by_provider": Counter(provider for provider, _organization, _owner in facts),
        "by_organization": Counter(organization for _provider, organization, _owner in facts),
        "by_owner": Counter(owner for _provider, _organization, owner in facts),
    }
    told = {name: _counts(summary[name]) for name in expected}
    assert told == {name: _counts(value) for name, value in expected.items()}, run_id
    listed = {
        f["id"]: (f["status"], f["change"], f["severity"], f["risk"]["score"])
        for f in report["findings"]
    }
    assert listed == {
        finding: (state["status"], change, state["severity"], state["risk_score"])
        for finding, state, change in shown
    }
    _check_controls(report, shown)
    _check_other_formats(root, run_id, report, shown)


def _counts(value: Any) -> Any:
    """Return counts without the zeros that some mappings name."""
    return {k: n for k, n in value.items() if n} if isinstance(value, dict) else value


def _check_controls(report: dict[str, Any], shown: list[tuple[str, dict[str, Any], str]]) -> None:
    """Hold controls against open findings where no policy hands its findings to another."""
    alone = {
        "departed-owner", "review-overdue", "ownerless-credential", "shared-credential",
        "multiple-active-credentials",
    }  # fmt: skip
    checked = 0
    for row in report["compliance"]:
        for control in row["controls"]:
            total = sum(control[name] for name in ("passed", "failed", "excepted", "not_evaluable"))
            assert control["credentials"] == total
            policies = {one["policy_id"] for one in control["maps_from"]}
            if not policies <= alone or not framework(row["key"]).covers("acme"):
                continue
            checked += 1
            failed = {
                state["credential_uid"]
                for _id, state, _change in shown
                if state["policy_id"] in policies and state["status"] == "open"
            }
            assert len(failed) == control["failed"], (row["key"], control["id"])
    assert checked >= 3


def _check_other_formats(
    root, run_id: int, report: dict[str, Any], shown: list[tuple[str, dict[str, Any], str]]
) -> None:
    folder = root / "reports"
    with (folder / f"report-{run_id}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter((row["status"], row["change"]) for row in rows) == Counter(
        (state["status"], change) for _id, state, change in shown
    )
    suites = ET.parse(folder / f"report-{run_id}.junit.xml").getroot()  # noqa: S314 - our own file
    cases = [case for case in suites.iter("testcase") if case.find("failure") is not None]
    assert len(cases) == sum(state["status"] == "open" for _id, state, _change in shown)
    text = (folder / f"report-{run_id}.md").read_text(encoding="utf-8")
    assert f"{report['summary']['findings']:,} open finding" in text


def _check_trends(house: House, log: Log, days: int) -> None:
    with Store.open(house.config().database_url) as store:
        found = trends(store, runs=days)
    assert found is not None
    assert [point.findings for point in found.points] == log.open
    assert [point.opened for point in found.points] == log.opened
    assert [point.fixed for point in found.points] == log.fixed
    overall = found.time_to_resolve.overall
    assert overall is not None
    assert overall.fixed == sum(log.fixed)
    for policy, time in found.time_to_resolve.by_policy.items():
        spans = Counter({d: n for (name, d), n in log.mended.items() if name == policy})
        ordered = sorted(spans.elements())
        assert time.fixed == len(ordered)
        assert time.median_days == ordered[(len(ordered) + 1) // 2 - 1]
        assert time.slowest_tenth_days == ordered[-(-len(ordered) * 9 // 10) - 1]


def _check_diffs(house: House, days: int) -> None:
    """Hold comparisons of runs against the reports of both ends."""
    pairs = {(1, days), (days // 2, days // 2 + 1), (days - 1, days)}
    with Store.open(house.config().database_url) as store:
        for before, after in sorted(pairs):
            was, is_now = (_live(house, run_id) for run_id in (before, after))
            compared = Comparison.open(store, str(before), str(after))
            turns = {one.diff.state.id: one.diff.turn.value for one in compared.findings()}
            moved = {
                finding
                for finding in was.keys() | is_now.keys()
                if was.get(finding) != is_now.get(finding)
            }
            assert set(turns) == moved
            gone = {finding for finding in moved if finding not in is_now}
            assert {f for f, turn in turns.items() if turn == "resolved"} == gone


def _live(house: House, run_id: int) -> dict[str, str]:
    report = json.loads((house.root / "reports" / f"report-{run_id}.json").read_text())
    return {f["id"]: f["status"] for f in report["findings"] if f["status"] != "resolved"}
