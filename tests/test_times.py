from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.times import format_duration, parse_duration, parse_instant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-01T18:11:19.117Z", datetime(2026, 2, 1, 18, 11, 19, 117000, UTC)),
        ("2026-02-01T18:11:19z", datetime(2026, 2, 1, 18, 11, 19, 0, UTC)),
        ("2026-02-01t18:11:19.123456789Z", datetime(2026, 2, 1, 18, 11, 19, 123456, UTC)),
        ("2026-02-01T18:11:19+14:00", datetime(2026, 2, 1, 4, 11, 19, 0, UTC)),
        ("2026-02-01T18:11:19-0700", datetime(2026, 2, 2, 1, 11, 19, 0, UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, 0, 0, 0, 0, UTC)),
    ],
)
def test_rfc3339_times_become_aware_utc(text, expected):
    parsed = parse_instant(text)

    assert parsed == expected
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("2026-02-01T18:11:19", "no time zone"),
        ("2026-02-30T00:00:00Z", "does not exist|that exists"),
        ("2026-02-01T25:00:00Z", "that exists"),
        ("2026-02-01", "not an RFC 3339"),
        ("yesterday", "not an RFC 3339"),
        ("", "not an RFC 3339"),
        ("\u0662026-02-01T18:11:19Z", "not an RFC 3339"),
        ("0001-01-01T00:00:00Z", "out of range"),
        ("0001-01-01T00:00:00+14:00", "out of range"),
        ("9999-12-31T23:59:59-14:00", "out of range"),
        (1767225600, "a number"),
        (None, "null"),
        (True, "a boolean"),
        ({}, "an object"),
        ([], "a list"),
    ],
)
def test_what_is_not_a_certain_time_is_refused_with_its_reason(value, reason):
    with pytest.raises(ValueError, match=reason):
        parse_instant(value)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("2026-01-01", "date"),
        (1767225600, "epoch_s"),
        ("1767225600", "epoch_s"),
        (1767225600000, "epoch_ms"),
        ("Thu, 01 Jan 2026 00:00:00 +0000", "rfc2822"),
        ("Thu, 01 Jan 2026 00:00:00 GMT", "rfc2822"),
        ("01.01.2026 00:00", "%d.%m.%Y %H:%M"),
        ("01.01.2026 02:00 +0200", "%d.%m.%Y %H:%M %z"),
    ],
)
def test_a_declared_format_is_read(value, form):
    assert parse_instant(value, form) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (1767225600000, "epoch_s"),
        (1767225600, "epoch_ms"),
        (float("nan"), "epoch_s"),
        (2**63, "epoch_s"),
        ("soon", "epoch_s"),
        (False, "epoch_s"),
        ("2026-13-01", "date"),
        ("never", "rfc2822"),
        ("1.1.26", "%d.%m.%Y %H:%M"),
        (12, "rfc2822"),
    ],
)
def test_the_wrong_unit_or_format_is_refused(value, form):
    with pytest.raises(ValueError, match=r"\w"):
        parse_instant(value, form)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45d", timedelta(days=45)),
        ("12h", timedelta(hours=12)),
        ("2w", timedelta(weeks=2)),
        ("1d12h30m5s", timedelta(days=1, hours=12, minutes=30, seconds=5)),
        ("0s", timedelta(0)),
        ("P45D", timedelta(days=45)),
        ("PT4H", timedelta(hours=4)),
        ("P1W", timedelta(weeks=1)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
    ],
)
def test_durations_are_read(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "45",
        "d",
        "-1d",
        "1.5d",
        "1d1d",
        "P",
        "PT",
        "P1DT",
        "P1M",
        "P1Y",
        "45 days",
        "9" * 30 + "d",
        45,
        None,
    ],
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@settings(max_examples=100)
@given(st.integers(min_value=0, max_value=10**9))
def test_a_written_duration_reads_back(seconds):
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


def test_a_negative_duration_shows_its_sign():
    assert format_duration(-timedelta(hours=1)) == "-1h"
