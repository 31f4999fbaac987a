"""What a Keycard source may be told, and how it logs in."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self

import httpx
from pydantic import AwareDatetime, BeforeValidator, Field, model_validator

from auditor.client import ClientCredentials, bearer
from auditor.client.settings import BaseUrl, ConnectionOptions
from auditor.collectors.interface import SourceOptions
from auditor.times import parse_instant

_VENDOR = "https://api.keycard.ai"


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _listed(value: object) -> object:
    if value == "all":
        return value
    names = [value] if isinstance(value, str) else value
    if isinstance(names, list | tuple) and names and all(map(_is_name, names)):
        return tuple(names)
    raise ValueError("must be all, or a list of ids and labels")


def _since(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, str):
        return parse_instant(value, "date" if len(value) == len("2026-01-01") else "rfc3339")
    return value


class KeycardOptions(ConnectionOptions, SourceOptions):
    """The keys of a Keycard source."""

    base_url: BaseUrl = _VENDOR
    token: str | None = Field(default=None, repr=False)
    """An access token; or log in with the next two."""
    client_id: str | None = None
    client_secret: str | None = Field(default=None, repr=False)
    organizations: Annotated[
        Literal["all"] | tuple[str, ...],
        BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    ] = "all"
    """``all`` that the credential may list, or ids and labels."""
    usage_tracked_since: Annotated[
        AwareDatetime | None, BeforeValidator(_since, json_schema_input_type=str)
    ] = None
    """Since when Keycard records use: an older credential without a use is not called unused
    beyond this day."""
    permissions_subject: Literal["auto", "credential", "caller"] = "auto"
    """Whose rights the permission maps describe."""
    zone_credentials: bool = False
    """Also list the credentials of applications in zones."""

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        has_pair = (self.client_id is not None, self.client_secret is not None)
        if (self.token is not None, *has_pair) not in ((True, False, False), (False, True, True)):
            raise ValueError("set either token, or client_id and client_secret")
        return self


def login(options: KeycardOptions) -> httpx.Auth:
    """Return how to log in; raises `ConfigError` for a token no header can carry."""
    if options.token is not None:
        return bearer(options.token)
    assert options.client_id is not None  # noqa: S101 - the options' own validator sees to it
    assert options.client_secret is not None  # noqa: S101 - likewise
    return ClientCredentials("/service-account-token", options.client_id, options.client_secret)
