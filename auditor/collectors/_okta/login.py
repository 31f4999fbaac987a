"""Logging in to Okta: an API token, or a service app that signs a statement with its key."""

import time
from uuid import uuid4

import httpx

from auditor.client import Client, HeaderAuth, Token, TokenAuth
from auditor.client.auth import header_value, read_token
from auditor.collectors._okta.options import OktaOptions
from auditor.collectors._signing import Signer
from auditor.log import register_secret

_TOKEN_PATH = "/oauth2/v1/token"  # noqa: S105 - an address
_LIVES = 5 * 60
"""Seconds that the statement is good for; it is used at once."""
_SCOPES = " ".join(
    f"okta.{what}.read" for what in ("apiTokens", "apps", "appGrants", "roles", "users")
)


def login(options: OktaOptions) -> httpx.Auth:
    """Return how to log in; raises `ConfigError` for a token or key that cannot be used."""
    if options.token is not None:
        return HeaderAuth({"Authorization": f"SSWS {header_value(options.token, 'The token')}"})
    assert options.client_id is not None  # noqa: S101 - the options' own validator sees to it
    assert options.private_key is not None  # noqa: S101 - likewise
    return ServiceApp(options.base_url, options.client_id, options.private_key, options.key_id)


class ServiceApp(TokenAuth):
    """OAuth 2.0 client credentials with ``private_key_jwt``.

    Raises `ConfigError` where the key cannot sign or the library for it is missing.
    """

    def __init__(self, base_url: str, client_id: str, private_key: str, key_id: str | None) -> None:
        super().__init__()
        self._audience = base_url + _TOKEN_PATH
        self._client_id = client_id.strip()
        self._signer = Signer(
            private_key,
            means="Logging in to Okta as a service app",
            extra="okta",
            wanted="`private_key` is not an RSA private key in PEM; write ${file:PATH} with the "
            "path of the service app's key file",
        )
        self._headers = {"kid": key_id} if key_id else None

    async def obtain(self, client: Client) -> Token:
        """Exchange a signed statement for a token."""
        form = {
            "grant_type": "client_credentials",
            "scope": _SCOPES,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self._statement(),
        }
        answer = await client.fetch_token(_TOKEN_PATH, form)
        token = read_token(answer.object(), answer.where)
        register_secret(token.value)
        return token

    def _statement(self) -> str:
        # The wall clock, for this is a statement to another machine.
        now = int(time.time())
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._audience,
            "iat": now,
            "exp": now + _LIVES,
            "jti": str(uuid4()),
        }
        return self._signer.signed(claims, headers=self._headers)
