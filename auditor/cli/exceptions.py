"""``auditor exceptions``: the decisions not to act, and what is wrong with them."""

from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from auditor import plugs
from auditor.cli import exits
from auditor.cli.options import config_option, json_option
from auditor.cli.screen import show_json, show_table
from auditor.config import Config, load_config
from auditor.errors import ConfigError
from auditor.findings.exception_file import append
from auditor.findings.exception_review import SOON, Usage
from auditor.findings.exception_review import check as review
from auditor.findings.exceptions import PolicyException, PolicyExceptions
from auditor.model import FindingStatus
from auditor.pipeline import utc_now
from auditor.policy import catalogue
from auditor.policy.match import compile_glob
from auditor.resources import bundled
from auditor.store import NoDatabase, Store, UnknownRun


@click.group()
def exceptions() -> None:
    """List, check or add exceptions."""


@exceptions.command("list")
@config_option
@json_option
def list_(config_path: Path, *, as_json: bool) -> None:
    """List the exceptions with their reasons and last days."""
    known, now = _load(load_config(config_path)), utc_now()
    if as_json:
        show_json([entry.model_dump(mode="json", exclude_none=True) for entry in known.entries])
        return
    rows = [
        (
            place,
            "in force" if entry.is_in_force(now) else "not in force",
            entry.expires,
            entry.approver,
            entry.reason,
        )
        for place, entry in zip(known.places, known.entries, strict=True)
    ]
    show_table(rows, ("WHERE", "STATE", "EXPIRES", "APPROVER", "REASON"))


@exceptions.command()
@config_option
@json_option
def check(config_path: Path, *, as_json: bool) -> int:
    """Report expired, unused, overlapping, misspelt and over-broad entries; exit 1 for any.

    Use is counted on the newest judged run; before the first run only the file itself is checked.
    """
    config, now = load_config(config_path), utc_now()
    known, settings = _load(config), config.layout.exceptions
    notice = SOON if settings is None else settings.notice
    remarks = review(known, now, _usage(config, known, now), notice, _policies(config))
    if as_json:
        show_json(remarks)
    else:
        show_table(
            [(remark.place, remark.fault.value, remark.message) for remark in remarks],
            ("WHERE", "FAULT", "WHAT TO DO"),
        )
    return exits.FINDINGS if remarks else exits.CLEAN


@exceptions.command()
@config_option
@click.option("--policy", required=True, help="The policy the decision is about.")
@click.option("--uid", help="The credential's uid.")
@click.option("--principal", help="The principal's id or name; globs are anchored.")
@click.option("--organization", help="The organization's id or name; globs are anchored.")
@click.option("--provider", help="The provider.")
@click.option("--reason", required=True, help="Why nobody acts.")
@click.option("--approver", required=True, help="Who decided.")
@click.option("--expires", required=True, help="Last day, as YYYY-MM-DD.")
@click.option("--ticket", help="Where the decision is discussed.")
def add(
    config_path: Path,
    policy: str,
    reason: str,
    approver: str,
    expires: str,
    ticket: str | None,
    **scope: str | None,
) -> None:
    """Add an exception to the configured file; the rest of the file stays as it is."""
    config = load_config(config_path)
    settings = config.layout.exceptions
    if settings is None:
        raise ConfigError(f"{config_path} has no `exceptions:`; name a file there first.")
    _expect_policy(policy, _policies(config))
    match: dict[str, Any] = {"policy": policy}
    match |= {name: value for name, value in scope.items() if value is not None}
    try:
        entry = PolicyException.model_validate(
            {
                "match": match,
                "reason": reason,
                "approver": approver,
                "created": datetime.now(UTC).date().isoformat(),
                "expires": date.fromisoformat(expires).isoformat(),
                "ticket": ticket,
            }
        )
    except (ValidationError, ValueError) as error:
        detail = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ConfigError(f"The exception is not complete: {detail}.") from error
    path = config.directory / settings.path
    append(path, entry, max_days=settings.max_days)
    click.echo(f"Added to {path}; have it reviewed like code.")


def _load(config: Config) -> PolicyExceptions:
    settings = config.layout.exceptions
    if settings is None:
        return PolicyExceptions()
    return PolicyExceptions.load(config.directory / settings.path, max_days=settings.max_days)


def _policies(config: Config) -> list[str]:
    """Return the ids of all policies, active or not."""
    found = catalogue(bundled("policies"), config.layout.policies, config.directory)
    return [policy.id for policy in found]


def _expect_policy(pattern: str, known: list[str]) -> None:
    if not any(map(compile_glob(pattern), known)):
        raise ConfigError(plugs.unknown("policy", pattern, known))


def _usage(config: Config, known: PolicyExceptions, now: datetime) -> Usage | None:
    with ExitStack() as stack:
        try:
            store = stack.enter_context(Store.open(config.database_url, create=False))
            record = store.run("latest")
        except (NoDatabase, UnknownRun):
            return None
        usage = Usage(known, now)
        for state, credential in store.findings_at(record.id):
            if state.status is not FindingStatus.RESOLVED:
                usage.add(state.policy_id, credential)
    return usage
