"""The findings of a run come back whole and in order, however many there are."""

import random
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
from msgspec.structs import replace

from auditor.line.ranked import RankedFindings
from auditor.model import Finding, Remediation
from tests.reports.hostile import BENIGN, HOSTILE, poisoned_finding
from tests.reports.views import cases, finding

SMALL = 2_000
"""Bytes; a finding has about a thousand."""


@pytest.fixture(params=[SMALL, 1 << 26], ids=["on disk", "in memory"])
def ranked(request: pytest.FixtureRequest) -> Iterator[RankedFindings]:
    """An empty collection, which keeps next to nothing or everything in memory."""
    with RankedFindings(request.param) as empty:
        yield empty


def in_order(findings: list[Finding]) -> list[Finding]:
    return sorted(
        findings,
        key=lambda one: (
            -one.risk.score,
            -one.state.severity.rank,
            one.state.policy_id,
            one.state.credential_uid,
        ),
    )


def many(count: int) -> list[Finding]:
    """Findings by uid, two of each credential."""
    dice = random.Random(7)
    found = []
    for number in range(count // 2):
        score = dice.choice((0, 41, 42, 100))
        found.append(finding(10_000 + number, score=score))
        found.append(finding(10_000 + number, "stale-credential", score=score))
    return found


def by_uid(findings: list[Finding]) -> list[Finding]:
    return findings


def backwards(findings: list[Finding]) -> list[Finding]:
    return findings[::-1]


def shuffled(findings: list[Finding]) -> list[Finding]:
    return random.Random(3).sample(findings, len(findings))


def in_two_passes(findings: list[Finding]) -> list[Finding]:
    return findings[::3] + [one for number, one in enumerate(findings) if number % 3]


@pytest.mark.parametrize("arranged", [by_uid, backwards, shuffled, in_two_passes])
def test_the_order_does_not_depend_on_the_order_of_arrival(
    ranked: RankedFindings, arranged: Callable[[list[Finding]], list[Finding]]
) -> None:
    findings = many(600)
    for one in arranged(findings):
        ranked.add(one)
    assert list(ranked) == in_order(findings)


def test_every_part_of_a_finding_comes_back(ranked: RankedFindings) -> None:
    findings = cases() + [poisoned_finding(text, n) for n, text in enumerate(CARRIED, 100)]
    for one in findings:
        ranked.add(one)
    assert list(ranked) == in_order(findings)


CARRIED = [BENIGN, "\x00", *(text for text in HOSTILE if "\ud800" not in text)]


def test_it_can_be_read_again_and_by_two_at_once(ranked: RankedFindings) -> None:
    findings = many(100)
    for one in findings:
        ranked.add(one)
    expected = in_order(findings)
    assert list(islice(ranked, 3)) == expected[:3]
    assert list(zip(ranked, ranked, strict=True)) == list(zip(expected, expected, strict=True))


def test_more_can_be_added_after_reading(ranked: RankedFindings) -> None:
    findings = many(60)
    for one in findings[:40]:
        ranked.add(one)
    assert list(ranked) == in_order(findings[:40])
    for one in findings[40:]:
        ranked.add(one)
    assert list(ranked) == in_order(findings)


def test_an_empty_collection_yields_nothing(ranked: RankedFindings) -> None:
    assert list(ranked) == []


def test_findings_that_share_their_controls_still_differ_in_what_they_do_not_share(
    ranked: RankedFindings,
) -> None:
    first = finding(1)
    findings = [
        first,
        replace(first, title="Another title"),
        replace(first, category="stale"),
        replace(first, rationale="Another reason."),
        replace(first, remediation=Remediation("Another remedy.")),
        replace(first, message="Another message"),
        first,
    ]
    for one in findings:
        ranked.add(one)
    assert list(ranked) == findings


def test_what_findings_share_is_read_as_one_object(ranked: RankedFindings) -> None:
    remediation = Remediation("Delete it.")
    for one in many(20):
        ranked.add(replace(one, remediation=remediation))
    read = list(ranked)
    for name in ("rationale", "remediation", "controls"):
        assert len({id(getattr(one, name)) for one in read}) == 1


def test_texts_of_their_own_for_every_finding_are_no_matter(ranked: RankedFindings) -> None:
    """What is remembered of shared texts is bounded; the rest goes into the file."""
    findings = [
        replace(one, title=f"Title {number}", controls={"house-rules": (str(number),)})
        for number, one in enumerate(many(3_000))
    ]
    for number in range(len(findings)):
        ranked.add(replace(findings[number], controls=dict(findings[number].controls)))
    assert list(ranked) == in_order(findings)


def test_a_finding_that_cannot_be_written_leaves_the_others_whole(ranked: RankedFindings) -> None:
    findings = many(20)
    for one in findings:
        ranked.add(one)
        with pytest.raises(UnicodeEncodeError):
            ranked.add(replace(one, message="lone \ud800 surrogate"))
    assert list(ranked) == in_order(findings)


def test_memory_does_not_grow_with_the_findings() -> None:
    long = "x" * 5_000
    tracemalloc.start()
    try:
        with RankedFindings(1 << 17) as ranked:
            for number in range(4_000):  # 20 MB
                ranked.add(finding(10_000 + number, score=number % 5, message=long))
            assert sum(1 for _ in ranked) == 4_000
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
