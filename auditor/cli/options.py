"""Options that several commands share."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class InstantParam(click.ParamType[datetime]):
    """An RFC 3339 instant, or a date that stands for its midnight UTC."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return *value* as an aware UTC datetime."""
        if isinstance(value, datetime):
            return value
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write it like 2026-03-01T03:00:00Z", param, ctx)
        if parsed.tzinfo is None:
            if len(value) > len("2026-03-01"):
                self.fail(f"{value!r} lacks its offset; add Z for UTC", param, ctx)
            parsed = parsed.replace(tzinfo=UTC)
        return parsed.astimezone(UTC)


def config_option(command: F) -> F:
    """Add ``-c``; the default is ``$AUDITOR_CONFIG``, then ``./config.yaml``."""
    return click.option(
        "-c",
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        envvar="AUDITOR_CONFIG",
        default=Path("config.yaml"),
        show_envvar=True,
        show_default="./config.yaml",
        help="Configuration file.",
    )(command)


def json_option(command: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(
        command
    )


def run_option(command: F) -> F:
    """Add ``--run``."""
    return click.option(
        "--run", "run", default="latest", show_default=True, help="Run id, or `latest`."
    )(command)


def format_option(command: F) -> F:
    """Add ``--format``, which may be repeated."""
    return click.option(
        "--format", "formats", multiple=True, help="Report format; repeat for several."
    )(command)


def output_option(command: F) -> F:
    """Add ``--output``."""
    return click.option(
        "--output",
        "output",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder for the reports instead of the configured one.",
    )(command)
