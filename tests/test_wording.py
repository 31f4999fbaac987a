"""Words for people: durations, instants, counts, facts and text that may be hostile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.wording import (
    ago,
    clean,
    count,
    day,
    duration,
    fact,
    instant,
    label,
    listing,
    rfc3339,
    shown,
)

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(0), "less than a minute"),
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=59, seconds=59), "59 minutes"),
        (timedelta(hours=4), "4 hours"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=412, hours=23), "412 days"),
        (timedelta(days=729), "729 days"),
        (timedelta(days=731), "2 years"),
        (timedelta(days=913), "2.5 years"),
        (timedelta(days=-3), "3 days"),
        (timedelta.max, "2738 years"),
    ],
)
def test_durations_are_said_in_the_unit_a_person_would_choose(
    length: timedelta, words: str
) -> None:
    if length == timedelta.max:
        assert duration(length).endswith(" years")
    else:
        assert duration(length) == words


def test_an_instant_is_seen_from_now() -> None:
    assert ago(NOW - timedelta(days=3), NOW) == "3 days ago"
    assert ago(NOW + timedelta(days=3), NOW) == "in 3 days"
    assert ago(NOW, NOW) == "just now"


def test_days_and_instants_are_utc_in_every_locale() -> None:
    east = datetime.fromisoformat("2026-03-01T01:30:00+14:00")

    assert day(east) == "28 Feb 2026"
    assert instant(east) == "28 Feb 2026, 11:30 UTC"
    assert rfc3339(east) == "2026-02-28T11:30:00Z"
    assert day(NOW.date()) == "1 Mar 2026"


@given(st.datetimes(timezones=st.timezones() | st.just(UTC)))
def test_an_instant_is_written_as_isoformat_does_with_a_z(at: datetime) -> None:
    if 1 < at.year < 9999:
        assert rfc3339(at) == at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("year", [1, 9999])
def test_the_ends_of_the_calendar_do_not_overflow(year: int) -> None:
    edge = datetime.fromisoformat(f"{year:04d}-01-01T00:00:00+14:00")

    assert day(edge).endswith(str(year))
    assert instant(edge)
    assert rfc3339(edge).endswith("Z")
    assert ago(edge, NOW)


def test_counts_agree_with_their_noun() -> None:
    assert count(1, "finding") == "1 finding"
    assert count(12_345, "finding") == "12,345 findings"
    assert count(0, "policy", "policies") == "0 policies"


def test_lists_read_as_sentences() -> None:
    assert listing([]) == ""
    assert listing(["a"]) == "a"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert listing(["a", "b"], last="or") == "a or b"


def test_field_names_become_words() -> None:
    assert label("last_used_at") == "last used"
    assert label("not_selected") == "not selected"
    assert label("idle_for") == "idle for"
    assert label("principal.is_root") == "principal is root"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("P412DT3H", "412 days"),
        ("PT4H", "4 hours"),
        ("2025-11-01T22:00:00Z", "1 Nov 2025, 22:00 UTC"),
        ("2025-11-01T22:00:00+02:00", "1 Nov 2025, 20:00 UTC"),
        ("2025-13-01T22:00:00Z", "2025-13-01T22:00:00Z"),
        ("P", "P"),
        ("PANIC", "PANIC"),
        ("P99999999999999D", "P99999999999999D"),
        (True, "yes"),
        (False, "no"),
        (None, "unknown"),
        (12345, "12,345"),
        (1.5, "1.5"),
        (["a", True], "a, yes"),
        ([], "none"),
        ({"iam": ["*"]}, "iam: *"),
        ({}, "none"),
        (timedelta(days=2), "2 days"),
        (NOW, "1 Mar 2026, 03:00 UTC"),
    ],
)
def test_facts_become_words(value: Any, words: str) -> None:
    assert fact(value) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plain", "plain"),
        ("a\nb\tc", "a b c"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("a\ud800b", "a\ufffdb"),
        ("e" + "\u0301" * 9, "e" + "\u0301" * 4),
        ("\u00e9\u00df\u0430", "\u00e9\u00df\u0430"),
    ],
)
def test_hostile_characters_become_visible(text: str, words: str) -> None:
    assert shown(text) == words


@given(st.text(max_size=400), st.integers(min_value=2, max_value=100))
def test_shown_text_is_short_valid_and_on_one_line(text: str, limit: int) -> None:
    words = shown(text, limit)

    assert len(words) <= max(limit, 2 * limit if len(text) <= limit else limit)
    assert len(words.splitlines()) <= 1
    assert words.encode().decode() == words


@given(st.text(alphabet=st.characters(), max_size=50))
def test_clean_text_is_what_utf8_can_carry(text: str) -> None:
    assert clean(text).encode().decode() == clean(text)
