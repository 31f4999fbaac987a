"""What a report format is: a `ReportView` in, bytes out."""

from abc import ABC, abstractmethod
from typing import Any, BinaryIO, ClassVar

from pydantic import BaseModel, ConfigDict

from auditor.findings.view import ReportView


class FormatOptions(BaseModel):
    """What a report format can be told; a format adds its own keys by subclassing."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ReportFormat(ABC):
    """Renders a run. One subclass per module; the module's name is the format's name."""

    Options: ClassVar[type[FormatOptions]] = FormatOptions
    """The schema of its configuration; every key has a default."""

    filename: ClassVar[str]
    """With ``{run}``, such as ``report-{run}.json``."""

    media_type: ClassVar[str]

    def __init__(self, options: Any = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def render(self, view: ReportView, out: BinaryIO) -> None:
        """Write the report, streaming; the same view gives the same bytes."""
