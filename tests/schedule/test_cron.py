"""Cron expressions mean what crontab(5) says."""

import re
from datetime import date, timedelta

import pytest

from auditor.schedule.cron import parse

SUNDAY = date(2026, 3, 1)


def weekdays(expression: str) -> list[int]:
    """The offsets from Sunday of the days that *expression* names in one week."""
    cron = parse(expression)
    return [n for n in range(7) if cron.matches(SUNDAY + timedelta(days=n))]


@pytest.mark.parametrize("sunday", ["0", "7", "sun", "SUN"])
def test_zero_and_seven_are_sunday(sunday):
    assert weekdays(f"0 6 * * {sunday}") == [0]


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("1-5", [1, 2, 3, 4, 5]),
        ("mon-fri", [1, 2, 3, 4, 5]),
        ("fri-sun", [0, 5, 6]),
        ("5-7", [0, 5, 6]),
        ("*", [0, 1, 2, 3, 4, 5, 6]),
        ("*/2", [0, 2, 4, 6]),
        ("0-7", [0, 1, 2, 3, 4, 5, 6]),
        ("mon,wed,6", [1, 3, 6]),
    ],
)
def test_weekdays_are_names_or_the_standard_numbers(field, days):
    assert weekdays(f"0 3 * * {field}") == days


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("5 4 * * *", ((4, 5),)),
        ("0,30 2 * * *", ((2, 0), (2, 30))),
        ("0 */8 * * *", ((0, 0), (8, 0), (16, 0))),
        ("0 9-17/4 * * *", ((9, 0), (13, 0), (17, 0))),
        ("0 20/2 * * *", ((20, 0), (22, 0))),
        ("@daily", ((0, 0),)),
    ],
)
def test_lists_ranges_and_steps(expression, times):
    assert parse(expression).times == times


def test_every_hour_makes_an_expression_continuous():
    assert parse("*/15 * * * *").is_continuous
    assert parse("@hourly").is_continuous
    assert not parse("*/15 2-4 * * *").is_continuous


def test_either_day_field_is_enough_where_both_are_restricted():
    cron = parse("0 0 13 * fri")
    assert cron.matches(date(2026, 3, 13))  # both
    assert cron.matches(date(2026, 3, 6))  # a Friday
    assert cron.matches(date(2026, 4, 13))  # a Monday
    assert not cron.matches(date(2026, 4, 14))


def test_a_leap_day_is_found_years_ahead():
    assert next(parse("0 0 29 2 *").days_from(date(2097, 1, 1))) == date(2104, 2, 29)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "has 0"),
        ("0 3 * *", "has 4"),
        ("0 3 * * * *", "has 6"),
        ("60 3 * * *", "'60' is not a minute"),
        ("0 24 * * *", "'24' is not a hour"),
        ("0 3 0 * *", "'0' is not a day of month"),
        ("0 3 * 13 *", "jan"),
        ("0 3 * * 8", "'8' is not a day of week"),
        ("0 3 * * monday", "sun, mon"),
        ("0 3 * * 5-2", "ascending"),
        ("*/0 3 * * *", "ascending"),
        ("0 3 31 2 *", "never comes"),
        ("0 3 L * *", "'L' is not"),
        ("0 3 1W * *", "'1W' is not"),
        ("0 3 * * 1#2", "cannot be read"),
        ("0 3 ? * *", "cannot be read"),
        ("٣ 3 * * *", "is not a minute"),
        ("1,,2 3 * * *", "cannot be read"),
        ("*-5 3 * * *", "cannot be read"),
        ("-1 3 * * *", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_with_the_field(expression, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        parse(expression)
