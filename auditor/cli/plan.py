"""``auditor plan``: scripts that mend chosen findings, for people to read and run."""

import re
import shlex
from pathlib import Path

import click

from auditor import __version__
from auditor.cli.newfile import write_new
from auditor.cli.options import config_option, run_option
from auditor.config import load_config
from auditor.errors import ConfigError
from auditor.line.plan import script, tasks
from auditor.line.publish import prepare_directory
from auditor.line.recall import recall
from auditor.model import Finding, FindingStatus
from auditor.store import Store


@click.command()
@config_option
@run_option
@click.option("--finding", "ids", multiple=True, help="A finding's id; may be shortened, repeated.")
@click.option("--policy", help="The open findings of this policy.")
@click.option("--owner", help="Those of this owner; an empty text for what nobody owns.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="the current folder",
    help="Folder for the scripts.",
)
def plan(
    config_path: Path,
    run: str,
    ids: tuple[str, ...],
    policy: str | None,
    owner: str | None,
    output: Path,
) -> None:
    """Write a commented script per provider that mends the chosen findings. Nothing is run."""
    if not ids and policy is None and owner is None:
        raise ConfigError("Choose what to mend: --finding ID, --policy ID or --owner OWNER.")
    config = load_config(config_path)
    with Store.open(config.database_url, create=False) as store, recall(store, config, run) as view:
        chosen = [
            finding
            for finding in view.findings()
            if finding.state.status is FindingStatus.OPEN
            and _is_chosen(finding, ids, policy, owner)
        ]
        run_id = view.run.id
    _check(chosen, ids)
    prepare_directory(output)
    work = tasks(chosen, shlex.quote(str(config.path)))
    for provider, some in work.items():
        path = output / f"plan-{re.sub(r'[^a-z0-9-]+', '-', provider.lower())[:60]}.sh"
        text = script(provider, some, run_id=run_id, tool=__version__)
        write_new(path, text, otherwise="move it away or give another --output")
        click.echo(f"{path}: {len(some)} credential(s)")


def _is_chosen(
    finding: Finding, ids: tuple[str, ...], policy: str | None, owner: str | None
) -> bool:
    if ids and not finding.state.id.startswith(ids):
        return False
    if policy is not None and finding.state.policy_id != policy:
        return False
    return owner is None or (finding.credential.owner or "") == owner


def _check(chosen: list[Finding], ids: tuple[str, ...]) -> None:
    for name in ids:
        number = sum(finding.state.id.startswith(name) for finding in chosen)
        if number != 1:
            what = "no open finding" if not number else f"{number} findings"
            raise ConfigError(f"{name!r} stands for {what}; `auditor findings list` shows the ids.")
    if not chosen:
        raise ConfigError("No open finding is chosen by this; see `auditor findings list`.")
