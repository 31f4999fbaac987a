"""What a Databricks source may be told, and how it logs in."""

from typing import Self

import httpx
from pydantic import Field, model_validator

from auditor.client import ClientCredentials, bearer
from auditor.client.settings import BaseUrl, ConnectionOptions
from auditor.collectors.interface import SourceOptions


class DatabricksOptions(ConnectionOptions, SourceOptions):
    """The keys of a Databricks source: one workspace."""

    base_url: BaseUrl
    """The workspace's address, such as ``https://dbc-1a2b3c4d-5e6f.cloud.databricks.com``."""
    client_id: str | None = None
    """Log in as a service principal: its application id."""
    client_secret: str | None = Field(default=None, repr=False)
    """An OAuth secret of that service principal."""
    token: str | None = Field(default=None, repr=False)
    """Instead of those two: a personal access token."""
    concurrency: int = Field(default=8, ge=1, le=128)
    """Requests in flight at most."""

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        has_pair = (self.client_id is not None, self.client_secret is not None)
        if (self.token is not None, *has_pair) not in ((True, False, False), (False, True, True)):
            raise ValueError("set either token, or client_id and client_secret")
        return self


def login(options: DatabricksOptions) -> httpx.Auth:
    """Return how to log in; raises `ConfigError` for a token no header can carry."""
    if options.token is not None:
        return bearer(options.token)
    assert options.client_id is not None  # noqa: S101 - the options' own validator sees to it
    assert options.client_secret is not None  # noqa: S101 - likewise
    return ClientCredentials(
        "/oidc/v1/token", options.client_id, options.client_secret, extra={"scope": "all-apis"}
    )
