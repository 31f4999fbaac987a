"""A run as one owner may see it: their credentials, and nothing about anybody else's."""

from collections.abc import Iterator
from dataclasses import replace

from auditor.delivery._digest import Period
from auditor.delivery._news import When
from auditor.delivery._told import Part, told
from auditor.findings.news import Scope
from auditor.findings.summary import SummaryBuilder
from auditor.findings.view import Ended, ReportView
from auditor.model import Coverage, Credential, Finding, FindingStatus, NotEvaluable, Severity


def owners_with_news(
    view: ReportView, when: When, min_severity: Severity, period: Period | None = None
) -> list[str]:
    """Return the owners, casefolded and sorted, of the findings that *when* speaks about.

    What could not be read is the business of those who run the auditor, not of the owners.
    """
    return sorted(
        {
            finding.credential.owner.casefold()
            for part, finding in told(view, period)
            if finding.credential.owner
            and finding.state.severity.rank >= min_severity.rank
            and _concerns(part, when)
        }
    )


def owned_by(view: ReportView, owner: str) -> ReportView:
    """Return *view* reduced to what *owner* owns, so that nobody reads about other people's keys.

    Coverage stays for the organizations they have credentials in; the trend goes.
    """
    owner = owner.casefold()
    summary = SummaryBuilder()
    scopes: set[Scope] = set()
    uids: set[str] = set()
    troubled: set[str] = set()

    def is_theirs(credential: Credential) -> bool:
        return (credential.owner or "").casefold() == owner

    def findings() -> Iterator[Finding]:
        return (finding for finding in view.findings() if is_theirs(finding.credential))

    def credentials() -> Iterator[Credential]:
        return (credential for credential in view.credentials() if is_theirs(credential))

    for finding in findings():
        summary.finding(finding)
        scopes.add(_scope(finding.credential))
        if finding.state.status is FindingStatus.OPEN:
            troubled.add(finding.credential.uid)
    for credential in credentials():
        summary.credential(credential, has_findings=credential.uid in troubled)
        scopes.add(_scope(credential))
        uids.add(credential.uid)
    coverage = _coverage_in(view.coverage, scopes)
    return replace(
        view,
        coverage=coverage,
        coverage_worsened=_coverage_in(view.coverage_worsened, scopes),
        summary=summary.build(coverage),
        not_evaluable=tuple(_not_evaluable_for(view.not_evaluable, uids)),
        findings=findings,
        credentials=credentials,
        trend=(),
        compliance=(),
        ending_exceptions=(),
        ended_exceptions=(),
    )


def owned_period(period: Period, view: ReportView, owner: str) -> Period:
    """Return *period* reduced like *view*, which is `owned_by` *owner* already."""
    period = period.within(view.coverage)
    if period.between is None:
        return period
    turned, owner = period.between.turned, owner.casefold()

    def theirs() -> Iterator[Ended]:
        return (one for one in turned() if (one.finding.credential.owner or "").casefold() == owner)

    return replace(period, between=replace(period.between, turned=theirs))


def _scope(credential: Credential) -> Scope:
    return (credential.source, credential.organization.id)


def _coverage_in(coverage: tuple[Coverage, ...], scopes: set[Scope]) -> tuple[Coverage, ...]:
    return tuple(
        entry
        for entry in coverage
        if entry.organization is not None and (entry.source, entry.organization.id) in scopes
    )


def _not_evaluable_for(entries: tuple[NotEvaluable, ...], uids: set[str]) -> Iterator[NotEvaluable]:
    for entry in entries:
        theirs = tuple(uid for uid in entry.uids if uid in uids)
        if theirs:
            yield NotEvaluable(
                policy_id=entry.policy_id,
                source=entry.source,
                field=entry.field,
                count=len(theirs),
                uids=theirs,
            )


def _concerns(part: Part, when: When) -> bool:
    match when:
        case When.ALWAYS:
            return True
        case When.FINDINGS:
            return part.is_open
        case When.CHANGES:
            return part.is_change
        case When.RESOLVED:
            return part.is_mended
