"""Logging in to Microsoft Graph: a secret, a certificate, or a token of another identity provider.

All three are the client credentials grant of OAuth 2.0; the last two send a signed assertion
(RFC 7523) in place of the secret.
"""

import time
from abc import abstractmethod
from base64 import urlsafe_b64encode
from pathlib import Path
from uuid import uuid4

from auditor.client import Client, ClientCredentials, Token, TokenAuth, segment
from auditor.client.auth import read_token
from auditor.collectors._entra.options import EntraOptions
from auditor.collectors._signing import Signer
from auditor.errors import AuthenticationFailed, ConfigError
from auditor.log import register_secret

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIVES = 600
"""Seconds that a signed assertion is good for."""

_WANTED = (
    "`certificate` must be PEM text with a certificate and its RSA private key, without a "
    "password; write ${file:PATH}"
)


def login(options: EntraOptions, directory: Path) -> TokenAuth:
    """Return how to log in; raises `ConfigError` for a certificate that cannot sign."""
    url = f"{options.login_url}/{segment(options.tenant_id)}/oauth2/v2.0/token"
    scope = f"{options.base_url}/.default"
    if options.client_secret is not None:
        return ClientCredentials(
            url, options.client_id, options.client_secret, in_form=True, extra={"scope": scope}
        )
    if options.certificate is not None:
        return CertificateLogin(url, options.client_id, scope, options.certificate)
    assert options.assertion_file is not None  # noqa: S101 - the options' own validator sees to it
    return FederatedLogin(url, options.client_id, scope, directory / options.assertion_file)


class _AssertionLogin(TokenAuth):
    def __init__(self, url: str, client_id: str, scope: str) -> None:
        super().__init__()
        self._url = url
        self._client_id = client_id
        self._scope = scope

    @abstractmethod
    def _assertion(self) -> str:
        """Return a signed statement about who asks."""

    async def obtain(self, client: Client) -> Token:
        """Exchange the assertion for a token."""
        assertion = self._assertion()
        register_secret(assertion)
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_assertion_type": _ASSERTION,
            "client_assertion": assertion,
            "scope": self._scope,
        }
        answer = await client.fetch_token(self._url, form)
        return read_token(answer.object(), answer.where)


class CertificateLogin(_AssertionLogin):
    """Signs with the private key of a certificate that is registered for the application."""

    def __init__(self, url: str, client_id: str, scope: str, pem: str) -> None:
        super().__init__(url, client_id, scope)
        self._signer = Signer(
            pem,
            means="Logging in to Microsoft Entra with a certificate",
            extra="entra",
            wanted=_WANTED,
        )
        self._thumbprint = _thumbprint(pem)

    def _assertion(self) -> str:
        # The wall clock, for this is a statement to another machine.
        now = int(time.time())
        claims = {
            "aud": self._url,
            "iss": self._client_id,
            "sub": self._client_id,
            "jti": str(uuid4()),
            "nbf": now - 60,
            "exp": now + _LIVES,
        }
        headers = {"x5t#S256": self._thumbprint}
        return self._signer.signed(claims, algorithm="PS256", headers=headers)


class FederatedLogin(_AssertionLogin):
    """Sends a token that the platform writes to a file and renews there."""

    def __init__(self, url: str, client_id: str, scope: str, file: Path) -> None:
        super().__init__(url, client_id, scope)
        self._file = file

    def _assertion(self) -> str:
        try:
            assertion = self._file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise AuthenticationFailed(
                f"`assertion_file` {self._file} cannot be read ({type(error).__name__}); it is "
                "written by the platform that runs the auditor"
            ) from None
        if not assertion:
            raise AuthenticationFailed(f"`assertion_file` {self._file} is empty")
        return assertion


def _thumbprint(pem: str) -> str:
    """Return the SHA-256 of the certificate in *pem*; raises `ConfigError` for none."""
    from cryptography import x509  # noqa: PLC0415 - `Signer` has seen to it that it is there
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        digest = x509.load_pem_x509_certificate(pem.encode()).fingerprint(SHA256())
    except ValueError:
        raise ConfigError(_WANTED) from None
    return urlsafe_b64encode(digest).decode().rstrip("=")
