"""``auditor audit``: one pass of the line, from a terminal, a timer or CI."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from auditor.cli import exits
from auditor.cli.memory import expect_streaming, importing
from auditor.cli.options import InstantParam, config_option, format_option, output_option
from auditor.cli.screen import show_result
from auditor.model import Severity

_SEVERITY = click.Choice([severity.value for severity in Severity])


@click.command()
@config_option
@click.option(
    "--source", "sources", multiple=True, help="Audit only this source; repeat for several."
)
@format_option
@output_option
@click.option("--fail-on", type=_SEVERITY, help="Exit 1 with open findings at or above this.")
@click.option(
    "--fail-on-new", type=_SEVERITY, help="Like --fail-on, for findings opened in this run."
)
@click.option("--no-deliver", is_flag=True, help="Send nothing.")
@click.option(
    "--as-of", type=InstantParam(), help="Judge file sources as of this time, not by the clock."
)
@click.option("--accept-drop", is_flag=True, help="Believe a source that suddenly lists far less.")
@click.option("--quiet", is_flag=True, help="Print no progress and no summary.")
def audit(
    config_path: Path,
    sources: tuple[str, ...],
    formats: tuple[str, ...],
    output: Path | None,
    fail_on: str | None,
    fail_on_new: str | None,
    as_of: datetime | None,
    *,
    no_deliver: bool,
    accept_drop: bool,
    quiet: bool,
) -> int:
    """Audit the configured sources once.

    Exit codes: 0 clean, 1 findings at or above --fail-on, 2 configuration or usage, 3 incomplete
    (a source, report or delivery failed; wins over 1), 4 internal or database, 130 interrupted.
    """
    with importing():
        from auditor import pipeline  # noqa: PLC0415 - not needed for --help
        from auditor.cli.progress import progress  # noqa: PLC0415
        from auditor.config import load_config  # noqa: PLC0415
        from auditor.signals import interruptible  # noqa: PLC0415

        config = load_config(config_path)
        expect_streaming()
    order = pipeline.Order(
        sources=sources,
        formats=formats or None,
        output=output,
        as_of=as_of,
        accept_drop=accept_drop,
        deliver=not no_deliver,
    )
    with interruptible(), progress(quiet=quiet) as report:
        result = asyncio.run(pipeline.audit(config, order, progress=report))
    if not quiet:
        show_result(result)
    return exit_code(result, fail_on, fail_on_new)


def exit_code(result: Any, fail_on: str | None, fail_on_new: str | None) -> int:
    """Return the run's exit code; *incomplete* wins over *findings*."""
    if result.is_incomplete:
        return exits.INCOMPLETE
    for threshold, counts in (
        (fail_on, result.view.summary.by_severity),
        (fail_on_new, result.new_by_severity),
    ):
        if threshold and _at_or_above(counts, Severity(threshold)):
            return exits.FINDINGS
    return exits.CLEAN


def _at_or_above(counts: dict[str, int], threshold: Severity) -> int:
    return sum(n for name, n in counts.items() if Severity(name).rank >= threshold.rank)
