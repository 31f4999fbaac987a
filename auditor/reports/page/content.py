"""Everything the page's template is given; the long lists are iterators that run as it is written.

The page has a budget of bytes: the list of findings may take most of it, the inventory what is
left. What does not fit is counted, and the page says where it is.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from auditor.findings.priority import first_to_deal_with
from auditor.findings.view import HistoryEvent, ReportView
from auditor.model import (
    Coverage,
    CoverageStatus,
    Credential,
    Finding,
    FindingStatus,
)
from auditor.reports._reading import first_look, unknowns
from auditor.reports.page.charts import Chart, Distributions, breakdown, severities, trend
from auditor.reports.page.rows import (
    NOBODY,
    CredentialRow,
    FindingRow,
    Guide,
    credential_row,
    finding_row,
    first_row,
    guide,
)
from auditor.reports.page.standards import standards
from auditor.wording import shown

_BATCH = 250
_LONG = 2_500
FIRST = 6
"""Findings that the page says to deal with first."""


class Meter:
    """How many bytes of the page have been written; the writer counts, the lists look."""

    def __init__(self) -> None:
        self.written = 0


class FindingList:
    """The findings in order of risk, one row at a time, and what was learnt on the way."""

    def __init__(self, view: ReportView, meter: Meter, *, limit: int, budget: int) -> None:
        self.total = sum(view.summary.by_status.values())
        self.limit = limit
        self.shown = 0
        self.by_credential: dict[str, tuple[int, int, str]] = {}
        """Of the findings shown and open: how many, the worst rank, the first id."""
        self._guides: dict[tuple[str, str], Guide] = {}
        self._view = view
        self._meter = meter
        self._budget = budget

    @property
    def expected(self) -> int:
        """How many rows the page will show unless the budget of bytes runs out first."""
        return min(self.total, self.limit)

    @property
    def is_long(self) -> bool:
        """Whether the page must save space: what findings share then stands once."""
        return self.expected > _LONG

    @property
    def guides(self) -> list[Guide]:
        """What is said once per policy and provider, in the order of first need."""
        return list(self._guides.values())

    def __iter__(self) -> Iterator[FindingRow]:
        """Yield the rows; history is asked for in batches."""
        findings = islice(self._view.findings(), self.limit)
        while batch := list(islice(findings, _BATCH)):
            history = self._history(batch)
            for finding in batch:
                if self._meter.written > self._budget:
                    return
                self.shown += 1
                yield self._row(finding, history.get(finding.state.id, ()))

    def _history(self, batch: Sequence[Finding]) -> dict[str, Sequence[HistoryEvent]]:
        if self._view.history is None:
            return {}
        return dict(self._view.history([finding.state.id for finding in batch]))

    def _row(self, finding: Finding, history: Sequence[HistoryEvent]) -> FindingRow:
        state = finding.state
        key = (state.policy_id, finding.credential.provider)
        if key not in self._guides:
            self._guides[key] = guide(len(self._guides) + 1, finding, is_long=self.is_long)
        if state.status is FindingStatus.OPEN:
            uid, rank = finding.credential.uid, state.severity.rank
            number, worst, first = self.by_credential.get(uid, (0, -1, state.id))
            self.by_credential[uid] = (number + 1, max(worst, rank), first)
        return finding_row(finding, self._guides[key], self._view.run.now, history)


class Inventory:
    """The credentials in their stable order, one row at a time."""

    def __init__(
        self, view: ReportView, meter: Meter, findings: FindingList, *, limit: int, budget: int
    ) -> None:
        self.total = view.summary.credentials
        self.limit = limit
        self.shown = 0
        self._view = view
        self._meter = meter
        self._findings = findings
        self._budget = budget

    @property
    def expected(self) -> int:
        """How many rows the page will show unless the budget of bytes runs out first."""
        return min(self.total, self.limit)

    def __iter__(self) -> Iterator[CredentialRow]:
        """Yield the rows until limit or budget."""
        now, found = self._view.run.now, self._findings.by_credential
        for credential in islice(self._view.credentials(), self.limit):
            if self._meter.written > self._budget:
                return
            self.shown += 1
            yield credential_row(credential, now, found.get(credential.uid))


def context(view: ReportView, findings: FindingList, inventory: Inventory) -> dict[str, Any]:
    """Return the template's names."""
    summary = view.summary
    selected = [entry for entry in view.coverage if entry.status is not CoverageStatus.NOT_SELECTED]
    worsened = frozenset(_place(entry) for entry in view.coverage_worsened)
    spoken, silent = standards(view.compliance)
    complete = sum(entry.status is CoverageStatus.COMPLETE for entry in selected)
    return {
        "run": view.run,
        "summary": summary,
        "severities": severities(summary.by_severity),
        "opened": summary.by_change.get("opened", 0) + summary.by_change.get("reopened", 0),
        "coverage": [_coverage(entry, worsened) for entry in view.coverage],
        "collections": len(selected),
        "complete": complete,
        "gaps": [
            _coverage(entry, worsened)
            for entry in selected
            if entry.status is not CoverageStatus.COMPLETE and entry.known_gap is None
        ],
        "first_look": first_look(view),
        "not_evaluable": unknowns(view.not_evaluable),
        "ending_exceptions": view.ending_exceptions,
        "standards": spoken,
        "silent_standards": silent,
        "first": [first_row(one) for one in first_to_deal_with(view.findings(), FIRST)],
        "charts": _charts(view),
        "trend": trend(view.trend),
        "findings": findings,
        "inventory": inventory,
    }


def _charts(view: ReportView) -> list[Chart]:
    summary = view.summary
    names: dict[str, str] = {}
    distributions = Distributions(view.run.now)
    for credential in view.credentials():
        distributions.add(credential)
        key = f"{credential.provider}:{credential.organization.id}"
        if key not in names:
            names[key] = _organization(credential)
    return [
        breakdown("policy", "By policy", summary.by_policy, label=str, facet="policy"),
        breakdown("provider", "By provider", summary.by_provider, label=str, facet="provider"),
        breakdown(
            "organization",
            "By organization",
            summary.by_organization,
            label=lambda key: names.get(key, key),
            facet="organization",
        ),
        breakdown(
            "owner",
            "By owner",
            summary.by_owner,
            label=lambda owner: owner or NOBODY,
            facet="owner",
        ),
        *distributions.charts(),
    ]


def _organization(credential: Credential) -> str:
    """Return what the filter of the findings calls the organization."""
    organization, provider = credential.organization, shown(credential.provider, 120)
    return f"{shown(organization.name or organization.id, 120)} ({provider})"


def _place(entry: Coverage) -> tuple[str, str]:
    return entry.source, entry.organization.id if entry.organization else ""


def _coverage(entry: Coverage, worsened: frozenset[tuple[str, str]]) -> dict[str, Any]:
    organization = entry.organization
    notes = [shown(note, 400) for note in entry.notes]
    if entry.is_baseline:
        notes.append("Read whole for the first time: what is found is a start, not news.")
    if _place(entry) in worsened:
        notes.append("Read less well than in the run before.")
    return {
        "source": shown(entry.source, 120),
        "provider": shown(entry.provider, 120),
        "organization": shown(organization.name or organization.id, 120) if organization else "",
        "status": entry.status.value,
        "reason": (entry.reason or "").replace("_", " "),
        "error": shown(entry.error or "", 400),
        "credentials": entry.credentials,
        "data_as_of": entry.data_as_of,
        "notes": notes,
        "known_gap": shown(entry.known_gap or "", 400),
    }
