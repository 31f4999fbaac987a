"""What a run could and could not read, as people ask for it: first looks, and unknown facts."""

from collections.abc import Iterable
from dataclasses import dataclass

from auditor.findings.news import is_news, is_news_in
from auditor.findings.view import ReportView
from auditor.model import NotEvaluable


@dataclass(frozen=True)
class Unknown:
    """Facts that a source does not give of some credentials, and the policies that need them."""

    source: str
    fields: tuple[str, ...]
    policies: tuple[str, ...]
    count: int
    """Credentials; at least, where there are more than the run names."""
    uids: tuple[str, ...]


def unknowns(entries: Iterable[NotEvaluable]) -> list[Unknown]:
    """Group what could not be judged by the gap: one often blinds several policies.

    Facts that are unknown of the very same credentials are one gap.
    """
    groups: dict[tuple[str, str], list[NotEvaluable]] = {}
    for entry in entries:
        groups.setdefault((entry.source, entry.field), []).append(entry)
    gaps: dict[tuple[str, int, tuple[str, ...]], list[NotEvaluable]] = {}
    for (source, _), found in sorted(groups.items()):
        uids = tuple(sorted({uid for entry in found for uid in entry.uids}))
        number = max(len(uids), *(entry.count for entry in found))
        gaps.setdefault((source, number, uids), []).extend(found)
    return [
        Unknown(
            source=source,
            fields=tuple(sorted({entry.field for entry in found})),
            policies=tuple(sorted({entry.policy_id for entry in found})),
            count=number,
            uids=uids,
        )
        for (source, number, uids), found in gaps.items()
    ]


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
