"""``auditor deliver``: a stored run handed over again, or shown as it would be."""

import asyncio
import os
import re
from pathlib import Path

import click

from auditor.cli import exits
from auditor.cli.options import config_option, run_option
from auditor.cli.screen import safe
from auditor.config import load_config
from auditor.delivery.interface import Channel, Parcel
from auditor.errors import ConfigError, DeliveryError
from auditor.findings.view import ReportView
from auditor.line.publish import prepare_directory
from auditor.line.recall import recall
from auditor.line.setting import open_channels
from auditor.log import redact
from auditor.plugs import unknown
from auditor.store import Store


@click.command()
@config_option
@run_option
@click.option("--channel", "name", required=True, help="The delivery, by its configured name.")
@click.option("--dry-run", is_flag=True, help="Write what would be sent into --output instead.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="the current folder",
    help="Folder for --dry-run.",
)
def deliver(config_path: Path, run: str, name: str, output: Path, *, dry_run: bool) -> int:
    """Hand a stored run over through one channel, with the identity it always had.

    A receiver that remembers identities (Message-ID, idempotency key) sees it once.
    """
    config = load_config(config_path)
    known = [delivery.name for delivery in config.deliveries]
    if name not in known:
        raise ConfigError(unknown("delivery", name, known))
    if dry_run:
        prepare_directory(output)
    (channel,) = open_channels(config, [name])
    with Store.open(config.database_url, create=False) as store, recall(store, config, run) as view:
        parcels = channel.parcels(view)
        if not parcels:
            click.echo(f"Run {view.run.id} is no news for {name}; nothing would be sent.")
            return exits.CLEAN
        if dry_run:
            for parcel in parcels:
                click.echo(str(_write(channel, view, parcel, output)))
            return exits.CLEAN
        return asyncio.run(_send_all(channel, view, parcels))


def _write(channel: Channel, view: ReportView, parcel: Parcel, folder: Path) -> Path:
    """Write the bytes for one recipient; the name is made of safe characters only."""
    body = channel.render(view, parcel)
    slug = re.sub(r"[^a-z0-9]+", "-", parcel.recipient.lower()).strip("-")[:80] or "recipient"
    path = folder / f"run-{view.run.id}-{slug}{channel.suffix}"
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as out:
        out.write(body)
    unfinished.replace(path)
    return path


async def _send_all(channel: Channel, view: ReportView, parcels: list[Parcel]) -> int:
    failed = False
    for parcel in parcels:
        try:
            await channel.send(channel.render(view, parcel), parcel)
        except DeliveryError as error:
            failed = True
            click.echo(f"auditor: {safe(parcel.recipient)}: {safe(redact(str(error)))}", err=True)
        else:
            click.echo(f"Sent to {safe(parcel.recipient)}.")
    return exits.INCOMPLETE if failed else exits.CLEAN
