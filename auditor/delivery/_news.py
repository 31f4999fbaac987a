"""What of a run is worth telling: the ``when`` of a channel, its threshold, and the digest of it.

Only two things are news of a finding: it opened (or came back), and somebody mended it. A
hand-over between policies, a suppression and a source that can be read again are not.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from auditor.delivery.interface import ChannelOptions
from auditor.findings.news import Scope, is_news, is_news_in
from auditor.findings.view import ReportView
from auditor.model import (
    Change,
    Coverage,
    Credential,
    Finding,
    FindingStatus,
    Severity,
)
from auditor.times import parse_duration

_SHOWN = 10
"""How many findings of a kind a message names; the attached report has all."""


class When(StrEnum):
    """Which runs are told about."""

    ALWAYS = "always"
    FINDINGS = "findings"
    """While something is open."""
    CHANGES = "changes"
    """When something opened, came back or was mended, or a source could not be read any more."""
    RESOLVED = "resolved"
    """When something was mended."""


def _as_duration(value: Any) -> Any:
    return None if value is None else parse_duration(value)


Heartbeat = Annotated[
    Annotated[timedelta, Field(ge=timedelta(hours=1))] | None,
    BeforeValidator(_as_duration, json_schema_input_type=str | None),
]


class NewsOptions(ChannelOptions):
    """The keys of every channel that chooses what to tell."""

    when: When = When.CHANGES
    min_severity: Severity = Severity.INFORMATIONAL
    """Findings below are neither a reason to send nor named."""
    heartbeat: Heartbeat = None
    """Speak after so long a silence even without news, so that silence means something."""


@dataclass(frozen=True)
class Digest:
    """The run in the few facts that a message has room for."""

    open: int
    by_severity: dict[Severity, int]
    """Open ones, worst first, zeros left out."""
    opened: int
    fixed: int
    baseline: dict[str, int]
    """Open findings by source and organization that were read whole for the first time."""
    first: tuple[Finding, ...]
    """Open, highest risk first."""
    new: tuple[Finding, ...]
    mended: tuple[Finding, ...]
    gaps: tuple[Coverage, ...]
    """What was not read whole."""
    worsened: tuple[Coverage, ...]
    not_evaluable: int

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst open finding."""
        return next(iter(self.by_severity), None)

    def is_news(self, when: When) -> bool:
        """Tell whether a channel with this *when* speaks up."""
        match when:
            case When.ALWAYS:
                return True
            case When.FINDINGS:
                return self.open > 0
            case When.RESOLVED:
                return self.fixed > 0
            case When.CHANGES:
                return bool(self.opened or self.fixed or self.baseline or self.worsened)


@dataclass
class _Tally:
    by_severity: Counter[Severity] = field(default_factory=Counter)
    baseline: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    fixed: int = 0
    first: list[Finding] = field(default_factory=list)
    new: list[Finding] = field(default_factory=list)
    mended: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding, first_read: Collection[Scope]) -> None:
        state = finding.state
        if state.status is FindingStatus.OPEN:
            self.by_severity[state.severity] += 1
            # One credential is one piece of work, whatever else it violates.
            if all(state.credential_uid != one.state.credential_uid for one in self.first):
                _keep(self.first, finding)
        if is_fixed(finding):
            self.fixed += 1
            _keep(self.mended, finding)
        elif is_opened(finding):
            if is_news_in(finding, first_read):
                self.opened += 1
                _keep(self.new, finding)
            else:
                credential = finding.credential
                self.baseline[f"{credential.source} · {credential.organization.name}"] += 1


def digest(view: ReportView, min_severity: Severity = Severity.INFORMATIONAL) -> Digest:
    """Read the findings of *view* once and keep what a message has room for."""
    first_read = baseline_scopes(view)
    tally = _Tally()
    for finding in view.findings():
        if finding.state.severity.rank >= min_severity.rank:
            tally.add(finding, first_read)
    worst_first = sorted(tally.by_severity, key=lambda severity: -severity.rank)
    return Digest(
        open=tally.by_severity.total(),
        by_severity={severity: tally.by_severity[severity] for severity in worst_first},
        opened=tally.opened,
        fixed=tally.fixed,
        baseline=dict(sorted(tally.baseline.items())),
        first=tuple(tally.first),
        new=tuple(tally.new),
        mended=tuple(tally.mended),
        gaps=tuple(entry for entry in view.coverage if entry.is_gap),
        worsened=view.coverage_worsened,
        not_evaluable=sum(entry.count for entry in view.not_evaluable),
    )


def is_told(view: ReportView, options: NewsOptions) -> bool:
    """Tell whether a channel with these *options* speaks about the run."""
    if options.name in view.heartbeats:
        return True
    return digest(view, options.min_severity).is_news(options.when)


def is_opened(finding: Finding) -> bool:
    """Tell whether *finding* opened or came back in this run."""
    return is_news(finding.state) and finding.state.status is FindingStatus.OPEN


def is_fixed(finding: Finding) -> bool:
    """Tell whether somebody mended *finding* in this run."""
    return is_news(finding.state) and finding.state.status is FindingStatus.RESOLVED


def baseline_scopes(view: ReportView) -> frozenset[Scope]:
    """Return the organizations read whole for the first time."""
    return frozenset(
        (entry.source, entry.organization.id)
        for entry in view.coverage
        if entry.is_baseline and entry.organization is not None
    )


def changed_only(view: ReportView) -> ReportView:
    """Return *view* with the findings that this run changed and no inventory."""
    return _narrowed(view, lambda finding: finding.state.change is not Change.UNCHANGED)


def at_least(view: ReportView, min_severity: Severity) -> ReportView:
    """Return *view* with the findings of *min_severity* and above."""
    if min_severity is Severity.INFORMATIONAL:
        return view
    findings = partial(
        _chosen, view.findings, lambda finding: finding.state.severity.rank >= min_severity.rank
    )
    return replace(view, findings=findings)


def _narrowed(view: ReportView, wanted: Callable[[Finding], bool]) -> ReportView:
    return replace(
        view,
        findings=partial(_chosen, view.findings, wanted),
        credentials=_no_credentials,
    )


def _chosen(
    findings: Callable[[], Iterator[Finding]], wanted: Callable[[Finding], bool]
) -> Iterator[Finding]:
    return (finding for finding in findings() if wanted(finding))


def _no_credentials() -> Iterator[Credential]:
    return iter(())


def _keep(kept: list[Finding], finding: Finding) -> None:
    if len(kept) < _SHOWN:
        kept.append(finding)
