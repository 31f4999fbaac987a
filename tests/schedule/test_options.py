"""The schedules block says what is wrong with it."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from auditor.schedule import ScheduleOptions


def load(**timing: Any) -> ScheduleOptions:
    return ScheduleOptions.model_validate({"name": "nightly", **timing})


def test_the_example_of_the_manual_loads():
    options = load(
        cron="0 3 * * mon-fri",
        timezone="Europe/Berlin",
        sources=["keycard-prod"],
        deliveries=["security"],
        jitter="10m",
        max_runtime="1h30m",
        blackouts=[{"from": "22:00", "to": "06:00", "days": "fri"}],
    )
    assert options.max_runtime == timedelta(minutes=90)
    assert options.plan.jitter == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("timing", "says"),
    [
        ({}, "exactly one of cron, every and daily"),
        ({"cron": "0 3 * * *", "daily": "03:00"}, "exactly one of"),
        ({"cron": "0 3 * *"}, "five fields"),
        ({"every": "fortnight"}, "is not a duration; write"),
        ({"every": "30s"}, "at least 1m"),
        ({"every": "0h"}, "at least 1m"),
        ({"every": 6}, "a number is not a duration; write"),
        ({"every": "99999999999d"}, "is too long a duration"),
        ({"daily": 750}, "in quotes"),
        ({"daily": "3:00"}, "two digits each"),
        ({"daily": "24:00"}, "two digits each"),
        ({"daily": "03:00", "timezone": "Europe/Berln"}, "no time zone 'Europe/Berln'"),
        ({"daily": "03:00", "timezone": "../../etc/passwd"}, "no time zone"),
        ({"daily": "03:00", "timezone": ""}, "no time zone"),
        ({"daily": "03:00", "max_runtime": "0s"}, "longer than nothing"),
        ({"daily": "03:00", "blackouts": [{"from": "06:00", "to": "06:00"}]}, "no time at all"),
        ({"daily": "03:00", "blackouts": [{"from": "x", "to": "06:00"}]}, "write a time of day"),
        ({"daily": "03:00", "blackouts": [{"from": "06:00", "to": "2026-01-01"}]}, "or both dates"),
        (
            {"daily": "03:00", "blackouts": [{"from": "2026-01-02", "to": "2026-01-01"}]},
            "from must be earlier",
        ),
        (
            {"daily": "03:00", "blackouts": [{"from": "2026-01-01T00:00Z", "to": "2026-01-02"}]},
            "leave out the offset",
        ),
        (
            {
                "daily": "03:00",
                "blackouts": [{"from": "2026-01-01", "to": "2026-01-02", "days": "mon"}],
            },
            "days belongs to recurring",
        ),
        (
            {"daily": "03:00", "blackouts": [{"from": "01:00", "to": "02:00", "days": "x"}]},
            "'x' is not a day of week",
        ),
        ({"daily": "03:00", "souces": []}, "Extra inputs"),
    ],
)
def test_a_wrong_schedule_is_refused_with_a_sentence(timing, says):
    with pytest.raises(ValidationError) as caught:
        load(**timing)
    assert says in str(caught.value)


def test_two_windows_that_cover_the_week_are_refused():
    windows = [{"from": "00:00", "to": "12:00"}, {"from": "12:00", "to": "00:00"}]
    with pytest.raises(ValidationError, match="no time at all"):
        load(daily="03:00", blackouts=windows)
