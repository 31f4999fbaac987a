"""The counts of a run, and the one sentence that never says more than was read."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from auditor.findings.news import is_news, is_news_in
from auditor.findings.summary import NAMED_UIDS, NotEvaluableBuilder, SummaryBuilder
from auditor.model import (
    Change,
    Coverage,
    CoverageStatus,
    Credential,
    Finding,
    FindingState,
    FindingStatus,
    LastUsedState,
    Organization,
    Outcome,
    Remediation,
    Resolution,
    Risk,
    Severity,
    Verdict,
)
from tests.findings.world import Story, excepting, unknown, violates

DAY = timedelta(days=1)
READ = (Coverage(source="prod", provider="keycard", status=CoverageStatus.COMPLETE),)


def finding(credential: Credential, state: FindingState) -> Finding:
    return Finding(
        state=state,
        title="Not used for 45 days",
        message="",
        category="dormant",
        credential=credential,
        risk=Risk(state.risk_score),
        evidence=(),
        rationale="",
        remediation=Remediation(""),
        controls={},
    )


def covered(**sources: CoverageStatus) -> list[Coverage]:
    return [
        Coverage(source=name.replace("_", "-"), provider="keycard", status=status)
        for name, status in sources.items()
    ]


@pytest.fixture
def state(story: Story) -> FindingState:
    return story.run(violates("dormant", severity=Severity.HIGH))["dormant"]


def test_open_findings_are_counted_by_everything_people_ask_for(
    credential: Callable[..., Credential], state: FindingState
) -> None:
    builder = SummaryBuilder()
    owned = credential("key-1", owner="team@example.com")
    builder.credential(owned, has_findings=True)
    builder.finding(finding(owned, state))
    blind = credential("key-2", last_used_state=LastUsedState.UNKNOWN)
    builder.credential(blind, has_findings=True)
    builder.finding(
        finding(blind, replace(state, policy_id="stale", severity=Severity.LOW, stale_since=None))
    )

    summary = builder.build(READ)

    assert summary.credentials == summary.credentials_with_findings == 2
    assert summary.findings == 2
    assert summary.by_severity == {
        "critical": 0,
        "high": 1,
        "informational": 0,
        "low": 1,
        "medium": 0,
    }
    assert summary.by_status == {"open": 2, "resolved": 0, "suppressed": 0}
    assert summary.by_change == {"opened": 2}
    assert summary.by_policy == {"dormant": 1, "stale": 1}
    assert summary.by_provider == {"keycard": 2}
    assert summary.by_organization == {"keycard:org-1": 2}
    assert summary.by_owner == {"": 1, "team@example.com": 1}
    assert summary.credentials_by_provider == {"keycard": 2}
    assert summary.credentials_by_state == {"unknown": 1, "used": 1}


def test_clean_credentials_count_as_if_each_had_been_counted(
    credential: Callable[..., Credential],
) -> None:
    one_by_one, at_once = SummaryBuilder(), SummaryBuilder()
    for _ in range(3):
        one_by_one.credential(credential(), has_findings=False)

    at_once.clean_credentials("keycard", LastUsedState.USED, 3)

    assert at_once.build(READ) == one_by_one.build(READ)


def test_suppressed_stale_and_ended_findings_are_counted_apart(
    credential: Callable[..., Credential], state: FindingState, now: datetime
) -> None:
    builder = SummaryBuilder()
    ended = replace(state, status=FindingStatus.RESOLVED, change=Change.RESOLVED, resolved_at=now)
    for one in (
        replace(state, status=FindingStatus.SUPPRESSED, change=Change.SUPPRESSED),
        replace(state, stale_since=now, change=Change.UNCHANGED),
        replace(ended, resolution=Resolution.REMOVED),
        replace(ended, resolution=Resolution.SUPERSEDED),
    ):
        builder.finding(finding(credential(), one))

    summary = builder.build(READ)

    assert (summary.findings, summary.suppressed, summary.stale) == (1, 1, 1)
    assert (summary.resolved, summary.fixed) == (2, 1)
    assert summary.by_resolution == {"removed": 1, "superseded": 1}


def test_a_remembered_credential_counts_once_however_many_findings_it_has(
    credential: Callable[..., Credential],
) -> None:
    builder = SummaryBuilder()
    for _ in range(3):
        builder.unread_credential(credential(), has_findings=True)
    builder.unread_credential(credential("key-2"), has_findings=False)

    summary = builder.build(READ)

    assert (summary.credentials, summary.credentials_with_findings) == (1, 1)


def test_no_share_is_given_where_only_a_part_of_what_is_known_was_read(
    state: FindingState, credential: Callable[..., Credential]
) -> None:
    builder = SummaryBuilder()
    builder.credential(credential("key-3"), has_findings=False)
    builder.unread_credential(credential(), has_findings=True)
    builder.finding(finding(credential(), state))

    assert builder.build(READ).verdict.startswith(
        "1 open finding on 1 credential (1 of them not read this time), "
    )


@pytest.mark.parametrize(
    ("coverage", "sentence"),
    [
        (covered(a=CoverageStatus.COMPLETE), "its source was read whole"),
        (
            covered(a=CoverageStatus.COMPLETE, b=CoverageStatus.COMPLETE),
            "all 2 sources were read whole",
        ),
        (covered(git_hub=CoverageStatus.PARTIAL), "git-hub was read only in part"),
        (
            covered(a=CoverageStatus.PARTIAL, b=CoverageStatus.FAILED),
            "none of 2 sources was read whole, a in part and b not at all",
        ),
        (
            covered(
                a=CoverageStatus.COMPLETE, b=CoverageStatus.PARTIAL, git_hub=CoverageStatus.FAILED
            ),
            "1 of 3 sources was read whole, b in part and git-hub not at all",
        ),
        (
            covered(
                a=CoverageStatus.COMPLETE, b=CoverageStatus.COMPLETE, c=CoverageStatus.NOT_SELECTED
            ),
            "all 2 sources were read whole, 1 source not selected",
        ),
        (
            [
                *covered(a=CoverageStatus.COMPLETE),
                *covered(a=CoverageStatus.FAILED),
                *covered(b=CoverageStatus.COMPLETE),
            ],
            "1 of 2 sources was read whole, a in part",
        ),
        (
            covered(x=CoverageStatus.COMPLETE, **dict.fromkeys("abcde", CoverageStatus.FAILED)),
            "1 of 6 sources was read whole, a, b, c and 2 others not at all",
        ),
    ],
)
def test_the_sentence_says_how_much_was_read(
    credential: Callable[..., Credential], coverage: list[Coverage], sentence: str
) -> None:
    builder = SummaryBuilder()
    builder.credential(credential(), has_findings=False)

    assert builder.build(coverage).verdict.endswith(f"; {sentence}.")


def test_a_clean_run_says_so(credential: Callable[..., Credential]) -> None:
    builder = SummaryBuilder()
    builder.credential(credential(), has_findings=False)

    assert (
        builder.build(READ).verdict == "No open finding on 1 credential; its source was read whole."
    )


def test_a_partial_run_without_findings_does_not_sound_clean(
    credential: Callable[..., Credential],
) -> None:
    builder = SummaryBuilder()
    builder.credential(credential(), has_findings=False)

    verdict = builder.build(covered(a=CoverageStatus.COMPLETE, b=CoverageStatus.FAILED)).verdict

    assert verdict == (
        "No open finding on the 1 credential that could be read; "
        "1 of 2 sources was read whole, b not at all."
    )


def test_a_run_that_read_nothing_says_nothing_about_credentials() -> None:
    verdict = SummaryBuilder().build(covered(a=CoverageStatus.FAILED)).verdict

    assert verdict == "Nothing can be said about any credential: a was not read."


def test_the_sentence_counts_the_gravest_and_the_excepted(
    credential: Callable[..., Credential], state: FindingState
) -> None:
    builder = SummaryBuilder()
    for n, severity in enumerate((Severity.CRITICAL, Severity.HIGH, Severity.HIGH, Severity.LOW)):
        key = credential(f"key-{n}")
        builder.credential(key, has_findings=True)
        builder.finding(finding(key, replace(state, severity=severity)))
    builder.finding(finding(credential(), replace(state, status=FindingStatus.SUPPRESSED)))

    assert builder.build(READ).verdict == (
        "4 open findings on 4 of 4 credentials, 1 critical and 2 high "
        "(1 more under exceptions); its source was read whole."
    )


def test_the_sentence_groups_the_digits_of_every_number(
    credential: Callable[..., Credential], state: FindingState
) -> None:
    builder = SummaryBuilder()
    key = credential()
    for _ in range(1_200):
        builder.credential(key, has_findings=True)
        builder.finding(finding(key, state))

    assert builder.build(READ).verdict.startswith(
        "1,200 open findings on 1,200 of 1,200 credentials, 1,200 high; "
    )


# Not evaluable


def test_what_cannot_be_judged_is_grouped_by_policy_source_and_field(
    credential: Callable[..., Credential],
) -> None:
    builder = NotEvaluableBuilder()
    builder.add(credential("b"), [unknown("dormant", "last_used_at", "created_at")])
    builder.add(credential("a"), [unknown("dormant"), *violates("stale")])
    builder.add(credential("c", source="aws"), [unknown("dormant")])
    builder.add(credential("d"), [Verdict("dormant", Outcome.NOT_JUDGED)])

    groups = [(one.policy_id, one.source, one.field, one.count) for one in builder.build()]

    assert groups == [
        ("dormant", "aws", "last_used_at", 1),
        ("dormant", "keycard-prod", "created_at", 1),
        ("dormant", "keycard-prod", "last_used_at", 2),
    ]
    assert [uid.rsplit(":", 1)[1] for uid in builder.build()[2].uids] == ["a", "b"]


def test_a_group_names_a_bounded_number_of_credentials_and_counts_them_all(
    credential: Callable[..., Credential],
) -> None:
    builder = NotEvaluableBuilder()
    for n in range(NAMED_UIDS + 5):
        builder.add(credential(f"{n:05d}"), [unknown("dormant")])

    (group,) = builder.build()

    assert group.count == NAMED_UIDS + 5
    assert len(group.uids) == NAMED_UIDS


# News


def test_opened_reopened_and_mended_findings_are_news(story: Story) -> None:
    assert is_news(story.run(violates("dormant"))["dormant"])
    assert not is_news(story.run(violates("dormant"), at=story.now + DAY)["dormant"])
    assert is_news(story.run(at=story.now + 2 * DAY)["dormant"])
    assert is_news(story.run(violates("dormant"), at=story.now + 3 * DAY)["dormant"])


def test_hand_overs_exceptions_and_retired_policies_are_no_news(story: Story) -> None:
    story.run(violates("dormant", "stale"))

    handed_over = story.run(violates("dormant", "dormant-privileged"), at=story.now + DAY)
    assert is_news(handed_over.pop("stale"))
    assert not any(is_news(state) for state in handed_over.values())

    excepted = story.run(
        violates("dormant", "dormant-privileged"),
        exceptions=excepting("dormant-privileged"),
        at=story.now + 2 * DAY,
    )
    assert not any(is_news(state) for state in excepted.values())

    retired = story.run(policies=(), at=story.now + 3 * DAY)
    assert not any(is_news(state) for state in retired.values())


def test_the_first_findings_of_an_organization_are_its_baseline(
    credential: Callable[..., Credential], state: FindingState
) -> None:
    first = finding(credential(organization=Organization("new", "New")), state)

    assert not is_news_in(first, {("keycard-prod", "new")})
    assert is_news_in(first, {("keycard-prod", "org-1")})
    back = finding(first.credential, replace(state, change=Change.REOPENED))
    assert is_news_in(back, {("keycard-prod", "new")})
