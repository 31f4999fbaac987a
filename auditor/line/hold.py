"""A run begins, or goes on where it was cut short; nobody else may end it while it is held."""

import asyncio
import os
import socket
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from msgspec import Struct

from auditor.errors import StoreError
from auditor.line.setting import Setting
from auditor.store import FIRST_FENCE, Hold, StaleClaim, Store

log = structlog.get_logger()

T = TypeVar("T")

LEASE = timedelta(minutes=5)
"""A run whose process has been silent for so long may be taken over by another one."""


class Begun(Struct, frozen=True):
    """A run and what it was begun with."""

    hold: Hold
    started_at: datetime
    now: datetime
    is_judged: bool = False
    """Whether a process judged it and was cut short before everything was handed over."""


def begin(store: Store, setting: Setting, started_at: datetime) -> Begun:
    """Begin a run; the occurrence of a schedule that has its run already goes on with that one.

    The run keeps its number and its instant, and is judged by the policies of now.
    """
    order, holder = setting.order, f"{socket.gethostname()}:{os.getpid()}"
    store.leases.reap(started_at)
    if order.schedule is not None and order.occurrence is not None:
        found = store.leases.find(order.schedule, order.occurrence)
        if found is not None:
            hold = store.leases.take(found, holder=holder, lease=LEASE, context=setting.context)
            record = store.run(found)
            log.info("run.resumed", run=found, is_judged=record.is_judged)
            return Begun(hold, record.started_at, record.now, record.is_judged)
    run_id = store.begin_run(
        now=setting.now,
        started_at=started_at,
        is_as_of=setting.is_as_of,
        schedule=order.schedule,
        occurrence=order.occurrence,
        context=setting.context,
        holder=holder,
        lease=LEASE,
    )
    hold = Hold(run_id=run_id, fence=FIRST_FENCE, holder=holder)
    return Begun(hold, started_at, setting.now)


async def while_held(store: Store, hold: Hold, work: Awaitable[T]) -> T:
    """Await *work*, renewing the run's lease; raises `StaleClaim` where another took the run."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=LEASE.total_seconds() / 5)
            if not task.done() and not await _renew(store, hold):
                raise StaleClaim(
                    f"run {hold.run_id} was taken over by another process; this one stopped"
                )
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


async def _renew(store: Store, hold: Hold) -> bool:
    try:
        return await asyncio.to_thread(store.leases.renew, hold, LEASE)
    except StoreError as error:  # the database is away: whoever took the run will be obeyed later
        log.warning("run.lease_not_renewed", run=hold.run_id, error=str(error))
        return True
