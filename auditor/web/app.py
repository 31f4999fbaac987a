"""The application: routes, what happens when something fails, and the door before all of it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auditor.config import Config
from auditor.errors import AuditorError, StoreError
from auditor.serving import WebSettings
from auditor.store import Store
from auditor.web import compare, details, lists, login, runs
from auditor.web.access import Access
from auditor.web.guard import LOGIN, Guard
from auditor.web.render import page, problem, style
from auditor.web.shelf import Shelf
from auditor.web.site import NoRunYet, Site

log = structlog.get_logger()

_ICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    b'<rect width="16" height="16" rx="3" fill="#0a5566"/>'
    b'<path d="M4 8.5 7 11.5 12 4.5" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)
_A_DAY = "private, max-age=86400"


def create_app(
    store: Store,
    config: Config,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    more_routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """Return the web view of *store*; *more_routes*, such as health and metrics, stand before it.

    The settings are those of *config*. Raises `ConfigError` where the token cannot be had.
    """
    settings = config.layout.web or WebSettings()
    access = Access(settings, settings.secret(config.directory))
    shelf = Shelf(store, config)
    app = Starlette(
        routes=[*more_routes, *_routes()],
        middleware=[Middleware(Guard, settings=settings, access=access)],
        exception_handlers=_HANDLERS,
        lifespan=_lifespan(shelf),
    )
    app.state.site = Site(store, config, shelf, access, clock)
    return app


def _lifespan(shelf: Shelf) -> Any:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            await run_in_threadpool(shelf.refresh)
        except AuditorError as error:  # the pages say it; the next run may be readable
            log.error("catalogue.failed", error=str(error))  # noqa: TRY400
        yield
        await run_in_threadpool(shelf.close)

    return lifespan


def _routes() -> list[BaseRoute]:
    return [
        Route("/", lists.verdict),
        Route("/findings", lists.findings),
        Route("/findings/{id}", details.finding),
        Route("/credentials", lists.credentials),
        Route("/credential", details.credential),
        Route("/runs", runs.runs),
        Route("/runs/{id:int}", runs.run),
        Route("/runs/{id:int}/report/{format}", runs.download),
        Route("/compare", compare.compare),
        Route("/trends", runs.trends),
        Route("/coverage", runs.coverage),
        Route("/schedules", runs.schedules),
        Route(LOGIN, login.ask, methods=["GET"]),
        Route(LOGIN, login.enter, methods=["POST"]),
        Route("/static/style.css", _style),
        Route("/static/icon.svg", _icon),
    ]


async def _style(_request: Request) -> Response:
    return Response(style()[0], media_type="text/css", headers={"cache-control": _A_DAY})


async def _icon(_request: Request) -> Response:
    return Response(_ICON, media_type="image/svg+xml", headers={"cache-control": _A_DAY})


def _no_run(request: Request, _error: Exception) -> Response:
    return page(request, "empty.html")


def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        detail = getattr(error, "detail", "")
        detail = "No page has this address." if detail in ("", "Not Found") else detail
        return problem(request, 404, "Not here", detail)
    return problem(request, status, "This cannot be answered", getattr(error, "detail", ""))


def _store(request: Request, error: Exception) -> Response:
    log.error("page.failed", path=request.url.path, error=str(error))
    return problem(
        request, 503, "The database cannot be read just now", "The log says why; try again."
    )


def _known(request: Request, error: Exception) -> Response:
    log.error("page.failed", path=request.url.path, error=str(error))
    return problem(request, 500, "This page cannot be shown", "The log says why.")


_HANDLERS: dict[Any, Any] = {
    NoRunYet: _no_run,
    HTTPException: _http,
    StoreError: _store,
    AuditorError: _known,
    Exception: _known,
}
