"""The page about providers, made from what the collectors say of themselves.

``python -m auditor.cli.providers_page > docs/providers.md`` writes it; a test compares.
"""

from collections.abc import Iterator
from typing import Any

import click

from auditor import plugs
from auditor.cli.providers import PACKAGE, unlisted
from auditor.client import ConnectionOptions
from auditor.collectors.interface import Collector, SourceOptions

_INTRODUCTION = """\
# Providers

What each provider lists, whether and how exactly it tells when a credential was last used, what
the auditor's own credential needs, what stays unseen, and what all this was checked against.
Everything is read; nothing is ever changed. Made by `python -m auditor.cli.providers_page`.

A provider that is not here can be [described in ten minutes](describe-a-provider.md). Where a fact
is not confirmed, it shows as *unknown* or as an error, never as a finding. "Checked against" names
documents and code of the vendor; no description was run against a live account.
"""


def page() -> str:
    """Return the page as Markdown."""
    found = {name: plugs.find(PACKAGE, name, Collector) for name in plugs.names(PACKAGE)}
    lines = [_INTRODUCTION, "| provider | lists | last use |", "|---|---|---|"]
    for name, collector in found.items():
        known = "yes" if collector.usage_is_recorded else "no"
        lines.append(f"| [`{name}`](#{name}) | {collector.summary} | {known} |")
    for name, collector in found.items():
        lines += ["", *_section(name, collector)]
    lines += ["", "## Providers without a list", "", *_without()]
    return "\n".join(lines) + "\n"


def _section(name: str, collector: type[Collector]) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    yield f"{collector.summary}. Configure it with `provider: {name}`."
    yield ""
    if collector.last_use or not collector.usage_is_recorded:
        yield f"* **Last use**: {collector.last_use or 'not listed'}"
    if collector.least_privileges:
        yield f"* **Needs**: {'; '.join(collector.least_privileges)}"
    for limit in collector.limits:
        yield f"* **Limit**: {limit}"
    if collector.verified:
        yield f"* **Checked against**: {collector.verified}"
    yield ""
    yield from _keys(collector)


def _keys(collector: type[Collector]) -> Iterator[str]:
    schema = collector.Options.model_json_schema()
    shared = {*SourceOptions.model_fields, *ConnectionOptions.model_fields}
    own = {name: field for name, field in schema["properties"].items() if name not in shared}
    required = set(schema.get("required", ()))
    if not own:
        return
    yield "| key | | meaning |"
    yield "|---|---|---|"
    for name, field in own.items():
        mark = "required" if name in required else _default(field)
        yield f"| `{name}` | {mark} | {field.get('description', '')} |"


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    if default in (None, [], ""):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _without() -> Iterator[str]:
    yield "These give nobody a list of credentials, so no source can be configured for them."
    yield ""
    yield "| provider | why not | nearest way |"
    yield "|---|---|---|"
    for entry in unlisted().values():
        yield f"| {entry['title']} | {entry['reason']} | {entry['nearest']} |"


if __name__ == "__main__":
    click.echo(page(), nl=False)
