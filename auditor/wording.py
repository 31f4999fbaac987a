"""How instants, durations, counts and facts are said to people; display only, never compared."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from msgspec import ValidationError, convert, to_builtins

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTE = timedelta(minutes=1)
_YEAR = 365.25 * timedelta(days=1)
_TWO_YEARS = 730
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff]"
)
_MARKS_IN_A_ROW = 4
_ISO_DURATION = re.compile(
    r"[-+]?P(?=.)(\d+W)?(\d+(\.\d+)?D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?"
)
_ISO_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_LABELS = {
    "not_in_window": "not in the observed window",
    "service_account": "service account",
    "policy_retired": "policy retired",
    "condition_cleared": "condition cleared",
    "out_of_scope": "out of scope",
    "not_judged": "not judged",
    "not_selected": "not selected",
}


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 finding``, ``12,345 findings``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(length: timedelta) -> str:
    """Return a length in the unit a person would choose: ``3 hours``, ``412 days``, ``2.5 years``.

    Days are kept up to two years, because policies are written in days. A negative length is
    said like a positive one.
    """
    length = abs(length)
    days, seconds = length.days, length.seconds
    if days >= _TWO_YEARS:
        return f"{length / _YEAR:.1f} years".replace(".0 ", " ")
    if days:
        return "1 day" if days == 1 else f"{days} days"
    if seconds >= 3600:
        return count(seconds // 3600, "hour")
    if seconds >= 60:
        return count(seconds // 60, "minute")
    return "less than a minute"


def ago(at: datetime, now: datetime) -> str:
    """Return *at* as seen from *now*: ``412 days ago``, ``in 3 days``, ``just now``."""
    length = now - at
    if -_MINUTE < length < _MINUTE:
        return "just now"
    return f"{duration(length)} ago" if length.days >= 0 else f"in {duration(length)}"


def day(at: date) -> str:
    """Return ``1 Mar 2026`` (UTC); the same in every locale."""
    if isinstance(at, datetime):
        at = _utc(at)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def instant(at: datetime) -> str:
    """Return ``1 Mar 2026, 03:00 UTC``."""
    utc = _utc(at)
    return f"{utc.day} {_MONTHS[utc.month - 1]} {utc.year}, {utc.hour:02d}:{utc.minute:02d} UTC"


def rfc3339(at: datetime) -> str:
    """Return ``2026-03-01T03:00:00Z``, with a fraction where there is one."""
    return str(to_builtins(_utc(at)))  # the same text as isoformat's, several times as fast


def listing(words: Iterable[str], last: str = "and") -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    items = list(words)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


@lru_cache(maxsize=256)
def label(word: str) -> str:
    """Return an enumeration's or a field's name as words: ``not judged``, ``idle for``."""
    return _LABELS.get(word) or word.removesuffix("_at").replace("_", " ").replace(".", " ")


def fact(value: Any) -> str:  # noqa: PLR0911 - one line a kind
    """Return a JSON value of an `auditor.model.Evidence` as words.

    ISO 8601 durations become words and RFC 3339 instants days with their time; other text stays.
    """
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case str():
            return _text_fact(value)
        case timedelta():
            return duration(value)
        case datetime():
            return instant(value)
        case int():
            return f"{value:,}"
        case Mapping():
            return "; ".join(f"{name}: {fact(part)}" for name, part in value.items()) or "none"
        case list() | tuple():
            return ", ".join(fact(part) for part in value) or "none"
        case _:
            return str(value)


def clean(text: str) -> str:
    """Return *text* as valid Unicode: each lone surrogate becomes U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def shown(text: str, limit: int = 200) -> str:
    r"""Return *text* fit for one line of a page or a terminal, at most *limit* characters.

    Control characters and direction overrides become visible (``\x1b``, ``\u202e``), long runs of
    combining marks are cut, and a shortened text ends with ``…``.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    cut = text[: limit + 1]
    cut = _UNPRINTABLE.sub(_escape, clean(cut))
    cut = _without_piles(cut)
    return cut if len(text) <= limit and len(cut) <= limit * 2 else cut[: limit - 1] + "…"


@lru_cache(maxsize=2048)
def _text_fact(text: str) -> str:
    """Limits and the times of reading are the same in most findings."""
    if text.startswith(("P", "-P", "+P")) and _ISO_DURATION.fullmatch(text):
        try:
            return duration(convert(text, timedelta))
        except (ValidationError, OverflowError):
            return text
    if text[10:11] == "T" and _ISO_INSTANT.fullmatch(text):
        try:
            return instant(datetime.fromisoformat(text))
        except ValueError:
            return text
    return text


def _escape(match: re.Match[str]) -> str:
    point = ord(match[0])
    if match[0] in "\n\r\t":
        return " "
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}"


def _without_piles(text: str) -> str:
    if text.isascii():
        return text
    kept: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MARKS_IN_A_ROW:
            kept.append(character)
    return "".join(kept)


def _utc(at: datetime) -> datetime:
    """Return *at* in UTC; in the years 1 and 9999 as it stands, for want of room to move."""
    if at.tzinfo is UTC:
        return at
    return at.astimezone(UTC) if 1 < at.year < 9999 else at.replace(tzinfo=UTC)
