"""``auditor providers``: what can be audited, offline; and trying a description of one's own."""

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from auditor import plugs
from auditor.cli import exits
from auditor.cli.options import json_option
from auditor.cli.screen import show_fields, show_json, show_table
from auditor.collectors import interface
from auditor.collectors.interface import Collector
from auditor.errors import ConfigError
from auditor.model import Credential, to_builtins
from auditor.pipeline import utc_now
from auditor.policy.privilege import classify
from auditor.yamlfile import load

PACKAGE = "auditor.collectors"
_UNLISTED = Path(interface.__file__).parent / "unlisted.yaml"


@click.group()
def providers() -> None:
    """List providers or show one; try a description of your own."""


@providers.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the providers: what is listed, and whether last use is known."""
    facts = [_facts(name, plugs.find(PACKAGE, name, Collector)) for name in plugs.names(PACKAGE)]
    without = unlisted()
    if as_json:
        show_json([*facts, *({"provider": name, **entry} for name, entry in without.items())])
        return
    rows = [
        (
            fact["provider"],
            "yes" if fact["usage_is_recorded"] else "no",
            fact["summary"],
            fact["verified"],
        )
        for fact in facts
    ]
    show_table(rows, ("PROVIDER", "LAST USE", "LISTS", "VERIFIED AGAINST"))
    click.echo("\nProviders that list no credentials, and what serves instead:")
    table = [(name, entry["reason"], entry["nearest"]) for name, entry in without.items()]
    show_table(table, ("PROVIDER", "WHY NOT", "NEAREST WAY"))


@providers.command()
@click.argument("provider")
@click.option("--setup", metavar="NAME", help="Print only this document, ready to save.")
@json_option
def show(provider: str, setup: str | None, *, as_json: bool) -> None:
    """Show one provider: its options, the least privileges it needs, and what grants them."""
    without = unlisted()
    if provider in without:
        entry = without[provider]
        raise ConfigError(
            f"{entry['title']} cannot be a source: {entry['reason']}. Instead: {entry['nearest']}."
        )
    collector = plugs.find(PACKAGE, provider, Collector)
    documents = collector.setup_documents()
    if setup is not None:
        if setup not in documents:
            raise ConfigError(plugs.unknown("setup document", setup, sorted(documents)))
        click.echo(documents[setup])
        return
    facts = _facts(provider, collector)
    schema = collector.Options.model_json_schema()
    if as_json:
        show_json(facts | {"options": schema, "setup": documents})
        return
    lists = ("least_privileges", "limits")
    show_fields({key: value for key, value in facts.items() if key not in lists})
    for name in lists:
        if facts[name]:
            click.echo(name.replace("_", " "))
        for line in facts[name]:
            click.echo(f"  {line}")
    click.echo("options")
    required = set(schema.get("required", ()))
    rows = [
        (f"  {name}", "required" if name in required else "", field.get("description", ""))
        for name, field in schema["properties"].items()
    ]
    show_table(rows, ("  OPTION", "", ""))
    for name, document in documents.items():
        click.echo(f"\n{name} (alone: auditor providers show {provider} --setup {name})\n")
        click.echo(document)


@providers.command()
def schema() -> None:
    """Print the JSON Schema of a description, for editors."""
    from auditor.collectors.declarative import description_schema  # noqa: PLC0415 - slow to import

    show_json(description_schema())


@providers.command()
@click.argument("description", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--responses",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="Folder of saved answers; it mirrors the paths below base_url.",
)
@click.option("--now", type=click.DateTime(["%Y-%m-%d"]), help="The day to judge at.")
@json_option
def test(description: Path, responses: Path, now: datetime | None, *, as_json: bool) -> int:
    """Run a description against saved answers and show the credentials it makes of them."""
    from auditor.collectors.declarative import attempt, described  # noqa: PLC0415 - slow to import

    collector = described(description)
    instant = now.replace(tzinfo=utc_now().tzinfo) if now else utc_now()
    try:
        trial = asyncio.run(attempt(collector, responses, instant))
    except ValidationError as error:
        raise ConfigError(
            "; ".join(
                f"{responses / 'options.yaml'}: {'.'.join(map(str, item['loc']))}: {item['msg']}"
                for item in error.errors(include_url=False, include_input=False)
            )
        ) from None
    found = [classify(credential) for credential in trial.credentials]
    problems = [gap.message for gap in trial.gaps] + ([str(trial.error)] if trial.error else [])
    if as_json:
        document = {"credentials": found, "problems": problems, "notes": trial.notes}
        show_json(json.loads(json.dumps(to_builtins(document | {"not_saved": trial.missing}))))
    else:
        show_table(
            [_row(credential) for credential in found],
            ("UID", "NAME", "TYPE", "STATUS", "LAST USE", "EXPIRES", "PRIVILEGE"),
        )
        for line in (*problems, *trial.notes):
            click.echo(line)
        for name in trial.missing:
            click.echo(f"asked for and not saved: {name}")
    return exits.CLEAN if trial.is_whole else exits.INCOMPLETE


def _row(credential: Credential) -> tuple[str, ...]:
    used, ends = credential.last_used_at, credential.expires_at
    return (
        credential.uid,
        credential.name,
        credential.type,
        credential.status,
        f"{used:%Y-%m-%d}" if used else credential.last_used_state,
        f"{ends:%Y-%m-%d}" if ends else credential.expires_state,
        credential.privilege,
    )


def unlisted() -> dict[str, dict[str, str]]:
    """Return the providers that list no credentials: title, reason and the nearest way."""
    found: dict[str, dict[str, str]] = load(_UNLISTED).data
    return found


def _facts(name: str, collector: type[Collector]) -> dict[str, Any]:
    return {
        "provider": name,
        "summary": collector.summary,
        "usage_is_recorded": collector.usage_is_recorded,
        "last_use": collector.last_use,
        "least_privileges": list(collector.least_privileges),
        "limits": list(collector.limits),
        "verified": collector.verified,
    }
