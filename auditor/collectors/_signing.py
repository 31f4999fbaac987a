"""Signing a statement about who asks (a JWT), for providers that log in by a private key."""

from collections.abc import Mapping
from typing import Any, Literal

from auditor.errors import ConfigError
from auditor.log import register_secret


class Signer:
    """Signs with an RSA private key in PEM.

    *means* says what cannot be done without the signing library, *extra* is the extra that
    installs it, and *wanted* what `ConfigError` asks for where the key cannot sign.
    """

    def __init__(self, private_key: str, *, means: str, extra: str, wanted: str) -> None:
        try:
            import jwt  # noqa: PLC0415 - optional, and needed only here
            from cryptography.hazmat.primitives.asymmetric.rsa import (  # noqa: PLC0415
                RSAPrivateKey,
            )
            from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
                load_pem_private_key,
            )
        except ImportError:
            raise ConfigError(
                f"{means} needs a signing library: "
                f"install the extra with pip install 'auditor[{extra}]'"
            ) from None
        register_secret(private_key)
        try:
            key: Any = load_pem_private_key(private_key.strip().encode(), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, RSAPrivateKey):
            raise ConfigError(wanted)
        self._encode, self._key = jwt.encode, key

    def signed(
        self,
        claims: dict[str, Any],
        *,
        algorithm: Literal["RS256", "PS256"] = "RS256",
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Return *claims* as a signed statement, which is a secret while it is good."""
        shown = dict(headers) if headers else None
        statement = self._encode(claims, self._key, algorithm=algorithm, headers=shown)
        register_secret(statement)
        return statement
