"""``auditor db``: upgrade the schema, forget the old."""

from datetime import timedelta
from pathlib import Path

import click

from auditor.cli.options import config_option
from auditor.config import load_config
from auditor.errors import ConfigError
from auditor.pipeline import utc_now
from auditor.store import Store
from auditor.times import parse_duration
from auditor.wording import count, duration


@click.group()
def db() -> None:
    """Upgrade or prune the database."""


@db.command()
@config_option
def upgrade(config_path: Path) -> None:
    """Bring the database to the schema of this version; safe to repeat."""
    with Store.open(load_config(config_path).database_url):
        click.echo("The database is up to date.")


@db.command()
@config_option
@click.option("--keep", help="How long runs are kept, instead of the configured `retention.keep`.")
def prune(config_path: Path, keep: str | None) -> None:
    """Forget old runs; what open findings rest on, and what is still to be sent, stays."""
    config = load_config(config_path)
    try:
        age: timedelta | None = parse_duration(keep) if keep else config.layout.retention.keep
    except ValueError as error:
        raise ConfigError(f"--keep: {error}") from error
    if age is None:
        raise ConfigError("`retention.keep` is null: nothing is ever forgotten; give --keep.")
    with Store.open(config.database_url, create=False) as store:
        pruned = store.prune(before=utc_now() - age)
    told = ", ".join(
        count(getattr(pruned, name), name.removesuffix("s")) for name in pruned.__struct_fields__
    )
    click.echo(f"Forgot {told} older than {duration(age)}.")
