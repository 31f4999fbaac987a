"""The CSV report: one row a finding, every cell quoted, none of them a formula."""

import io
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import BinaryIO, Self

from pydantic import model_validator

from auditor.findings.view import ReportView
from auditor.model import Credential, Finding
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

_GUARDED = frozenset("'=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - full width
"""First characters of a formula, and the one that says that there is none."""
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
        text.write(_line(COLUMNS, _plain))
        guard = _plain if self.options.raw else _guarded
        if self.options.spreadsheet:
            guard = _displayed
        for number, finding in enumerate(view.findings(), 1):
            text.write(_line(_cells(finding), guard))
            if number % _ROWS_PER_WRITE == 0:
                _flush(text, out)
        _flush(text, out)


def _line(cells: Iterable[str | int | None], guard: Callable[[str], str]) -> str:
    """Return a row of RFC 4180; `csv.writer` took twice the time for looking at every character.

    NUL, which no guard lets through, parts the cells while their quotes are doubled.
    """
    texts = [
        guard(cell) if isinstance(cell, str) else "" if cell is None else str(cell)
        for cell in cells
    ]
    quoted = "\0".join(texts).replace('"', '""').replace("\0", '","')
    return f'"{quoted}"\r\n'


def _cells(finding: Finding) -> Iterable[str | int | None]:
    """Return the cells in the order of `COLUMNS`."""
    return (*_standing(finding), *_credential(finding.credential), *_message(finding))


def _standing(finding: Finding) -> tuple[str | int | None, ...]:
    state = finding.state
    return (
        state.id,
        state.policy_id,
        finding.title,
        state.severity.value,
        finding.risk.score,
        "; ".join(finding.risk.reasons),
        state.status.value,
        state.change.value,
        state.resolution.value if state.resolution else None,
        rfc3339(state.first_seen_at),
        rfc3339(state.last_seen_at),
        _time(state.stale_since),
    )


def _credential(credential: Credential) -> tuple[str | None, ...]:
    organization, principal = credential.organization, credential.principal
    return (
        credential.provider,
        credential.source,
        organization.id,
        organization.name,
        principal.id,
        principal.name,
        principal.type.value,
        credential.uid,
        credential.provider_id,
        credential.name,
        credential.type,
        credential.status.value,
        credential.owner,
        _time(credential.created_at),
        _time(credential.rotated_at),
        credential.last_used_state.value,
        _time(credential.last_used_at),
        rfc3339(credential.data_as_of),
        credential.expires_state.value,
        _time(credential.expires_at),
        credential.privilege.value,
    )


def _message(finding: Finding) -> tuple[str | None, ...]:
    note = finding.state.exception
    return (
        finding.message,
        _evidence(finding),
        finding.remediation.summary,
        "\n".join(finding.remediation.commands),
        "; ".join([f"{name} {', '.join(ids)}" for name, ids in sorted(finding.controls.items())]),
        *((note.reason, note.approver, note.expires) if note else (None, None, None)),
        finding.credential.url,
    )


def _evidence(finding: Finding) -> str:
    return "; ".join(
        [
            f"{entry.fact}: {fact(entry.observed)}"
            + (f" (limit {fact(entry.limit)})" if entry.limit is not None else "")
            for entry in finding.evidence
        ]
    )


def _time(at: datetime | None) -> str | None:
    return rfc3339(at) if at else None


def _plain(cell: str) -> str:
    return clean(cell).replace("\0", "") if "\0" in cell else clean(cell)


def _guarded(cell: str) -> str:
    cell = _plain(cell)
    return "'" + cell if cell[:1] in _GUARDED else cell


def _displayed(cell: str) -> str:
    """Return *cell* so that a spreadsheet shows it as it is, as far as it fits into one."""
    cell = _plain(cell)
    if cell[:1] in _GUARDED or _GUESSED.fullmatch(cell):
        cell = "'" + cell
    return cell if len(cell) <= _CELL else cell[: _CELL - 1] + "…"


def _flush(text: io.StringIO, out: BinaryIO) -> None:
    out.write(text.getvalue().encode())
    text.seek(0)
    text.truncate()
