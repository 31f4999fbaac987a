"""The door: which hosts, methods and people are answered, and the headers of every answer."""

from ipaddress import ip_address
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auditor.serving import WebSettings
from auditor.web.access import Access

LOGIN = "/login"
_PUBLIC = (LOGIN, "/static/")
_PROBES = ("/healthz", "/readyz")
"""Asked by address, without a login; they tell nothing but whether the process works."""
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - what must not be believed as a name
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, settings: WebSettings, access: Access) -> None:
        self._app = app
        self._access = access
        named = {settings.host.lower(), *settings.allowed_hosts} - _ANY
        self._hosts = _LOCAL | named

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on what may pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if path in _PROBES:
            return None
        if not self._is_known(headers.getlist("host")):
            return PlainTextResponse(
                "This name is not served here; add it to web.allowed_hosts.\n", status_code=421
            )
        if scope["method"] not in _methods(path):
            allowed = ", ".join(sorted(_methods(path)))
            return PlainTextResponse(
                "This view can only be read.\n", status_code=405, headers={"allow": allowed}
            )
        peer = scope["client"][0] if scope.get("client") else None
        if path.startswith(_PUBLIC) or self._access.permits(headers, peer):
            return None
        return self._unknown_visitor(scope, headers)

    def _unknown_visitor(self, scope: Scope, headers: Headers) -> Response:
        if not self._access.has_token:
            return PlainTextResponse(
                "Log in through the proxy that stands before this view.\n", status_code=403
            )
        if "text/html" in headers.get("accept", ""):
            query = scope["query_string"].decode("ascii", "replace")
            wanted = scope["path"] + (f"?{query}" if query else "")
            return RedirectResponse(f"{LOGIN}?next={quote(wanted, safe='')}", status_code=303)
        return PlainTextResponse(
            "Give the token as `Authorization: Bearer …`.\n",
            status_code=401,
            headers={"www-authenticate": "Bearer"},
        )

    def _is_known(self, hosts: list[str]) -> bool:
        """Tell whether the one Host header names us: no page elsewhere may rebind its name here."""
        return len(hosts) == 1 and _bare(hosts[0]) in self._hosts


def _methods(path: str) -> frozenset[str]:
    return frozenset({"GET", "HEAD", "POST"} if path == LOGIN else {"GET", "HEAD"})


def _bare(host: str) -> str:
    """Return the name without its port, lower-cased; empty for what is no host."""
    name, _, port = host.rpartition(":")
    if not name or not port.isdecimal():
        name = host
    name = name.lower()
    if name.startswith("[") and name.endswith("]"):
        try:
            return str(ip_address(name[1:-1]))
        except ValueError:
            return ""
    return name
