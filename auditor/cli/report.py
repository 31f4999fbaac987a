"""``auditor report``: a stored run rendered again, without calling any provider."""

from pathlib import Path

import click

from auditor.cli import exits
from auditor.cli.options import config_option, format_option, output_option, run_option
from auditor.cli.screen import safe
from auditor.config import load_config
from auditor.line.publish import open_formats, prepare_directory, publish
from auditor.line.recall import recall
from auditor.store import Store


@click.command()
@config_option
@run_option
@format_option
@output_option
def report(config_path: Path, run: str, formats: tuple[str, ...], output: Path | None) -> int:
    """Render a stored run again; the same run gives the same bytes."""
    config = load_config(config_path)
    reports = config.layout.reports
    documents = open_formats(formats or reports.formats, reports.options)
    directory = output or config.report_directory
    prepare_directory(directory)
    with Store.open(config.database_url, create=False) as store, recall(store, config, run) as view:
        paths, failures = publish(view, documents, directory)
    for path in paths:
        click.echo(str(path))
    for failure in failures:
        click.echo(f"auditor: {safe(failure)}", err=True)
    return exits.INCOMPLETE if failures else exits.CLEAN
