"""``auditor diff``: what changed between two runs."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from auditor import wording
from auditor.cli.options import config_option, json_option
from auditor.cli.screen import safe
from auditor.config import load_config
from auditor.findings.diff import CredentialDiff, Delta, Step
from auditor.line.compare import PREVIOUS, ChangedFinding, Comparison
from auditor.model import Credential
from auditor.store import RunRecord, Store

_NAMED = 5
"""How many permissions a line names."""


@click.command()
@config_option
@click.option(
    "--from",
    "before",
    default=PREVIOUS,
    show_default=True,
    help="Run id, or `previous`: the judged run before the other.",
)
@click.option("--to", "after", default="latest", show_default=True, help="Run id, or `latest`.")
@json_option
def diff(config_path: Path, before: str, after: str, *, as_json: bool) -> None:
    """Show what changed between two runs: credentials, permissions and findings."""
    config = load_config(config_path)
    with Store.open(config.database_url, create=False) as store:
        found = Comparison.open(store, before, after)
        (_show_json if as_json else _show)(found)


def _show(found: Comparison) -> None:
    click.echo(f"From {_named(found.before)} to {_named(found.after)}")
    steps: Counter[str] = Counter()
    turns: Counter[str] = Counter()
    for change in found.credentials():
        steps.update(delta.step.value for delta in change.deltas)
        what = "; ".join(_said(delta) for delta in change.deltas)
        click.echo(f"  {_who(change.credential)}: {safe(what)}")
    for finding in found.findings():
        turns[finding.diff.turn.value] += 1
        click.echo(_line(finding))
    click.echo(f"Credentials: {_counted(steps)}.")
    click.echo(f"Findings: {_counted(turns)}.")


def _line(finding: ChangedFinding) -> str:
    turn, state = finding.diff.turn.value, finding.diff.state
    how = f" ({wording.label(finding.diff.resolution.value)})" if finding.diff.resolution else ""
    where = _who(finding.credential)
    return f"  {turn} {state.severity.value} {state.policy_id}: {where}{how}"


def _named(record: RunRecord) -> str:
    return f"run {record.id} ({wording.rfc3339(record.now)})"


def _who(credential: Credential) -> str:
    return safe(f"{credential.organization.name} / {credential.name} [{credential.uid}]")


def _said(delta: Delta) -> str:
    what = delta.step.value.replace("_", " ")
    if delta.step in (Step.PERMISSIONS_GREW, Step.PERMISSIONS_SHRANK):
        names = delta.after or delta.before or []
        count = delta.count or len(names)
        more = count - _NAMED
        shown = [*names[:_NAMED], f"{more:,} more"] if more > 0 else names
        return f"{what} by {count:,}: {wording.listing(shown)}"
    if delta.before is None and delta.after is None:
        return what
    return f"{what}: {_value(delta.before)} → {_value(delta.after)}"


def _value(value: Any) -> str:
    return "none" if value is None else str(value)


def _counted(counts: Counter[str]) -> str:
    if not counts:
        return "none changed"
    named = (f"{counts[name]:,} {name.replace('_', ' ')}" for name in sorted(counts))
    return ", ".join(named)


def _show_json(found: Comparison) -> None:
    """Print one JSON object, streaming, a change a line."""
    steps: Counter[str] = Counter()
    turns: Counter[str] = Counter()
    click.echo(f'{{"from": {_run(found.before)},\n"to": {_run(found.after)},\n"credentials": [')
    _show_lines(_credential_entries(found, steps))
    click.echo('],\n"findings": [')
    _show_lines(_finding_entries(found, turns))
    counts = {"credentials": dict(sorted(steps.items())), "findings": dict(sorted(turns.items()))}
    click.echo(f'],\n"counts": {_json(counts)}}}')


def _run(record: RunRecord) -> str:
    return _json({"id": record.id, "now": wording.rfc3339(record.now)})


def _show_lines(entries: Iterator[dict[str, Any]]) -> None:
    separator = ""
    for entry in entries:
        click.echo(f"{separator}{_json(entry)}", nl=False)
        separator = ",\n"
    if separator:
        click.echo()


def _credential_entries(found: Comparison, steps: Counter[str]) -> Iterator[dict[str, Any]]:
    for change in found.credentials():
        steps.update(delta.step.value for delta in change.deltas)
        yield _identity(change.credential) | {"changes": _deltas(change)}


def _deltas(change: CredentialDiff) -> list[dict[str, Any]]:
    return [
        {
            "change": delta.step.value,
            "before": delta.before,
            "after": delta.after,
            "count": delta.count,
        }
        for delta in change.deltas
    ]


def _finding_entries(found: Comparison, turns: Counter[str]) -> Iterator[dict[str, Any]]:
    for finding in found.findings():
        state, credential = finding.diff.state, finding.credential
        turns[finding.diff.turn.value] += 1
        yield {
            "change": finding.diff.turn.value,
            "id": state.id,
            "policy_id": state.policy_id,
            "severity": state.severity.value,
            "resolution": finding.diff.resolution,
            "credential": _identity(credential),
        }


def _identity(credential: Credential) -> dict[str, Any]:
    return {
        "uid": credential.uid,
        "provider": credential.provider,
        "organization": credential.organization.id,
        "principal": credential.principal.name,
        "name": credential.name,
        "type": credential.type,
        "owner": credential.owner,
    }


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
