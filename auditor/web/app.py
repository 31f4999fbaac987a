"""The application: routes, what happens when something fails, and the door before all of it."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
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
from starlette.types import ASGIApp, Receive, Scope, Send

from auditor.config import Config
from auditor.errors import AuditorError, StoreError
from auditor.serving import WebSettings
from auditor.store import Store
from auditor.web import compare, details, lists, login, runs
from auditor.web.access import Access
from auditor.web.guard import LOGIN, Guard
from auditor.web.render import page, prepare, problem, style
from auditor.web.shelf import LayingOut, Shelf
from auditor.web.site import NoRunYet, Site
from auditor.web.traffic import Traffic

log = structlog.get_logger()

_ICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    b'<rect width="16" height="16" rx="3" fill="#0a5566"/>'
    b'<path d="M4 8.5 7 11.5 12 4.5" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)
_A_DAY = "private, max-age=86400"
_TURN = 0.0002
"""Seconds until a busy thread gives way, for a page takes its turn dozens of times; 0.005 is usual.
"""


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
    traffic = Traffic()
    shelf = Shelf(store, config, traffic)
    site = Site(store, config, shelf, access, clock)
    app = Starlette(
        routes=[*more_routes, *_routes()],
        middleware=[
            Middleware(_Counted, traffic=traffic),
            Middleware(Guard, settings=settings, access=access),
        ],
        exception_handlers=_HANDLERS,
        lifespan=_lifespan(site),
    )
    app.state.site = site
    return app


def reload(app: Starlette, config: Config) -> None:
    """Let *app* show what *config* says; whom it lets in, and where it listens, stays."""
    site: Site = app.state.site
    app.state.site = replace(site, config=config)
    site.shelf.follow(config)


class _Counted:
    """ASGI middleware that tells of every request while it is answered."""

    def __init__(self, app: ASGIApp, *, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._traffic.answering():
            await self._app(scope, receive, send)


def _lifespan(site: Site) -> Any:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        usual = sys.getswitchinterval()
        sys.setswitchinterval(_TURN)
        site.shelf.open()
        await run_in_threadpool(_warm_up, site)
        try:
            yield
        finally:
            await run_in_threadpool(site.shelf.close)
            sys.setswitchinterval(usual)

    return lifespan


def _warm_up(site: Site) -> None:
    """Do what only the first request of each kind would have to wait for."""
    prepare()
    runs.formats(site)


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


def _laying_out(request: Request, _error: Exception) -> Response:
    answer = page(request, "wait.html", 503)
    answer.headers["retry-after"] = answer.headers["refresh"] = "2"
    return answer


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
    LayingOut: _laying_out,
    HTTPException: _http,
    StoreError: _store,
    AuditorError: _known,
    Exception: _known,
}
