"""What a run could and could not read, as people ask for it: first looks, and unknown facts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditor.findings.news import is_news, is_news_in
from auditor.findings.view import ReportView
from auditor.model import NotEvaluable


@dataclass(frozen=True)
class Unknown:
    """A fact that a source does not give, and the policies that would need it."""

    source: str
    field: str
    policies: tuple[str, ...]
    count: int
    """Credentials; at least, where there are more than the run names."""
    uids: tuple[str, ...]


def unknowns(entries: Iterable[NotEvaluable]) -> list[Unknown]:
    """Group what could not be judged by what is unknown; one gap often blinds several policies."""
    groups: dict[tuple[str, str], list[NotEvaluable]] = {}
    for entry in entries:
        groups.setdefault((entry.source, entry.field), []).append(entry)
    return [_unknown(*place, found) for place, found in sorted(groups.items())]


def first_look(view: ReportView) -> int:
    """Return how many findings opened only because their organization was never read before."""
    first_read = frozenset(
        (entry.source, entry.organization.id)
        for entry in view.coverage
        if entry.is_baseline and entry.organization is not None
    )
    if not first_read:
        return 0
    return sum(
        is_news(finding.state) and not is_news_in(finding, first_read)
        for finding in view.findings()
    )


def _unknown(source: str, field: str, found: Sequence[NotEvaluable]) -> Unknown:
    uids = sorted({uid for entry in found for uid in entry.uids})
    return Unknown(
        source=source,
        field=field,
        policies=tuple(sorted({entry.policy_id for entry in found})),
        count=max(len(uids), *(entry.count for entry in found)),
        uids=tuple(uids),
    )
