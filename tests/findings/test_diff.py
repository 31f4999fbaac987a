"""What changed between two runs."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from auditor.findings.diff import (
    CredentialDiff,
    Step,
    Turn,
    diff_credential,
    diff_credentials,
    diff_findings,
)
from auditor.model import (
    Credential,
    FindingState,
    FindingStatus,
    PermissionsSubject,
    Privilege,
    Resolution,
    Status,
)
from tests.findings.world import Story, excepting, violates

DAY = timedelta(days=1)
GOLDEN = Path(__file__).parent / "golden"


def steps(found: CredentialDiff | None) -> list[Step]:
    return [] if found is None else [delta.step for delta in found.deltas]


def test_what_came_and_what_went(credential: Callable[..., Credential]) -> None:
    assert steps(diff_credential(None, credential())) == [Step.ADDED]
    assert steps(diff_credential(credential(), None)) == [Step.REMOVED]
    assert diff_credential(credential(), credential()) is None


def test_a_use_alone_is_no_change(credential: Callable[..., Credential], now: datetime) -> None:
    later = credential(last_used_at=now, observed_at=now + DAY, data_as_of=now + DAY)

    assert diff_credential(credential(), later) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rotated_at": "now"}, [Step.ROTATED]),
        ({"owner": "team@example.com"}, [Step.REOWNED]),
        ({"name": "new"}, [Step.RENAMED]),
        ({"status": Status.INACTIVE}, [Step.STATUS_CHANGED]),
        ({"expires_at": "now"}, [Step.EXPIRY_CHANGED]),
        ({"privilege": Privilege.ADMIN}, [Step.PRIVILEGE_RAISED]),
        ({"privilege": Privilege.NONE}, [Step.PRIVILEGE_LOWERED]),
        ({"privilege": Privilege.UNKNOWN}, []),
        ({"permissions": {"s3": {"Get": True, "Put": True}}}, [Step.PERMISSIONS_GREW]),
        ({"permissions": {"s3": {"Get": False}}}, [Step.PERMISSIONS_SHRANK]),
        (
            {"permissions": {"iam": {"Pass": True}}},
            [Step.PERMISSIONS_GREW, Step.PERMISSIONS_SHRANK],
        ),
        ({"permissions": None}, []),
        ({"permissions": {}, "permissions_subject": PermissionsSubject.CALLER}, []),
    ],
)
def test_every_way_to_change_is_told_apart(
    credential: Callable[..., Credential],
    now: datetime,
    changes: dict[str, Any],
    expected: list[Step],
) -> None:
    base = {"permissions": {"s3": {"Get": True}}, "privilege": Privilege.READ}
    changed = {key: now if value == "now" else value for key, value in changes.items()}

    assert steps(diff_credential(credential(**base), credential(**(base | changed)))) == expected


def test_a_permission_listed_as_not_granted_is_no_growth(
    credential: Callable[..., Credential],
) -> None:
    before = credential(permissions={"s3": {"Get": True}})
    after = credential(permissions={"s3": {"Get": True, "Put": False}, "iam": {}})

    assert diff_credential(before, after) is None


def test_many_permissions_are_counted_and_some_are_named(
    credential: Callable[..., Credential],
) -> None:
    grown = credential(permissions={"s3": {f"a{n:02d}": True for n in range(30)}})

    found = diff_credential(credential(permissions={}), grown)

    assert found is not None
    (delta,) = found.deltas
    assert delta.count == 30
    assert delta.after == [f"s3:a{n:02d}" for n in range(20)]


keys = st.dictionaries(st.integers(0, 12), st.sampled_from(["a", "b"]))


@given(keys, keys)
def test_two_streams_are_compared_like_two_tables(
    before: dict[int, str], after: dict[int, str]
) -> None:
    found = {
        diff.credential.uid: steps(diff) for diff in diff_credentials(_keys(before), _keys(after))
    }

    expected = {f"k{n:02d}": [Step.REMOVED] for n in before.keys() - after.keys()}
    expected |= {f"k{n:02d}": [Step.ADDED] for n in after.keys() - before.keys()}
    expected |= {
        f"k{n:02d}": [Step.REOWNED] for n in after.keys() & before.keys() if before[n] != after[n]
    }
    assert found == expected
    assert list(found) == sorted(found)


def _keys(owners: dict[int, str]) -> Iterator[Credential]:
    now = datetime.fromisoformat("2026-03-01T03:00:00+00:00")
    for n, owner in sorted(owners.items()):
        yield msgspec.convert(
            {
                "uid": f"k{n:02d}",
                "provider": "p",
                "source": "s",
                "organization": {"id": "o", "name": "o"},
                "principal": {"id": "1", "name": "1"},
                "name": "n",
                "type": "API Key",
                "owner": owner,
                "observed_at": now,
                "data_as_of": now,
            },
            Credential,
        )


def test_findings_that_opened_and_ended_are_told(story: Story) -> None:
    before = list(story.run(violates("dormant", "stale")).values())
    after = list(story.run(violates("stale"), at=story.now + DAY).values())

    (found,) = diff_findings(before, after)

    assert (found.turn, found.state.policy_id) == (Turn.RESOLVED, "dormant")
    assert found.resolution is Resolution.CONDITION_CLEARED
    assert list(diff_findings(before, before)) == []


def test_a_finding_that_ended_between_the_runs_is_told_without_how(story: Story) -> None:
    before = list(story.run(violates("dormant")).values())

    (found,) = diff_findings(before, [])

    assert (found.turn, found.resolution) == (Turn.RESOLVED, None)


def test_a_finding_of_a_new_life_reopened(story: Story) -> None:
    story.run(violates("dormant"))
    between = story.run(at=story.now + DAY)
    after = story.run(violates("dormant"), at=story.now + 2 * DAY)

    assert [one.turn for one in diff_findings(between.values(), after.values())] == [Turn.REOPENED]
    assert [one.turn for one in diff_findings([], between.values())] == []


def test_a_suppressed_finding_and_one_whose_exception_ended_are_told_apart(story: Story) -> None:
    first = story.run(violates("dormant"))
    held = story.run(violates("dormant"), exceptions=excepting("dormant"), at=story.now + DAY)
    back = story.run(violates("dormant"), at=story.now + 2 * DAY)

    assert [one.turn for one in diff_findings(first.values(), held.values())] == [Turn.SUPPRESSED]
    assert [one.turn for one in diff_findings(held.values(), back.values())] == [Turn.REOPENED]


def test_a_diff_reads_as_the_golden_one(credential: Callable[..., Credential]) -> None:
    def facts(**changes: Any) -> dict[str, Any]:
        return {"permissions": {"s3": {"GetObject": True}}, "privilege": "read"} | changes

    before = [
        credential("a-removed"),
        credential("b-same", **facts()),
        credential("c-grown", **facts()),
    ]
    after = [
        credential("b-same", **facts()),
        credential(
            "c-grown",
            **facts(
                permissions={"s3": {"GetObject": True}, "iam": {"PassRole": True}},
                privilege="admin",
                owner="platform@example.com",
                rotated_at=credential().observed_at,
            ),
        ),
        credential("d-added"),
    ]
    found = diff_credentials(map(_read_back, before), map(_read_back, after))
    rows = [{"uid": one.credential.uid, "deltas": one.deltas} for one in found]

    assert json.loads(msgspec.json.encode(rows)) == json.loads((GOLDEN / "diff.json").read_text())


def _read_back(credential: Credential) -> Credential:
    return msgspec.json.decode(msgspec.json.encode(credential), type=Credential)


def test_a_state_live_in_neither_run_is_no_change(story: Story) -> None:
    state = story.run(violates("dormant"))["dormant"]
    ended = replace(
        state, status=FindingStatus.RESOLVED, resolution=Resolution.REMOVED, resolved_at=story.now
    )

    assert list(diff_findings([ended], [ended])) == []
    assert isinstance(ended, FindingState)
