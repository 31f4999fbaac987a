"""JUnit XML, for the test view of a CI system: what is open fails, what is unread errs."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO
from xml.sax.saxutils import escape, quoteattr

from auditor.findings.view import ReportView
from auditor.model import Coverage, CoverageStatus, Finding, FindingStatus, NotEvaluable
from auditor.reports.interface import ReportFormat
from auditor.wording import count, fact, rfc3339, shown

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LINE = 500
_TEXT = 4000
_UIDS = 20

Case = tuple[str, str, str, str]
"""Class, name, outcome (``failure``, ``error``, ``skipped`` or empty) and its XML."""


class JunitReport(ReportFormat):
    """One suite for coverage, one for the findings, one for what could not be judged.

    A finding that ended in this run passes, one that an exception covers is skipped. A source that
    was read whole is a passing case, so that a clean run is not an empty file.
    """

    filename = "report-{run}.junit.xml"
    media_type = "application/xml"

    def render(self, view: ReportView, out: BinaryIO) -> None:
        """Write the suites; the findings are read twice, first to count them."""
        coverage = [_coverage_case(entry) for entry in view.coverage]
        blind = [_blind_case(entry) for entry in view.not_evaluable]
        found = Counter(_outcome(finding) for finding in view.findings())
        suites = (
            ("coverage", Counter(case[2] for case in coverage), iter(coverage)),
            ("findings", found, (_finding_case(finding) for finding in view.findings())),
            ("not evaluable", Counter(case[2] for case in blind), iter(blind)),
        )
        total = sum((counts for _, counts, _ in suites), Counter[str]())
        seconds = (view.run.finished_at - view.run.started_at).total_seconds()
        out.write(b'<?xml version="1.0" encoding="UTF-8"?>\n')
        name = quoteattr(f"auditor run {view.run.id}")
        out.write(_bytes(f'<testsuites name={name} {_counts(total)} time="{seconds:.3f}">\n'))
        for suite, counts, cases in suites:
            stamp = rfc3339(view.run.now)
            out.write(_bytes(f'<testsuite name="{suite}" {_counts(counts)} timestamp="{stamp}">\n'))
            out.writelines(_bytes(_xml(case)) for case in cases)
            out.write(b"</testsuite>\n")
        out.write(b"</testsuites>\n")


def _coverage_case(entry: Coverage) -> Case:
    organization = entry.organization
    where = f" / {organization.name or organization.id}" if organization else ""
    name = f"{entry.source}{where} is read whole"
    if entry.status is CoverageStatus.COMPLETE:
        return ("auditor.coverage", name, "", "")
    message = entry.error or (entry.reason or entry.status.value).replace("_", " ")
    if entry.status is CoverageStatus.NOT_SELECTED or entry.known_gap is not None:
        reason = entry.known_gap or "not selected in this run"
        return ("auditor.coverage", name, "skipped", _element("skipped", reason, None))
    return ("auditor.coverage", name, "error", _element("error", message, entry.status.value))


def _outcome(finding: Finding) -> str:
    match finding.state.status:
        case FindingStatus.OPEN:
            return "failure"
        case FindingStatus.SUPPRESSED:
            return "skipped"
        case FindingStatus.RESOLVED:
            return ""


def _finding_case(finding: Finding) -> Case:
    credential, state = finding.credential, finding.state
    name = f"{finding.title}: {credential.name or credential.provider_id} ({credential.uid})"
    outcome = _outcome(finding)
    body = ""
    if outcome == "failure":
        text = "\n".join(_lines(finding))
        body = _element("failure", finding.message, state.severity.value, text)
    elif outcome == "skipped":
        note = state.exception
        body = _element("skipped", note.reason if note else "covered by an exception", None)
    return (f"auditor.{state.policy_id}", name, outcome, body)


def _lines(finding: Finding) -> Iterator[str]:
    yield f"Risk {finding.risk.score}: {'; '.join(finding.risk.reasons)}"
    for entry in finding.evidence:
        limit = "" if entry.limit is None else f" (limit {fact(entry.limit)})"
        yield f"{entry.fact}: {fact(entry.observed)}{limit}"
    yield finding.remediation.summary
    yield from finding.remediation.commands


def _blind_case(entry: NotEvaluable) -> Case:
    name = f"{entry.source}: {entry.field} is known"
    uids = ", ".join(entry.uids[:_UIDS])
    message = f"unknown for {count(entry.count, 'credential')}: {uids}"
    return (f"auditor.{entry.policy_id}", name, "skipped", _element("skipped", message, None))


def _xml(case: Case) -> str:
    class_name, name, _, body = case
    head = f"<testcase classname={_attribute(class_name)} name={_attribute(name)}"
    return f"{head}>{body}</testcase>\n" if body else f"{head}/>\n"


def _element(tag: str, message: str, kind: str | None, text: str = "") -> str:
    kind_attribute = f" type={_attribute(kind)}" if kind else ""
    body = escape(_text(text[:_TEXT]))
    return f"<{tag} message={_attribute(message)}{kind_attribute}>{body}</{tag}>"


def _attribute(value: str) -> str:
    return quoteattr(_text(shown(value, _LINE)))


def _text(value: str) -> str:
    """Return *value* without the characters that XML 1.0 cannot carry."""
    return _FORBIDDEN.sub("\ufffd", value)


def _counts(counts: Counter[str]) -> str:
    return (
        f'tests="{sum(counts.values())}" failures="{counts["failure"]}" '
        f'errors="{counts["error"]}" skipped="{counts["skipped"]}"'
    )


def _bytes(text: str) -> bytes:
    return text.encode()
