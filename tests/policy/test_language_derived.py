"""Ages and idleness, to the second."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.model import Credential, ExpiresState, LastUsedState, Organization, Principal
from auditor.policy.language.derived import ENDLESS, derive
from tests.policy.conftest import Answer

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LIMIT = timedelta(days=45)
OPERATORS = {
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("offset", [-SECOND, timedelta(0), SECOND])
@pytest.mark.parametrize("flipped", [False, True])
def test_an_exact_idleness_is_compared_to_the_second(
    answer: Answer, operator: str, offset: timedelta, flipped: bool
) -> None:
    text = f"credential.idle_for {operator} parameters.idle_for"
    expected = OPERATORS[operator](LIMIT + offset, LIMIT)
    if flipped:
        text = f"parameters.idle_for {operator} credential.idle_for"
        expected = OPERATORS[operator](LIMIT, LIMIT + offset)
    assert answer(text, last_used_at=NOW - LIMIT - offset) is expected


@pytest.mark.parametrize(
    ("operator", "short", "exact", "long"),
    [
        (">=", None, True, True),
        (">", None, None, True),
        ("<", None, False, False),
        ("<=", None, None, False),
        ("==", None, None, False),
        ("!=", None, None, True),
    ],
)
def test_outside_the_window_idleness_is_a_lower_bound(
    answer: Answer, operator: str, short: bool | None, exact: bool | None, long: bool | None
) -> None:
    for offset, expected in ((-SECOND, short), (timedelta(0), exact), (SECOND, long)):
        facts: dict[str, Any] = {
            "created_at": NOW - 900 * timedelta(days=1),
            "last_used_at": None,
            "last_used_state": LastUsedState.NOT_IN_WINDOW,
            "last_used_window_start": NOW - LIMIT - offset,
        }
        assert answer(f"credential.idle_for {operator} parameters.idle_for", **facts) is expected
        assert answer("credential.idle_for - duration('1s') < duration('1d')", **facts) is None
        assert answer("credential.idle_for == credential.idle_for", **facts) is None
        assert answer("has(credential.idle_for)", **facts) is False


@pytest.mark.parametrize(
    ("changes", "idle", "at_least"),
    [
        ({"last_used_at": NOW - LIMIT}, LIMIT, LIMIT),
        ({"last_used_at": NOW + LIMIT}, timedelta(0), timedelta(0)),
        ({"last_used_at": None}, None, None),
        ({"last_used_at": NOW - LIMIT, "data_as_of": NOW - 5 * SECOND},
         LIMIT - 5 * SECOND, LIMIT - 5 * SECOND),
        ({"last_used_at": NOW - LIMIT, "last_used_precision": timedelta(hours=4)},
         LIMIT - timedelta(hours=4), LIMIT - timedelta(hours=4)),
        ({"last_used_at": NOW, "last_used_precision": timedelta(days=1)},
         timedelta(0), timedelta(0)),
        ({"last_used_at": NOW, "last_used_precision": timedelta.max}, timedelta(0), timedelta(0)),
        ({"last_used_state": LastUsedState.NEVER, "created_at": NOW - LIMIT}, LIMIT, LIMIT),
        ({"last_used_state": LastUsedState.NEVER, "created_at": None}, None, None),
        ({"last_used_state": LastUsedState.NEVER, "created_at": NOW - LIMIT,
          "rotated_at": NOW - SECOND}, LIMIT, LIMIT),
        ({"last_used_state": LastUsedState.UNKNOWN}, None, None),
        ({"last_used_state": LastUsedState.NOT_IN_WINDOW}, None, None),
        ({"last_used_state": LastUsedState.NOT_IN_WINDOW, "created_at": None,
          "last_used_window_start": NOW - LIMIT}, None, LIMIT),
        ({"last_used_state": LastUsedState.NOT_IN_WINDOW, "created_at": NOW - SECOND,
          "last_used_window_start": NOW - LIMIT}, None, SECOND),
        ({"last_used_state": LastUsedState.NOT_IN_WINDOW, "created_at": None,
          "last_used_window_start": NOW + LIMIT}, None, timedelta(0)),
    ],
)  # fmt: skip
def test_idleness(
    credential: Callable[..., Credential],
    changes: dict[str, Any],
    idle: timedelta | None,
    at_least: timedelta | None,
) -> None:
    derived = derive(credential(**changes), NOW)
    assert derived.idle_for == idle
    assert derived.idle_at_least == at_least


@pytest.mark.parametrize(
    ("changes", "age", "expires_in", "lifetime"),
    [
        ({"created_at": NOW - LIMIT}, LIMIT, ENDLESS, ENDLESS),
        ({"created_at": NOW - LIMIT, "rotated_at": NOW - SECOND}, SECOND, ENDLESS, ENDLESS),
        ({"created_at": None, "rotated_at": NOW - SECOND}, SECOND, ENDLESS, ENDLESS),
        ({"created_at": None}, None, ENDLESS, ENDLESS),
        ({"created_at": NOW + LIMIT}, timedelta(0), ENDLESS, ENDLESS),
        ({"created_at": NOW - LIMIT, "observed_at": NOW - SECOND, "data_as_of": NOW - LIMIT},
         LIMIT - SECOND, ENDLESS, ENDLESS),
        ({"created_at": NOW, "expires_at": NOW + SECOND}, timedelta(0), SECOND, SECOND),
        ({"created_at": NOW - SECOND, "expires_at": NOW - 3 * SECOND},
         SECOND, -3 * SECOND, timedelta(0)),
        ({"created_at": None, "expires_at": NOW + SECOND}, None, SECOND, None),
        ({"created_at": NOW, "expires_state": ExpiresState.NEVER},
         timedelta(0), ENDLESS, ENDLESS),
        ({"created_at": NOW, "expires_state": ExpiresState.UNKNOWN}, timedelta(0), None, None),
        ({"created_at": NOW, "expires_state": ExpiresState.SLIDING}, timedelta(0), None, None),
        ({"created_at": NOW, "expires_state": ExpiresState.AT}, timedelta(0), None, None),
    ],
)  # fmt: skip
def test_age_remaining_life_and_lifetime(
    credential: Callable[..., Credential],
    changes: dict[str, Any],
    age: timedelta | None,
    expires_in: timedelta | None,
    lifetime: timedelta | None,
) -> None:
    derived = derive(credential(**changes), NOW)
    assert (derived.age, derived.expires_in, derived.lifetime) == (age, expires_in, lifetime)


instants = st.none() | st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(
    created=instants,
    rotated=instants,
    used=instants,
    window=instants,
    state=st.sampled_from(LastUsedState),
    precision=st.none() | st.timedeltas(timedelta(0), timedelta(days=400)),
    as_of=instants.filter(bool),
)
def test_no_age_is_negative_and_the_bound_never_exceeds_the_value(
    created: Any, rotated: Any, used: Any, window: Any, state: Any, precision: Any, as_of: Any
) -> None:
    subject = Credential(
        uid="a:b:c:d", provider="a", source="s", name="n", type="t",
        organization=Organization("o", "o"), principal=Principal("p", "p"),
        created_at=created, rotated_at=rotated, observed_at=NOW, data_as_of=as_of,
        last_used_at=used, last_used_state=state, last_used_window_start=window,
        last_used_precision=precision,
    )  # fmt: skip
    derived = derive(subject, NOW)
    for length in (derived.age, derived.idle_for, derived.idle_at_least):
        assert length is None or length >= timedelta(0)
    assert derived.idle_for is None or derived.idle_for == derived.idle_at_least
    if state is LastUsedState.NOT_IN_WINDOW:
        assert derived.idle_for is None
