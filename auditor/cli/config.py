"""``auditor config``: check the file, and publish the schemas."""

from pathlib import Path
from typing import Any

import click

from auditor import plugs
from auditor.cli.options import config_option
from auditor.cli.screen import show_json
from auditor.collectors.interface import Collector
from auditor.config import Layout, load_config
from auditor.delivery.interface import Channel
from auditor.findings.exception_review import unknown_policies
from auditor.line.setting import classifier, exceptions
from auditor.pipeline import utc_now
from auditor.policy import load_with_catalogue
from auditor.resources import bundled


@click.group()
def config() -> None:
    """Check the configuration or print its schema."""


@config.command()
@config_option
def check(config_path: Path) -> None:
    """Check the configuration with its policies, exceptions and references; no network."""
    loaded = load_config(config_path)
    _active, known = load_with_catalogue(
        loaded.layout.policies,
        builtin=bundled("policies"),
        directory=loaded.directory,
        document=loaded.document,
    )
    excepted = exceptions(loaded)
    classifier(loaded)
    for entry in (*loaded.sources, *loaded.deliveries):
        entry.options()
    _ = loaded.database_url  # its references, too
    if loaded.layout.web is not None:
        loaded.layout.web.secret(loaded.directory)
    policies = [policy.id for policy in known]
    misspelt = unknown_policies(excepted, policies, utc_now())
    remarks = [f"{remark.place}: {remark.message}" for remark in misspelt]
    for warning in (*loaded.warnings, *remarks):
        click.echo(f"warning: {warning}", err=True)
    click.echo(
        f"{config_path} is fine: {len(loaded.sources)} source(s), "
        f"{len(loaded.deliveries)} delivery channel(s), "
        f"{len(loaded.layout.schedules)} schedule(s)."
    )


@config.command()
@click.option("--report", is_flag=True, help="The schema of the JSON report instead.")
def schema(*, report: bool) -> None:
    """Print the JSON Schema of the configuration, for editors, or of the JSON report."""
    if report:
        from auditor.reports.json import schema as report_schema  # noqa: PLC0415

        show_json(report_schema())
        return
    show_json(config_schema())


def config_schema() -> dict[str, Any]:
    """Return the schema of the whole file: every provider's and channel's options included."""
    whole = Layout.model_json_schema()
    definitions = whole.setdefault("$defs", {})
    choosable: tuple[tuple[str, str, type[Collector | Channel]], ...] = (
        ("sources", "auditor.collectors", Collector),
        ("deliveries", "auditor.delivery", Channel),
    )
    for key, package, base in choosable:
        choices = []
        for name in plugs.names(package):
            part = plugs.find(package, name, base).Options.model_json_schema()
            definitions.update(part.pop("$defs", {}))
            selector = "provider" if key == "sources" else "channel"
            part["properties"][selector] = {"const": name}
            definitions[f"{key}-{name}"] = part
            choices.append({"$ref": f"#/$defs/{key}-{name}"})
        whole["properties"][key]["items"] = {"anyOf": choices}
    return whole
