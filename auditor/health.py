"""Whether the auditor lives, is ready, and how it fares: for probes and for Prometheus."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from auditor import __version__, tally
from auditor.daemon import DaemonState
from auditor.errors import StoreError
from auditor.log import redact
from auditor.status import Status

SILENT = timedelta(minutes=3)
"""A daemon that has not looked for what is due for so long is not ready."""


def routes(
    gather: Callable[[], Status],
    state: Callable[[], DaemonState],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[BaseRoute]:
    """Return ``/healthz``, ``/readyz`` and ``/metrics``.

    *gather* tells how the store fares (it may raise `StoreError`), *state* how this process does.
    """

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        try:
            status: Status | None = await run_in_threadpool(gather)
            database = "ok"
        except StoreError as error:
            status, database = None, redact(str(error))
        told = readiness(status, database, state(), clock())
        return JSONResponse(told, status_code=200 if told["is_ready"] else 503)

    async def metrics(_request: Request) -> Response:
        registry = CollectorRegistry()
        registry.register(_Figures(gather, state))
        ProcessCollector(registry=registry)
        body = await run_in_threadpool(generate_latest, registry)
        return Response(body, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]


def readiness(
    status: Status | None, database: str, state: DaemonState, now: datetime
) -> dict[str, object]:
    """Return what ``/readyz`` says; a follower that knows its leader is ready, too."""
    is_ticking = state.ticked_at is not None and abs(now - state.ticked_at) < SILENT
    leader = status.leader if status else None
    has_leader = state.is_leader or leader is not None
    return {
        "is_ready": database == "ok" and is_ticking and has_leader,
        "database": database,
        "is_ticking": is_ticking,
        "is_leader": state.is_leader,
        "has_leader": has_leader,
        "is_config_current": state.reload_error is None,
    }


class _Figures(Collector):
    """Reads the figures whenever they are asked for; nothing is counted twice."""

    def __init__(self, gather: Callable[[], Status], state: Callable[[], DaemonState]) -> None:
        self._gather = gather
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; those of the store are left out while it cannot be read."""
        state = self._state()
        yield _gauge("auditor_build_info", "The version that runs.", ("version",), {__version__: 1})
        yield _one("auditor_leader", "1 where this process runs the schedules.", state.is_leader)
        yield _one("auditor_audits_running", "Audits going on.", len(state.running))
        yield _one(
            "auditor_config_current",
            "0 where the newest configuration was refused.",
            state.reload_error is None,
        )
        if state.ticked_at is not None:
            text = "When this process last looked for what is due."
            yield _one("auditor_last_tick_timestamp_seconds", text, state.ticked_at.timestamp())
        yield from _calls()
        try:
            status = self._gather()
        except StoreError:
            yield _one("auditor_database_up", "1 where the database answers.", 0)
            return
        yield _one("auditor_database_up", "1 where the database answers.", 1)
        yield from _store_figures(status)


def _calls() -> Iterator[Metric]:
    calls = CounterMetricFamily(
        "auditor_api_calls", "Requests to providers.", labels=("host", "status")
    )
    for (host, status), number in sorted(tally.calls.items()):
        calls.add_metric((host, status), number)
    yield calls
    throttled = CounterMetricFamily(
        "auditor_api_throttled", "Answers that said: too many requests.", labels=("host",)
    )
    for host, number in sorted(tally.throttled.items()):
        throttled.add_metric((host,), number)
    yield throttled
    text = "Seconds by which a provider's clock was ahead of ours when it answered last."
    yield _gauge("auditor_clock_skew_seconds", text, ("host",), tally.clock_skews)


def _store_figures(status: Status) -> Iterator[Metric]:
    age = GaugeMetricFamily(
        "auditor_snapshot_age_seconds",
        "Seconds since an organization was read whole; +Inf where it never was.",
        labels=("source", "provider", "organization"),
    )
    for one in status.snapshots:
        seconds = float("inf") if one.age is None else one.age
        age.add_metric((one.source, one.provider, one.organization), seconds)
    yield age
    for label, counts in (
        ("severity", status.findings_by_severity),
        ("policy", status.findings_by_policy),
        ("owner", status.findings_by_owner),
    ):
        name = f"auditor_findings_by_{label}"
        yield _gauge(name, f"Open findings by {label}.", (label,), counts)
    yield _one("auditor_outbox_pending", "Messages still to be sent.", status.outbox.pending)
    yield _one("auditor_outbox_dead", "Messages given up.", status.outbox.dead)
    text = "How long the oldest unsent message has waited."
    yield _one("auditor_outbox_oldest_seconds", text, status.outbox.oldest_age)
    yield from _run_figures(status)


def _run_figures(status: Status) -> Iterator[Metric]:
    took, ended = {}, {}
    for run in reversed(status.runs):
        if run.finished_at is not None:
            took[run.schedule or ""] = (run.finished_at - run.started_at).total_seconds()
            ended[run.schedule or ""] = run.finished_at.timestamp()
    label = ("schedule",)
    yield _gauge("auditor_run_duration_seconds", "How long the newest run took.", label, took)
    yield _gauge("auditor_run_finished_timestamp_seconds", "When it ended.", label, ended)
    following = {
        one.name: one.next_at.timestamp() for one in status.schedules if one.next_at is not None
    }
    yield _gauge("auditor_next_run_timestamp_seconds", "When the next starts.", label, following)
    occurrences = GaugeMetricFamily(
        "auditor_occurrences",
        "Occurrences of a schedule by what became of them.",
        labels=("schedule", "state"),
    )
    names = {one.name for one in status.schedules} | status.occurrences.keys()
    for schedule in sorted(names):
        counts = status.occurrences.get(schedule, {})
        for state in ("begun", "done", "failed", "missed", "skipped"):
            occurrences.add_metric((schedule, state), counts.get(state, 0))
    yield occurrences


def _one(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _gauge(
    name: str, text: str, labels: tuple[str], values: dict[str, int] | dict[str, float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for label, value in sorted(values.items()):
        family.add_metric((label,), value)
    return family
