"""A folder with three audited runs, and the web view of it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import httpx
import pytest
from structlog.testing import capture_logs

from auditor.config import load_config
from auditor.errors import AuditorError
from auditor.serving import WebSettings
from auditor.store import Store
from auditor.web.app import create_app
from auditor.web.server import serve
from tests.house import House, key

SCHEDULE = (
    "schedules: [{name: nightly, cron: '0 3 * * *', timezone: Europe/Berlin, sources: [exports]}]"
)


def fill(house: House, *, names: tuple[str, ...] = ()) -> None:
    """Audit three times: much is idle; then one is renamed, one is gone and one is new."""
    idle = [
        key(
            number,
            used="2025-10-01T00:00:00Z",
            created="2025-01-01T00:00:00Z",
            organization=f"org-{number % 3}",
            name=f"deploy {number}",
            owner=f"team-{number % 4}@example.com" if number % 5 else None,
        )
        for number in range(70)
    ]
    idle += [
        key(1000 + number, used="2025-10-01T00:00:00Z", created="2025-01-01T00:00:00Z", name=name)
        for number, name in enumerate(names)
    ]
    fine = [key(500 + number, used="2026-02-28T00:00:00Z") for number in range(5)]
    house.export(*idle, *fine)
    house.audit(schedule="nightly", occurrence="2026-03-01T03:00")
    house.later(days=1)
    idle[3] = idle[3] | {"name": "deploy renamed"}
    house.export(*idle[:2], *idle[3:], *fine)
    house.audit()
    house.later(days=1)
    house.export(*idle[:2], *idle[3:], *fine, key(900, used="2026-03-02T00:00:00Z"))
    house.audit()


class Web:
    """The view of a folder, asked without a socket."""

    def __init__(self, house: House, **web: object) -> None:
        house.config()
        path = house.root / "web.yaml"
        block = f"web: {json.dumps(web)}\n" if web else ""
        path.write_text((house.root / "config.yaml").read_text() + block)
        self.config = load_config(path)
        self.store = Store.open(self.config.database_url)
        self.app = create_app(self.store, self.config, clock=lambda: house.now + timedelta(hours=1))

    def lay_out(self) -> None:
        """Have the newest run ready, which the first pages would not wait for."""
        with suppress(AuditorError):  # which the pages say then
            self.app.state.site.shelf.refresh()

    @contextmanager
    def served(self) -> Iterator[str]:
        """Answer on a real socket meanwhile; yields the address."""
        stop, ready = asyncio.Event(), threading.Event()
        told: list[str] = []
        loops: list[asyncio.AbstractEventLoop] = []

        def started(address: str) -> None:
            told.append(address)
            ready.set()

        async def run() -> None:
            loops.append(asyncio.get_running_loop())
            await serve(self.app, WebSettings(port=0), stop=stop, started=started)

        self.lay_out()
        with capture_logs():
            thread = threading.Thread(target=lambda: asyncio.run(run()))
            thread.start()
            assert ready.wait(20)
            try:
                yield told[0]
            finally:
                loops[0].call_soon_threadsafe(stop.set)
                thread.join()

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        with self.served() as address, httpx.Client(base_url=address, timeout=30) as client:
            yield client

    def visit(self, *, host: str = "127.0.0.1", peer: str = "127.0.0.1") -> httpx.AsyncClient:
        """Ask without a socket, as if from *peer*."""
        self.lay_out()
        transport = httpx.ASGITransport(self.app, client=(peer, 50000))
        return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("house"))
    house.extra = SCHEDULE
    fill(house)
    return house


@pytest.fixture
def open_web(audited: House):
    """Opens the view under other settings."""
    opened: list[Web] = []

    def build(**web: object) -> Web:
        made = Web(audited, **web)
        opened.append(made)
        return made

    yield build
    for one in opened:
        one.store.close()


@pytest.fixture(scope="session")
def web(audited: House) -> Iterator[Web]:
    made = Web(audited)
    yield made
    made.store.close()


@pytest.fixture(scope="session")
def visitor(web: Web) -> Iterator[httpx.Client]:
    with web.client() as client:
        yield client
