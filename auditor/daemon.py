"""When audits run: a clock that ticks, schedules that are due, signals that end it.

APScheduler gives the tick and nothing else: what is due is computed from instants, and what was
done is remembered by the ledger, so that neither a restart nor a clock change loses or repeats an
occurrence. Of several daemons on one database one leads and the others stand by.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from auditor.errors import AuditorError, StoreError
from auditor.planning import Ledger, Planning, Start
from auditor.schedule import Occurrence, ScheduleOptions
from auditor.signals import signals
from auditor.store import DatabaseReplaced, Leadership
from auditor.systemd import keep_watchdog, notify
from auditor.times import format_duration

log = structlog.get_logger()

TICK = timedelta(seconds=15)
GRACE = timedelta(seconds=30)
"""How long running work may take after SIGTERM; below the 90 seconds of systemd."""
_UNWIND = 5
"""Seconds for cancelled work to roll back what it began."""
OVERTIME = timedelta(minutes=15)
"""How long an audit whose reading was stopped by ``max_runtime`` may still judge and report."""
_TIDY_EVERY = timedelta(days=1)

RunSchedule = Callable[[ScheduleOptions, Occurrence, bool], Awaitable[None]]
"""Audits what a schedule names, for an occurrence; the flag says that it catches up."""


async def _nothing() -> None:
    """Leave everything as it is."""


@dataclass(frozen=True)
class Work:
    """What a daemon does: the part of it that a new configuration replaces as a whole."""

    schedules: Sequence[ScheduleOptions]
    run_schedule: RunSchedule
    deliver: Callable[[], Awaitable[object]]
    """Works off the outbox."""
    tidy: Callable[[], Awaitable[object]] = _nothing
    """Forgets what is old; called once a day while nothing else goes on."""


@dataclass(frozen=True)
class DaemonState:
    """How a daemon fares."""

    is_leader: bool
    ticked_at: datetime | None
    """When it last looked for what is due."""
    running: tuple[str, ...]
    """Schedule and occurrence of the audits that go on."""
    reload_error: str | None
    """Why the newest configuration was refused; None where it is in force."""


@dataclass(frozen=True)
class Once:
    """What was due at one look, by schedule and occurrence."""

    done: tuple[str, ...]
    failed: tuple[str, ...]
    """Those that failed, or were cut short and will be taken up again."""
    is_interrupted: bool = False
    """Whether Ctrl-C ended it."""


class Daemon:
    """Runs what is due until it is told to stop.

    *load* gives new work at SIGHUP, *clock* tells the time. One audit runs at a time: those of
    different schedules queue, one whose predecessor still runs is skipped.
    """

    def __init__(
        self,
        work: Work,
        *,
        ledger: Ledger,
        leadership: Leadership,
        load: Callable[[], Work] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        tick_every: timedelta = TICK,
        grace: timedelta = GRACE,
        overtime: timedelta = OVERTIME,
    ) -> None:
        self._work = work
        self._planning = Planning(ledger)
        self._leadership = leadership
        self._load = load or (lambda: work)
        self._clock = clock
        self._tick_every = tick_every
        self._grace = grace
        self._overtime = overtime
        self._one_at_a_time = asyncio.Lock()
        self._running: dict[str, asyncio.Task[bool]] = {}
        self._delivering: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._is_reload_wanted = False
        self._stop = asyncio.Event()
        self._ended_by: DatabaseReplaced | None = None
        self._is_leader = False
        self._ticked_at: datetime | None = None
        self._tidied_at: datetime | None = None
        self._reload_error: str | None = None

    def state(self) -> DaemonState:
        """Return how it fares now."""
        running = tuple(task.get_name() for task in self._running.values() if not task.done())
        return DaemonState(self._is_leader, self._ticked_at, running, self._reload_error)

    async def run(self) -> int:
        """Tick until SIGTERM or SIGINT, let running work end, and return the exit code.

        Raises `DatabaseReplaced` where there is nothing left to work on.
        """
        scheduler = AsyncIOScheduler(timezone=UTC)
        scheduler.add_job(
            self.tick,
            "interval",
            seconds=self._tick_every.total_seconds(),
            next_run_time=datetime.now(UTC),
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )
        watchdog = asyncio.create_task(keep_watchdog())
        with self._obeying(self._reload_soon) as received:
            scheduler.start()
            log.info("daemon.started", schedules=[one.name for one in self._work.schedules])
            notify("READY=1")
            try:
                await self._stop.wait()
            finally:
                notify("STOPPING=1")
                scheduler.shutdown(wait=False)
                await self._drain()
                watchdog.cancel()
                await self._resign()
            log.info("daemon.stopped")
        if self._ended_by is not None:
            raise self._ended_by
        return 130 if received == [signal.SIGINT] else 0

    async def once(self) -> Once | None:
        """Run what is due now, work off the outbox and return: for cron and Kubernetes.

        None where another daemon leads, whose business it is then. Signals are obeyed as by `run`.
        """
        with self._obeying(lambda: None) as received:
            try:
                await self.tick()
                if self._ended_by is not None:
                    raise self._ended_by
                if not self._is_leader:
                    return None
                tasks = list(self._running.values())
                await self._to_the_end(tasks)
                done = [task for task in tasks if not task.cancelled() and task.result()]
                return Once(
                    done=tuple(task.get_name() for task in done),
                    failed=tuple(task.get_name() for task in tasks if task not in done),
                    is_interrupted=received == [signal.SIGINT],
                )
            finally:
                await self._resign()

    async def _to_the_end(self, tasks: Sequence[asyncio.Task[bool]]) -> None:
        """Await *tasks* and all deliveries, or, once told to stop, what ends in time."""

        async def everything() -> None:
            await asyncio.wait([*tasks, *([self._delivering] if self._delivering else [])])
            self._delivering = asyncio.create_task(self._work_off(), name="outbox")
            await asyncio.wait([self._delivering])

        working = asyncio.create_task(everything())
        told = asyncio.create_task(self._stop.wait())
        await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await self._drain()
        told.cancel()
        working.cancel()
        await asyncio.wait({working})

    async def tick(self) -> None:
        """Start what is due, and one pass over the outbox unless the last one still goes on."""
        now = self._clock()
        self._ticked_at = now
        if not await self._leads():
            return
        busy = {name for name, task in self._running.items() if not task.done()}
        work = self._work
        for start in await asyncio.to_thread(self._planning.starts, work.schedules, busy, now):
            self._running[start.schedule.name] = asyncio.create_task(
                self._audit(work, start), name=f"{start.schedule.name} {start.occurrence.key}"
            )
        if self._delivering is None or self._delivering.done():
            is_idle = all(task.done() for task in self._running.values())
            work_off = self._work_off(now if is_idle else None)
            self._delivering = asyncio.create_task(work_off, name="outbox")

    async def _leads(self) -> bool:
        try:
            leads = await asyncio.to_thread(self._leadership.hold)
        except DatabaseReplaced as error:  # an end: what is done from now on would be lost
            self._ended_by = error
            self._stop.set()
            return False
        except StoreError as error:  # whoever else leads meanwhile, fences keep us apart
            log.error("leadership.unknown", error=str(error))  # noqa: TRY400 - the sentence says it
            return False
        if leads != self._is_leader:
            log.info("leadership.taken" if leads else "leadership.lost")
            self._is_leader = leads
            if not leads:
                for task in self._running.values():
                    task.cancel()
        return leads

    async def _resign(self) -> None:
        self._is_leader = False
        with suppress(StoreError):  # then the lease runs out by itself
            await asyncio.to_thread(self._leadership.release)

    def _obeying(
        self, reload: Callable[[], None]
    ) -> AbstractContextManager[Sequence[signal.Signals]]:
        last = self._grace.total_seconds() + 2 * _UNWIND
        return signals(self._stop, reload, end_after=last)

    def _reload_soon(self) -> None:
        self._is_reload_wanted = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload_as_often_as_wanted())

    async def _reload_as_often_as_wanted(self) -> None:
        """Read the configuration until nobody has asked for it since it was read last."""
        while self._is_reload_wanted:
            self._is_reload_wanted = False
            await self.reload()

    async def reload(self) -> None:
        """Take the new configuration, or keep the old one whole and say why.

        Audits that go on end under the configuration they began with.
        """
        try:
            self._work = await asyncio.to_thread(self._load)
        except AuditorError as error:
            self._reload_error = str(error)
            log.error("config.rejected", error=str(error), in_force="the former one")  # noqa: TRY400
        else:
            self._reload_error = None
            log.info("config.reloaded", schedules=[one.name for one in self._work.schedules])

    async def _audit(self, work: Work, start: Start) -> bool:
        """Run an occurrence and tell whether it came to its end."""
        schedule = start.schedule
        facts = {"schedule": schedule.name, "occurrence": start.occurrence.key}
        limit = schedule.max_runtime
        last = None if limit is None else limit + self._overtime
        failure: str | None = None
        async with self._one_at_a_time:
            if self._stop.is_set():  # it waited for another one; the next daemon takes it up
                return False
            log.info("occurrence.started", is_catch_up=start.is_catch_up, **facts)
            try:
                async with asyncio.timeout(last.total_seconds() if last else None):
                    await work.run_schedule(schedule, start.occurrence, start.is_catch_up)
            except TimeoutError:
                failure = f"stopped after {format_duration(last or timedelta())} (max_runtime)"
            except StoreError as error:  # it goes on when the database is back
                log.error("occurrence.interrupted", error=str(error), **facts)  # noqa: TRY400
                self._planning.put_off(start, self._clock())
                return False
            except AuditorError as error:
                failure = str(error)
            except Exception as error:
                log.exception("occurrence.failed", **facts)  # the other schedules go on
                failure = f"unforeseen {type(error).__name__}"
        if failure is None:
            log.info("occurrence.finished", **facts)
        else:
            log.error("occurrence.failed", reason=failure, **facts)
        with suppress(StoreError):  # then it is taken up again, and nothing is left to do
            await asyncio.to_thread(self._planning.finish, start, failure)
        return failure is None

    async def _work_off(self, tidy_at: datetime | None = None) -> None:
        work = self._work
        try:
            await work.deliver()
            if tidy_at and (self._tidied_at is None or tidy_at - self._tidied_at >= _TIDY_EVERY):
                self._tidied_at = tidy_at
                await work.tidy()
        except AuditorError as error:
            log.error("outbox.unreadable", error=str(error))  # noqa: TRY400 - the sentence says it
        except Exception:
            log.exception("outbox.failed")  # the next tick tries again

    async def _drain(self) -> None:
        """Let running work end within the grace period, then cancel it and let it roll back."""
        tasks = {task for task in (*self._running.values(), self._delivering) if task is not None}
        tasks = {task for task in tasks if not task.done()}
        if not tasks:
            return
        names = sorted(task.get_name() for task in tasks)
        log.info("daemon.draining", waiting_for=names, seconds=self._grace.total_seconds())
        _, late = await asyncio.wait(tasks, timeout=self._grace.total_seconds())
        for task in late:
            task.cancel()
        if late:
            log.warning("daemon.cancelled", work=sorted(task.get_name() for task in late))
            await asyncio.wait(late, timeout=_UNWIND)
