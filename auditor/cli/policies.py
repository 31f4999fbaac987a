"""``auditor policies``: the offline reference of what is judged and why, and its tests."""

from pathlib import Path
from typing import Any

import click

from auditor import wording
from auditor.cli import exits
from auditor.cli.options import json_option
from auditor.cli.screen import safe, show_fields, show_json, show_table
from auditor.config import load_config
from auditor.errors import PolicyError
from auditor.plugs import unknown
from auditor.policy import Policy, PolicySet, PolicySettings, catalogue, load, run_examples
from auditor.resources import bundled


@click.group()
def policies() -> None:
    """List, show or test policies."""


def _config_option(command: Any) -> Any:
    return click.option(
        "-c",
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        envvar="AUDITOR_CONFIG",
        help="Show the policies as this configuration sets them; without it the defaults.",
    )(command)


@policies.command("list")
@_config_option
@json_option
def list_(config_path: Path | None, *, as_json: bool) -> None:
    """List every policy: whether it judges, how severe it is, what it says."""
    known, active = _policies(config_path)
    in_force = {policy.id: policy for policy in active.policies}
    shown = [in_force.get(policy.id, policy) for policy in known]
    if as_json:
        show_json([_record(policy, is_active=policy.id in in_force) for policy in shown])
        return
    rows = [
        (
            policy.id,
            "on" if policy.id in in_force else "off",
            policy.severity.value,
            policy.category,
            policy.title,
        )
        for policy in shown
    ]
    show_table(rows, ("POLICY", "STATE", "SEVERITY", "CATEGORY", "TITLE"))


@policies.command()
@click.argument("policy_id")
@_config_option
@json_option
def show(policy_id: str, config_path: Path | None, *, as_json: bool) -> None:
    """Show one policy: condition, limits, rationale, remediation, controls."""
    known, active = _policies(config_path)
    by_id = {policy.id: policy for policy in (*known, *active.policies)}
    if policy_id not in by_id:
        raise PolicyError(unknown("policy", policy_id, sorted(by_id)))
    policy = by_id[policy_id]
    is_active = policy_id in {one.id for one in active.policies}
    record = _record(policy, is_active=is_active)
    if as_json:
        show_json(record)
        return
    click.echo(click.style(safe(policy.title), bold=True))
    show_fields(
        {
            "id": policy.id,
            "state": "on" if is_active else "off",
            "severity": policy.severity.value,
            "category": policy.category,
            "condition": " ".join(policy.when.split()),
            "takes over": policy.supersedes,
            "rationale": " ".join(policy.rationale.split()),
            "remediation": policy.remediation.summary,
        }
    )
    for name, value in record["parameters"].items():
        click.echo(f"  {name} = {value if value is not None else 'to be set in the configuration'}")
    click.echo("controls (maps to)")
    for framework, controls in policy.controls.items():
        names = ", ".join(f"{control.id} ({control.certainty})" for control in controls)
        click.echo(f"  {framework}: {names}")


@policies.command()
@click.argument("path", required=False, type=click.Path(path_type=Path, exists=True))
@json_option
def test(path: Path | None, *, as_json: bool) -> int:
    """Judge the examples inside the policy files at PATH (default: the built-in ones)."""
    results = run_examples(path or bundled("policies"))
    failed = [result for result in results if result.problem]
    if as_json:
        show_json(results)
    else:
        for result in failed:
            click.echo(f"{result.policy_id}:{result.line}: {safe(result.problem)}")
        click.echo(f"{wording.count(len(results), 'example')}, {len(failed)} failed")
    return exits.FINDINGS if failed else exits.CLEAN


def _policies(config_path: Path | None) -> tuple[list[Policy], PolicySet]:
    """Return every known policy and the ones that judge."""
    settings, directory = PolicySettings(), Path.cwd()
    if config_path is not None:
        config = load_config(config_path)
        settings, directory = config.layout.policies, config.directory
    builtin = bundled("policies")
    known = catalogue(builtin, settings, directory)
    return known, load(settings, builtin=builtin, directory=directory)


def _record(policy: Policy, *, is_active: bool) -> dict[str, Any]:
    return {
        "id": policy.id,
        "title": policy.title,
        "is_active": is_active,
        "severity": policy.severity.value,
        "category": policy.category,
        "when": policy.when,
        "parameters": {
            name: parameter.constant and wording.fact(parameter.constant.value)
            for name, parameter in policy.parameters.items()
        },
        "supersedes": list(policy.supersedes),
        "rationale": policy.rationale,
        "remediation": policy.remediation.summary,
        "controls": {
            framework: [{"id": c.id, "certainty": c.certainty} for c in controls]
            for framework, controls in policy.controls.items()
        },
    }
