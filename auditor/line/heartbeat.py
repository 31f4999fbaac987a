"""Channels that speak up after a long silence: a dead auditor must not pass for good news."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from auditor.delivery.interface import Channel
from auditor.store import Store

_EARLY = timedelta(hours=1)
"""A weekly run that ends a little earlier than last week's is not put off for another week."""


def heartbeats(store: Store, channels: Sequence[Channel], now: datetime) -> frozenset[str]:
    """Return the names of the channels whose ``heartbeat`` is due at *now*.

    The silence begins with the last message, or with the first run where there was none.
    """
    due = set()
    for channel in channels:
        options = channel.options
        longest: timedelta | None = getattr(options, "heartbeat", None)
        if longest is None:
            continue
        since = store.outbox.newest(options.name) or store.first_run_at()
        if since is not None and now - since >= longest - min(_EARLY, longest / 10):
            due.add(options.name)
    return frozenset(due)
