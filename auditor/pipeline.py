"""The line: collect → snapshot → evaluate → reconcile → summarize → render → deliver."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from auditor import __version__
from auditor.config import Config
from auditor.errors import StoreError
from auditor.findings.exception_review import announced, lapsed
from auditor.findings.priority import first_to_deal_with
from auditor.findings.view import ReportView, RunInfo
from auditor.line.collect import MAX_RUNTIME, Collecting, ReadingTime, collect
from auditor.line.coverage import counts_as_incomplete, told_coverage, worsened
from auditor.line.heartbeat import heartbeats
from auditor.line.hold import begin, while_held
from auditor.line.judge import Judging
from auditor.line.neighbours import Neighbourhood
from auditor.line.outcome import Outcome, pack_outcome
from auditor.line.past import StoredPast
from auditor.line.publish import publish
from auditor.line.ranked import RankedFindings
from auditor.line.recall import recall
from auditor.line.setting import Order, Setting, prepare
from auditor.line.ship import failures, ship
from auditor.line.trend import history_from, point, trend_until
from auditor.model import Change, Coverage, Finding, FindingStatus, RunStatus
from auditor.store import Hold, Store

__all__ = ["Order", "Result", "audit", "utc_now"]

log = structlog.get_logger()

FIRST = 5
"""How many credentials a `Result` names; the reports have them all."""


def utc_now() -> datetime:
    """Return the clock's time."""
    return datetime.now(UTC)


def _silent(_source: str, _what: str, _more: int) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    view: ReportView
    """Without its findings, which are in the store and the reports."""
    first: tuple[Finding, ...]
    """The worst finding of each credential to deal with first."""
    new_by_severity: Counter[str]
    """Findings opened in this run."""
    reports: tuple[Path, ...]
    failures: tuple[str, ...]
    """A sentence for each report or delivery that failed."""
    is_incomplete: bool
    """Whether a source, report or delivery failed or was partial, known gaps aside."""

    @property
    def is_cut_short(self) -> bool:
        """Whether ``max_runtime`` ended the reading; what was read by then was judged."""
        return any(part.reason == MAX_RUNTIME for part in self.view.coverage)


@dataclass
class _Run:
    """One pass while it lasts."""

    hold: Hold
    started_at: datetime
    store: Store
    setting: Setting
    ranked: RankedFindings
    clock: Callable[[], datetime]
    progress: Callable[[str, str, int], None]

    @property
    def id(self) -> int:
        """Its number."""
        return self.hold.run_id


async def audit(
    config: Config,
    order: Order,
    *,
    clock: Callable[[], datetime] = utc_now,
    progress: Callable[[str, str, int], None] = _silent,
) -> Result:
    """Walk the line once; raises `ConfigError` before anything is read, `StoreError` later."""
    setting = prepare(config, order, clock())
    started_at = clock()
    # The loop never waits for the database: probes, signals and the watchdog are answered on it.
    with (
        await _opened(config.database_url) as store,
        RankedFindings() as ranked,
    ):
        begun = await asyncio.to_thread(begin, store, setting, started_at)
        setting = replace(setting, now=begun.now)
        run = _Run(begun.hold, begun.started_at, store, setting, ranked, clock, progress)
        walk = _hand_over_again if begun.is_judged else _walk
        with structlog.contextvars.bound_contextvars(run=run.id):
            try:
                return await while_held(store, begun.hold, walk(run))
            except BaseException as error:
                await asyncio.to_thread(_note_end, run, error)
                raise


async def _opened(url: str) -> Store:
    """Open the store beside the loop; who is cancelled meanwhile leaves it closed."""
    opening = asyncio.create_task(asyncio.to_thread(Store.open, url))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise


