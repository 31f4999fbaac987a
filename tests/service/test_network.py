"""Daemons whose network to PostgreSQL drops or falls silent, and comes back."""

import signal
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import make_url

from auditor.model import RunStatus
from tests.fakes.proxy import TcpProxy
from tests.service.conftest import Service, wait_for
from tests.service.test_interruptions import TEN
from tests.service.test_serving import free_port

pytestmark = pytest.mark.postgres
FAULTS = pytest.mark.parametrize("fault", ["cut", "hang"])


@pytest.fixture
def network(on_postgres: Service) -> Iterator[TcpProxy]:
    address = make_url(on_postgres.url)
    with TcpProxy(address.host or "127.0.0.1", address.port or 5432) as proxy:
        behind = address.set(host="127.0.0.1", port=proxy.port)
        on_postgres.address = behind.render_as_string(hide_password=False)
        on_postgres.parameters = "?timeout=1"
        yield proxy
        on_postgres.end()


def break_off(network: TcpProxy, fault: str) -> None:
    if fault == "cut":
        network.cut()
    else:
        network.hang()


def reading(service: Service) -> None:
    """Start a daemon that is in the middle of its audit."""
    service.start()
    wait_for(lambda: len(set(service.calls())) == 10)


def everything_was_read_once(service: Service) -> None:
    with service.store() as store:
        (run,) = store.runs()
        assert run.status is RunStatus.COMPLETE
        coverage = store.coverage(run.id)
        assert sorted(part.organization.id for part in coverage if part.organization) == sorted(TEN)
        assert [one.state for one in store.ledger.list("often")] == ["done"]
    assert len(service.reports()) == 1


@FAULTS
def test_a_leader_that_lost_its_network_is_succeeded_and_can_commit_nothing_afterwards(
    on_postgres: Service, network: TcpProxy, fault: str
):
    service = on_postgres
    hold = service.mark("hold-2")
    reading(service)
    service.address = service.url
    second = service.start()
    wait_for(lambda: "daemon.started" in service.log(1))
    break_off(network, fault)
    wait_for(lambda: service.calls().count("org-2") == 2)
    hold.unlink()
    wait_for(service.reports)
    everything_was_read_once(service)
    network.mend(is_lost=True)
    wait_for(lambda: "leadership.lost" in service.log(0))
    first = service.processes[0]
    assert first.poll() is None
    for daemon in (first, second):
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(40) == 0
    everything_was_read_once(service)


@FAULTS
def test_a_daemon_without_a_network_lives_says_so_and_ends_when_told(
    on_postgres: Service, network: TcpProxy, fault: str
):
    service = on_postgres
    port = free_port()
    service.extra = f"web: {{port: {port}}}"
    hold = service.mark("hold-2")
    reading(service)
    wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200)
    break_off(network, fault)
    hold.unlink()
    wait_for(lambda: "leadership.unknown" in service.log())
    assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
    answer = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=30)
    assert (answer.status_code, answer.json()["is_ready"]) == (503, False)
    (daemon,) = service.processes
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(60) == 0
    service.address = service.url
    wait_for(lambda: service.once() == 0 and service.reports())  # its sessions end by and by
    everything_was_read_once(service)


@pytest.mark.slow
@FAULTS
def test_a_daemon_goes_on_by_itself_when_the_network_is_back(
    on_postgres: Service, network: TcpProxy, fault: str
):
    service = on_postgres
    hold = service.mark("hold-2")
    reading(service)
    break_off(network, fault)
    hold.unlink()
    wait_for(lambda: "occurrence.interrupted" in service.log())
    network.mend(is_lost=True)
    wait_for(service.reports, seconds=100)
    everything_was_read_once(service)
