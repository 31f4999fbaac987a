"""What commands print: plain tables and short summaries, safe for any terminal."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import Any

import click
import msgspec

from auditor import wording
from auditor.model import Coverage, Finding, NotEvaluable, Severity

_WIDTH = 100

_COLOURS = {
    Severity.CRITICAL: "bright_red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFORMATIONAL: "white",
}


def show_result(result: Any) -> None:
    """Print what a run found: the verdict, the gaps, what to deal with first and why."""
    view = result.view
    as_of = " (as of this time)" if view.run.is_as_of else ""
    click.echo(f"Run {view.run.id} at {wording.rfc3339(view.run.now)}{as_of}")
    click.secho(_wrapped("", view.summary.verdict), bold=True)
    _show_gaps(view.coverage)
    _show_first(result.first)
    _show_not_evaluable(view.not_evaluable)
    for path in result.reports:
        click.echo(f"Report: {_from_here(path)}")
    for failure in result.failures:
        click.echo(_wrapped("Failed: ", failure))


def _from_here(path: Path) -> Path:
    """Return *path* as a person standing in the current folder would write it."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # somebody removed it meanwhile
        return path
    return path.relative_to(here) if path.is_relative_to(here) else path


def _show_gaps(coverage: Iterable[Coverage]) -> None:
    for part in coverage:
        where = part.source + (f" / {part.organization.name}" if part.organization else "")
        if part.is_gap:
            known = f" (known gap: {part.known_gap})" if part.known_gap else ""
            click.echo(_wrapped("  not read whole: ", f"{where}: {part.error or ''}{known}"))
        for note in part.notes:
            click.echo(_wrapped("  note: ", f"{where}: {note}"))


def _show_first(first: Sequence[Finding]) -> None:
    if not first:
        return
    click.echo("\nDeal with these first:")
    for number, finding in enumerate(first, 1):
        credential, severity = finding.credential, finding.state.severity
        label = click.style(severity.value, fg=_COLOURS[severity])
        click.echo(f"{number:>2}. risk {finding.risk.score}, {label}: {safe(finding.message)}")
        where = f"{credential.principal.name}, {credential.organization.name}"
        click.echo(_wrapped("    ", f"{credential.type} {credential.name} of {where}"))
        if finding.risk.reasons:
            click.echo(_wrapped("    why: ", "; ".join(finding.risk.reasons)))
        click.echo(_wrapped("    do:  ", finding.remediation.summary))
    click.echo()


def _show_not_evaluable(groups: Sequence[NotEvaluable]) -> None:
    total = sum(group.count for group in groups)
    if total:
        fields = ", ".join(sorted({group.field for group in groups}))
        answers = wording.count(total, "answer")
        click.echo(_wrapped("Not evaluable: ", f"{answers} for want of {fields}."))


def _wrapped(label: str, text: str) -> str:
    """Return *text* behind *label*, wrapped, its further lines under the first."""
    return fill(
        safe(text),
        width=min(get_terminal_size().columns, _WIDTH) if sys.stdout.isatty() else _WIDTH,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_long_words=False,
        break_on_hyphens=False,
    )


def safe(text: str) -> str:
    """Return *text* without what could move a terminal's cursor, recolour it or fake a line."""
    return wording.shown(text, 2000)


def show_table(rows: Iterable[Sequence[Any]], head: Sequence[str]) -> None:
    """Print rows as columns as wide as their content, the last one cut to the terminal."""
    table = [[safe(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *table, strict=True)]
    width = get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 10_000
    for row in (head, *table):
        cells = (cell.ljust(widths[column]) for column, cell in enumerate(row))
        click.echo("  ".join(cells).rstrip()[:width])


def show_json(value: Any) -> None:
    """Print *value* as indented JSON."""
    plain = msgspec.to_builtins(value)
    click.echo(json.dumps(plain, indent=2, ensure_ascii=False))


def show_json_lines(values: Iterable[Any]) -> None:
    """Print each of *values* on a line of its own, streaming, inside one JSON array."""
    encoder = msgspec.json.Encoder()
    separator = "["
    for value in values:
        click.echo(f"{separator}{encoder.encode(value).decode()}", nl=False)
        separator = ",\n"
    click.echo("[]" if separator == "[" else "]")


def show_fields(fields: Mapping[str, Any]) -> None:
    """Print a record, one field a line; empty ones are left out."""
    width = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        if value not in (None, "", {}, ()):
            click.echo(f"{name.ljust(width)}  {safe(wording.fact(value))}")
