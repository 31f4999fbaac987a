"""Risk orders the work: worse facts never lower it, and it says why."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from auditor.findings.risk import (
    WEIGHTS,
    Steps,
    assess,
    credential_risk,
    dormancy,
    is_owner_gone,
    is_production,
    is_usable,
    secret_age,
)
from auditor.model import (
    Credential,
    ExpiresState,
    LastUsedState,
    Organization,
    Principal,
    PrincipalType,
    Privilege,
    Risk,
    Severity,
    Status,
)
from tests.conftest import NOW

DAY = timedelta(days=1)
LADDER = (Privilege.NONE, Privilege.READ, Privilege.WRITE, Privilege.ADMIN)

steps = st.sampled_from([days for days, _ in (*WEIGHTS.idle_days, *WEIGHTS.age_days)])
ages = (
    st.integers(0, 4000).map(lambda days: days * DAY)
    | steps.map(lambda days: days * DAY)
    | steps.map(lambda days: days * DAY - timedelta(seconds=1))
)
severities = st.sampled_from(Severity)
categories = st.sampled_from(["dormant", "stale", "expiry", "ownership", "visibility"])


@st.composite
def credentials(draw: Any) -> Credential:
    created = draw(st.none() | ages)
    created_at = None if created is None else NOW - created
    state = draw(st.sampled_from(LastUsedState))
    idle = NOW - draw(ages)
    return Credential(
        uid="keycard:org-1:key:1",
        provider="keycard",
        source="prod",
        organization=Organization("org-1", "Example"),
        principal=Principal(
            "sa-1",
            "ci",
            PrincipalType.SERVICE_ACCOUNT,
            status=draw(st.sampled_from([None, "active", "suspended", "DELETED"])),
            is_root=draw(st.sampled_from([None, False, True])),
        ),
        name="ci",
        type=draw(st.sampled_from(["API Key", "Personal Access Token", "Client Certificate"])),
        status=draw(st.sampled_from(Status)),
        created_at=created_at,
        rotated_at=draw(st.none() | ages.map(lambda age: NOW - age)),
        observed_at=NOW,
        data_as_of=NOW,
        last_used_at=idle if state is LastUsedState.USED else None,
        last_used_state=state,
        last_used_window_start=idle if state is LastUsedState.NOT_IN_WINDOW else None,
        expires_at=draw(st.none() | ages.map(lambda age: NOW + age - 100 * DAY)),
        expires_state=draw(st.sampled_from(ExpiresState)),
        privilege=draw(st.sampled_from(Privilege)),
        owner=draw(st.sampled_from([None, "team@example.com"])),
        owner_status=draw(st.sampled_from([None, "present", "departed"])),
        tags=draw(st.sampled_from([{}, {"Env": "Prod"}, {"team": "prod"}])),
        restrictions=draw(st.sampled_from([None, {}, {"ips": ["10.0.0.0/8"]}])),
    )


@given(credentials(), severities, categories)
def test_every_risk_is_a_score_from_0_to_100_inside_the_band_of_its_severity(
    credential: Credential, severity: Severity, category: str
) -> None:
    low, high = WEIGHTS.bands[severity]

    assert 0 <= low <= assess(credential, severity, category, NOW).score <= high <= 100


@given(credentials(), severities, categories, st.integers(0, 3), st.integers(0, 3))
def test_more_privilege_never_lowers_the_risk(
    credential: Credential, severity: Severity, category: str, one: int, other: int
) -> None:
    less = replace(credential, privilege=LADDER[min(one, other)])
    more = replace(credential, privilege=LADDER[max(one, other)])

    assert _score(less, severity, category) <= _score(more, severity, category)


@given(credentials(), severities, categories, ages)
def test_a_longer_dormancy_never_lowers_the_risk(
    credential: Credential, severity: Severity, category: str, longer: timedelta
) -> None:
    later = replace(
        credential,
        last_used_at=_earlier(credential.last_used_at, longer),
        last_used_window_start=_earlier(credential.last_used_window_start, longer),
    )

    assert _score(credential, severity, category) <= _score(later, severity, category)


@given(credentials(), severities, categories, ages)
def test_an_older_secret_never_lowers_the_risk(
    credential: Credential, severity: Severity, category: str, older: timedelta
) -> None:
    aged = replace(
        credential,
        created_at=_earlier(credential.created_at, older),
        rotated_at=_earlier(credential.rotated_at, older),
    )

    assert _score(credential, severity, category) <= _score(aged, severity, category)


@given(credentials(), categories)
def test_a_graver_severity_never_lowers_the_risk(credential: Credential, category: str) -> None:
    scores = [_score(credential, severity, category) for severity in Severity]

    assert scores == sorted(scores)


@given(credentials(), st.lists(st.integers(0, 100), max_size=6), st.integers(0, 100))
def test_a_further_finding_never_lowers_the_risk_of_a_credential(
    credential: Credential, scores: list[int], further: int
) -> None:
    risks = [Risk(score) for score in scores]
    before = credential_risk(credential, risks, NOW).score if risks else 0

    assert before <= credential_risk(credential, [*risks, Risk(further)], NOW).score <= 100


@given(credentials(), credentials(), severities, categories)
def test_every_fact_adds_its_points_whatever_was_weighed_before(
    credential: Credential, other: Credential, severity: Severity, category: str
) -> None:
    """What a combination of facts weighs is kept; each fact is a part of the combination."""
    low, high = WEIGHTS.bands[severity]
    policy = WEIGHTS.categories.get(category, WEIGHTS.other_category)

    for name in credential.__struct_fields__:
        changed = replace(credential, **{name: getattr(other, name)})

        risk = assess(changed, severity, category, NOW)

        points = policy + sum(_points(changed))
        assert risk.score == low + (high - low) * points // WEIGHTS.most
        assert risk.reasons[1:] == tuple(_words_of_people_and_state(changed, risk))


def _words_of_people_and_state(credential: Credential, risk: Risk) -> Iterator[str]:
    """Yield the reasons of *risk*, those about people and the state as they have to be."""
    for words in risk.reasons[1:]:
        if words.startswith("its principal is"):
            yield f"its principal is {credential.principal.status}"
        elif not words.startswith("it cannot be used"):
            yield words
    if not is_usable(credential, NOW):
        status = credential.status
        is_live = status in (Status.ACTIVE, Status.UNKNOWN)
        yield f"it cannot be used now: {Status.EXPIRED if is_live else status}"


def _points(credential: Credential) -> Iterator[int]:
    yield WEIGHTS.privilege[credential.privilege]
    yield WEIGHTS.root if credential.principal.is_root else 0
    yield WEIGHTS.types.get(credential.type, WEIGHTS.other_type)
    yield 0 if credential.restrictions else WEIGHTS.unrestricted
    idle, age = dormancy(credential), secret_age(credential)
    yield WEIGHTS.use_unknown if idle is None else _reached(WEIGHTS.idle_days, idle)
    yield WEIGHTS.age_unknown if age is None else _reached(WEIGHTS.age_days, age)
    yield WEIGHTS.expires[credential.expires_state]
    missing = 0 if credential.owner else WEIGHTS.owner_missing
    yield WEIGHTS.owner_gone if is_owner_gone(credential) else missing
    yield WEIGHTS.production if is_production(credential) else 0
    yield WEIGHTS.usable if is_usable(credential, NOW) else 0


def _reached(steps: Steps, length: timedelta) -> int:
    return next((points for days, points in steps if length >= days * DAY), 0)


@given(credentials(), severities, categories)
def test_the_same_facts_give_the_same_risk(
    credential: Credential, severity: Severity, category: str
) -> None:
    once = assess(credential, severity, category, NOW)

    assert once == assess(replace(credential), severity, category, NOW)
    assert once.reasons[0] == f"{severity} severity"


def test_the_worst_credential_reaches_the_top_of_the_scale(
    credential: Callable[..., Credential],
) -> None:
    worst = credential(
        type="Personal Access Token",
        principal=Principal("1", "root", PrincipalType.USER, status="Deleted", is_root=True),
        created_at=NOW - 4000 * DAY,
        last_used_at=NOW - 4000 * DAY,
        expires_state=ExpiresState.NEVER,
        privilege=Privilege.ADMIN,
        tags={"environment": "production"},
    )

    assert assess(worst, Severity.CRITICAL, "dormant", NOW).score == 100


def test_reasons_stand_in_order_of_their_weight(credential: Callable[..., Credential]) -> None:
    risky = credential(
        created_at=NOW - 800 * DAY,
        last_used_at=NOW - 214 * DAY,
        privilege=Privilege.ADMIN,
        tags={"env": "prod"},
        owner="team@example.com",
    )

    assert assess(risky, Severity.HIGH, "dormant", NOW).reasons == (
        "high severity",
        "it has admin rights",
        "it was not used for 214 days",
        "its secret is 2.2 years old",
        "it is tagged as production",
        "it cannot expire",
    )


def test_what_is_unknown_is_a_reason(credential: Callable[..., Credential]) -> None:
    blind = credential(
        created_at=None,
        last_used_at=None,
        last_used_state=LastUsedState.UNKNOWN,
        expires_state=ExpiresState.UNKNOWN,
    )

    assert assess(blind, Severity.LOW, "visibility", NOW).reasons == (
        "low severity",
        "its permissions are unknown",
        "nobody owns it",
        "nobody can tell whether it is used",
        "its age is unknown",
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": Status.INACTIVE}, "it cannot be used now: inactive"),
        ({"expires_at": NOW}, "it cannot be used now: expired"),
    ],
)
def test_a_credential_that_cannot_be_used_is_less_urgent_and_says_so(
    credential: Callable[..., Credential], changes: dict[str, Any], reason: str
) -> None:
    usable = assess(credential(), Severity.MEDIUM, "stale", NOW)
    dead = assess(credential(**changes), Severity.MEDIUM, "stale", NOW)

    assert dead.score < usable.score
    assert dead.reasons[-1] == reason


def test_a_credential_without_findings_is_placed_by_its_facts_alone(
    credential: Callable[..., Credential],
) -> None:
    harmless = credential_risk(credential(privilege=Privilege.READ), [], NOW)
    strong = credential_risk(credential(privilege=Privilege.ADMIN), [], NOW)

    assert harmless.score < strong.score <= WEIGHTS.bare_band[1]


def test_the_worst_finding_of_a_credential_counts_and_the_others_a_little(
    credential: Callable[..., Credential],
) -> None:
    worst = Risk(60, ("high severity",))

    assert credential_risk(credential(), [worst], NOW) == worst
    assert credential_risk(credential(), [Risk(10), worst, Risk(20)], NOW) == Risk(
        64, ("high severity", "2 further open findings")
    )


def test_dormancy_ends_where_the_evidence_ends(credential: Callable[..., Credential]) -> None:
    exported = credential(last_used_at=NOW - 50 * DAY, data_as_of=NOW - 20 * DAY)

    assert dormancy(exported) == 30 * DAY


def test_a_use_after_the_data_were_true_is_no_negative_dormancy(
    credential: Callable[..., Credential],
) -> None:
    assert dormancy(credential(last_used_at=NOW + DAY)) == timedelta(0)


def test_the_age_of_a_secret_starts_at_its_rotation(credential: Callable[..., Credential]) -> None:
    rotated = credential(created_at=NOW - 300 * DAY, rotated_at=NOW - 3 * DAY)

    assert secret_age(rotated) == 3 * DAY


def test_production_is_told_by_tag_and_value(credential: Callable[..., Credential]) -> None:
    assert is_production(credential(tags={"Environment": "PROD"}))
    assert not is_production(credential(tags={"Environment": "staging", "name": "prod"}))


def test_a_suspended_principal_is_gone(
    credential: Callable[..., Credential], now: datetime
) -> None:
    gone = credential(principal=Principal("1", "x", PrincipalType.USER, status="SUSPENDED"))

    assert is_owner_gone(gone)
    assert "its principal is SUSPENDED" in assess(gone, Severity.LOW, "stale", now).reasons


def _score(credential: Credential, severity: Severity, category: str) -> int:
    return assess(credential, severity, category, NOW).score


def _earlier(at: datetime | None, by: timedelta) -> datetime | None:
    return None if at is None else at - by
