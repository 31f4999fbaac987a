"""What a Google Cloud source may be told."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from auditor.client.settings import BaseUrl, ConnectionOptions
from auditor.collectors.interface import SourceOptions

Part = Literal["service_account_keys", "api_keys", "hmac_keys"]
PARTS: tuple[Part, ...] = ("service_account_keys", "api_keys", "hmac_keys")

_NUMBER = re.compile(r"(?:organizations/)?(\d{1,20})")


def _listed(value: object) -> object:
    if value == "all":
        return value
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise ValueError("must be all, or a list of project ids")
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError("must be all, or a list of project ids")
    return tuple(dict.fromkeys(names))


def _organization(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number(value: str | None) -> str | None:
    if value is None or "${" in value:
        return value
    match = _NUMBER.fullmatch(value)
    if match is None:
        raise ValueError("must be the number of an organization, such as 730492815566")
    return match[1]


class GcpOptions(ConnectionOptions, SourceOptions):
    """The keys of a Google Cloud source."""

    projects: Annotated[
        Literal["all"] | tuple[str, ...],
        BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    ] = "all"
    """``all`` that the auditor may see, or project ids."""
    organization: Annotated[
        str | None,
        AfterValidator(_number),
        BeforeValidator(_organization, json_schema_input_type=str | int),
    ] = None
    """With ``projects: all``: only projects somewhere below the organization of this number."""
    skip: tuple[str, ...] = ("sys-*",)
    """Project ids to leave out, as globs; Apps Script makes many that start with ``sys-``."""
    read: tuple[Part, ...] = PARTS
    """What to list; a part left out is not read at all."""
    credentials_file: Path | None = None
    """A credentials file of Google; without it the usual search of Google's tools applies."""
    token: str | None = Field(default=None, repr=False)
    """Instead: an access token, which lives for an hour."""
    quota_project: str | None = None
    """The project whose quota the calls use, and in which the APIs must be enabled."""
    endpoint_url: BaseUrl | None = None
    """One address for all APIs, for tests and private endpoints."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.token is not None and self.credentials_file is not None:
            raise ValueError("set token or credentials_file, not both")
        if self.organization is not None and self.projects != "all":
            raise ValueError("organization narrows `projects: all`; leave it out of a list")
        if not self.read:
            raise ValueError("read must name at least one part")
        return self
