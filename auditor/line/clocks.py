"""Says that a provider's clock and ours differ, so that nobody wonders about odd ages."""

from collections.abc import Iterator
from datetime import timedelta

import structlog

from auditor import wording
from auditor.clocks import watching

log = structlog.get_logger()

BEGINNING = "The clock of "
"""How every remark begins, by which it is found again among the notes of a coverage."""


def remarks() -> Iterator[str]:
    """Yield what the watch of this task has found out since it was asked last, and log it."""
    watch = watching()
    for host, apart in watch.news() if watch is not None else ():
        log.warning("source.clock_differs", host=host, seconds=round(apart.total_seconds()))
        side = "ahead of" if apart > timedelta(0) else "behind"
        minutes = timedelta(minutes=round(apart / timedelta(minutes=1)))
        yield (
            f"{BEGINNING}{host} is {wording.duration(minutes)} {side} this machine's, so ages "
            "may be wrong by as much; compare this machine's clock with a time server."
        )
