"""``auditor owners``: who owns how much, and what nobody owns."""

from pathlib import Path

import click

from auditor.cli.options import config_option, json_option, run_option
from auditor.cli.screen import show_json, show_table
from auditor.config import load_config
from auditor.line.holdings import Holding, holdings
from auditor.line.recall import run_number
from auditor.store import Store


@click.group()
def owners() -> None:
    """List owners with what is theirs."""


@owners.command("list")
@config_option
@run_option
@json_option
def list_(config_path: Path, run: str, *, as_json: bool) -> None:
    """List the owners of a run with their counts, the highest risk first.

    What nobody owns stands under the empty name; `auditor credentials list --owner ""` lists it.
    """
    with Store.open(load_config(config_path).database_url, create=False) as store:
        found = holdings(store, store.run(run_number(run)).id)
    if as_json:
        show_json(found)
        return
    show_table(
        map(_row, found),
        ("OWNER", "STATUS", "CREDENTIALS", "WITH FINDINGS", "OPEN", "CRITICAL", "HIGH",
         "SUPPRESSED", "HIGHEST RISK"),
    )  # fmt: skip


def _row(holding: Holding) -> tuple[object, ...]:
    return (
        holding.owner or "(nobody)",
        holding.owner_status or "-",
        holding.credentials,
        holding.credentials_with_findings,
        holding.findings,
        holding.by_severity["critical"],
        holding.by_severity["high"],
        holding.suppressed,
        holding.highest_risk,
    )
