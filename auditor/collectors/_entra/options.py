"""What a Microsoft Entra source may be told."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from auditor.client.settings import BaseUrl, ConnectionOptions
from auditor.collectors.interface import SourceOptions

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _tenant(value: str) -> str:
    if "${" in value:
        return value
    if not _GUID.fullmatch(value.strip()):
        raise ValueError("must be the tenant's id, such as 8b1c…-…; a domain name will not do")
    return value.strip().lower()


class EntraOptions(ConnectionOptions, SourceOptions):
    """The keys of a Microsoft Entra source: one tenant."""

    tenant_id: Annotated[str, AfterValidator(_tenant)]
    """The tenant's id (directory id)."""
    client_id: str
    """The application (client) id of the auditor's own app registration."""
    client_secret: str | None = Field(default=None, repr=False)
    """Log in with a secret; or with one of the next two."""
    certificate: str | None = Field(default=None, repr=False)
    """Log in with a certificate: PEM with the certificate and its private key."""
    assertion_file: Path | None = None
    """Log in with a federated token, read anew from this file whenever one is needed."""
    usage_reports: bool = True
    """Ask the sign-in reports when credentials were last used; they need Entra ID P1 or P2."""
    reports_per_second: float = Field(default=0.4, gt=0)
    """Microsoft tolerates five requests in ten seconds for the reports."""
    federated_credentials: bool = True
    """Also list federated credentials: one request for each application."""
    base_url: BaseUrl = "https://graph.microsoft.com"
    """Microsoft Graph; national clouds have hosts of their own."""
    login_url: BaseUrl = "https://login.microsoftonline.com"
    """Where tokens come from."""

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        ways = (self.client_secret, self.certificate, self.assertion_file)
        if sum(way is not None for way in ways) != 1:
            raise ValueError("set exactly one of client_secret, certificate and assertion_file")
        return self
