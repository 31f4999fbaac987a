"""``auditor compliance``: how the controls stand that policies map to."""

from collections.abc import Sequence
from pathlib import Path

import click

from auditor.cli.options import config_option, json_option, run_option
from auditor.cli.screen import safe, show_json, show_table
from auditor.config import load_config
from auditor.errors import ConfigError
from auditor.findings.compliance import ControlRow, FrameworkRow
from auditor.line.recall import outcome_of
from auditor.reports.json import framework_entry
from auditor.store import Store
from auditor.validation import did_you_mean

_HEAD = ("CONTROL", "PASS", "FAIL", "EXCEPTED", "NOT EVALUABLE", "OF", "POLICIES (CERTAINTY)")


@click.command()
@config_option
@run_option
@click.option("--framework", help="Only this standard, by key, such as cis-aws-5.0.")
@json_option
def compliance(config_path: Path, run: str, framework: str | None, *, as_json: bool) -> None:
    """Show, control by control, how the credentials of a run stand.

    Policies map to controls; that is no statement that anybody complies.
    """
    with Store.open(load_config(config_path).database_url, create=False) as store:
        rows = _chosen(outcome_of(store, run).compliance, framework)
    if as_json:
        show_json([framework_entry(row) for row in rows])
        return
    for row in rows:
        click.secho(f"{safe(row.title)} {safe(row.version)} ({row.key})".strip(), bold=True)
        show_table(map(_cells, row.controls), _HEAD)
        click.echo()


def _chosen(rows: Sequence[FrameworkRow], key: str | None) -> Sequence[FrameworkRow]:
    if key is None:
        return rows
    found = [row for row in rows if row.key == key]
    if not found:
        known = [row.key for row in rows]
        hint = did_you_mean(key, known) or f"; known: {', '.join(known) or 'none'}"
        raise ConfigError(f"No active policy maps to a standard {key!r}{hint}.")
    return found


def _cells(control: ControlRow) -> tuple[object, ...]:
    policies = ", ".join(f"{one.policy_id} ({one.certainty})" for one in control.policies)
    return (
        control.id,
        control.passed,
        control.failed,
        control.excepted,
        control.not_evaluable,
        control.credentials,
        policies,
    )
