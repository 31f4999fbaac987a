"""The JSON report: one document, versioned, one finding a line."""

from collections.abc import Iterable
from typing import Any, BinaryIO

import msgspec

from auditor.findings.view import ReportView
from auditor.reports._document import (
    FindingEntries,
    Report,
    coverage_entry,
    credential_entry,
    run_entry,
    summary_entry,
)
from auditor.reports._standing import ending_entries, framework_entry
from auditor.reports.interface import ReportFormat
from auditor.wording import clean

__all__ = [
    "SCHEMA_VERSION",
    "FindingEntries",
    "JsonReport",
    "credential_entry",
    "framework_entry",
    "schema",
]

SCHEMA_VERSION = "1.1"
"""Major.minor: a minor step adds fields, a major step breaks readers."""

_encoder = msgspec.json.Encoder()
_CHUNK = 1 << 18


class JsonReport(ReportFormat):
    """One JSON document (`schema` describes it), written finding by finding."""

    filename = "report-{run}.json"
    media_type = "application/json"

    def render(self, view: ReportView, out: BinaryIO) -> None:
        """Write the document; memory does not grow with the number of findings."""
        out.write(b'{"schema_version":' + _line(SCHEMA_VERSION))
        out.write(b',\n"run":' + _line(run_entry(view.run)))
        coverage = [coverage_entry(entry) for entry in view.coverage]
        out.write(b',\n"coverage":' + _line(coverage))
        out.write(b',\n"summary":' + _line(summary_entry(view.summary)))
        out.write(b',\n"findings":[')
        entries = FindingEntries(view.certainties)
        _write_all(out, map(entries.of, view.findings()))
        out.write(b'],\n"not_evaluable":[')
        _write_all(out, view.not_evaluable)
        ending = ending_entries(view.ending_exceptions)
        out.write(b'],\n"ending_exceptions":' + _line(ending))
        out.write(b',\n"compliance":[')
        _write_all(out, map(framework_entry, view.compliance))
        out.write(b"]}\n")


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the report."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "auditor report",
        "description": f"Schema version {SCHEMA_VERSION}; a minor step adds fields, no more.",
        **msgspec.json.schema(Report),
    }


def _line(value: Any) -> bytes:
    line = bytearray()
    _append(line, value)
    return bytes(line)


def _append(buffer: bytearray, value: Any) -> None:
    """Encode *value* at the end of *buffer*."""
    end = len(buffer)
    try:
        _encoder.encode_into(value, buffer, end)
    except UnicodeEncodeError:
        cleaned = _cleaned(msgspec.to_builtins(value))
        _encoder.encode_into(cleaned, buffer, end)


def _cleaned(value: Any) -> Any:
    """Return JSON data without lone surrogates, which UTF-8 cannot carry."""
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean(str(name)): _cleaned(part) for name, part in value.items()}
        case list() | tuple():
            return [_cleaned(part) for part in value]
        case _:
            return value


def _write_all(out: BinaryIO, values: Iterable[Any]) -> None:
    """Write *values* separated by commas, each on a line of its own."""
    buffer = bytearray()
    separator = b"\n"
    for value in values:
        buffer += separator
        _append(buffer, value)
        separator = b",\n"
        if len(buffer) >= _CHUNK:
            out.write(buffer)
            buffer.clear()
    if buffer:
        out.write(buffer + b"\n")
