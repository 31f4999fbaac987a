"""Logging in as a description says, with the values of the source's options."""

from collections.abc import Mapping
from typing import Any

import httpx

from auditor.client import Client, ClientCredentials, HeaderAuth, Token, TokenAuth
from auditor.client.auth import read_token
from auditor.collectors._declarative.paths import MISSING, select
from auditor.collectors._declarative.schema import Exchange, Login
from auditor.collectors._declarative.templates import filled, text, variables_in
from auditor.errors import ConfigError
from auditor.log import register_basic


def options_of(way: Login) -> set[str]:
    """Return the names of the options that *way* needs."""
    return set(variables_in(way.model_dump_json()))


def login(ways: tuple[Login, ...], options: Mapping[str, Any]) -> httpx.Auth:
    """Return the first of *ways* whose options are all set; raises `ConfigError` for none."""
    for way in ways:
        if all(options.get(name) is not None for name in options_of(way)):
            return _auth(way, options)
    wanted = " or ".join(" and ".join(sorted(options_of(way))) for way in ways)
    raise ConfigError(f"The source does not say how to log in; set {wanted}")


def _auth(way: Login, options: Mapping[str, Any]) -> httpx.Auth:
    if way.exchange is not None:
        return _Exchange(way.exchange, filled(way.exchange.json_body, options))
    if way.client_credentials is not None:
        oauth = way.client_credentials
        return ClientCredentials(
            oauth.path,
            text(oauth.client_id, options),
            text(oauth.client_secret, options),
            in_form=oauth.in_form,
            extra=oauth.extra,
        )
    if way.basic is not None:
        user, password = text(way.basic.user, options), text(way.basic.password, options)
        register_basic(user, password)
        return httpx.BasicAuth(user, password)
    return HeaderAuth({name: text(value, options) for name, value in way.headers.items()})


class _Exchange(TokenAuth):
    """Hands in one secret for a short-lived token."""

    def __init__(self, exchange: Exchange, body: Any) -> None:
        super().__init__()
        self._exchange = exchange
        self._body = body

    async def obtain(self, client: Client) -> Token:
        """Ask for a token."""
        answer = await client.fetch_token(self._exchange.path, json=self._body)
        found = answer.object()
        fields = {
            "access_token": select(found, self._exchange.token),
            "expires_in": select(found, self._exchange.expires_in),
        }
        known = {name: value for name, value in fields.items() if value is not MISSING}
        return read_token(known, answer.where)
