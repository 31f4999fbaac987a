"""A run as one owner may see it: their credentials, and nothing about anybody else's."""

from collections.abc import Iterator
from dataclasses import replace

from auditor.delivery._news import When, is_fixed, is_opened
from auditor.findings.news import Scope
from auditor.findings.summary import SummaryBuilder
from auditor.findings.view import ReportView
from auditor.model import Coverage, Credential, Finding, FindingStatus, NotEvaluable, Severity


def owners_with_news(view: ReportView, when: When, min_severity: Severity) -> list[str]:
    """Return the owners, casefolded and sorted, of the findings that *when* speaks about.

    What could not be read is the business of those who run the auditor, not of the owners.
    """
    return sorted(
        {
            finding.credential.owner.casefold()
            for finding in view.findings()
            if finding.credential.owner
            and finding.state.severity.rank >= min_severity.rank
            and _concerns(finding, when)
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
    )


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


def _concerns(finding: Finding, when: When) -> bool:
    is_open = finding.state.status is FindingStatus.OPEN
    match when:
        case When.ALWAYS:
            return is_open or is_fixed(finding)
        case When.FINDINGS:
            return is_open
        case When.CHANGES:
            return is_opened(finding) or is_fixed(finding)
        case When.RESOLVED:
            return is_fixed(finding)
