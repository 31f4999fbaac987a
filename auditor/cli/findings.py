"""``auditor findings``: what stands in a run, and the story of one finding."""

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec

from auditor import wording
from auditor.cli.options import config_option, json_option, run_option
from auditor.cli.screen import safe, show_fields, show_json, show_json_lines, show_table
from auditor.config import load_config
from auditor.errors import ConfigError
from auditor.findings.blast_radius import blast_radius
from auditor.line.recall import recall
from auditor.model import Finding, FindingStatus, Severity
from auditor.reports.json import FindingEntries
from auditor.store import Store


@click.group()
def findings() -> None:
    """List findings or show one with its history."""


@findings.command("list")
@config_option
@run_option
@click.option(
    "--status",
    type=click.Choice([*(status.value for status in FindingStatus), "all"]),
    default="open",
    show_default=True,
    help="Which findings.",
)
@click.option(
    "--severity",
    type=click.Choice([severity.value for severity in Severity]),
    help="This severity or above.",
)
@click.option("--policy", help="Only this policy.")
@click.option("--provider", help="Only this provider.")
@click.option("--organization", help="Only this organization's id or name.")
@click.option("--owner", help="Only this owner; an empty text for those without one.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@json_option
def list_(
    config_path: Path,
    run: str,
    status: str,
    severity: str | None,
    policy: str | None,
    provider: str | None,
    organization: str | None,
    owner: str | None,
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    """List the findings of a run, the ones to deal with first at the top."""
    tests: list[Callable[[Finding], bool]] = []
    if status != "all":
        tests.append(lambda f: f.state.status == status)
    if severity:
        tests.append(lambda f: f.state.severity.rank >= Severity(severity).rank)
    if policy:
        tests.append(lambda f: f.state.policy_id == policy)
    if provider:
        tests.append(lambda f: f.credential.provider == provider)
    if organization:
        tests.append(
            lambda f: organization in (f.credential.organization.id, f.credential.organization.name)
        )
    if owner is not None:
        tests.append(lambda f: (f.credential.owner or "") == owner)
    config = load_config(config_path)
    with Store.open(config.database_url, create=False) as store, recall(store, config, run) as view:
        chosen = _first((f for f in view.findings() if all(test(f) for test in tests)), limit)
        if as_json:
            show_json_lines(map(FindingEntries(view.certainties).of, chosen))
        else:
            show_table(
                map(_row, chosen), ("RISK", "SEVERITY", "STATUS", "POLICY", "CREDENTIAL", "ID")
            )


@findings.command()
@click.argument("finding_id")
@config_option
@json_option
def show(finding_id: str, config_path: Path, *, as_json: bool) -> None:
    """Show one finding with every event of its history; ID may be shortened."""
    config = load_config(config_path)
    with Store.open(config.database_url, create=False) as store:
        record = store.finding(finding_id)
        if record is None:
            raise ConfigError(
                f"No finding has the id {finding_id!r}; see `auditor findings list --status all`."
            )
        events = store.events(record.state.id)
        run = "latest" if record.state.status is not FindingStatus.RESOLVED else str(record.run_id)
        with recall(store, config, run) as view:
            finding = next(f for f in view.findings() if f.state.id == record.state.id)
            entry = FindingEntries(view.certainties).of(finding)
    history = [
        {"run": event.run_id, "at": event.at, "state": msgspec.to_builtins(event.state)}
        for event in events
    ]
    if as_json:
        show_json(msgspec.to_builtins(entry) | {"history": history})
        return
    _show(finding)
    for event in events:
        change = f"{event.state.change.value} ({event.state.severity.value})"
        reason = f": {event.state.resolution.value}" if event.state.resolution else ""
        click.echo(f"  {wording.rfc3339(event.at)}  run {event.run_id}  {change}{reason}")


def _show(finding: Finding) -> None:
    state, credential = finding.state, finding.credential
    click.echo(click.style(safe(finding.message), bold=True))
    show_fields(
        {
            "id": state.id,
            "policy": state.policy_id,
            "status": state.status.value,
            "severity": state.severity.value,
            "risk": f"{finding.risk.score}: {'; '.join(finding.risk.reasons)}",
            "credential": f"{credential.name} ({credential.type}) {credential.uid}",
            "principal": credential.principal.name,
            "reach": blast_radius(credential),
            "organization": credential.organization.name,
            "owner": credential.owner,
            "first seen": state.first_seen_at,
            "last seen": state.last_seen_at,
            "rationale": finding.rationale,
            "remediation": finding.remediation.summary,
        }
    )
    for evidence in finding.evidence:
        limit = f" (limit {wording.fact(evidence.limit)})" if evidence.limit is not None else ""
        click.echo(f"  {evidence.fact}: {safe(wording.fact(evidence.observed))}{limit}")
    for command in finding.remediation.commands:
        click.echo(f"  $ {safe(command)}")


def _row(finding: Finding) -> tuple[object, ...]:
    state = finding.state
    return (
        finding.risk.score,
        state.severity.value,
        state.status.value,
        state.policy_id,
        f"{finding.credential.organization.name} / {finding.credential.name}",
        state.id[:12],
    )


def _first(found: Iterator[Finding], limit: int | None) -> Iterator[Finding]:
    for number, finding in enumerate(found):
        if number == limit:
            return
        yield finding
