"""``auditor sources``: can we log in, what may we see, what is missing; no audit."""

import asyncio
from pathlib import Path

import click

from auditor.cli import exits
from auditor.cli.options import config_option, json_option
from auditor.cli.screen import show_json, show_table
from auditor.clocks import clocks_watched
from auditor.collectors.interface import Access, Context
from auditor.config import SourceConfig, load_config
from auditor.errors import ConfigError, SourceError
from auditor.line.clocks import remarks
from auditor.log import redact
from auditor.pipeline import utc_now


@click.group()
def sources() -> None:
    """Check what the configured sources may read."""


@sources.command()
@config_option
@click.option("--source", "names", multiple=True, help="Check only this source; may be repeated.")
@json_option
def check(config_path: Path, names: tuple[str, ...], *, as_json: bool) -> int:
    """Log in to every source and say what may be read and what is missing."""
    selected = load_config(config_path).select(names)
    found = asyncio.run(_check_all(selected))
    rows = [
        {
            "source": source,
            "subject": access.subject,
            "permission": access.permission,
            "is_granted": access.is_granted,
            "detail": access.detail,
        }
        for source, access in found
    ]
    if as_json:
        show_json(rows)
    else:
        table = [
            (
                row["source"],
                row["subject"],
                row["permission"],
                "ok" if row["is_granted"] else "MISSING",
                row["detail"],
            )
            for row in rows
        ]
        show_table(table, ("SOURCE", "SUBJECT", "PERMISSION", "ACCESS", "DETAIL"))
    return exits.CLEAN if all(row["is_granted"] for row in rows) else exits.INCOMPLETE


async def _check_all(selected: tuple[SourceConfig, ...]) -> list[tuple[str, Access]]:
    answers = await asyncio.gather(*(_check(source) for source in selected))
    return [
        (source.name, access)
        for source, accesses in zip(selected, answers, strict=True)
        for access in accesses
    ]


async def _check(source: SourceConfig) -> list[Access]:
    """A source that cannot even be opened is one row that says why."""
    context = Context(now=utc_now(), directory=source.directory, resolve=source.resolve)
    with clocks_watched(utc_now):
        try:
            collector = source.open(context)
            try:
                return await collector.check() or [_nothing(source)]
            finally:
                await collector.aclose()
        except (ConfigError, SourceError) as error:
            return [Access(source.name, "open", is_granted=False, detail=redact(str(error)))]
        finally:
            for text in remarks():
                click.echo(f"{source.name}: {text}", err=True)


def _nothing(source: SourceConfig) -> Access:
    detail = "the auditor's own credential may see none; give it access, or name what to read"
    return Access(source.name, "list organizations", is_granted=False, detail=detail)
