"""The first two steps: ask every source what it holds, and save what was seen before judging it.

This is the boundary of a source: whatever goes wrong inside one ends here, as coverage.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from auditor.clocks import clocks_watched
from auditor.collectors.interface import Collector, Context, Gap, Note, Page, Unit
from auditor.config import SourceConfig
from auditor.errors import ConfigError, SourceError, Unavailable, UnexpectedResponse
from auditor.line.clocks import remarks
from auditor.line.hold import LEASE
from auditor.log import redact
from auditor.model import Coverage, Credential
from auditor.store import Hold, Spool, Store
from auditor.times import format_duration

log = structlog.get_logger()

MAX_RUNTIME = "max_runtime"
"""The reason of what was not read because the run's time was over."""


@dataclass(frozen=True)
class ReadingTime:
    """How long a run may read; what it has not read by then is not covered."""

    limit: timedelta | None
    until: float
    """On the clock of the loop."""

    @classmethod
    def begun_now(cls, limit: timedelta | None) -> "ReadingTime":
        """Return the time that begins now; None sets no limit."""
        now = asyncio.get_running_loop().time()
        return cls(limit, math.inf if limit is None else now + limit.total_seconds())

    @property
    def is_over(self) -> bool:
        """Whether nothing more is read."""
        return asyncio.get_running_loop().time() >= self.until

    def at_most(self, deadline: timedelta) -> asyncio.Timeout:
        """Return what ends a reading after *deadline*, or earlier, when the time is over."""
        now = asyncio.get_running_loop().time()
        return asyncio.timeout_at(min(now + deadline.total_seconds(), self.until))


