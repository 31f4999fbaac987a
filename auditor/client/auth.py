"""Ways to log in, as httpx authentication: fixed headers, and tokens that are fetched and renewed.

A token is fetched once for however many requests wait for it, renewed a little before its end,
and once more when the provider answers 401 with it. Why a token could not be fetched is what the
user sees, not the 401 that would follow.
"""

import asyncio
import re
import time
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from auditor.errors import AuthenticationFailed, ConfigError, SourceError, UnexpectedResponse
from auditor.log import register_basic

if TYPE_CHECKING:
    from auditor.client.http import Client

_EARLY = 60.0
"""Seconds before its end at which a token is renewed."""
_USUAL_LIFETIME = 3600.0

_OAUTH_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
        "temporarily_unavailable",
    }
)
"""The error codes of RFC 6749; anything else in a token answer is not repeated to anybody."""

_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def header_value(value: str, what: str) -> str:
    """Return *value* without surrounding white space; raises `ConfigError` where no header fits it.

    The check comes first because the HTTP library would quote the value in its own error.
    """
    stripped = value.strip()
    if _HEADER_VALUE.fullmatch(stripped) is None:
        raise ConfigError(
            f"{what} is empty or holds a line break or another character that no HTTP header "
            "can carry; copy it again"
        )
    return stripped


class HeaderAuth(httpx.Auth):
    """Sends fixed headers with every request."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = {name: header_value(v, f"The {name}") for name, v in headers.items()}

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the headers."""
        request.headers.update(self._headers)
        yield request


def bearer(token: str) -> HeaderAuth:
    """Return the authentication ``Authorization: Bearer <token>``."""
    return HeaderAuth({"Authorization": f"Bearer {header_value(token, 'The token')}"})


@dataclass(frozen=True)
class Token:
    """A token as a provider handed it out."""

    value: str
    expires_in: float = _USUAL_LIFETIME
    """Seconds from now."""

    def __repr__(self) -> str:
        return f"Token(expires_in={self.expires_in})"


class TokenAuth(httpx.Auth, ABC):
    """Fetches a token, sends it as a bearer, and renews it.

    A refusal (`AuthenticationFailed`) is remembered: the same secret will not do better, and
    asking again for every organization could lock an account.
    """

    def __init__(self) -> None:
        self._client: Client | None = None
        self._token: Token | None = None
        self._renew_at = 0.0
        self._fetching: asyncio.Task[Token] | None = None
        self._refusal: str | None = None

    @abstractmethod
    async def obtain(self, client: "Client") -> Token:
        """Fetch a new token; raises `SourceError`. Use `Client.fetch_token` to send."""

    def bind(self, client: "Client") -> None:
        """Tell which client to fetch tokens with."""
        self._client = client

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the token; renew it once where it is refused."""
        token = await self._current()
        request.headers["Authorization"] = f"Bearer {token.value}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            token = await self._current(refused=token)
            request.headers["Authorization"] = f"Bearer {token.value}"
            yield request

    async def aclose(self) -> None:
        """Stop fetching, and see it stopped."""
        fetching = self._fetching
        if fetching is not None:
            fetching.cancel()
            await asyncio.wait([fetching])

    async def _current(self, refused: Token | None = None) -> Token:
        token = self._token
        if token is not None and token is not refused and time.monotonic() < self._renew_at:
            return token
        if self._refusal is not None:
            raise AuthenticationFailed(self._refusal)
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._forget)
        return await asyncio.shield(self._fetching)

    def _forget(self, task: asyncio.Task[Token]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # seen by whoever waits; nobody may be waiting any more

    async def _fetch(self) -> Token:
        if self._client is None:
            raise RuntimeError("TokenAuth is used without a client")
        try:
            token = await self.obtain(self._client)
        except AuthenticationFailed as error:
            self._refusal = str(error)
            raise
        self._token = token
        # A short-lived token is renewed at half its life, not over and over.
        self._renew_at = time.monotonic() + max(token.expires_in - _EARLY, token.expires_in / 2)
        return token


class ClientCredentials(TokenAuth):
    """OAuth 2.0 client credentials (RFC 6749 section 4.4).

    *path* is below the client's base URL, or an absolute URL whose origin the client was given.
    With *in_form* the id and secret go into the form instead of a Basic header; *extra* holds
    further form fields, such as a scope.
    """

    def __init__(
        self,
        path: str,
        client_id: str,
        client_secret: str,
        *,
        in_form: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._path = path
        self._form = {"grant_type": "client_credentials", **(extra or {})}
        self._headers: dict[str, str] = {}
        user, secret = client_id.strip(), client_secret.strip()
        if in_form:
            self._form |= {"client_id": user, "client_secret": secret}
        else:
            # Not percent-encoded, against the letter of RFC 6749: providers' own clients do not.
            pair = b64encode(f"{user}:{secret}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"
        register_basic(user, secret)

    async def obtain(self, client: "Client") -> Token:
        """Ask the token endpoint."""
        answer = await client.fetch_token(self._path, self._form, self._headers)
        return read_token(answer.object(), answer.where)


def read_token(fields: Mapping[str, Any], where: str) -> Token:
    """Return the token of an RFC 6749 answer; raises `UnexpectedResponse`."""
    value, lifetime = fields.get("access_token"), fields.get("expires_in")
    if not isinstance(value, str) or _HEADER_VALUE.fullmatch(value) is None:
        raise UnexpectedResponse(f"{where} answered without a usable access_token")
    try:
        seconds = float(lifetime) if lifetime is not None else _USUAL_LIFETIME
    except (TypeError, ValueError):
        seconds = _USUAL_LIFETIME
    return Token(value, max(0.0, seconds))


def token_error(error: SourceError, answer: Mapping[str, Any]) -> SourceError:
    """Return *error*, met at a token endpoint, as what it means for logging in."""
    code = answer.get("error")
    known = code if isinstance(code, str) and code in _OAUTH_ERRORS else None
    if error.status not in (400, 401, 403):
        return error
    shown = f" ({known})" if known else ""
    refusal = AuthenticationFailed(
        f"{str(error).split(';', 1)[0]}{shown}; no token was issued. "
        "Check the client id and secret, and whether they are still valid"
    )
    refusal.status = error.status
    return refusal