def _close(opening: asyncio.Task[Store]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def _walk(run: _Run) -> Result:
    setting = run.setting
    step = Collecting(
        run.store,
        run.hold,
        setting.classify,
        run.clock,
        ReadingTime.begun_now(setting.order.max_runtime),
        accept_drop=setting.order.accept_drop,
        progress=run.progress,
    )
    await collect(step, setting.sources, setting.now_for)
    coverage = await asyncio.to_thread(
        told_coverage, run.store, run.id, setting.config, setting.now
    )
    neighbourhood = Neighbourhood(
        run.store,
        run.id,
        setting.policies,
        now=setting.now,
        sources=setting.configured,
        needs_siblings=setting.needs_siblings,
    )
    judging = Judging(setting, run.ranked, neighbourhood)
    view = await asyncio.to_thread(_judge, run, judging, coverage)
    return await _hand_over(run, view, judging.new_by_severity)


async def _hand_over(run: _Run, view: ReportView, new_by_severity: Counter[str]) -> Result:
    """Write the reports and send what is to be sent of a judged run."""
    setting = run.setting
    reports, failed = await asyncio.to_thread(publish, view, setting.formats, setting.directory)
    if setting.order.deliver:
        sent = await ship(run.store, setting.config, setting.channels, run.clock, view)
        failed += failures(sent)
    is_incomplete = bool(failed) or counts_as_incomplete(view.coverage)
    if failed and view.run.status is RunStatus.COMPLETE:
        finished_at = view.run.finished_at
        await asyncio.to_thread(
            run.store.finish_run, run.id, status=RunStatus.INCOMPLETE, finished_at=finished_at
        )
    return Result(
        view=view,
        first=tuple(first_to_deal_with(view.findings(), FIRST)),
        new_by_severity=new_by_severity,
        reports=tuple(reports),
        failures=tuple(failed),
        is_incomplete=is_incomplete,
    )


async def _hand_over_again(run: _Run) -> Result:
    """Do what a process that was cut short after judging had left to do: the same reports."""
    with ExitStack() as stack:
        view, opened = await asyncio.to_thread(_recalled, run, stack)
        return await _hand_over(run, view, opened)


def _recalled(run: _Run, stack: ExitStack) -> tuple[ReportView, Counter[str]]:
    view = stack.enter_context(recall(run.store, run.setting.config, str(run.id)))
    opened = Counter(
        finding.state.severity.value
        for finding in view.findings()
        if finding.state.change is Change.OPENED and finding.state.status is FindingStatus.OPEN
    )
    return view, opened


def _judge(run: _Run, judging: Judging, coverage: Sequence[Coverage]) -> ReportView:
    """Judge what was read; findings, run and parcels commit together or not at all."""
    setting = run.setting
    selected, configured = setting.selected, setting.configured
    silent = heartbeats(run.store, setting.channels, run.clock())
    judging.neighbourhood.gather(coverage)
    with run.store.judging(run.id, selected=selected, configured=configured, hold=run.hold) as book:
        judging.judge(book)
        is_incomplete = counts_as_incomplete(coverage)
        info = RunInfo(
            id=run.id,
            started_at=run.started_at,
            finished_at=run.clock(),
            now=setting.now,
            is_as_of=setting.is_as_of,
            status=RunStatus.INCOMPLETE if is_incomplete else RunStatus.COMPLETE,
            tool_version=__version__,
            schedule=setting.order.schedule,
        )
        outcome = Outcome(
            info,
            judging.summary.build(coverage),
            judging.not_evaluable.build(),
            judging.compliance.build(),
            announced(setting.exceptions, setting.now, setting.notice),
            judging.resolution_times.mended(),
            lapsed(setting.exceptions, setting.now),
            tuple(channel.options.name for channel in setting.channels),
        )
        view = ReportView(
            run=info,
            coverage=tuple(coverage),
            summary=outcome.summary,
            not_evaluable=outcome.not_evaluable,
            findings=lambda: iter(run.ranked),
            credentials=lambda: run.store.credentials(run.id),
            trend=(*trend_until(run.store, run.id - 1), point(info, outcome.summary)),
            history=history_from(run.store, run.id),
            compliance=outcome.compliance,
            ending_exceptions=outcome.ending_exceptions,
            coverage_worsened=worsened(run.store, run.id, coverage),
            heartbeats=silent,
            ended_exceptions=outcome.ended_exceptions,
            certainties=setting.explainer.certainties,
            past=StoredPast(run.store, setting.config, info, coverage, setting.explainer),
        )
        for channel in setting.channels:
            book.enqueue(channel.options.name, channel.parcels(view))
        book.finish(status=info.status, finished_at=info.finished_at, summary=pack_outcome(outcome))
    return view


def _note_end(run: _Run, error: BaseException) -> None:
    """Remember that a run was cut short, so that nobody takes it for an empty one."""
    is_interrupted = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
    status = RunStatus.INTERRUPTED if is_interrupted else RunStatus.FAILED
    try:
        run.store.leases.end(run.hold, status=status, finished_at=run.clock())
    except StoreError:
        log.warning("run.end_not_recorded", status=status.value)
