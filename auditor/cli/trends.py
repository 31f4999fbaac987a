"""``auditor trends``: how findings and their mending develop."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from auditor import wording
from auditor.cli.options import config_option, json_option
from auditor.cli.screen import show_json, show_table
from auditor.config import load_config
from auditor.errors import ConfigError
from auditor.findings.resolution_time import ResolutionTime
from auditor.line.trends import Movement, Trends
from auditor.line.trends import trends as read_trends
from auditor.store import Store

_SHOWN = 15


@click.command()
@config_option
@click.option(
    "--runs", type=click.IntRange(1), default=90, show_default=True, help="At most so many runs."
)
@json_option
def trends(config_path: Path, runs: int, *, as_json: bool) -> None:
    """Show open findings through time, and how long it takes until they are mended."""
    with Store.open(load_config(config_path).database_url, create=False) as store:
        found = read_trends(store, runs=runs)
    if found is None:
        raise ConfigError("No run has been judged yet; run `auditor audit` first.")
    if as_json:
        show_json(found)
    else:
        _show(found)


def _show(found: Trends) -> None:
    show_table(
        [
            (wording.rfc3339(one.now), one.run_id, one.credentials, one.findings, one.opened,
             one.fixed)
            for one in found.points
        ],
        ("AT", "RUN", "CREDENTIALS", "OPEN", "OPENED", "FIXED"),
    )  # fmt: skip
    times = found.time_to_resolve
    for title, moved, mended in (
        ("POLICY", found.by_policy, times.by_policy),
        ("OWNER", found.by_owner, times.by_owner),
        ("ORGANIZATION", found.by_organization, times.by_organization),
    ):
        click.echo()
        show_table(
            [_row(one, mended) for one in _named(moved, mended)],
            (title, "OPEN BEFORE", "OPEN NOW", "FIXED", "MEDIAN DAYS", "NINE IN TEN"),
        )
    if times.overall is not None:
        fixed = wording.count(times.overall.fixed, "finding")
        days = wording.count(times.overall.median_days, "day")
        click.echo(f"\n{fixed} fixed, half of them within {days}.")


def _named(moved: Sequence[Movement], mended: Mapping[str, ResolutionTime]) -> Sequence[Movement]:
    """Return the largest movements, and names of which only what was mended is left."""
    names = {one.name for one in moved}
    others = [Movement(name, 0, 0) for name in mended if name not in names]
    return [*moved, *others][:_SHOWN]


def _row(one: Movement, mended: Mapping[str, ResolutionTime]) -> tuple[object, ...]:
    time = mended.get(one.name)
    tail = (time.fixed, time.median_days, time.slowest_tenth_days) if time else (0, "-", "-")
    return (one.name or "(nobody)", one.before, one.after, *tail)
