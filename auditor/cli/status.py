"""``auditor status``: whether silence is good news."""

from datetime import timedelta
from pathlib import Path

import click

from auditor import wording
from auditor.cli.options import config_option, json_option
from auditor.cli.screen import show_fields, show_json, show_table
from auditor.config import load_config
from auditor.pipeline import utc_now
from auditor.status import Status, gather
from auditor.store import Store


@click.command()
@config_option
@json_option
def status(config_path: Path, *, as_json: bool) -> None:
    """Show the newest runs, what comes next, how old the snapshots are and what waits."""
    config = load_config(config_path)
    with Store.open(config.database_url, create=False) as store:
        found = gather(store, config, utc_now())
    if as_json:
        show_json(found)
    else:
        _show(found)


def _show(found: Status) -> None:
    outbox = found.outbox
    since = wording.duration(timedelta(seconds=outbox.oldest_age))
    oldest = f" (the oldest for {since})" if outbox.pending else ""
    show_fields(
        {
            "leader": found.leader or "no daemon runs",
            "outbox": f"{outbox.pending} waiting{oldest}, {outbox.dead} given up",
        }
    )
    if found.undelivered:
        click.echo()
        show_table(
            ((one.channel, one.waiting, one.dead, one.error) for one in found.undelivered),
            ("CHANNEL", "WAITING", "GIVEN UP", "WHY"),
        )
    if found.runs:
        click.echo()
        rows = [
            (run.id, run.status.value, run.schedule or "", wording.ago(run.started_at, found.now))
            for run in found.runs
        ]
        show_table(rows, ("RUN", "STATUS", "SCHEDULE", "STARTED"))
        _show_cut_off(found)
    if found.schedules:
        click.echo()
        show_table(
            (
                (
                    one.name,
                    wording.rfc3339(one.next_at) if one.next_at else "never",
                    f"{one.last.key} {one.last.state}" if one.last else "",
                )
                for one in found.schedules
            ),
            ("SCHEDULE", "NEXT", "LAST"),
        )
    _show_left_out(found)
    if found.snapshots:
        click.echo()
        show_table(
            (
                (
                    one.source,
                    one.organization_name or one.organization,
                    wording.ago(one.complete_at, found.now) if one.complete_at else "never",
                )
                for one in found.snapshots
            ),
            ("SOURCE", "ORGANIZATION", "READ WHOLE"),
        )
    if found.clocks:
        click.echo()
        show_table(((one.source, one.note) for one in found.clocks), ("SOURCE", "CLOCK"))


def _show_cut_off(found: Status) -> None:
    for run in found.runs:
        if run.lapsed_at is None and not run.is_awaited:
            continue
        after = "the next daemon goes on with it" if run.is_awaited else "audit again"
        why = ""
        if run.lapsed_at is not None:
            since = wording.rfc3339(run.lapsed_at.replace(microsecond=0))
            why = f": its process is gone since {since}"
        click.echo(f"Run {run.id} was cut off{why}; {after}.")


def _show_left_out(found: Status) -> None:
    rows = [
        (one.schedule, one.key, one.state, one.reason)
        for schedule in found.schedules
        for one in schedule.left_out
    ]
    if rows:
        click.echo()
        show_table(rows, ("SCHEDULE", "OCCURRENCE", "STATE", "WHY"))
