"""Markdown, for tickets and the summary page of a CI job."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from auditor.findings.priority import first_to_deal_with
from auditor.findings.view import ReportView
from auditor.model import Coverage, Finding, FindingStatus, Severity
from auditor.reports._reading import first_look, unknowns
from auditor.reports.interface import FormatOptions, ReportFormat
from auditor.wording import count, fact, instant, label, listing, shown

_NAME = 120
_SENTENCE = 600
_SPECIAL = re.compile(r"[\\`*_\[\]|~$&<>@#]|://|(?i:www)(?=\.)|^[-+=]|^\d+(?=[.)])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "#": "&#35;", "://": "&#58;//"}
_TICKS = re.compile("`+")


class MarkdownOptions(FormatOptions):
    """What the Markdown report can be told."""

    max_findings: int = 500
    """Rows of the table; CI systems cut a summary at 1 MiB."""
    in_detail: int = 10
    """How many of the riskiest are told in full."""


class MarkdownReport(ReportFormat):
    """GitHub-flavoured Markdown; names from providers never become markup, mentions or links."""

    Options = MarkdownOptions
    filename = "report-{run}.md"
    media_type = "text/markdown; charset=utf-8"

    def render(self, view: ReportView, out: BinaryIO) -> None:
        """Write the report line by line."""
        out.writelines(f"{line}\n".encode() for line in self._lines(view))

    def _lines(self, view: ReportView) -> Iterator[str]:
        yield f"# {plain(view.summary.verdict, _SENTENCE)}"
        yield ""
        yield from _figures(view)
        yield from _coverage(view)
        yield from self._first(view)
        yield from self._table(view)
        yield ""
        yield (
            f"auditor {plain(view.run.tool_version)}, run {view.run.id}, "
            f"every age measured at {instant(view.run.now)}."
        )

    def _first(self, view: ReportView) -> Iterator[str]:
        worst = first_to_deal_with(view.findings(), self.options.in_detail)
        for number, finding in enumerate(worst, 1):
            if number == 1:
                yield from ("", "## Deal with these first")
            yield from _detail(number, finding)

    def _table(self, view: ReportView) -> Iterator[str]:
        total = sum(view.summary.by_status.values())
        if not total:
            return
        yield from ("", "## Findings", "")
        yield "| Risk | Severity | Finding | Credential | Acts as | Organization | State |"
        yield "|---:|---|---|---|---|---|---|"
        for finding in islice(view.findings(), self.options.max_findings):
            yield _row(finding)
        if total > self.options.max_findings:
            yield ""
            yield (
                f"The {self.options.max_findings:,} riskiest of {total:,} findings; "
                f"all of them are in the JSON and CSV reports of run {view.run.id}."
            )


def plain(text: str, limit: int = _NAME) -> str:
    """Return *text* so that Markdown shows it as it is: no markup, mention, link or HTML."""
    return _SPECIAL.sub(_escaped, shown(text, limit).strip())


def _escaped(found: re.Match[str]) -> str:
    special = found[0]
    if special in _ENTITIES:
        return _ENTITIES[special]
    if special.isalnum():
        return f"{special[:-1]}&#{ord(special[-1])};"
    return f"\\{special}"


def code(text: str, limit: int = _NAME) -> str:
    """Return *text* as inline code, fit for a table cell."""
    cut = shown(text, limit).replace("|", "\u2223") or "(empty)"
    ticks = "`" * (max((len(run) for run in _TICKS.findall(cut)), default=0) + 1)
    pad = " " if cut.startswith(("`", " ")) or cut.endswith(("`", " ")) else ""
    return f"{ticks}{pad}{cut}{pad}{ticks}"


def _figures(view: ReportView) -> Iterator[str]:
    summary = view.summary
    found = [
        f"**{summary.by_severity[severity.value]:,}** {severity.value}"
        for severity in sorted(Severity, key=lambda one: -one.rank)
        if summary.by_severity.get(severity.value)
    ]
    opened = summary.by_change.get("opened", 0) + summary.by_change.get("reopened", 0)
    at_first = first_look(view)
    look = f" ({'all' if at_first == opened else f'{at_first:,}'} at first look)" * bool(at_first)
    yield (
        f"{count(summary.findings, 'open finding')}{': ' if found else ''}{listing(found)}. "
        f"{opened:,} new{look}, {summary.fixed:,} fixed, {summary.suppressed:,} accepted; "
        f"{summary.credentials_with_findings:,} of {count(summary.credentials, 'credential')} "
        "concerned."
    )


def _coverage(view: ReportView) -> Iterator[str]:
    gaps = [entry for entry in view.coverage if entry.is_gap]
    if not gaps and not view.not_evaluable:
        return
    yield from ("", "## Blind spots", "")
    for entry in gaps:
        yield f"- {_gap(entry)}"
    for blind in unknowns(view.not_evaluable):
        yield (
            f"- {code(blind.source)}, {count(blind.count, 'credential')}: "
            f"{listing(plain(label(field)) for field in blind.fields)} "
            f"{'is' if len(blind.fields) == 1 else 'are'} unknown; not judged there: "
            f"{listing(map(code, blind.policies))}"
        )


def _gap(entry: Coverage) -> str:
    organization = entry.organization
    where = f" / {code(organization.name or organization.id)}" if organization else ""
    why = plain(entry.error or (entry.reason or "").replace("_", " "), _SENTENCE)
    known = f" Known gap: {plain(entry.known_gap, _SENTENCE)}" if entry.known_gap else ""
    return f"**{entry.status.value}**: {code(entry.source)}{where}. {why}{known}"


def _detail(number: int, finding: Finding) -> Iterator[str]:
    credential = finding.credential
    yield ""
    yield f"### {number}\\. {plain(finding.title)}: {code(credential.name)}"
    yield ""
    yield (
        f"Risk **{finding.risk.score}**, {finding.state.severity.value}. "
        f"Acts as {code(credential.principal.name or credential.principal.id)} "
        f"in {code(credential.organization.name or credential.organization.id)} "
        f"({plain(credential.provider)}), id {code(credential.provider_id)}."
    )
    yield ""
    yield plain(finding.message, _SENTENCE)
    yield ""
    for entry in finding.evidence:
        limit = "" if entry.limit is None else f", limit {plain(fact(entry.limit))}"
        yield f"- {plain(label(entry.fact))}: {plain(fact(entry.observed))}{limit}"
    yield f"- Why now: {plain(listing(finding.risk.reasons), _SENTENCE)}"
    yield ""
    yield plain(finding.remediation.summary, _SENTENCE)
    if finding.remediation.commands:
        yield from ("", "~~~~~~sh")
        yield from (
            shown(command, 1000).replace("~~~", "~~\u200b~")
            for command in finding.remediation.commands
        )
        yield "~~~~~~"


def _row(finding: Finding) -> str:
    credential, state = finding.credential, finding.state
    organization = credential.organization
    standing = state.resolution.value if state.resolution else state.status.value
    if state.status is FindingStatus.OPEN:
        standing = state.change.value if state.change.value != "unchanged" else "open"
    cells = (
        str(finding.risk.score),
        state.severity.value,
        plain(finding.title),
        code(credential.name),
        code(credential.principal.name or credential.principal.id),
        f"{code(organization.name or organization.id)} ({plain(credential.provider)})",
        label(standing),
    )
    return f"| {' | '.join(cells)} |"
