"""Controls: every credential that a control is about is counted exactly once."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.findings.compliance import ComplianceBuilder, ControlRow
from auditor.findings.supersession import PoliciesInForce
from auditor.model import Credential, Outcome, Remediation, Severity, Verdict
from auditor.policy import Control, Policy
from tests.findings.world import Story, excepting, not_judged, unknown, violates


def policy(policy_id: str, supersedes: tuple[str, ...] = (), **changes: Any) -> Policy:
    facts: dict[str, Any] = {
        "id": policy_id,
        "title": policy_id,
        "severity": Severity.MEDIUM,
        "category": "dormant",
        "parameters": {},
        "when": "true",
        "supersedes": supersedes,
        "message": "",
        "rationale": "",
        "remediation": Remediation(""),
        "remedies": {},
        "controls": {},
        "file": "",
    }
    return Policy(**(facts | changes))


DORMANT = policy(
    "dormant",
    controls={
        "cis-aws-5.0": (Control("1.11", "high"),),
        "nist-800-53-r5": (Control("AC-2(3)", "high"),),
    },
)
PRIVILEGED = policy(
    "dormant-privileged",
    ("dormant",),
    controls={"nist-800-53-r5": (Control("AC-2(3)", "high"), Control("AC-6(5)", "medium"))},
)
STALE = policy("stale", controls={"cis-aws-5.0": (Control("1.9", "low"), Control("1.13", "high"))})
OURS = policy("ours", types=("API Key",), controls={"house-rules-1": (Control("7", "high"),)})
POLICIES = (DORMANT, PRIVILEGED, STALE, OURS)
IN_FORCE = PoliciesInForce(POLICIES)


@pytest.fixture
def builder() -> ComplianceBuilder:
    return ComplianceBuilder(POLICIES, IN_FORCE)


def row(builder: ComplianceBuilder, framework: str, control: str) -> ControlRow:
    (found,) = [
        found
        for one in builder.build()
        if one.key == framework
        for found in one.controls
        if found.id == control
    ]
    return found


def counts(found: ControlRow) -> tuple[int, int, int, int, int]:
    return (
        found.credentials,
        found.passed,
        found.failed,
        found.excepted,
        found.not_evaluable,
    )


def test_a_credential_without_violations_passes(
    builder: ComplianceBuilder, credential: Callable[..., Credential]
) -> None:
    builder.add(credential(), [], [])

    assert counts(row(builder, "nist-800-53-r5", "AC-2(3)")) == (1, 1, 0, 0, 0)


def test_clean_credentials_pass_as_if_each_had_been_added(
    builder: ComplianceBuilder, credential: Callable[..., Credential]
) -> None:
    one_by_one = ComplianceBuilder(POLICIES, IN_FORCE)
    for subject in (credential(), credential(), credential(provider="aws")):
        one_by_one.add(subject, (), ())
    builder.add_clean(credential().provider, credential().type, 2)
    builder.add_clean("aws", credential().type, 1)

    assert builder.build() == one_by_one.build()


def test_a_standard_counts_only_credentials_it_speaks_about(
    builder: ComplianceBuilder, credential: Callable[..., Credential]
) -> None:
    builder.add(credential(), [], [])
    builder.add(credential(provider="aws", type="API Key"), [], [])

    assert counts(row(builder, "cis-aws-5.0", "1.11")) == (1, 1, 0, 0, 0)
    assert counts(row(builder, "house-rules-1", "7")) == (1, 1, 0, 0, 0)
    assert counts(row(builder, "nist-800-53-r5", "AC-6(5)")) == (2, 2, 0, 0, 0)


def test_a_violation_fails_every_control_of_its_policy(
    builder: ComplianceBuilder, story: Story
) -> None:
    verdicts = violates("dormant")
    builder.add(story.credential, verdicts, list(story.run(verdicts).values()))

    assert counts(row(builder, "nist-800-53-r5", "AC-2(3)")) == (1, 0, 1, 0, 0)
    assert counts(row(builder, "nist-800-53-r5", "AC-6(5)")) == (1, 1, 0, 0, 0)


def test_the_controls_of_a_superseded_policy_still_fail(
    builder: ComplianceBuilder, credential: Callable[..., Credential], story: Story
) -> None:
    verdicts = violates("dormant", "dormant-privileged")
    key = credential(provider="aws")
    builder.add(key, verdicts, list(story.run(verdicts).values()))

    assert counts(row(builder, "cis-aws-5.0", "1.11")) == (1, 0, 1, 0, 0)


def test_an_exception_on_the_superior_covers_the_controls_of_the_inferior(
    builder: ComplianceBuilder, credential: Callable[..., Credential], story: Story
) -> None:
    verdicts = violates("dormant", "dormant-privileged")
    states = story.run(verdicts, exceptions=excepting("dormant-privileged"))
    builder.add(credential(provider="aws"), verdicts, list(states.values()))

    assert counts(row(builder, "cis-aws-5.0", "1.11")) == (1, 0, 0, 1, 0)


@pytest.mark.parametrize("verdict", [unknown("dormant"), not_judged("dormant")])
def test_what_cannot_be_judged_neither_passes_nor_fails(
    builder: ComplianceBuilder, credential: Callable[..., Credential], verdict: Verdict
) -> None:
    builder.add(credential(), [verdict], [])

    assert counts(row(builder, "nist-800-53-r5", "AC-2(3)")) == (1, 0, 0, 0, 1)


def test_an_open_finding_that_cannot_be_judged_today_still_fails(
    builder: ComplianceBuilder, story: Story
) -> None:
    story.run(violates("dormant"))
    builder.add(
        story.credential, [unknown("dormant")], list(story.run([unknown("dormant")]).values())
    )

    assert counts(row(builder, "nist-800-53-r5", "AC-2(3)")) == (1, 0, 1, 0, 0)


def test_the_findings_of_an_unread_credential_still_fail_and_count_nowhere_else(
    builder: ComplianceBuilder, story: Story
) -> None:
    builder.add_unread(story.credential, story.run(violates("dormant")).values())

    assert counts(row(builder, "nist-800-53-r5", "AC-2(3)")) == (1, 0, 1, 0, 0)
    assert counts(row(builder, "nist-800-53-r5", "AC-6(5)")) == (0, 0, 0, 0, 0)


def test_the_worst_of_several_policies_counts_once_for_a_control(
    builder: ComplianceBuilder, credential: Callable[..., Credential]
) -> None:
    builder.add(credential(), [unknown("dormant-privileged"), *violates("dormant")], [])

    assert counts(row(builder, "nist-800-53-r5", "AC-2(3)")) == (1, 0, 1, 0, 0)
    assert counts(row(builder, "nist-800-53-r5", "AC-6(5)")) == (1, 0, 0, 0, 1)


def test_controls_stand_in_their_natural_order_with_title_and_certainty(
    builder: ComplianceBuilder,
) -> None:
    views = {one.key: one for one in builder.build()}

    aws = views["cis-aws-5.0"]
    assert [one.id for one in aws.controls] == ["1.9", "1.11", "1.13"]
    assert aws.version == "5.0"
    assert all(one.title for one in aws.controls)
    assert [(one.policy_id, one.certainty) for one in aws.controls[0].policies] == [
        ("stale", "low")
    ]
    assert views["house-rules-1"].title == "house-rules-1"
    assert views["house-rules-1"].controls[0].title is None


outcomes = st.dictionaries(
    st.sampled_from([one.id for one in POLICIES]), st.sampled_from(Outcome), max_size=4
)


@given(st.lists(st.tuples(outcomes, st.booleans(), st.booleans()), max_size=8))
def test_every_credential_is_counted_once_by_every_control(
    crowd: list[tuple[dict[str, Outcome], bool, bool]],
) -> None:
    builder = ComplianceBuilder(POLICIES, IN_FORCE)
    about: Counter[str] = Counter()
    for said, is_aws, is_key in crowd:
        key = _credential(is_aws=is_aws, is_key=is_key)
        builder.add(key, [Verdict(name, outcome) for name, outcome in said.items()], [])
        about.update({"nist-800-53-r5": 1, "cis-aws-5.0": is_aws, "house-rules-1": is_key})

    for framework in builder.build():
        for found in framework.controls:
            total, *parts = counts(found)
            assert total == sum(parts) == about[framework.key]
            assert min(parts) >= 0


def _credential(*, is_aws: bool, is_key: bool) -> Credential:
    return msgspec.convert(
        {
            "uid": "a",
            "provider": "aws" if is_aws else "keycard",
            "source": "s",
            "organization": {"id": "o", "name": "o"},
            "principal": {"id": "1", "name": "1"},
            "name": "n",
            "type": "API Key" if is_key else "SSH Key",
            "observed_at": "2026-03-01T03:00:00Z",
            "data_as_of": "2026-03-01T03:00:00Z",
        },
        Credential,
    )
