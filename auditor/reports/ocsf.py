"""OCSF events: one finding a line, for a SIEM (Open Cybersecurity Schema Framework 1.6.0)."""

from typing import BinaryIO

import msgspec
from pydantic import ConfigDict, Field

from auditor.findings.view import ReportView
from auditor.reports.events import EventClass, event
from auditor.reports.interface import FormatOptions, ReportFormat

_encode = msgspec.json.Encoder(order="sorted").encode


class OcsfOptions(FormatOptions):
    """What the OCSF report can be told."""

    model_config = ConfigDict(populate_by_name=True)

    event_class: EventClass = Field(default=EventClass.IAM_ANALYSIS, alias="class")
    """``iam-analysis`` (2008), ``detection`` (2004) or ``compliance`` (2003)."""


class OcsfReport(ReportFormat):
    """NDJSON: UTF-8, one event a line, keys sorted; the same run gives the same bytes.

    A report holds every finding of its run: *Create* for what the run opened, *Update* for what
    was known, *Close* for what ended in it.
    """

    Options = OcsfOptions
    filename = "findings-{run}.ocsf.ndjson"
    media_type = "application/x-ndjson"

    def render(self, view: ReportView, out: BinaryIO) -> None:
        """Write one line a finding."""
        event_class = self.options.event_class
        out.writelines(
            _encode(event(finding, view.run, event_class)) + b"\n" for finding in view.findings()
        )
