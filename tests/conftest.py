"""Fixtures every room shares: a frozen instant, a loopback-only network, small credentials."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from auditor.model import (
    Credential,
    ExpiresState,
    LastUsedState,
    Organization,
    Principal,
    PrincipalType,
    credential_uid,
)

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)

# The same examples every time, and none that fails because the machine was busy.
settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew; read the diff"
    )


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise RuntimeError(f"tests talk to loopback only, not to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture
def credential() -> Callable[..., Credential]:
    """A factory: an ordinary, healthy credential; override what matters."""

    def build(provider_id: str = "key-1", **changes: Any) -> Credential:
        facts: dict[str, Any] = {
            "uid": credential_uid("keycard", "org-1", "service_account_credential", provider_id),
            "provider": "keycard",
            "source": "keycard-prod",
            "organization": Organization(id="org-1", name="Example"),
            "principal": Principal(id="sa-1", name="ci", type=PrincipalType.SERVICE_ACCOUNT),
            "name": provider_id,
            "type": "Service Account Key",
            "created_at": NOW - timedelta(days=20),
            "observed_at": NOW,
            "last_used_at": NOW - timedelta(days=1),
            "last_used_state": LastUsedState.USED,
            "data_as_of": NOW,
            "expires_state": ExpiresState.UNSUPPORTED,
        }
        return Credential(**(facts | changes))

    return build
