"""What a Vault source may be told, and how it logs in."""

from typing import Annotated, Literal, Self

import httpx
from pydantic import BeforeValidator, Field, model_validator

from auditor.client import Client, HeaderAuth, Token, TokenAuth, segment
from auditor.client.auth import header_value
from auditor.client.settings import BaseUrl, ConnectionOptions
from auditor.collectors._notebook import child
from auditor.collectors.interface import SourceOptions
from auditor.errors import UnexpectedResponse
from auditor.log import register_secret


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _listed(value: object) -> object:
    if value == "all":
        return value
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names or not all(map(_is_text, names)):
        raise ValueError('must be all, or a list of namespaces, where "" is the root')
    return tuple(dict.fromkeys(name.strip("/") for name in names))


def path_of(*parts: str) -> str:
    """Return the path below ``/v1`` made of *parts*, each of which may hold slashes.

    Raises `UnexpectedResponse` for parts that would lead elsewhere.
    """
    pieces = [piece for part in parts for piece in part.strip("/").split("/") if piece]
    return "/v1/" + "/".join(segment(piece) for piece in pieces)


class VaultOptions(ConnectionOptions, SourceOptions):
    """The keys of a Vault or OpenBao source: one cluster."""

    base_url: BaseUrl
    """The cluster's address without ``/v1``, such as ``https://vault.example.com:8200``."""
    token: str | None = Field(default=None, repr=False)
    """A token; or log in by AppRole with the next two."""
    role_id: str | None = None
    secret_id: str | None = Field(default=None, repr=False)
    approle_mount: str = "approle"
    """Where the AppRole method is mounted that the auditor logs in by."""
    login_namespace: str = ""
    """The namespace that the auditor logs in to; ``admin`` at HCP."""
    namespaces: Annotated[
        Literal["all"] | tuple[str, ...],
        BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    ] = ("",)
    """Namespaces to read (``""`` is the root), or ``all`` below ``login_namespace``."""
    concurrency: int = Field(default=8, ge=1, le=128)
    """Requests in flight at most; each look at a token is a read of storage."""

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        has_role = (self.role_id is not None, self.secret_id is not None)
        if (self.token is not None, *has_role) not in ((True, False, False), (False, True, True)):
            raise ValueError("set either token, or role_id and secret_id")
        return self


def login(options: VaultOptions) -> httpx.Auth:
    """Return how to log in; raises `ConfigError` for a token no header can carry."""
    if options.token is not None:
        return HeaderAuth({"X-Vault-Token": header_value(options.token, "The token")})
    assert options.role_id is not None  # noqa: S101 - the options' own validator sees to it
    assert options.secret_id is not None  # noqa: S101 - likewise
    path = path_of(options.login_namespace, "auth", options.approle_mount, "login")
    return AppRoleLogin(path, options.role_id, options.secret_id)


class AppRoleLogin(TokenAuth):
    """The token that AppRole hands out for a role and one of its secret ids."""

    def __init__(self, path: str, role_id: str, secret_id: str) -> None:
        super().__init__()
        self._path = path
        self._pair = {"role_id": role_id.strip(), "secret_id": secret_id.strip()}
        register_secret(secret_id)

    async def obtain(self, client: Client) -> Token:
        """Log in."""
        answer = await client.fetch_token(self._path, json=self._pair)
        fields = child(answer.object(), "auth")
        value, lifetime = fields.get("client_token"), fields.get("lease_duration")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise UnexpectedResponse(f"{answer.where} answered without a usable token")
        register_secret(value)
        if not isinstance(lifetime, int | float) or lifetime <= 0:
            return Token(value)
        return Token(value, float(lifetime))
