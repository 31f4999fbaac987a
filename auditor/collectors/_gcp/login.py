"""Logging in to Google Cloud: google-auth fetches the tokens, our own client sends the requests."""

import asyncio
import json
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx

from auditor.client import Client, Token, TokenAuth, bearer
from auditor.collectors._gcp.options import GcpOptions
from auditor.errors import AuthenticationFailed, ConfigError, Unavailable
from auditor.log import register_secret

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
"""The only scope that the IAM API knows; what may be done is up to the roles."""
_LOADERS = {
    "service_account": (
        "google.oauth2.service_account", "Credentials", "from_service_account_info",
    ),
    "authorized_user": ("google.oauth2.credentials", "Credentials", "from_authorized_user_info"),
    "external_account": ("google.auth.identity_pool", "Credentials", "from_info"),
    "impersonated_service_account": (
        "google.auth.impersonated_credentials",
        "Credentials",
        "from_impersonated_service_account_info",
    ),
}  # fmt: skip


def login(options: GcpOptions, directory: Path) -> httpx.Auth:
    """Return how to log in; raises `ConfigError` where google-auth is needed and missing."""
    if options.token is not None:
        return bearer(options.token)
    file = options.credentials_file
    return GoogleLogin(None if file is None else directory / file)


class GoogleLogin(TokenAuth):
    """Tokens of a credentials file, or of what Google's tools find by themselves."""

    def __init__(self, file: Path | None) -> None:
        super().__init__()
        try:
            self._exceptions = import_module("google.auth.exceptions")
            self._requests = import_module("google.auth.transport.requests")
        except ImportError:
            raise ConfigError(
                "Logging in to Google Cloud needs Google's library: "
                "install the extra with pip install 'auditor[gcp]'"
            ) from None
        self._file = file
        self._credentials: Any = None

    async def obtain(self, client: Client) -> Token:  # noqa: ARG002 - google-auth sends it itself
        """Have google-auth fetch a token, in a thread: it knows no other way."""
        return await asyncio.to_thread(self._refreshed)

    def _refreshed(self) -> Token:
        if self._credentials is None:
            self._credentials = self._found()
        credentials = self._credentials
        request = self._requests.Request()
        try:
            credentials.refresh(request)
        except self._exceptions.RefreshError as error:
            raise AuthenticationFailed(
                f"Google refused to issue a token ({type(error).__name__}); check that the "
                "credentials are still valid, or log in again with gcloud"
            ) from None
        except self._exceptions.GoogleAuthError as error:
            raise Unavailable(
                f"Google's token service could not be reached ({type(error).__name__}); check the "
                "network and run again"
            ) from None
        finally:
            request.session.close()
        register_secret(credentials.token)
        return Token(credentials.token, _lifetime(credentials.expiry))

    def _found(self) -> Any:
        if self._file is not None:
            return self._from_file(self._file)
        try:
            found, _project = import_module("google.auth").default(scopes=_SCOPES)
        except self._exceptions.GoogleAuthError:
            raise AuthenticationFailed(
                "There are no Google credentials: set `credentials_file`, or log in with "
                "gcloud auth application-default login"
            ) from None
        return found

    def _from_file(self, file: Path) -> Any:
        try:
            info = json.loads(file.read_text())
            kind = info["type"]
            module, name, load = _LOADERS[kind]
            found = getattr(getattr(import_module(module), name), load)(info)
            return found.with_scopes(_SCOPES) if hasattr(found, "with_scopes") else found
        except OSError as error:
            raise ConfigError(
                f"`credentials_file` {file} cannot be read: {error.strerror}"
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError, self._exceptions.GoogleAuthError):
            # Their texts quote the file, and the file is a secret.
            raise ConfigError(
                f"`credentials_file` {file} is not a credentials file of Google; the kinds known "
                f"are {', '.join(_LOADERS)}"
            ) from None


def _lifetime(expiry: datetime | None) -> float:
    if expiry is None:
        return 3600.0
    aware = expiry if expiry.tzinfo is not None else expiry.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