@dataclass
class Collecting:
    """What the collect step of one run works with."""

    store: Store
    hold: Hold
    classify: Callable[[Credential], Credential]
    """Adds what the auditor knows to what the provider said: privilege and owner."""
    clock: Callable[[], datetime]
    """Tells the time; the run itself has one instant."""
    time: ReadingTime
    accept_drop: bool = False
    progress: Callable[[str, str, int], None] = field(default=lambda _source, _what, _n: None)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One transaction at a time; reading goes on while one is written."""

    @property
    def run_id(self) -> int:
        """The run."""
        return self.hold.run_id


async def collect(
    step: Collecting, sources: Sequence[SourceConfig], now_for: Callable[[SourceConfig], datetime]
) -> None:
    """Read *sources* side by side and save them.

    What this run has read before, in a process that was cut short, is not read again.
    """
    await _side_by_side([_collect_source(step, source, now_for(source)) for source in sources])


async def _side_by_side(parts: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await *parts* together; the first that fails for good (the store) ends them all."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
    except BaseExceptionGroup as failures:
        raise _first_leaf(failures) from failures


def _first_leaf(error: BaseException) -> BaseException:
    return _first_leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _collect_source(step: Collecting, source: SourceConfig, now: datetime) -> None:
    with (
        structlog.contextvars.bound_contextvars(source=source.name),
        clocks_watched(step.clock),
    ):
        try:
            collector = source.open(_context(step, source, now))
        except (ConfigError, SourceError) as error:
            await _fail(step, source, error)
            return
        try:
            units = await _units(step, collector)
        except SourceError as error:
            await _fail(step, source, error)
        else:
            await _read_units(step, source, collector, units, now)
        finally:
            await collector.aclose()


def _context(step: Collecting, source: SourceConfig, now: datetime) -> Context:
    return Context(
        now=now,
        directory=source.directory,
        resolve=source.resolve,
        previous=lambda organization: step.store.previous(source.name, organization),
        known_organizations=lambda: step.store.known_organizations(source.name, source.provider),
        progress=lambda what, n: step.progress(source.name, what, n),
    )


async def _units(step: Collecting, collector: Collector) -> list[Unit]:
    if step.time.is_over:
        raise _too_slow(step, collector)
    try:
        async with step.time.at_most(collector.options.deadline):
            return await collector.units()
    except SourceError:
        raise
    except TimeoutError as error:
        raise _too_slow(step, collector) from error
    except Exception as error:
        raise _unforeseen(error) from error


async def _collect_units(
    step: Collecting, source: SourceConfig, collector: Collector, units: list[Unit], now: datetime
) -> None:
    places = asyncio.Semaphore(collector.units_at_once)

    async def one(unit: Unit) -> None:
        async with places:
            await _collect_unit(step, source, collector, unit, now)

    await _side_by_side([one(unit) for unit in units])


async def _read_units(
    step: Collecting, source: SourceConfig, collector: Collector, units: list[Unit], now: datetime
) -> None:
    if not units and not list(collector.context.known_organizations()):
        await _fail(step, source, _nothing_listed(source))
        return
    await _collect_units(step, source, collector, units, now)
    await _settle_missing(step, source, collector, units, now)


async def _settle_missing(
    step: Collecting, source: SourceConfig, collector: Collector, units: list[Unit], now: datetime
) -> None:
    """Say what became of organizations that this source used to list.

    A unit whose organization could not be told may be any of them, so then nothing is said.
    """
    if any(unit.organization is None for unit in units):
        return
    async with step.writing:
        await asyncio.to_thread(
            step.store.missing_units,
            step.run_id,
            source=source.name,
            provider=source.provider,
            listed=units,
            now=now,
            is_deselected=not collector.reads_all,
            accept_drop=step.accept_drop,
        )


async def _collect_unit(
    step: Collecting, source: SourceConfig, collector: Collector, unit: Unit, now: datetime
) -> None:
    async with step.writing:
        claim = await asyncio.to_thread(
            step.store.claim,
            step.run_id,
            source=source.name,
            provider=source.provider,
            unit=unit,
            owner=step.hold.holder,
            lease=LEASE,
        )
    if claim is None:  # done before an interruption; or taken over, as judging will find
        return
    with Spool() as spool:
        error = await _fill(spool, step, source, collector, unit)
        for text in remarks():
            spool.append(Note(text, unit.organization))
        async with step.writing:
            coverage = await asyncio.to_thread(
                step.store.write_unit,
                step.run_id,
                source=source.name,
                provider=source.provider,
                unit=unit,
                spool=spool,
                error=error,
                now=now,
                accept_drop=step.accept_drop,
                classify=step.classify,
                claim=claim,
            )
    for part in coverage:
        _log_coverage(part)


async def _fill(
    spool: Spool, step: Collecting, source: SourceConfig, collector: Collector, unit: Unit
) -> SourceError | None:
    """Move what *unit* yields into *spool*; returns what ended it early, if anything did."""
    if step.time.is_over:
        return _too_slow(step, collector)
    try:
        async with (
            step.time.at_most(collector.options.deadline),
            aclosing(collector.collect(unit)) as items,  # type: ignore[type-var]
        ):
            async for item in items:
                spool.append(item)
                if isinstance(item, Page):
                    step.progress(source.name, "credentials", len(item.credentials))
                elif isinstance(item, Gap):
                    log.warning("source.gap", reason=item.reason, detail=item.message)
    except SourceError as error:
        return error
    except TimeoutError:
        return _too_slow(step, collector)
    except Exception as error:  # noqa: BLE001 - one organization's surprise must not end the run
        return _unforeseen(error)
    return None


async def _fail(step: Collecting, source: SourceConfig, error: ConfigError | SourceError) -> None:
    if isinstance(error, ConfigError):
        failure: SourceError = UnexpectedResponse(str(error))
        failure.kind = "configuration"
    else:
        failure = error
    async with step.writing:
        coverage = await asyncio.to_thread(
            step.store.fail_source,
            step.run_id,
            source=source.name,
            provider=source.provider,
            error=failure,
            notes=list(remarks()),
        )
    for part in coverage:
        _log_coverage(part)


def _nothing_listed(source: SourceConfig) -> SourceError:
    """Return the failure of a login that sees nothing: that is no proof that all is well."""
    failure = UnexpectedResponse(
        f"{source.name} lists no organization for the auditor's own credential, so nothing was "
        "read; give it access, or name what to read"
    )
    failure.kind = "nothing_listed"
    return failure


def _too_slow(step: Collecting, collector: Collector) -> Unavailable:
    options = collector.options
    if step.time.limit is not None and step.time.is_over:
        failure = Unavailable(
            f"{options.name} was not read to its end within `max_runtime` of the schedule "
            f"({format_duration(step.time.limit)}); raise it, or give the source another schedule"
        )
        failure.kind = MAX_RUNTIME
        return failure
    return Unavailable(
        f"{options.name} was not read within its deadline of {options.deadline}; "
        "raise `deadline` of this source or narrow it"
    )


def _unforeseen(error: Exception) -> SourceError:
    """Record a defect as what it is, with its traceback in the log, and go on."""
    log.error("source.crashed", exc_info=error)
    failure = UnexpectedResponse(
        f"reading stopped on an unforeseen {type(error).__name__}; the log has the details"
    )
    failure.kind = "internal_error"
    return failure


def _log_coverage(coverage: Coverage) -> None:
    facts = {
        "source": coverage.source,
        "organization": coverage.organization.id if coverage.organization else None,
        "status": coverage.status.value,
        "credentials": coverage.credentials,
    }
    if coverage.reason:
        facts |= {"reason": coverage.reason, "error": redact(coverage.error or "")}
        log.warning("source.collected", **facts)
    else:
        log.info("source.collected", **facts)
