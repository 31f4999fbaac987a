"""``auditor evaluate``: try policies on a stored run before they judge for real."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from auditor import wording
from auditor.cli.options import InstantParam, config_option, json_option, run_option
from auditor.cli.screen import safe, show_json, show_table
from auditor.config import load_config
from auditor.errors import ConfigError
from auditor.findings.supersession import PoliciesInForce
from auditor.line.setting import exceptions
from auditor.line.whatif import Difference, WhatIf, what_if
from auditor.model import Change
from auditor.policy import PolicySettings, catalogue, load
from auditor.resources import bundled
from auditor.store import Store


@click.command()
@config_option
@run_option
@click.option(
    "--policies",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of policy files to try beside the configured ones.",
)
@click.option("--enable", multiple=True, help="Switch a policy on; may be repeated.")
@click.option("--disable", multiple=True, help="Switch a policy off; may be repeated.")
@click.option("--preset", help="Judge by this preset.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="POLICY.PARAMETER=VALUE",
    help="Change a parameter, such as dormant-credential.idle_for=30d; may be repeated.",
)
@click.option("--as-of", type=InstantParam(), help="Judge as of this time, not the run's.")
@json_option
def evaluate(
    config_path: Path,
    run: str,
    folder: Path | None,
    enable: tuple[str, ...],
    disable: tuple[str, ...],
    preset: str | None,
    changes: tuple[str, ...],
    as_of: datetime | None,
    *,
    as_json: bool,
) -> None:
    """Show what other policies would open and close on a stored run. Nothing is written."""
    config = load_config(config_path)
    before = config.layout.policies
    extra: dict[str, Any] = {
        "enable": [*before.enable, *enable],
        "disable": [*before.disable, *disable],
        "override": [*before.override, *map(_override, changes)],
        "preset": preset or before.preset,
    }
    if folder is not None:
        extra["directories"] = [*before.directories, str(folder.resolve())]
    settings = PolicySettings.model_validate(before.model_dump() | extra)
    policies = load(settings, builtin=bundled("policies"), directory=config.directory)
    known = catalogue(bundled("policies"), settings, config.directory)
    with Store.open(config.database_url, create=False) as store:
        found = what_if(
            store,
            run,
            policies,
            PoliciesInForce(policies.policies, known),
            exceptions(config).exception_for,
            as_of,
            config.layout.grace,
        )
    if as_json:
        show_json(_record(found))
    else:
        _show(found)


def _override(change: str) -> dict[str, Any]:
    path, separator, value = change.partition("=")
    policy, dot, parameter = path.partition(".")
    if not (separator and dot and policy and parameter and value):
        raise ConfigError(
            f"--set {change!r} is no change; write it like dormant-credential.idle_for=30d"
        )
    number: int | str = int(value) if value.isdecimal() else value
    return {"policy": policy, "parameters": {parameter: number}}


def _show(found: WhatIf) -> None:
    click.echo(
        f"Run {found.run_id} as of {wording.rfc3339(found.now)}: "
        f"{wording.count(found.before, 'open finding')} now, {found.after:,} with these policies."
    )
    for change, verb in ((Change.OPENED, "would open"), (Change.RESOLVED, "would close")):
        rows = [d for d in found.differences if d.change is change]
        if not rows:
            click.echo(f"Nothing {verb}.")
            continue
        click.echo(f"{len(rows):,} {verb}, by owner: {_owners(found.by_owner(change))}")
        show_table(map(_row, rows), ("  SEVERITY", "POLICY", "CREDENTIAL", "OWNER"))


def _row(difference: Difference) -> tuple[str, ...]:
    credential = difference.credential
    return (
        f"  {difference.severity}",
        difference.policy_id,
        f"{credential.organization.name} / {credential.name}",
        credential.owner or "-",
    )


def _owners(counts: Counter[str]) -> str:
    return ", ".join(f"{safe(owner or 'nobody')} {n}" for owner, n in sorted(counts.items()))


def _record(found: WhatIf) -> dict[str, Any]:
    return {
        "run": found.run_id,
        "now": wording.rfc3339(found.now),
        "before": found.before,
        "after": found.after,
        "opened": [_entry(d) for d in found.differences if d.change is Change.OPENED],
        "resolved": [_entry(d) for d in found.differences if d.change is Change.RESOLVED],
        "opened_by_owner": found.by_owner(Change.OPENED),
        "resolved_by_owner": found.by_owner(Change.RESOLVED),
    }


def _entry(difference: Difference) -> dict[str, Any]:
    return {
        "policy_id": difference.policy_id,
        "severity": difference.severity,
        "credential_uid": difference.credential.uid,
        "owner": difference.credential.owner,
        "resolution": difference.resolution,
    }
