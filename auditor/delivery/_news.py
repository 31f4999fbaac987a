"""What of a run is worth telling: the ``when`` of a channel, its threshold, and the facts."""

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, timedelta
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from auditor.delivery._digest import Period
from auditor.delivery._told import Part, told
from auditor.delivery.interface import ChannelOptions
from auditor.findings.view import EndingException, Lapse, PastRun, ReportView
from auditor.model import Change, Coverage, Credential, Finding, Severity
from auditor.times import parse_duration

_SHOWN = 10
"""How many findings of a kind a message names; the attached report has all."""


class When(StrEnum):
    """Which runs are told about."""

    ALWAYS = "always"
    FINDINGS = "findings"
    """While something is open."""
    CHANGES = "changes"
    """When something opened, came back or was mended, a source could not be read any more, or an
    exception is about to end or has ended."""
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
class News:
    """A run, or the runs of a period, in the few facts that a message has room for."""

    open: int
    by_severity: dict[Severity, int]
    """Open ones, worst first, zeros left out."""
    opened: int
    fixed: int
    passed: int
    """Findings that opened and were mended between two digests; in neither of the above."""
    baseline: dict[str, int]
    """Open findings by source and organization that were read whole for the first time, most first.
    """
    seen_first: frozenset[str]
    """Ids of those of *first* that were found in such an organization."""
    first: tuple[Finding, ...]
    """Open, highest risk first; one a credential."""
    new: tuple[Finding, ...]
    mended: tuple[Finding, ...]
    passing: tuple[Finding, ...]
    gaps: tuple[Coverage, ...]
    """What was not read whole."""
    worsened: tuple[Coverage, ...]
    lapses: tuple[Lapse, ...]
    not_evaluable: int
    ending: tuple[EndingException, ...]
    """Exceptions about to end that the channel has not told yet."""
    ended: tuple[EndingException, ...]
    """Exceptions that ended since the channel was offered a run."""

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
                return self.fixed + self.passed > 0
            case When.CHANGES:
                return self._has_changes()

    def _has_changes(self) -> bool:
        return bool(
            self.opened
            or self.fixed
            or self.passed
            or self.baseline
            or self.worsened
            or self.ending
            or self.ended
            or any(lapse.is_news for lapse in self.lapses)
        )


class _Best:
    """The findings with the highest risk among many, in an order that is always the same."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.count = 0

    def add(self, finding: Finding) -> None:
        self.count += 1
        if len(self.kept) == _SHOWN and _order(finding) > _order(self.kept[-1]):
            return
        insort(self.kept, finding, key=_order)
        del self.kept[_SHOWN:]


def _order(finding: Finding) -> tuple[int, int, str, str]:
    state = finding.state
    risk, rank = finding.risk.score, state.severity.rank
    return -risk, -rank, state.policy_id, state.credential_uid


@dataclass
class _Tally:
    by_severity: Counter[Severity] = field(default_factory=Counter)
    baseline: Counter[str] = field(default_factory=Counter)
    seen_first: set[str] = field(default_factory=set)
    first: list[Finding] = field(default_factory=list)
    new: _Best = field(default_factory=_Best)
    mended: _Best = field(default_factory=_Best)
    passing: _Best = field(default_factory=_Best)

    def add(self, part: Part, finding: Finding) -> None:
        state = finding.state
        if part.is_open:
            self.by_severity[state.severity] += 1
            # One credential is one piece of work, whatever else it violates.
            is_other = all(state.credential_uid != one.state.credential_uid for one in self.first)
            if is_other and len(self.first) < _SHOWN:
                self.first.append(finding)
                if part is Part.FIRST_LOOK:
                    self.seen_first.add(state.id)
        match part:
            case Part.NEW:
                self.new.add(finding)
            case Part.FIRST_LOOK:
                credential = finding.credential
                self.baseline[f"{credential.source} · {credential.organization.name}"] += 1
            case Part.FIXED:
                self.mended.add(finding)
            case Part.PASSED:
                self.passing.add(finding)


def news_of(view: ReportView, options: NewsOptions, period: Period | None = None) -> News:
    """Read the findings of *view* once and keep what a message has room for.

    With a *period* that began with an earlier run, changes are those since then.
    """
    tally = _Tally()
    for part, finding in told(view, period):
        if finding.state.severity.rank >= options.min_severity.rank:
            tally.add(part, finding)
    worst_first = sorted(tally.by_severity, key=lambda severity: -severity.rank)
    between = None if period is None else period.between
    start = _last_offered(view, options.name) if period is None else period.start
    return News(
        open=tally.by_severity.total(),
        by_severity={severity: tally.by_severity[severity] for severity in worst_first},
        opened=tally.new.count,
        fixed=tally.mended.count,
        passed=tally.passing.count,
        baseline=dict(sorted(tally.baseline.items(), key=lambda one: (-one[1], one[0]))),
        seen_first=frozenset(tally.seen_first),
        first=tuple(tally.first),
        new=tuple(tally.new.kept),
        mended=tuple(tally.mended.kept),
        passing=tuple(tally.passing.kept),
        gaps=tuple(entry for entry in view.coverage if entry.is_gap),
        worsened=view.coverage_worsened if between is None else between.worsened,
        lapses=() if between is None else between.lapses,
        not_evaluable=sum(entry.count for entry in view.not_evaluable),
        ending=_newly_ending(view, start),
        ended=_newly_ended(view, start),
    )


def is_told(view: ReportView, options: NewsOptions, period: Period | None = None) -> bool:
    """Tell whether a channel with these *options* speaks about the run, or about a *period*."""
    if options.name in view.heartbeats:
        return True
    return news_of(view, options, period).is_news(options.when)


def _last_offered(view: ReportView, channel: str) -> PastRun | None:
    return None if view.past is None else next(view.past.offered(channel), None)


def _newly_ending(view: ReportView, start: PastRun | None) -> tuple[EndingException, ...]:
    """Return what is about to end and was not when the channel was offered a run before.

    Another reason or approver is no other end.
    """
    if view.past is None:
        return ()
    known = set() if start is None else {_end(one) for one in start.ending_exceptions}
    return tuple(one for one in view.ending_exceptions if _end(one) not in known)


def _newly_ended(view: ReportView, start: PastRun | None) -> tuple[EndingException, ...]:
    if start is None:
        return ()
    day = start.now.astimezone(UTC).date()
    ended = (one for one in view.ended_exceptions if date.fromisoformat(one.note.expires) >= day)
    return tuple(ended)


def _end(one: EndingException) -> tuple[str, str]:
    return one.covers, one.note.expires


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
