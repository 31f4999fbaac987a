"""Time to act: new credentials and credentials in rotation."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from auditor.findings.crowd import Crowd
from auditor.findings.grace import Grace, with_grace
from auditor.model import Credential
from auditor.policy.match import PolicyMatch
from tests.findings.world import NOTHING_EXCEPTED, Story, excepting, note, violates

DAY = timedelta(days=1)
WEEK = Grace(new_for=7 * DAY)
ROTATION = Grace(rotation_for=14 * DAY)


def test_a_new_credential_has_time_until_the_period_is_over(story: Story) -> None:
    created = story.credential.created_at
    assert created is not None

    given = WEEK.note(story.credential, created + 7 * DAY - timedelta(seconds=1))

    assert given is not None
    assert given.reason == "grace period: created 6 days ago"
    assert given.expires == (created + 7 * DAY).date().isoformat()
    assert WEEK.note(story.credential, created + 7 * DAY) is None


def test_a_credential_of_unknown_age_has_no_grace(
    credential: Callable[..., Credential], story: Story
) -> None:
    assert WEEK.note(credential(created_at=None), story.now) is None


def test_the_old_one_of_two_has_time_while_the_new_one_is_rolled_out(
    credential: Callable[..., Credential], story: Story
) -> None:
    old = credential("old", created_at=story.now - 100 * DAY)
    new = credential("new", created_at=story.now - 3 * DAY)
    crowd = Crowd()
    for one in (old, new):
        crowd.add(one)
    lookup = with_grace(NOTHING_EXCEPTED, ROTATION, crowd.newest_sibling)

    given = lookup("stale", old, story.now)

    assert given is not None
    assert given.reason == "grace period: its successor was created 3 days ago"
    assert lookup("stale", new, story.now) is None
    assert lookup("stale", old, story.now + 11 * DAY) is None


def test_an_exception_goes_before_a_grace_period(story: Story) -> None:
    lookup = with_grace(excepting("dormant"), Grace(new_for=365 * DAY))

    assert lookup("dormant", story.credential, story.now) == note()


@pytest.mark.parametrize("match", [PolicyMatch(policy="stale"), PolicyMatch(provider="aws")])
def test_grace_is_given_only_where_it_matches(story: Story, match: PolicyMatch) -> None:
    lookup = with_grace(NOTHING_EXCEPTED, Grace(match=match, new_for=365 * DAY))

    assert lookup("dormant", story.credential, story.now) is None


def test_a_finding_opens_by_itself_when_the_grace_is_over(story: Story) -> None:
    lookup = with_grace(NOTHING_EXCEPTED, Grace.model_validate({"new_for": "30d"}))

    first = story.run(violates("dormant"), exceptions=lookup)["dormant"]
    later = story.run(violates("dormant"), exceptions=lookup, at=story.now + 10 * DAY)["dormant"]

    assert first.status.value == "suppressed"
    assert (later.status.value, later.change.value) == ("open", "reopened")
