"""Logging in to GitHub as an App: a signed statement, exchanged for an installation's token."""

import time
from collections.abc import Generator
from datetime import UTC, datetime

import httpx

from auditor.client import Client, Token, TokenAuth, segment
from auditor.collectors._signing import Signer
from auditor.errors import UnexpectedResponse
from auditor.log import register_secret
from auditor.times import parse_instant

_BACKDATED = 60
"""Seconds; GitHub refuses a statement from its future, and clocks differ."""
_LIVES = 9 * 60
"""Seconds; GitHub accepts at most ten minutes."""
_USED = 8 * 60.0
_WANTED = (
    "administration",
    "metadata",
    "organization_administration",
    "organization_personal_access_tokens",
)
"""What the endpoints that are read ask for; a token is narrowed to reading these."""


class AppAuth(httpx.Auth):
    """Sends a statement signed with the App's private key; a new one every eight minutes.

    Raises `ConfigError` where the key cannot sign or the library for it is missing.
    """

    def __init__(self, app_id: str, private_key: str) -> None:
        self._app_id = app_id
        self._signer = Signer(
            private_key,
            means="Logging in to GitHub as an App",
            extra="github",
            wanted="`private_key` is not an RSA private key in PEM; write ${file:PATH} with the "
            "path of the file that GitHub handed out for the App",
        )
        self._statement = ""
        self._renew_at = 0.0
        self.header()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the statement."""
        request.headers["Authorization"] = self.header()
        yield request

    def header(self) -> str:
        """Return the value of the Authorization header."""
        if time.monotonic() >= self._renew_at:
            # The wall clock, for this is a statement to another machine.
            now = int(time.time())
            claims = {"iat": now - _BACKDATED, "exp": now + _LIVES, "iss": self._app_id}
            self._statement = self._signer.signed(claims)
            self._renew_at = time.monotonic() + _USED
        return f"Bearer {self._statement}"


class InstallationLogin(TokenAuth):
    """The token of one installation, narrowed to what the auditor reads; it lives for an hour."""

    def __init__(self, app: AppAuth, installation_id: str, granted: dict[str, str]) -> None:
        super().__init__()
        self._app = app
        self._path = f"/app/installations/{segment(installation_id)}/access_tokens"
        self._permissions = {name: "read" for name in _WANTED if name in granted}

    async def obtain(self, client: Client) -> Token:
        """Exchange the App's statement for a token."""
        body = {"permissions": self._permissions} if self._permissions else None
        answer = await client.fetch_token(
            self._path, headers={"Authorization": self._app.header()}, json=body
        )
        fields = answer.object()
        value = fields.get("token")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise UnexpectedResponse(f"{answer.where} answered without a usable token")
        register_secret(value)
        try:
            ends = parse_instant(fields.get("expires_at"))
        except ValueError:
            return Token(value)
        return Token(value, max(0.0, (ends - datetime.now(UTC)).total_seconds()))
