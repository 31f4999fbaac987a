"""``auditor review``: what owners have to confirm."""

from collections import Counter
from pathlib import Path

import click

from auditor import wording
from auditor.cli.options import config_option, json_option, run_option
from auditor.cli.screen import safe, show_json_lines, show_table
from auditor.config import load_config
from auditor.line.recall import run_number
from auditor.line.review import Reviewable, ReviewStatus, review_policy, reviewables
from auditor.store import Store

_HEAD = ("OWNER", "STATUS", "SINCE", "PRIVILEGE", "CREDENTIAL", "UID")


@click.command()
@config_option
@run_option
@click.option("--owner", help="Only this owner; an empty text for what nobody owns.")
@click.option("--all", "is_all", is_flag=True, help="What was confirmed in time as well.")
@json_option
def review(config_path: Path, run: str, owner: str | None, *, is_all: bool, as_json: bool) -> None:
    """List the credentials that their owners have to confirm, by owner.

    A decision is an entry in the file that `reviews:` names; nothing is written here.
    """
    config = load_config(config_path)
    policies = review_policy(config)
    with Store.open(config.database_url, create=False) as store:
        known = reviewables(store, store.run(run_number(run)).id, policies)
        found = [
            one
            for one in known
            if (is_all or one.status is not ReviewStatus.CONFIRMED)
            and (owner is None or one.owner == owner)
        ]
    found.sort(key=lambda one: (one.owner == "", one.owner, one.organization, one.uid))
    if as_json:
        show_json_lines(found)
        return
    counts = Counter(one.owner for one in found if one.status is not ReviewStatus.CONFIRMED)
    named = wording.listing(f"{safe(who or 'nobody')} {n:,}" for who, n in sorted(counts.items()))
    total = wording.count(counts.total(), "credential")
    click.echo(f"{total} to confirm" + (f", by owner: {named}." if counts else "."))
    if found:
        show_table(map(_row, found), _HEAD)
    if config.layout.reviews is None:
        click.echo("Confirm them in a file and name it under `reviews:` in the configuration.")


def _row(one: Reviewable) -> tuple[object, ...]:
    return (
        one.owner or "(nobody)",
        one.status.value,
        wording.rfc3339(one.reviewed_at)[:10] if one.reviewed_at else "-",
        one.privilege,
        f"{one.organization} / {one.name}",
        one.uid,
    )
