"""The page's breakdowns: rows of a label, a number and a bar's width; the numbers are the text."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from auditor.findings.view import TrendPoint
from auditor.model import Credential, LastUsedState, Severity
from auditor.wording import count, day, listing, shown

_MAX_ROWS = 12
_MAX_COLUMNS = 30
_CHART_HEIGHT = 120
_COLUMN = 20
_GAP = 4


class Bar(NamedTuple):
    """One row of a breakdown; ``width`` is per cent of the longest."""

    label: str
    number: int
    width: str


class Chart(NamedTuple):
    """A breakdown, longest bar first."""

    key: str
    title: str
    unit: str
    bars: tuple[Bar, ...]
    facet: str = ""
    """The filter its labels are values of; may be empty."""
    note: str = ""
    """What was left out."""


class Segment(NamedTuple):
    """One severity's share of a bar."""

    severity: Severity
    number: int
    x: str
    width: str


class Column(NamedTuple):
    """One run in the trend."""

    x: int
    text: str
    parts: tuple[tuple[int, str, str], ...]
    """Severity rank, top and height of each part, bottom up."""


class Trend(NamedTuple):
    """Open findings over past runs."""

    width: int
    columns: tuple[Column, ...]
    points: tuple[TrendPoint, ...]
    peak: int
    summary: str
    omitted: int


def breakdown(
    key: str,
    title: str,
    counts: Mapping[str, int],
    *,
    label: Callable[[str], str],
    facet: str = "",
) -> Chart:
    """Return the largest counts of open findings, the rest in one row."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ranked = [(name, number) for name, number in ranked if number]
    named = [(shown(label(name), 120), number) for name, number in ranked[:_MAX_ROWS]]
    rest = ranked[_MAX_ROWS:]
    note = ""
    if rest:
        total = sum(number for _, number in rest)
        note = f"{count(len(rest), 'other')} with {count(total, 'finding')}"
    return Chart(key, title, "open findings", _bars(named), facet, note)


def severities(by_severity: Mapping[str, int]) -> tuple[Segment, ...]:
    """Return the share of every severity in one bar of width 100, worst first."""
    total = sum(by_severity.values())
    segments = []
    x = 0.0
    for severity in sorted(Severity, key=lambda one: -one.rank):
        number = by_severity.get(severity.value, 0)
        width = 100 * number / total if total else 0.0
        segments.append(Segment(severity, number, f"{x:.2f}", f"{width:.2f}"))
        x += width
    return tuple(segments)


_AGES = (
    ("under 30 days", 30),
    ("30 to 89 days", 90),
    ("90 to 179 days", 180),
    ("180 to 364 days", 365),
    ("1 to 2 years", 730),
    ("over 2 years", None),
)
_IDLE = (
    ("under 7 days", 7),
    ("7 to 29 days", 30),
    ("30 to 44 days", 45),
    ("45 to 89 days", 90),
    ("90 to 179 days", 180),
    ("180 to 364 days", 365),
    ("a year or more", None),
)
_NEVER = "no use recorded"
_WINDOW = "none in the observed window"
_UNKNOWN = "unknown"


class Distributions:
    """Ages and idleness of the credentials that pass by; constant memory."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._ages: Counter[str] = Counter()
        self._idle: Counter[str] = Counter()

    def add(self, credential: Credential) -> None:
        """Count one credential: age of its secret, idleness up to the age of the data."""
        born = credential.rotated_at or credential.created_at
        self._ages[_bucket(_AGES, self._now - born) if born else _UNKNOWN] += 1
        self._idle[_idleness(credential)] += 1

    def charts(self) -> tuple[Chart, Chart]:
        """Return the two distributions, in the order of the scale."""
        ages = [*(name for name, _ in _AGES), _UNKNOWN]
        idle = [*(name for name, _ in _IDLE), _NEVER, _WINDOW, _UNKNOWN]
        return (
            Chart("age", "Age since creation or rotation", "credentials", _scale(ages, self._ages)),
            Chart("idle", "Time since last use", "credentials", _scale(idle, self._idle)),
        )


def trend(points: Sequence[TrendPoint]) -> Trend | None:
    """Return the newest runs as columns; None for fewer than two, which are no trend."""
    if len(points) < 2:
        return None
    kept = tuple(points[-_MAX_COLUMNS:])
    peak = max(1, *(point.findings for point in kept))
    columns = tuple(
        Column(index * (_COLUMN + _GAP), _point_text(point), _parts(point, peak))
        for index, point in enumerate(kept)
    )
    first, last = kept[0], kept[-1]
    change = last.findings - first.findings
    how = f"{change:+,}" if change else "unchanged"
    summary = (
        f"{count(last.findings, 'open finding')} on {day(last.now)}, "
        f"{first.findings:,} on {day(first.now)} ({how}) over {len(kept)} runs."
    )
    width = len(kept) * (_COLUMN + _GAP) - _GAP
    return Trend(width, columns, kept, peak, summary, len(points) - len(kept))


def _parts(point: TrendPoint, peak: int) -> tuple[tuple[int, str, str], ...]:
    parts = []
    bottom = float(_CHART_HEIGHT)
    for severity in sorted(Severity, key=lambda one: -one.rank):
        number = point.by_severity.get(severity.value, 0)
        if number:
            height = _CHART_HEIGHT * number / peak
            bottom -= height
            parts.append((severity.rank, f"{bottom:.1f}", f"{height:.1f}"))
    return tuple(parts)


def _point_text(point: TrendPoint) -> str:
    severities_found = [
        f"{point.by_severity[severity.value]:,} {severity.value}"
        for severity in sorted(Severity, key=lambda one: -one.rank)
        if point.by_severity.get(severity.value)
    ]
    detail = f": {listing(severities_found)}" if severities_found else ""
    return f"Run {point.run_id}, {day(point.now)}: {count(point.findings, 'open finding')}{detail}"


def _bars(rows: Iterable[tuple[str, int]]) -> tuple[Bar, ...]:
    rows = list(rows)
    longest = max((number for _, number in rows), default=0) or 1
    return tuple(Bar(label, number, f"{100 * number / longest:.1f}") for label, number in rows)


def _scale(names: Sequence[str], counts: Counter[str]) -> tuple[Bar, ...]:
    return _bars((name, counts[name]) for name in names)


def _bucket(scale: Sequence[tuple[str, int | None]], length: timedelta) -> str:
    for name, limit in scale:
        if limit is None or length.days < limit:
            return name
    raise AssertionError("the last bucket has no limit")


def _idleness(credential: Credential) -> str:
    match credential.last_used_state:
        case LastUsedState.USED if credential.last_used_at:
            return _bucket(_IDLE, credential.data_as_of - credential.last_used_at)
        case LastUsedState.NEVER:
            return _NEVER
        case LastUsedState.NOT_IN_WINDOW:
            return _WINDOW
        case _:
            return _UNKNOWN
