"""Instants and durations as they are written: strict about what they mean, generous about nothing.

Providers write times in many ways and a misread one turns into a false finding. So a text is read
only in the format its collector declares; a time without a zone, an epoch where RFC 3339 is
promised, or a year nobody can mean is a `ValueError` whose message says why, for the collector to
note while it leaves the value unknown.
"""

import re
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""Outside these an instant is a placeholder (year 1, year 9999) or a wrong unit, not a time."""

_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:([Zz])|([+-]\d{2}:?\d{2}))",
    re.ASCII,
)

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SHORT_DURATION = re.compile(r"(?:\d+[wdhms])+", re.ASCII)
_ISO_DURATION = re.compile(
    r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)


def parse_instant(value: object, form: str = "rfc3339") -> datetime:
    """Return *value* as an aware UTC datetime; raises `ValueError` that says what is wrong.

    *form* is ``rfc3339``, ``date`` (midnight UTC), ``epoch_s``, ``epoch_ms``, ``rfc2822`` or a
    ``strptime`` pattern, which counts as UTC where it reads no zone.
    """
    try:
        instant = _read(value, form).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is out of range") from error
    if not EARLIEST <= instant < LATEST:
        raise ValueError(f"is out of range (year {instant.year})")
    return instant


def _read(value: object, form: str) -> datetime:
    if form in ("epoch_s", "epoch_ms"):
        return _epoch(value, 1000 if form == "epoch_ms" else 1)
    if not isinstance(value, str):
        raise ValueError(f"is {_kind(value)} where a time in text is expected")  # noqa: TRY004
    text = value.strip()
    if form == "rfc3339":
        return _rfc3339(text)
    if form == "date":
        return _date(text)
    try:
        instant = parsedate_to_datetime(text) if form == "rfc2822" else _strptime(text, form)
    except (ValueError, TypeError):
        raise ValueError(f"is not a time of the form {form}") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def _strptime(text: str, form: str) -> datetime:
    return datetime.strptime(text, form)  # noqa: DTZ007 - the caller adds UTC where no zone is read


def _rfc3339(text: str) -> datetime:
    match = _RFC3339.fullmatch(text)
    if match is None:
        naive = _RFC3339.fullmatch(text + "Z") is not None
        raise ValueError("has no time zone" if naive else "is not an RFC 3339 time")
    day, minutes, seconds, fraction, _zulu, offset = match.groups()
    # A leap second is legal RFC 3339 and unknown to datetime: it is the second that follows :59.
    leap = seconds == "60"
    written = f"{day}T{minutes}:{'59' if leap else seconds}.{(fraction or '0')[:6]:0<6}"
    try:
        instant = datetime.fromisoformat(written + (offset or "+00:00"))
    except ValueError:
        raise ValueError("is not a date and time that exists") from None
    return instant + timedelta(seconds=1) if leap else instant


def _date(text: str) -> datetime:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError("is not a date (YYYY-MM-DD)") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _epoch(value: object, per_second: int) -> datetime:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,20}(?:\.\d+)?", value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"is {_kind(value)} where an epoch number is expected")  # noqa: TRY004
    try:
        return datetime.fromtimestamp(value / per_second, UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError("is out of range") from None


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a text"}
    return names.get(type(value), "a list" if isinstance(value, list) else "an object")


def parse_duration(text: object) -> timedelta:
    """Return ``45d``, ``12h``, ``1d12h``, ``P45D`` or ``PT12H`` as a timedelta, a timedelta as is.

    Raises `ValueError` for anything else, months and years included: they have no fixed length.
    """
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str):
        raise ValueError(f"{_kind(text)} is not a duration; write 45d, 12h, 1d12h or PT12H")  # noqa: TRY004
    written = text.strip()
    try:
        if _SHORT_DURATION.fullmatch(written):
            parts = re.findall(r"(\d+)([wdhms])", written)
            units = [unit for _amount, unit in parts]
            if len(set(units)) == len(units):
                return timedelta(**{_UNITS[unit]: int(amount) for amount, unit in parts})
        match = _ISO_DURATION.fullmatch(written)
        if match is not None and any(match.groups()):
            amounts = {_UNITS[k]: float(v) for k, v in match.groupdict().items() if v}
            return timedelta(**amounts)
    except OverflowError:
        raise ValueError(f"{written[:40]!r} is too long a duration") from None
    raise ValueError(f"{written[:40]!r} is not a duration; write 45d, 12h, 1d12h or PT12H")


def format_duration(duration: timedelta) -> str:
    """Return *duration* in the short form that `parse_duration` reads; cut to whole seconds."""
    sign, rest = ("-", -duration) if duration < timedelta(0) else ("", duration)
    hours, seconds = divmod(rest.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    amounts = ((rest.days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return sign + ("".join(f"{n}{unit}" for n, unit in amounts if n) or "0s")
