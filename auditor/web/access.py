"""Who may look: a token, the cookie it is exchanged for, or the word of a trusted proxy."""

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address

from starlette.datastructures import Headers

from auditor.serving import WebSettings

COOKIE = "auditor_session"


class Access:
    """Tells whether a request may be answered; *token* is the configured one, resolved."""

    def __init__(self, settings: WebSettings, token: str | None) -> None:
        self._token = token
        self._header = settings.forward_auth_header
        self._proxies = settings.trusted_proxies

    @property
    def is_open(self) -> bool:
        """Whether everybody who reaches the address may look."""
        return self._token is None and self._header is None

    @property
    def has_token(self) -> bool:
        """Whether one can log in."""
        return self._token is not None

    def permits(self, headers: Headers, peer: str | None) -> bool:
        """Tell whether the request of *peer* shows that it may be answered."""
        return (
            self.is_open
            or self._is_vouched_for(headers, peer)
            or self._has_bearer(headers)
            or self._has_cookie(headers)
        )

    def is_token(self, given: str) -> bool:
        """Compare *given* with the token, taking as long whether it fits or not."""
        return self._token is not None and _equal(given, self._token)

    def is_proxy(self, peer: str | None) -> bool:
        """Tell whether *peer* is a trusted proxy."""
        try:
            address = ip_address(peer or "")
        except ValueError:
            return False
        return any(address in network for network in self._proxies)

    def session(self) -> str:
        """Return the cookie's value: made from the token, which cannot be told from it."""
        key = (self._token or "").encode("utf-8", "surrogatepass")
        return hmac.new(key, b"auditor web session", hashlib.sha256).hexdigest()

    def _is_vouched_for(self, headers: Headers, peer: str | None) -> bool:
        return (
            self._header is not None
            and self.is_proxy(peer)
            and bool(headers.get(self._header, "").strip())
        )

    def _has_bearer(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(given.strip())

    def _has_cookie(self, headers: Headers) -> bool:
        if self._token is None:
            return False
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        morsel = cookies.get(COOKIE)
        return morsel is not None and _equal(morsel.value, self.session())


def _equal(given: str, expected: str) -> bool:
    """Compare in constant time; the digests hide even the length."""
    mine, theirs = (
        hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (expected, given)
    )
    return hmac.compare_digest(mine, theirs)
