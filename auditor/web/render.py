"""Pages from templates: the report's environment, with what only a site needs added."""

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from auditor import __version__
from auditor.reports.page.environment import environment as report_environment
from auditor.resources import bundled

MENU = (
    ("/", "Verdict"),
    ("/findings", "Findings"),
    ("/credentials", "Credentials"),
    ("/runs", "Runs"),
    ("/compare", "Compare"),
    ("/trends", "Trends"),
    ("/coverage", "Coverage"),
    ("/schedules", "Schedules"),
)


@cache
def environment() -> Environment:
    """Return the environment; everything is escaped, as in the report."""
    base = report_environment()
    made = base.overlay()
    made.filters = dict(base.filters)
    made.globals = base.globals | {
        "address": address,
        "menu": MENU,
        "style": f"/static/style.css?{urlencode({'v': style()[1]})}",
        "version": __version__,
    }
    return made


@cache
def style() -> tuple[bytes, str]:
    """Return the style sheet, the report's and the site's in one, and what changes with it."""
    folder = bundled("templates")
    content = b"\n".join((folder / name).read_bytes() for name in _SHEETS)
    return content, hashlib.sha256(content).hexdigest()[:16]


def prepare() -> None:
    """Read and translate all templates, which the first page of each kind would wait for."""
    made = environment()
    for name in made.list_templates(filter_func=lambda name: name.startswith("web/")):
        if name.endswith(".html"):
            made.get_template(name)


_SHEETS = ("report/style.css", "web/style.css")


def address(path: str, given: Mapping[str, Any] | None = None, **more: Any) -> str:
    """Return *path* with a query of what is neither None nor empty."""
    query = {
        name: str(value).encode("utf-8", "replace").decode()
        for name, value in ({**(given or {}), **more}).items()
        if value is not None and value != ""
    }
    return f"{path}?{urlencode(query)}" if query else path


def page(request: Request, template: str, status: int = 200, **names: Any) -> Response:
    """Return a page; *names* are what its template shows."""
    text = environment().get_template(f"web/{template}").render(here=_section(request), **names)
    return HTMLResponse(text.encode("utf-8", "replace"), status_code=status)


def problem(request: Request, status: int, title: str, detail: str) -> Response:
    """Return a page that says what is wrong and what to do."""
    back = next((way for way in MENU if way[0] == _section(request)), MENU[0])
    detail = detail[:1].upper() + detail[1:]
    return page(request, "problem.html", status, title=title, detail=detail, back=back)


def _section(request: Request) -> str:
    """Return the page of the menu that a request belongs to."""
    top = "/" + request.url.path.split("/")[1]
    return {"/credential": "/credentials"}.get(top, top)
