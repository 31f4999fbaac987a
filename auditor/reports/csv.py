"""The CSV report: one row a finding, every cell quoted, none of them a formula."""

import io
import re
from collections.abc import Iterator
from csv import QUOTE_ALL, writer
from datetime import datetime
from typing import BinaryIO, Self

from pydantic import model_validator

from auditor.findings.view import ReportView
from auditor.model import Finding
from auditor.reports.interface import FormatOptions, ReportFormat
from auditor.wording import clean, fact, rfc3339

COLUMNS = (
    "finding_id",
    "policy_id",
    "title",
    "severity",
    "risk_score",
    "risk_reasons",
    "status",
    "change",
    "resolution",
    "first_seen_at",
    "last_seen_at",
    "stale_since",
    "provider",
    "source",
    "organization_id",
    "organization_name",
    "principal_id",
    "principal_name",
    "principal_type",
    "credential_uid",
    "credential_id",
    "credential_name",
    "credential_type",
    "credential_status",
    "owner",
    "created_at",
    "rotated_at",
    "last_used_state",
    "last_used_at",
    "data_as_of",
    "expires_state",
    "expires_at",
    "privilege",
    "message",
    "evidence",
    "remediation",
    "commands",
    "controls",
    "exception_reason",
    "exception_approver",
    "exception_expires",
    "url",
)
"""Columns may be added at the end, never renamed or moved."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - full width
_ROWS_PER_WRITE = 500
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_GUESSED = re.compile(
    rf"(?!\d{{4}}-\d\d-\d\d$)(?:[\d.,:/e-]*\d[\d.,:/e-]*|{_MONTH}[ -]?\d+|\d+[ -]?{_MONTH})",
    re.IGNORECASE,
)
"""What a spreadsheet takes for a number or a day, and then drops its zeros or its digits beyond 15.
A day as we write it may become one."""
_CELL = 32_767
"""Characters that a cell of a spreadsheet holds; more run over into the rows below."""
_BOM = "\ufeff"


class CsvOptions(FormatOptions):
    """What the CSV report can be told."""

    raw: bool = False
    """Leave cells that a spreadsheet would take for a formula as they are; for programs only."""
    spreadsheet: bool = False
    """Write for a double click: a byte order mark, ids that stay text, cells that are not too long.
    """

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.raw and self.spreadsheet:
            raise ValueError("raw is for programs and spreadsheet for people; choose one of them")
        return self


class CsvReport(ReportFormat):
    """One row a finding, RFC 4180: UTF-8, CRLF, every cell quoted.

    A cell that starts like a formula is prefixed with ``'``, and so is one that starts with ``'``,
    so that taking one leading ``'`` away always gives the original. NUL is dropped. For a
    spreadsheet an id of digits is prefixed too.
    """

    Options = CsvOptions
    filename = "report-{run}.csv"
    media_type = "text/csv; charset=utf-8"

    def render(self, view: ReportView, out: BinaryIO) -> None:
        """Write the header and one row a finding."""
        text = io.StringIO(newline="")
        if self.options.spreadsheet:
            text.write(_BOM)
        rows = writer(text, quoting=QUOTE_ALL, lineterminator="\r\n")
        rows.writerow(COLUMNS)
        guard = _plain if self.options.raw else _guarded
        if self.options.spreadsheet:
            guard = _displayed
        for number, finding in enumerate(view.findings(), 1):
            rows.writerow(
                [guard(cell) if isinstance(cell, str) else cell for cell in _row(finding)]
            )
            if number % _ROWS_PER_WRITE == 0:
                _flush(text, out)
        _flush(text, out)


def _row(finding: Finding) -> Iterator[str | int | None]:
    """Yield the cells in the order of `COLUMNS`."""
    state, credential = finding.state, finding.credential
    yield from (state.id, state.policy_id, finding.title, state.severity.value)
    yield from (finding.risk.score, "; ".join(finding.risk.reasons))
    yield from (state.status.value, state.change.value)
    yield state.resolution.value if state.resolution else None
    yield from (_time(state.first_seen_at), _time(state.last_seen_at), _time(state.stale_since))
    yield from (credential.provider, credential.source)
    yield from (credential.organization.id, credential.organization.name)
    principal = credential.principal
    yield from (principal.id, principal.name, principal.type.value)
    yield from (credential.uid, credential.provider_id, credential.name, credential.type)
    yield from (credential.status.value, credential.owner)
    yield from (_time(credential.created_at), _time(credential.rotated_at))
    yield from (credential.last_used_state.value, _time(credential.last_used_at))
    yield _time(credential.data_as_of)
    yield from (credential.expires_state.value, _time(credential.expires_at))
    yield from (credential.privilege.value, finding.message, _evidence(finding))
    yield from (finding.remediation.summary, "\n".join(finding.remediation.commands))
    yield "; ".join(f"{name} {', '.join(ids)}" for name, ids in sorted(finding.controls.items()))
    note = state.exception
    yield from (note.reason, note.approver, note.expires) if note else (None, None, None)
    yield credential.url


def _evidence(finding: Finding) -> str:
    return "; ".join(
        f"{entry.fact}: {fact(entry.observed)}"
        + (f" (limit {fact(entry.limit)})" if entry.limit is not None else "")
        for entry in finding.evidence
    )


def _time(at: datetime | None) -> str | None:
    return rfc3339(at) if at else None


def _plain(cell: str) -> str:
    return clean(cell).replace("\0", "") if "\0" in cell else clean(cell)


def _guarded(cell: str) -> str:
    cell = _plain(cell)
    return "'" + cell if cell.startswith(("'", *_FORMULA)) else cell


def _displayed(cell: str) -> str:
    """Return *cell* so that a spreadsheet shows it as it is, as far as it fits into one."""
    cell = _plain(cell)
    if cell.startswith(("'", *_FORMULA)) or _GUESSED.fullmatch(cell):
        cell = "'" + cell
    return cell if len(cell) <= _CELL else cell[: _CELL - 1] + "…"


def _flush(text: io.StringIO, out: BinaryIO) -> None:
    out.write(text.getvalue().encode())
    text.seek(0)
    text.truncate()
