"""How long findings take to be mended."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from auditor.findings.resolution_time import ResolutionTime, ResolutionTimeBuilder
from auditor.model import Credential, FindingState, Resolution
from tests.findings.world import Story, violates

DAY = timedelta(days=1)


@pytest.fixture
def ended(story: Story) -> Callable[..., FindingState]:
    state = story.run(violates("dormant"))["dormant"]

    def build(days: float, resolution: Resolution = Resolution.REMOVED, **changes: object):
        at = story.now + days * DAY
        return replace(state, resolution=resolution, resolved_at=at, **changes)

    return build


def test_times_are_counted_in_whole_days_by_policy_owner_and_organization(
    credential: Callable[..., Credential], ended: Callable[..., FindingState]
) -> None:
    builder = ResolutionTimeBuilder()
    for days in (0.5, 2, 3.9, 40):
        builder.add(ended(days), credential(owner="team@example.com"))
    builder.add(ended(7, policy_id="stale"), credential())

    times = builder.build()

    assert times.overall == ResolutionTime(5, 3, 40)
    assert times.by_policy == {
        "dormant": ResolutionTime(4, 2, 40),
        "stale": ResolutionTime(1, 7, 7),
    }
    assert times.by_owner == {
        "": ResolutionTime(1, 7, 7),
        "team@example.com": ResolutionTime(4, 2, 40),
    }
    assert list(times.by_organization) == ["keycard:org-1"]


@pytest.mark.parametrize("resolution", [one for one in Resolution if not one.is_fixed])
def test_what_nobody_mended_has_no_time(
    credential: Callable[..., Credential],
    ended: Callable[..., FindingState],
    resolution: Resolution,
) -> None:
    builder = ResolutionTimeBuilder()
    builder.add(ended(3, resolution), credential())

    assert builder.build().overall is None


def test_a_finding_that_came_back_is_timed_from_its_new_life(
    credential: Callable[..., Credential], ended: Callable[..., FindingState], story: Story
) -> None:
    builder = ResolutionTimeBuilder()
    builder.add(ended(100, opened_at=story.now + 97 * DAY), credential())

    assert builder.build().overall == ResolutionTime(1, 3, 3)


def test_an_open_finding_has_no_time_yet(
    credential: Callable[..., Credential], story: Story
) -> None:
    builder = ResolutionTimeBuilder()
    builder.add(story.run(violates("dormant"))["dormant"], credential())

    assert builder.build().by_policy == {}
