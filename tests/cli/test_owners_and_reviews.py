"""Owners, people who left, reviews and grace, through real runs."""

import json

import pytest

from tests.house import DORMANT, House, key

PEOPLE = "email,status\njo@example.com,active\nmax@example.com,left\n"
REVIEWS = """\
reviews:
  - match: {owner: jo@example.com}
    reviewer: jo@example.com
    reviewed: 2026-02-25
"""
OLD = {"created": "2025-06-01T00:00:00Z"}


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    house.extra = (
        "directory: people.csv\nreviews: reviews.yaml\n"
        "policies: {enable: [departed-owner, review-overdue], disable: [long-lived-credential]}"
    )
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "reviews.yaml").write_text(REVIEWS)
    house.export(
        key(1, owner="jo@example.com", **OLD),
        key(2, owner="max@example.com", **OLD),
        key(3, **DORMANT),
        key(4, owner="jo@example.com", created="2025-06-01T00:00:00Z",
            rotated_at="2026-02-26T00:00:00Z"),
        key(5, owner="team", **OLD),
    )  # fmt: skip
    return house


def policies(report, name):
    return {f["policy_id"] for f in report["findings"] if f["credential"]["name"] == name}


def test_who_has_left_owns_a_finding(house):
    _, report = house.audit()

    assert "departed-owner" in policies(report, "key-2")
    for name in ("key-1", "key-3", "key-4", "key-5"):
        assert "departed-owner" not in policies(report, name)
    (finding,) = (f for f in report["findings"] if f["policy_id"] == "departed-owner")
    assert "departed" == finding["credential"]["owner_status"]
    assert "departed" in finding["message"]
    assert "its owner left" in finding["risk"]["reasons"]


def test_a_review_confirms_what_stood_on_its_day(house):
    _, report = house.audit()

    overdue = {
        f["credential"]["name"] for f in report["findings"] if f["policy_id"] == "review-overdue"
    }
    # key-3 was created 58 days ago and key-4 has a newer secret than the review.
    assert {"key-2", "key-5"} == overdue


def test_owners_are_counted_as_their_findings_are(run, house):
    _, report = house.audit()

    rows = json.loads(run("owners", "list", "-c", house.root / "config.yaml", "--json").out)

    by_owner = {row["owner"]: row for row in rows}
    assert {"", "team", "jo@example.com", "max@example.com"} == set(by_owner)
    assert "departed" == by_owner["max@example.com"]["owner_status"]
    assert 2 == by_owner["jo@example.com"]["credentials"]
    counted = {owner: row["findings"] for owner, row in by_owner.items() if row["findings"]}
    assert report["summary"]["by_owner"] == counted
    for row in rows:
        assert row["findings"] == sum(row["by_severity"].values())
    assert "(nobody)" in run("owners", "list", "-c", house.root / "config.yaml").out


def test_review_lists_what_is_overdue_by_owner(run, house):
    house.audit()
    config = house.root / "config.yaml"

    found = json.loads(run("review", "-c", config, "--json").out)
    mine = json.loads(run("review", "-c", config, "--json", "--all", "--owner", "team").out)
    text = run("review", "-c", config).out

    assert [("max@example.com", "overdue"), ("team", "overdue")] == [
        (one["owner"], one["status"]) for one in found
    ]
    assert ["overdue"] == [one["status"] for one in mine]
    assert "2 credentials to confirm, by owner: max@example.com 1 and team 1." in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reviews:\n  - {match: {}, reviewer: a, reviewed: 2026-01-01}\n", "2:13"),
        ("reviews:\n  - {match: {uid: a}, reviewer: a, reviewed: soon}\n", "2:46"),
        ("reviews:\n  - {match: {uid: a}, reviewr: a, reviewed: 2026-01-01}\n", "reviewer"),
    ],
)
def test_a_mistake_in_the_reviews_is_named_with_line_and_column(run, house, text, message):
    house.config()
    (house.root / "reviews.yaml").write_text(text)

    answer = run("config", "check", "-c", house.root / "config.yaml")

    assert answer.code == 2
    assert "reviews.yaml" in answer.err
    assert message in answer.err


def test_an_exception_about_to_end_is_announced(house):
    house.extra += "\nexceptions: exceptions.yaml"
    (house.root / "exceptions.yaml").write_text(
        "exceptions:\n"
        "  - {match: {policy: dormant-credential}, reason: r, approver: ciso@example.com,"
        " created: 2026-02-01, expires: 2026-03-10, ticket: T-1}\n"
        "  - {match: {policy: stale-credential}, reason: r, approver: a,"
        " created: 2026-02-01, expires: 2026-12-31}\n"
    )

    _, report = house.audit()

    assert [
        {
            "covers": "policy dormant-credential",
            "reason": "r",
            "approver": "ciso@example.com",
            "expires": "2026-03-10",
            "ticket": "T-1",
        }
    ] == report["ending_exceptions"]


def test_trends_tell_how_long_mending_took(run, house):
    house.audit()
    house.later(days=3)
    house.export(key(1, owner="jo@example.com", **OLD))
    _, last = house.audit()

    found = json.loads(run("trends", "-c", house.root / "config.yaml", "--json").out)
    text = run("trends", "-c", house.root / "config.yaml").out

    assert last["summary"]["fixed"] == found["time_to_resolve"]["overall"]["fixed"]
    assert 3 == found["time_to_resolve"]["by_owner"]["team"]["median_days"]
    assert [1, 2] == [point["run_id"] for point in found["points"]]
    assert last["summary"]["by_policy"] == {
        one["name"]: one["after"] for one in found["by_policy"] if one["after"]
    }
    assert "half of them within 3 days" in text
