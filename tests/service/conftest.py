"""Daemons as processes of their own, on a database of either kind, in a folder of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from auditor.store import Store
from tests.store.conftest import postgres_url

ROOT = Path(__file__).parent.parent.parent
PROGRAM = "import sys; from auditor.cli import main; sys.exit(main())"
LEASE = 3
"""Seconds a dead leader leads."""
__all__ = ["postgres_url"]


class Service:
    """A folder with a configuration, and the daemons that work on it."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = url
        self.address = url
        """Where daemons find the database, if not where the test does."""
        self.parameters = ""
        """What their address of it ends with."""
        self.extra = ""
        self.every = "1d"
        self.limit = ""
        self.more = ""
        """Further schedules."""
        self.options = ""
        self.timing = f"tick: 1s, lease: {LEASE}s"
        self.processes: list[subprocess.Popen[str]] = []

    def write_config(self) -> Path:
        path = self.root / "config.yaml"
        path.write_text(
            f'database: {{url: "{self.address}{self.parameters}"}}\n'
            "sources: [{name: paced, provider: 'tests.fakes.paced:Paced'"
            f"{self.options}}}]\n"
            "reports: {directory: reports, formats: [json]}\n"
            f"schedules: [{{name: often, every: {self.every}{self.limit}}}{self.more}]\n"
            f"daemon: {{{self.timing}}}\n{self.extra}\n"
        )
        return path

    def start(
        self, *arguments: str, before: Callable[[], None] | None = None
    ) -> subprocess.Popen[str]:
        """Start ``auditor daemon`` (which calls *before* first); its log goes to a file."""
        log = (self.root / f"log-{len(self.processes)}").open("w")
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "daemon", "-c", str(self.write_config()), *arguments],
            stdout=log,
            stderr=log,
            text=True,
            cwd=ROOT,
            env=environment,
            preexec_fn=before,  # noqa: PLW1509 - no threads of a test hold locks here
        )
        log.close()
        self.processes.append(process)
        return process

    def once(self) -> int:
        """Run ``auditor daemon --once`` to its end, and the lease of one that was killed."""
        code = self.start("--once").wait(60)
        if code and self.url.startswith("postgresql"):
            time.sleep(LEASE + 0.2)
        return code

    def log(self, number: int = -1) -> str:
        at = number % len(self.processes)
        return (self.root / f"log-{at}").read_text()

    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().split() if path.exists() else []

    def reports(self) -> list[dict[str, Any]]:
        found = sorted((self.root / "reports").glob("report-*.json"))
        return [json.loads(path.read_text()) for path in found]

    def mark(self, name: str) -> Path:
        path = self.root / name
        path.touch()
        return path

    def store(self) -> Store:
        return Store.open(self.url)

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


def wait_for(condition: Callable[[], object], seconds: float = 40) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.05)


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path, f"sqlite:///{tmp_path}/store.db")
    yield made
    made.end()


@pytest.fixture
def on_postgres(tmp_path: Path, postgres_url: str) -> Iterator[Service]:
    with psycopg.connect(plain(postgres_url), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    made = Service(tmp_path, postgres_url)
    yield made
    made.end()


@pytest.fixture(params=["on_sqlite", pytest.param("on_postgres", marks=pytest.mark.postgres)])
def service(request: pytest.FixtureRequest) -> Service:
    made: Service = request.getfixturevalue(request.param)
    return made


def plain(url: str) -> str:
    """Return *url* as the driver itself reads it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
