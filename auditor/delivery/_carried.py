"""Reports as the body of a message: which findings they carry, and their bytes."""

import io
from enum import StrEnum

from auditor.delivery._news import NewsOptions, at_least, changed_only
from auditor.delivery.interface import Document
from auditor.findings.view import ReportView


class Carried(StrEnum):
    """Which findings of a run a machine is sent."""

    CHANGES = "changes"
    """Those the run opened, reopened, suppressed or resolved."""
    ALL = "all"


class CarriedOptions(NewsOptions):
    """The keys of every channel that hands a report to a machine."""

    findings: Carried = Carried.CHANGES


def carried(view: ReportView, options: CarriedOptions, document: Document) -> bytes:
    """Return *document* with the findings that *options* choose."""
    view = at_least(view, options.min_severity)
    if options.findings is Carried.CHANGES:
        view = changed_only(view)
    out = io.BytesIO()
    document.render(view, out)
    return out.getvalue()
