"""The life of a finding, one rule at a time."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from auditor.findings.case import finding_id
from auditor.findings.reconcile import absent
from auditor.model import (
    Absence,
    Change,
    FindingState,
    FindingStatus,
    Resolution,
    Severity,
)
from tests.findings.world import (
    DORMANT,
    STALE,
    Story,
    Terms,
    excepting,
    not_judged,
    note,
    unknown,
    violates,
)

DAY = timedelta(days=1)


def summary(state: FindingState) -> tuple[str, str]:
    return state.status.value, state.change.value


def test_a_violation_opens_a_finding(story: Story) -> None:
    state = story.run(violates("dormant"))["dormant"]

    assert summary(state) == ("open", "opened")
    assert state.first_seen_at == state.last_seen_at == story.now
    assert state.opened_at is None
    assert state.severity is Severity.MEDIUM
    assert state.risk_score > 0


def test_the_id_depends_on_policy_and_credential_only(story: Story) -> None:
    state = story.run(violates("dormant"))["dormant"]

    assert state.id == finding_id("dormant", story.credential.uid)
    assert len({finding_id(a, b) for a, b in (("x", "yz"), ("xy", "z"))}) == 2


def test_a_credential_without_violations_has_no_findings(story: Story) -> None:
    assert story.run() == {}


def test_a_violation_seen_again_changes_nothing_but_the_day_it_was_seen(story: Story) -> None:
    first = story.run(violates("dormant"))["dormant"]
    later = story.now + DAY

    second = story.run(violates("dormant"), at=later)["dormant"]

    assert second == replace(first, change=Change.UNCHANGED, last_seen_at=later)


def test_a_severity_that_rises_is_kept_up_with(story: Story) -> None:
    first = story.run(violates("dormant"))["dormant"]

    second = story.run(violates("dormant", severity=Severity.CRITICAL), at=story.now + DAY)

    assert second["dormant"].severity is Severity.CRITICAL
    assert second["dormant"].risk_score > first.risk_score


def test_a_condition_that_cleared_resolves_the_finding(story: Story) -> None:
    story.run(violates("dormant"))
    later = story.now + DAY

    state = story.run(at=later)["dormant"]

    assert summary(state) == ("resolved", "resolved")
    assert state.resolution is Resolution.CONDITION_CLEARED
    assert state.resolved_at == later
    assert state.last_seen_at == story.now


def test_a_resolved_finding_stays_out_of_later_runs(story: Story) -> None:
    story.run(violates("dormant"))
    story.run(at=story.now + DAY)

    assert story.run(at=story.now + 2 * DAY) == {}


def test_a_violation_that_comes_back_reopens_the_old_finding(story: Story) -> None:
    first = story.run(violates("dormant"))["dormant"]
    story.run(at=story.now + DAY)
    later = story.now + 2 * DAY

    state = story.run(violates("dormant"), at=later)["dormant"]

    assert summary(state) == ("open", "reopened")
    assert state.id == first.id
    assert state.first_seen_at == story.now
    assert state.opened_at == later
    assert state.resolution is None
    assert state.resolved_at is None


def test_the_present_life_of_a_finding_keeps_its_beginning(story: Story) -> None:
    story.run(violates("dormant"))
    story.run(at=story.now + DAY)
    story.run(violates("dormant"), at=story.now + 2 * DAY)

    state = story.run(violates("dormant"), at=story.now + 3 * DAY)["dormant"]

    assert state.opened_at == story.now + 2 * DAY


def test_what_cannot_be_evaluated_keeps_an_open_finding_open(story: Story) -> None:
    story.run(violates("dormant"))
    later = story.now + DAY

    state = story.run([unknown("dormant")], at=later)["dormant"]

    assert summary(state) == ("open", "unchanged")
    assert state.not_evaluable_since == later
    assert state.last_seen_at == story.now
    again = story.run([unknown("dormant")], at=later + DAY)["dormant"]
    assert again.not_evaluable_since == later


def test_what_can_be_evaluated_again_says_so(story: Story) -> None:
    story.run(violates("dormant"))
    story.run([unknown("dormant")], at=story.now + DAY)

    state = story.run(violates("dormant"), at=story.now + 2 * DAY)["dormant"]

    assert state.not_evaluable_since is None


def test_what_cannot_be_evaluated_opens_nothing(story: Story) -> None:
    assert story.run([unknown("dormant")]) == {}


def test_what_cannot_be_evaluated_reopens_nothing(story: Story) -> None:
    story.run(violates("dormant"))
    story.run(at=story.now + DAY)

    assert story.run([unknown("dormant")], at=story.now + 2 * DAY) == {}


def test_facts_about_somebody_else_end_a_finding_as_not_judged(story: Story) -> None:
    story.run(violates("dormant"))

    state = story.run([not_judged("dormant")], at=story.now + DAY)["dormant"]

    assert state.resolution is Resolution.NOT_JUDGED


def test_a_policy_out_of_force_retires_its_findings(story: Story) -> None:
    story.run(violates("stale"))

    state = story.run(violates("stale"), policies=(DORMANT,), at=story.now + DAY)["stale"]

    assert state.resolution is Resolution.POLICY_RETIRED


def test_a_partial_collection_opens_findings(story: Story) -> None:
    state = story.run(violates("dormant"), is_whole=False)["dormant"]

    assert summary(state) == ("open", "opened")
    assert state.stale_since is None


def test_a_partial_collection_resolves_nothing(story: Story) -> None:
    story.run(violates("dormant", "stale"))
    later = story.now + DAY

    states = story.run([not_judged("stale")], at=later, is_whole=False)

    assert {summary(state) for state in states.values()} == {("open", "unchanged")}
    assert {state.stale_since for state in states.values()} == {later}
    assert {state.last_seen_at for state in states.values()} == {story.now}


def test_a_credential_read_again_is_no_longer_stale(story: Story) -> None:
    story.run(violates("dormant"))
    story.run(at=story.now + DAY, is_whole=False)

    state = story.run(violates("dormant"), at=story.now + 2 * DAY)["dormant"]

    assert state.stale_since is None


# Exceptions


def test_an_exception_suppresses_from_the_first_day(story: Story) -> None:
    state = story.run(violates("dormant"), exceptions=excepting("dormant"))["dormant"]

    assert summary(state) == ("suppressed", "suppressed")
    assert state.exception == note()


def test_an_exception_suppresses_an_open_finding(story: Story) -> None:
    story.run(violates("dormant"))

    state = story.run(violates("dormant"), exceptions=excepting("dormant"), at=story.now + DAY)

    assert summary(state["dormant"]) == ("suppressed", "suppressed")


def test_a_suppressed_finding_seen_again_stays_suppressed(story: Story) -> None:
    story.run(violates("dormant"), exceptions=excepting("dormant"))

    state = story.run(violates("dormant"), exceptions=excepting("dormant"), at=story.now + DAY)

    assert summary(state["dormant"]) == ("suppressed", "unchanged")


def test_an_exception_that_ended_reopens_and_is_not_new(story: Story) -> None:
    story.run(violates("dormant"), exceptions=excepting("dormant"))
    later = story.now + DAY

    state = story.run(violates("dormant"), at=later)["dormant"]

    assert summary(state) == ("open", "reopened")
    assert state.first_seen_at == story.now
    assert state.opened_at == later
    assert state.exception is None


def test_an_exception_holds_through_days_that_cannot_be_evaluated(story: Story) -> None:
    story.run(violates("dormant"), exceptions=excepting("dormant"))

    state = story.run([unknown("dormant")], exceptions=excepting("dormant"), at=story.now + DAY)

    assert summary(state["dormant"]) == ("suppressed", "unchanged")
    assert state["dormant"].not_evaluable_since == story.now + DAY


def test_a_suppressed_finding_that_clears_is_resolved(story: Story) -> None:
    story.run(violates("dormant"), exceptions=excepting("dormant"))

    state = story.run(exceptions=excepting("dormant"), at=story.now + DAY)["dormant"]

    assert state.resolution is Resolution.CONDITION_CLEARED
    assert state.exception is None


def test_a_suppressed_finding_that_comes_back_is_suppressed_again(story: Story) -> None:
    story.run(violates("dormant"), exceptions=excepting("dormant"))
    story.run(at=story.now + DAY)

    state = story.run(violates("dormant"), exceptions=excepting("dormant"), at=story.now + 2 * DAY)

    assert summary(state["dormant"]) == ("suppressed", "suppressed")
    assert state["dormant"].first_seen_at == story.now


# Absence


@pytest.fixture
def opened(story: Story) -> FindingState:
    return story.run(violates("dormant"))["dormant"]


@pytest.mark.parametrize("absence", [Absence.REMOVED, Absence.OUT_OF_SCOPE])
def test_a_credential_that_is_gone_ends_its_findings(
    opened: FindingState, absence: Absence, now: datetime
) -> None:
    state = absent(opened, absence, now + DAY)

    assert summary(state) == ("resolved", "resolved")
    assert state.resolution == absence.value
    assert state.resolved_at == now + DAY


def test_a_source_that_cannot_be_read_keeps_findings_and_marks_them_stale(
    opened: FindingState, now: datetime
) -> None:
    first = absent(opened, Absence.UNREAD, now + DAY)
    second = absent(first, Absence.UNREAD, now + 2 * DAY)

    assert summary(first) == ("open", "unchanged")
    assert first.last_seen_at == now
    assert first.stale_since == second.stale_since == now + DAY


def test_a_source_that_was_not_selected_changes_nothing(
    opened: FindingState, now: datetime
) -> None:
    state = absent(opened, Absence.NOT_SELECTED, now + DAY)

    assert state == replace(opened, change=Change.UNCHANGED)


@pytest.mark.parametrize("absence", list(Absence))
def test_what_was_resolved_is_not_touched_by_absence(
    story: Story, opened: FindingState, absence: Absence
) -> None:
    resolved = story.run(at=story.now + DAY)["dormant"]

    assert absent(resolved, absence, story.now + 2 * DAY) == resolved


def test_an_exception_lapses_even_while_its_source_cannot_be_read(
    opened: FindingState, now: datetime
) -> None:
    suppressed = replace(
        opened, status=FindingStatus.SUPPRESSED, exception=note(expires="2026-03-02")
    )

    on_the_day = absent(suppressed, Absence.UNREAD, now + DAY)
    after = absent(suppressed, Absence.UNREAD, now + 2 * DAY)

    assert summary(on_the_day) == ("suppressed", "unchanged")
    assert summary(after) == ("open", "reopened")
    assert after.exception is None
    assert after.stale_since == now + 2 * DAY


def test_a_credential_that_was_removed_and_returns_reopens_its_finding(
    story: Story, opened: FindingState
) -> None:
    story.remembered["dormant"] = absent(opened, Absence.REMOVED, story.now + DAY)

    state = story.run(violates("dormant"), at=story.now + 2 * DAY)["dormant"]

    assert summary(state) == ("open", "reopened")
    assert state.id == opened.id


# Supersession


def test_of_two_policies_that_fire_at_once_only_the_superior_tells(story: Story) -> None:
    states = story.run(violates("dormant", "dormant-privileged"))

    assert {name: summary(state) for name, state in states.items()} == {
        "dormant-privileged": ("open", "opened")
    }


def test_a_superior_takes_the_story_over(story: Story) -> None:
    story.run(violates("dormant"))
    later = story.now + DAY

    states = story.run(violates("dormant", "dormant-privileged"), at=later)

    inferior, superior = states["dormant"], states["dormant-privileged"]
    assert summary(inferior) == ("resolved", "resolved")
    assert inferior.resolution is Resolution.SUPERSEDED
    assert inferior.superseded_by == "dormant-privileged"
    assert summary(superior) == ("open", "unchanged")
    assert superior.first_seen_at == story.now
    assert superior.opened_at is None


def test_a_superseded_violation_that_holds_is_seen_but_does_not_end_again(story: Story) -> None:
    story.run(violates("dormant"))
    story.run(violates("dormant", "dormant-privileged"), at=story.now + DAY)
    later = story.now + 2 * DAY

    inferior = story.run(violates("dormant", "dormant-privileged"), at=later)["dormant"]

    assert summary(inferior) == ("resolved", "unchanged")
    assert inferior.last_seen_at == later
    assert inferior.resolved_at == story.now + DAY


def test_an_exception_on_the_superior_covers_the_inferior(story: Story) -> None:
    story.run(violates("dormant"))

    states = story.run(
        violates("dormant", "dormant-privileged"),
        exceptions=excepting("dormant-privileged"),
        at=story.now + DAY,
    )

    assert states["dormant"].resolution is Resolution.SUPERSEDED
    assert summary(states["dormant-privileged"]) == ("suppressed", "suppressed")


def test_an_exception_on_the_inferior_does_not_cover_the_superior(story: Story) -> None:
    story.run(violates("dormant"), exceptions=excepting("dormant"))

    states = story.run(
        violates("dormant", "dormant-privileged"),
        exceptions=excepting("dormant"),
        at=story.now + DAY,
    )

    assert summary(states["dormant-privileged"]) == ("open", "opened")
    assert states["dormant-privileged"].first_seen_at == story.now


def test_a_superior_that_clears_hands_the_story_back_quietly(story: Story) -> None:
    story.run(violates("dormant"))
    story.run(violates("dormant", "dormant-privileged"), at=story.now + DAY)

    states = story.run(violates("dormant"), at=story.now + 2 * DAY)

    assert states["dormant-privileged"].resolution is Resolution.CONDITION_CLEARED
    inferior = states["dormant"]
    assert summary(inferior) == ("open", "unchanged")
    assert inferior.first_seen_at == story.now
    assert inferior.opened_at is None
    assert inferior.superseded_by is None


def test_a_story_is_handed_back_to_a_policy_that_never_told_it(story: Story) -> None:
    story.run(violates("dormant", "dormant-privileged"))

    states = story.run(violates("dormant"), at=story.now + DAY)

    assert summary(states["dormant"]) == ("open", "unchanged")
    assert states["dormant"].first_seen_at == story.now


def test_a_superior_out_of_force_hands_the_story_back_too(story: Story) -> None:
    story.run(violates("dormant", "dormant-privileged"))

    states = story.run(violates("dormant"), policies=(DORMANT, STALE), at=story.now + DAY)

    assert states["dormant-privileged"].resolution is Resolution.POLICY_RETIRED
    assert summary(states["dormant"]) == ("open", "unchanged")


def test_a_story_that_people_knew_as_suppressed_is_news_when_it_opens(story: Story) -> None:
    covered = excepting("dormant-privileged")
    story.run(violates("dormant", "dormant-privileged"), exceptions=covered)

    states = story.run(violates("dormant"), exceptions=covered, at=story.now + DAY)

    assert summary(states["dormant"]) == ("open", "opened")


def test_a_superior_that_cannot_be_evaluated_keeps_the_story(story: Story) -> None:
    story.run(violates("dormant", "dormant-privileged"))

    states = story.run(
        [unknown("dormant-privileged", "privilege"), *violates("dormant")], at=story.now + DAY
    )

    assert set(states) == {"dormant-privileged"}
    assert summary(states["dormant-privileged"]) == ("open", "unchanged")


def test_a_superseded_violation_comes_back_when_nobody_can_judge_it_any_more(story: Story) -> None:
    story.run(violates("dormant"))
    story.run(violates("dormant", "dormant-privileged"), at=story.now + DAY)
    later = story.now + 2 * DAY

    states = story.run([unknown("dormant")], at=later)

    assert states["dormant-privileged"].resolution is Resolution.CONDITION_CLEARED
    assert summary(states["dormant"]) == ("open", "unchanged")
    assert states["dormant"].not_evaluable_since == later


def test_a_superseded_violation_that_had_cleared_meanwhile_does_not_come_back(
    story: Story,
) -> None:
    story.run(violates("dormant"))
    story.run(violates("dormant", "dormant-privileged"), at=story.now + DAY)
    story.run(violates("dormant-privileged"), at=story.now + 2 * DAY)

    states = story.run([unknown("dormant")], at=story.now + 3 * DAY)

    assert set(states) == {"dormant-privileged"}


def test_an_inferior_that_comes_back_long_after_the_superior_cleared_is_news(story: Story) -> None:
    story.run(violates("dormant"))
    story.run(violates("dormant", "dormant-privileged"), at=story.now + DAY)
    story.run(at=story.now + 2 * DAY)

    states = story.run(violates("dormant"), at=story.now + 3 * DAY)

    assert summary(states["dormant"]) == ("open", "reopened")


def test_both_clearing_together_counts_as_one_repair(story: Story) -> None:
    story.run(violates("dormant"))
    story.run(violates("dormant", "dormant-privileged"), at=story.now + DAY)

    states = story.run(at=story.now + 2 * DAY)

    assert {name: state.resolution for name, state in states.items()} == {
        "dormant-privileged": Resolution.CONDITION_CLEARED
    }


def test_the_beginning_of_a_reopened_life_moves_with_the_story(story: Story) -> None:
    story.run(violates("dormant"))
    story.run(at=story.now + DAY)
    story.run(violates("dormant"), at=story.now + 2 * DAY)

    states = story.run(violates("dormant", "dormant-privileged"), at=story.now + 3 * DAY)

    assert states["dormant-privileged"].first_seen_at == story.now
    assert states["dormant-privileged"].opened_at == story.now + 2 * DAY


def test_a_policy_that_becomes_superior_takes_over_what_is_open_beside_it(story: Story) -> None:
    apart = (DORMANT, Terms("dormant-privileged"))
    both = violates("dormant", "dormant-privileged")
    first = story.run(both, policies=apart, exceptions=excepting("dormant-privileged"))
    assert {summary(state) for state in first.values()} == {
        ("open", "opened"),
        ("suppressed", "suppressed"),
    }

    states = story.run(both, at=story.now + DAY)

    assert states["dormant"].resolution is Resolution.SUPERSEDED
    assert summary(states["dormant-privileged"]) == ("open", "reopened")
