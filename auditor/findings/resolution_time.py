"""How long it takes until findings are mended, from the ends that stream by."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct

from auditor.model import Credential, FindingState


class Mended(Struct, frozen=True, array_like=True):
    """One or several findings that were mended after as many whole days."""

    policy_id: str
    owner: str
    """Empty for none."""
    organization: str
    """``<provider>:<organization id>``."""
    days: int
    count: int


class ResolutionTime(Struct, frozen=True):
    """Whole days from the beginning of a finding's life until it was mended."""

    fixed: int
    median_days: int
    slowest_tenth_days: int
    """Nine in ten were mended within so many days."""


class ResolutionTimes(Struct, frozen=True):
    """The same by everything people ask for; mappings are sorted by key."""

    overall: ResolutionTime | None
    by_policy: Mapping[str, ResolutionTime]
    by_owner: Mapping[str, ResolutionTime]
    by_organization: Mapping[str, ResolutionTime]
    """Keyed ``<provider>:<organization id>``."""


class ResolutionTimeBuilder:
    """Collects ends; holds a histogram of days per key, no findings."""

    def __init__(self) -> None:
        self._overall: Counter[int] = Counter()
        self._policies: dict[str, Counter[int]] = {}
        self._owners: dict[str, Counter[int]] = {}
        self._organizations: dict[str, Counter[int]] = {}
        self._mended: Counter[tuple[str, str, str, int]] = Counter()

    def add(self, state: FindingState, credential: Credential) -> None:
        """Count a finding that ended; what nobody mended (superseded, retired …) is left out."""
        if state.resolved_at is None or state.resolution is None or not state.resolution.is_fixed:
            return
        begun = state.opened_at or state.first_seen_at
        days = max(state.resolved_at - begun, timedelta(0)) // timedelta(days=1)
        organization = f"{credential.provider}:{credential.organization.id}"
        self.add_mended(Mended(state.policy_id, credential.owner or "", organization, days, 1))

    def add_mended(self, mended: Mended) -> None:
        """Count what another builder has counted."""
        days, count = mended.days, mended.count
        self._mended[mended.policy_id, mended.owner, mended.organization, days] += count
        self._overall[days] += count
        for table, key in (
            (self._policies, mended.policy_id),
            (self._owners, mended.owner),
            (self._organizations, mended.organization),
        ):
            table.setdefault(key, Counter())[days] += count

    def mended(self) -> tuple[Mended, ...]:
        """Return everything counted, for another builder."""
        return tuple(Mended(*key, count) for key, count in sorted(self._mended.items()))

    def build(self) -> ResolutionTimes:
        """Return what was counted."""
        return ResolutionTimes(
            overall=_time(self._overall) if self._overall else None,
            by_policy=_times(self._policies),
            by_owner=_times(self._owners),
            by_organization=_times(self._organizations),
        )


def _times(tables: Mapping[str, Counter[int]]) -> dict[str, ResolutionTime]:
    return {key: _time(tables[key]) for key in sorted(tables)}


def _time(days: Counter[int]) -> ResolutionTime:
    return ResolutionTime(days.total(), _quantile(days, 50), _quantile(days, 90))


def _quantile(days: Counter[int], percent: int) -> int:
    """Return the smallest number of days within which *percent* of all were mended."""
    needed = -(-days.total() * percent // 100)
    for day in sorted(days):
        needed -= days[day]
        if needed <= 0:
            return day
    return 0
