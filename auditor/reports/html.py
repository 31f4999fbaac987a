"""The HTML report: one self-contained page that opens anywhere and asks the network for nothing."""

from typing import BinaryIO

from auditor.findings.view import ReportView
from auditor.reports.interface import FormatOptions, ReportFormat
from auditor.reports.page.content import FindingList, Inventory, Meter, context
from auditor.reports.page.environment import content_policy, environment

_MAX_BYTES = 12_000_000
_FOR_INVENTORY = 400_000
_FOR_THE_REST = 150_000
_PIECES = 16
"""Of a template's output in one write; a finding is one, a credential too."""


class HtmlOptions(FormatOptions):
    """What the HTML report can be told."""

    max_findings: int = 10_000
    """Findings beyond are counted and named as being in the other formats."""
    max_credentials: int = 10_000


class HtmlReport(ReportFormat):
    """A page for reading, searching and printing; at most 12 MB, whatever the run held."""

    Options = HtmlOptions
    filename = "report-{run}.html"
    media_type = "text/html; charset=utf-8"

    def render(self, view: ReportView, out: BinaryIO) -> None:
        """Write the page as the findings come; memory is bounded by the number shown."""
        meter = Meter()
        findings = FindingList(
            view,
            meter,
            limit=self.options.max_findings,
            budget=_MAX_BYTES - _FOR_INVENTORY - _FOR_THE_REST,
        )
        inventory = Inventory(
            view,
            meter,
            findings,
            limit=self.options.max_credentials,
            budget=_MAX_BYTES - _FOR_THE_REST,
        )
        template = environment().get_template("report.html")
        names = context(view, findings, inventory)
        pieces = template.stream(content_policy=content_policy(), **names)
        pieces.enable_buffering(_PIECES)
        for piece in pieces:
            encoded = piece.encode("utf-8", "replace")
            meter.written += len(encoded)
            out.write(encoded)
