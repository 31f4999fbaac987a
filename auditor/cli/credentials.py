"""``auditor credentials``: the inventory, and the story of one credential."""

import asyncio
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from auditor import wording
from auditor.cli.options import config_option, json_option, run_option
from auditor.cli.screen import safe, show_fields, show_json, show_json_lines, show_table
from auditor.collectors.interface import Context
from auditor.config import Config, load_config
from auditor.errors import ConfigError
from auditor.inventory.qdm import programmatic_credential
from auditor.line.recall import run_number
from auditor.line.setting import classifier
from auditor.model import Credential, Outcome
from auditor.pipeline import utc_now
from auditor.policy import PolicySet, load
from auditor.resources import bundled
from auditor.store import Store


@click.group()
def credentials() -> None:
    """List credentials or show one."""


@credentials.command("list")
@config_option
@run_option
@click.option("--provider", help="Only this provider.")
@click.option("--organization", help="Only this organization's id or name.")
@click.option("--owner", help="Only this owner; an empty text for those without one.")
@click.option("--type", "kind", help="Only this type, such as `API Key`.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(["table", "json", "qdm"]),
    default="table",
    show_default=True,
    help="qdm: Query's programmatic_credential objects, one a line.",
)
@json_option
def list_(
    config_path: Path,
    run: str,
    provider: str | None,
    organization: str | None,
    owner: str | None,
    kind: str | None,
    limit: int | None,
    shape: str,
    *,
    as_json: bool,
) -> None:
    """List the credentials known in a run."""
    tests: list[Callable[[Credential], bool]] = []
    if provider:
        tests.append(lambda c: c.provider == provider)
    if organization:
        tests.append(lambda c: organization in (c.organization.id, c.organization.name))
    if owner is not None:
        tests.append(lambda c: (c.owner or "") == owner)
    if kind:
        tests.append(lambda c: c.type == kind)
    with Store.open(load_config(config_path).database_url, create=False) as store:
        record = store.run(run_number(run))
        found = store.credentials(record.id)
        chosen = islice((c for c in found if all(test(c) for test in tests)), limit)
        _print(chosen, "json" if as_json else shape)


def _print(chosen: Iterator[Credential], shape: str) -> None:
    if shape == "json":
        show_json_lines(chosen)
    elif shape == "qdm":
        for credential in chosen:
            click.echo(json.dumps(programmatic_credential(credential), ensure_ascii=False))
    else:
        show_table(
            map(_row, chosen), ("ORGANIZATION", "PRINCIPAL", "NAME", "TYPE", "LAST USE", "UID")
        )


def _row(credential: Credential) -> tuple[str, ...]:
    return (
        credential.organization.name,
        credential.principal.name,
        credential.name,
        credential.type,
        last_use(credential),
        credential.uid,
    )


def last_use(credential: Credential) -> str:
    """Return when a credential was last used, or why nobody can tell."""
    if credential.last_used_at is not None:
        return wording.ago(credential.last_used_at, credential.data_as_of)
    return wording.label(credential.last_used_state.value)


@credentials.command()
@click.argument("uid")
@config_option
@click.option("--refresh", is_flag=True, help="Read exactly this credential again, and judge it.")
@json_option
def show(uid: str, config_path: Path, *, refresh: bool, as_json: bool) -> None:
    """Show one credential and what happened to it; --refresh verifies it before you revoke it."""
    config = load_config(config_path)
    with Store.open(config.database_url, create=False) as store:
        credential = _known(store, uid)
        timeline = store.timeline(uid)
    if refresh:
        _show_refreshed(config, credential, as_json=as_json)
        return
    if as_json:
        shown = msgspec.to_builtins(replace(credential, raw={}))
        show_json(shown | {"timeline": msgspec.to_builtins(timeline)})
        return
    show_credential(credential)
    click.echo("timeline")
    for entry in timeline:
        what = entry.kind
        if entry.finding is not None:
            what = f"{entry.finding.policy_id} {entry.finding.change.value}"
        changes = ", ".join(
            f"{field}: {wording.fact(before)} → {wording.fact(after)}"
            for field, (before, after) in entry.changes.items()
        )
        at = f"  {wording.rfc3339(entry.at)}  run {entry.run_id}"
        click.echo(f"{at}  {safe(what)}  {safe(changes)}".rstrip())


def _known(store: Store, uid: str) -> Credential:
    """Return the newest that is known of a credential; raises `ConfigError`."""
    for credential in store.credentials(store.run("latest").id):
        if credential.uid == uid:
            return credential
    raise ConfigError(f"No credential has the uid {uid!r}; see `auditor credentials list`.")


def show_credential(credential: Credential) -> None:
    """Print the facts of a credential, one a line."""
    facts = msgspec.to_builtins(replace(credential, raw={}))
    show_fields({name: value for name, value in facts.items() if value is not None})


def _show_refreshed(config: Config, credential: Credential, *, as_json: bool) -> None:
    """Read the credential now, and say what the policies say of it now."""
    fresh = asyncio.run(_refresh(config, credential))
    if fresh is None:
        message = f"{credential.uid} is gone: its provider no longer lists it."
        click.echo(json.dumps({"uid": credential.uid, "exists": False}) if as_json else message)
        return
    fresh = classifier(config)(fresh)
    policies = load(config.layout.policies, builtin=bundled("policies"), directory=config.directory)
    violated = violations(policies, fresh)
    if as_json:
        shown = msgspec.to_builtins(replace(fresh, raw={}))
        show_json({"exists": True, "credential": shown, "violations": violated})
        return
    show_credential(fresh)
    for message in violated.values():
        click.echo(f"violates: {safe(message)}")
    if not violated:
        click.echo("It violates no policy now.")


def violations(policies: PolicySet, credential: Credential) -> dict[str, str]:
    """Return policy id → message for what *credential* violates."""
    at = credential.observed_at
    return {
        verdict.policy_id: policies.explain(verdict.policy_id, credential, at).message
        for verdict in policies.evaluate(credential, at)
        if verdict.outcome is Outcome.VIOLATION
    }


async def _refresh(config: Config, credential: Credential) -> Credential | None:
    (source,) = config.select([credential.source])
    context = Context(now=utc_now(), directory=source.directory, resolve=source.resolve)
    collector = source.open(context)
    try:
        return await collector.refresh(credential)
    finally:
        await collector.aclose()
