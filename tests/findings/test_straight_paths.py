"""Most credentials take a straight path through `reconcile`: it comes to what the rules say."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.findings.case import Case, finding_id
from auditor.findings.reconcile import reconcile
from auditor.findings.supersession import PoliciesInForce
from auditor.model import (
    Change,
    Credential,
    FindingState,
    FindingStatus,
    Outcome,
    Resolution,
    Severity,
    Verdict,
)
from tests.conftest import NOW
from tests.findings.history import CATALOGUE
from tests.findings.world import excepting, note

DAY = timedelta(days=1)
NAMES = [*CATALOGUE, "retired"]

days = st.integers(-3, 3).map(lambda number: NOW - number * DAY)
maybe_days = st.none() | days
severities = st.sampled_from(Severity)
outcomes = st.sampled_from([Outcome.VIOLATION, Outcome.VIOLATION, *Outcome])
names = st.frozensets(st.sampled_from(NAMES))


@st.composite
def remembered(draw: Any, name: str, uid: str) -> FindingState:
    """Return any state a store could give back, and some that it could not."""
    status = draw(st.sampled_from([FindingStatus.OPEN, FindingStatus.OPEN, *FindingStatus]))
    is_resolved = status is FindingStatus.RESOLVED
    resolution = draw(st.sampled_from(Resolution)) if is_resolved else None
    superiors = st.sampled_from(NAMES)
    return FindingState(
        id=finding_id(name, uid),
        policy_id=name,
        credential_uid=uid,
        status=status,
        change=draw(st.sampled_from(Change)),
        severity=draw(severities),
        risk_score=draw(st.integers(0, 100)),
        first_seen_at=draw(days),
        last_seen_at=draw(days),
        opened_at=draw(maybe_days),
        resolution=resolution,
        resolved_at=NOW if is_resolved else None,
        stale_since=draw(maybe_days),
        not_evaluable_since=draw(maybe_days),
        superseded_by=draw(superiors) if resolution is Resolution.SUPERSEDED else None,
        exception=note() if status is FindingStatus.SUPPRESSED else None,
    )


@st.composite
def cases(draw: Any, uid: str) -> tuple[list[FindingState], list[Verdict], Mapping[str, Any]]:
    said = draw(names)
    # What is as it was, is what matters most: the same policies as before, or nearly.
    before = draw(st.just(said) | names | st.just(frozenset()))
    verdicts = [
        Verdict(name, outcome, draw(st.none() | severities) if outcome == "violation" else None)
        for name in draw(st.permutations(sorted(said)))
        for outcome in [draw(st.just(Outcome.VIOLATION) | outcomes)]
    ]
    retired = draw(st.just(frozenset()) | names)
    rules = {
        "now": NOW,
        "policies": PoliciesInForce(
            [one for name, one in CATALOGUE.items() if name not in retired], CATALOGUE.values()
        ),
        "exceptions": excepting(*draw(st.just(frozenset()) | names)),
        "is_whole": draw(st.booleans()),
    }
    return [draw(remembered(name, uid)) for name in sorted(before)], verdicts, rules


@settings(
    max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_happened_comes_to_what_the_rules_say(
    credential: Callable[..., Credential], data: st.DataObject
) -> None:
    subject = credential()
    prior, verdicts, rules = data.draw(cases(subject.uid))

    assert reconcile(subject, prior, verdicts, **rules) == (
        Case(subject, prior, verdicts, **rules).states()
    )
