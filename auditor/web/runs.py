"""Past runs: the list, one run, trends, coverage, schedules, and reports to take away."""

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from auditor import plugs
from auditor.errors import ConfigError
from auditor.line.outcome import unpack_outcome
from auditor.line.publish import format_named
from auditor.line.recall import recall
from auditor.line.trend import point
from auditor.reports.interface import ReportFormat
from auditor.schedule import ScheduleOptions, next_occurrence
from auditor.store.records import RunRecord
from auditor.store.runs import UnknownRun
from auditor.web.lookup import offset
from auditor.web.render import address, page
from auditor.web.shelf import names_of, view_of
from auditor.web.site import Site, edition_of, site_of
from auditor.wording import duration, listing, shown

_RUNS = 30
_ENTRIES = 200
"""Rows of coverage on a page."""
_OCCURRENCES = 8
_PATIENCE = 5.0
"""Seconds to wait for another report."""
_rendering = threading.Lock()
"""One report at a time: rendering a large run takes a processor for seconds."""


def runs(request: Request) -> Response:
    """List the runs, the newest first."""
    browse = site_of(request).store.browse
    before, after = (_number(request, name) for name in ("before", "after"))
    found = browse.runs(_RUNS, before=before, after=after)
    first, last = (found[0].id, found[-1].id) if found else (0, 0)
    has_newer = bool(found) and bool(browse.runs(1, after=first))
    has_older = bool(found) and bool(browse.runs(1, before=last))
    return page(
        request,
        "runs.html",
        rows=[_row(record) for record in found],
        newer=address("/runs", after=first) if has_newer else "",
        older=address("/runs", before=last) if has_older else "",
    )


def run(request: Request) -> Response:
    """Show what one run came to, with its reports."""
    site = site_of(request)
    record = _record(site, request.path_params["id"])
    if not record.summary:
        return page(request, "run_without.html", status=200, row=_row(record))
    earlier = site.store.browse.runs(1, before=record.id)
    names = names_of(view_of(site.store, site.config, record))
    names["charts"] = [chart for chart in names["charts"] if chart.unit != "credentials"]
    return page(
        request,
        "run.html",
        **names | _slice(request, names["coverage"], f"/runs/{record.id}"),
        formats=formats(site),
        compare=address("/compare", {"from": earlier[0].id, "to": record.id}) if earlier else "",
    )


def trends(request: Request) -> Response:
    """Show the newest run beside those before it."""
    return page(request, "trends.html", **edition_of(request).front)


def coverage(request: Request) -> Response:
    """Show what the newest run could and could not see."""
    front = edition_of(request).front
    return page(request, "coverage.html", **front | _slice(request, front["coverage"], "/coverage"))


def schedules(request: Request) -> Response:
    """Show when audits are due, and what became of the occurrences so far."""
    site = site_of(request)
    rows = [_schedule(site, schedule) for schedule in site.config.layout.schedules]
    return page(request, "schedules.html", rows=rows, now=site.clock())


def download(request: Request) -> Response:
    """Hand out a report: the one the run wrote, else the same rendered once more."""
    site = site_of(request)
    name = request.path_params["format"]
    if name not in dict(formats(site)):
        raise HTTPException(404, "There is no report format of this name.")
    record = _record(site, request.path_params["id"])
    if not record.summary:
        raise HTTPException(404, "This run ended before it was judged; it has no reports.")
    report = format_named(name, site.config.layout.reports.options)
    filename = report.filename.format(run=record.id)
    kept = site.config.report_directory / filename
    if kept.is_file() and not kept.is_symlink():
        return FileResponse(kept, media_type=report.media_type, filename=filename)
    path = _rendered(site, record, report)
    return FileResponse(
        path,
        media_type=report.media_type,
        filename=filename,
        background=BackgroundTask(path.unlink, missing_ok=True),
    )


def _rendered(site: Site, record: RunRecord, report: ReportFormat) -> Path:
    """Render into a private file; whoever sends it deletes it."""
    if not _rendering.acquire(timeout=_PATIENCE):
        raise HTTPException(503, "Another report is being rendered; try again in a minute.")
    try:
        return _render(site, record, report)
    finally:
        _rendering.release()


def _render(site: Site, record: RunRecord, report: ReportFormat) -> Path:
    number, name = tempfile.mkstemp(prefix="auditor-")
    path = Path(name)
    try:
        with (
            os.fdopen(number, "wb") as out,
            recall(site.store, site.config, str(record.id)) as view,
        ):
            report.render(view, cast("BinaryIO", out))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def formats(site: Site) -> list[tuple[str, str]]:
    """Return the report formats that can be had here, each with its file's ending."""
    found = []
    for name in plugs.names("auditor.reports"):
        with suppress(ConfigError, ImportError):  # such as one whose extra is not installed
            report = format_named(name, site.config.layout.reports.options)
            found.append((name, report.filename.partition(".")[2]))
    return found


def _record(site: Site, number: int) -> RunRecord:
    try:
        return site.store.run(number)
    except UnknownRun as error:
        raise HTTPException(404, f"{error}.") from None


def _row(record: RunRecord) -> dict[str, Any]:
    counted = None
    if record.summary:
        outcome = unpack_outcome(record.summary)
        counted = point(outcome.info, outcome.summary)
    return {
        "id": record.id,
        "now": record.now,
        "is_as_of": record.is_as_of,
        "status": record.status.value,
        "lapsed_at": record.lapsed_at,
        "schedule": shown(record.schedule or "", 60),
        "took": duration(record.finished_at - record.started_at) if record.finished_at else "",
        "point": counted,
    }


def _slice(request: Request, entries: list[Any], path: str) -> dict[str, Any]:
    start = offset(request.query_params.get("from"))
    more = start + _ENTRIES
    return {
        "coverage": entries[start:more],
        "coverage_pager": {
            "total": len(entries),
            "earlier": address(path, {"from": max(0, start - _ENTRIES)}) if start else "",
            "later": address(path, {"from": more}) if len(entries) > more else "",
        },
    }


def _schedule(site: Site, schedule: ScheduleOptions) -> dict[str, Any]:
    store, coming = site.store, next_occurrence(schedule.plan, site.clock())
    records = store.ledger.list(schedule.name, limit=_OCCURRENCES)
    numbers = store.browse.runs_of(schedule.name, [record.key for record in records])
    return {
        "name": shown(schedule.name, 120),
        "rule": " ".join(_rule(schedule)),
        "next": coming.starts_at if coming else None,
        "sources": listing(shown(name, 60) for name in schedule.sources or ()) or "all sources",
        "deliveries": listing(shown(name, 60) for name in schedule.deliveries or ())
        or ("all deliveries" if schedule.deliveries is None else "no delivery"),
        "records": [(record, numbers.get(record.key)) for record in records],
    }


def _rule(schedule: ScheduleOptions) -> Iterator[str]:
    if schedule.every is not None:
        yield f"every {duration(schedule.every)}"
    elif schedule.daily is not None:
        yield f"daily at {schedule.daily:%H:%M}, {schedule.timezone}"
    else:
        yield f"{schedule.cron}, {schedule.timezone}"
    if schedule.jitter:
        yield f"(up to {duration(schedule.jitter)} later)"
    if schedule.blackouts:
        yield "(not in blackouts)"


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
