"""The ``web:`` block of the configuration: where the web view listens and whom it lets in."""

from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from auditor.errors import ConfigError
from auditor.secrets import resolve

_SHORTEST = 16
"""Characters of a token."""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _lowered(name: object) -> object:
    return name.lower() if isinstance(name, str) else name


HostName = Annotated[str, BeforeValidator(_lowered), Field(pattern=r"^[^\s/@]+$")]


class WebSettings(BaseModel):
    """The web view: on this machine only, unless something says who may come in."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    host: str = "127.0.0.1"
    """The address to listen on; other than loopback only with a token or a trusted proxy."""
    port: int = Field(default=8080, ge=0, le=65535)
    """0 lets the system choose."""
    token: str | None = None
    """Whoever knows it may look; as a reference, such as ``${env:AUDITOR_WEB_TOKEN}``."""
    allowed_hosts: tuple[HostName, ...] = ()
    """Names under which browsers may ask, besides those of this machine."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Addresses whose ``forward_auth_header`` is believed."""
    forward_auth_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")
    """The header in which a proxy says who has logged in, such as ``X-Forwarded-User``."""

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine can ask."""
        return _is_loopback(self.host)

    def secret(self, directory: Path) -> str | None:
        """Return the token, references resolved from *directory* on; raises `ConfigError`."""
        if self.token is None:
            return None
        token = resolve(self.token, directory, "web.token", "token").strip()
        if len(token) < _SHORTEST:
            raise ConfigError(
                f"web.token has fewer than {_SHORTEST} characters; make a longer one, for example "
                'with `python -c "import secrets; print(secrets.token_urlsafe(32))"`.'
            )
        return token

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.forward_auth_header is None) != (not self.trusted_proxies):
            raise ValueError("forward_auth_header and trusted_proxies belong together; give both")
        if not self.is_loopback and self.token is None and self.forward_auth_header is None:
            raise ValueError(
                f"{self.host} can be reached by others: give a token, or forward_auth_header "
                "with trusted_proxies, or listen on 127.0.0.1"
            )
        return self
