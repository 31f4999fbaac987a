"""What a run has covered, what it was spared, and what it was meant to cover."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from auditor.config import Config, KnownGap
from auditor.model import Coverage, CoverageStatus
from auditor.store import Store

_DEPTH = {CoverageStatus.COMPLETE: 2, CoverageStatus.PARTIAL: 1, CoverageStatus.FAILED: 0}
"""How much of an organization each status says was read."""


def told_coverage(store: Store, run_id: int, config: Config, now: datetime) -> tuple[Coverage, ...]:
    """Return what a run has read, as it is told: first readings marked, known gaps named."""
    whole = store.earlier(run_id).whole
    read = [
        replace(part, is_baseline=True)
        if part.status is CoverageStatus.COMPLETE and (part.provider, place(part)[1]) not in whole
        else part
        for part in store.coverage(run_id)
    ]
    return complete_coverage(read, config, now)


def worsened(store: Store, run_id: int, coverage: Iterable[Coverage]) -> tuple[Coverage, ...]:
    """Return what was read less well than the time before, known gaps aside."""
    before = store.earlier(run_id).statuses
    return tuple(
        part
        for part in coverage
        if part.is_gap
        and part.known_gap is None
        and _DEPTH[part.status] < _DEPTH.get(before.get(place(part), part.status), 0)
    )


def place(part: Coverage) -> tuple[str, str]:
    """Return source and organization id, ``""`` for a source that names none."""
    return part.source, part.organization.id if part.organization else ""


def complete_coverage(
    read: Iterable[Coverage], config: Config, now: datetime
) -> tuple[Coverage, ...]:
    """Add the sources that were not selected, name known gaps, and sort."""
    marked = [mark_known(coverage, config.layout.known_gaps, now) for coverage in read]
    seen = {coverage.source for coverage in marked}
    marked += [
        Coverage(source=source.name, provider=source.provider, status=CoverageStatus.NOT_SELECTED)
        for source in config.sources
        if source.name not in seen
    ]
    return tuple(sorted(marked, key=place))


def counts_as_incomplete(coverage: Iterable[Coverage]) -> bool:
    """Tell whether anything but known gaps was not read whole."""
    return any(part.is_gap and part.known_gap is None for part in coverage)


def mark_known(coverage: Coverage, gaps: Sequence[KnownGap], now: datetime) -> Coverage:
    """Return *coverage* with the reason for which its gap is known, if it is."""
    if not coverage.is_gap:
        return coverage
    organization = coverage.organization.id if coverage.organization else None
    for gap in gaps:
        is_meant = gap.source == coverage.source and gap.organization in (None, organization)
        if is_meant and now.date() <= gap.expires:
            return replace(coverage, known_gap=f"{gap.reason} (until {gap.expires.isoformat()})")
    return coverage
