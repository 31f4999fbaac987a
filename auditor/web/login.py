"""The one form that is sent: a token in exchange for a cookie. It changes nothing that is kept."""

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from auditor.web.access import COOKIE
from auditor.web.render import page
from auditor.web.site import site_of

_MOST = 8192
"""Bytes of a form."""


async def ask(request: Request) -> Response:
    """Ask for the token."""
    return _form(request, request.query_params.get("next", "/"))


async def enter(request: Request) -> Response:
    """Give the cookie to whoever sends the token."""
    access = site_of(request).access
    form = parse_qs((await _body(request)).decode("utf-8", "replace"), keep_blank_values=True)
    wanted = form.get("next", ["/"])[0]
    if not access.is_token(form.get("token", [""])[0].strip()):
        return _form(request, wanted, is_refused=True)
    answer = RedirectResponse(_inside(wanted), status_code=303)
    peer = request.client.host if request.client else None
    proto = request.headers.get("x-forwarded-proto") if access.is_proxy(peer) else None
    answer.set_cookie(
        COOKIE,
        access.session(),
        httponly=True,
        samesite="strict",
        secure=(proto or request.url.scheme) == "https",
    )
    return answer


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST:
            return b""
    return body


def _form(request: Request, wanted: str, *, is_refused: bool = False) -> Response:
    status = 403 if is_refused else 200
    return page(request, "login.html", status, wanted=_inside(wanted), is_refused=is_refused)


def _inside(wanted: str) -> str:
    """Return *wanted* where it is a path of this site, else the front page."""
    is_path = wanted.startswith("/") and not wanted.startswith(("//", "/\\", "/login"))
    return wanted if is_path and wanted.isprintable() and wanted.isascii() else "/"
