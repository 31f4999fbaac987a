"""What a page of the web view takes with 100,000 credentials on SQLite: aim 200 ms each.

Two audited runs of which the second saw changes, then a real daemon on them, every page asked over
HTTP: right after the start, when nothing else goes on, and beside a third run from its first
reading until the view shows it. The slowest answer counts. What the process of the view computed
meanwhile is given apart: on a busy machine the rest is mostly waiting for a processor. An argument
names a folder to keep, so that the audits need not be done again.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import httpx

from benchmarks.line import ENTRY, LARGE, audit, prepare_folder

AIM = 200
TIMES = 7
CHANGED = 7
PAUSE = 0.02
"""Seconds between two requests: people do not ask without a break."""
PATIENCE = 300
"""Seconds for an audit and what follows it."""

Taken = dict[str, list[tuple[float, float]]]
"""Page → of each answer the milliseconds, and those that the view computed."""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        kept = Path(sys.argv[1] if len(sys.argv) > 1 else name)
        if not (kept / "auditor.db").exists():
            kept.mkdir(exist_ok=True)
            prepare_folder(kept, LARGE)
            audit(kept)
            change(kept / "keys.ndjson")
            audit(kept)
        folder = Path(name) / "served"
        shutil.copytree(kept, folder)
        change(folder / "keys.ndjson")
        with serving(folder) as daemon:
            measure(daemon)


def change(path: Path) -> None:
    """Let every seventh credential have a new name, and some be gone."""
    lines = path.read_text().splitlines()
    with path.open("w") as out:
        for number, line in enumerate(lines):
            record = json.loads(line)
            if number % CHANGED == 0:
                record["name"] += " renamed"
            if number % 1000 != 999:
                out.write(json.dumps(record) + "\n")


@dataclass
class Daemon:
    """A daemon with its web view, in a folder of its own."""

    folder: Path
    process: subprocess.Popen[bytes]
    client: httpx.Client
    layout: str

    def schedule(self, every: str) -> None:
        """Let it audit so often from now on."""
        schedules = f"schedules: [{{name: bench-{every}, every: {every}}}]\n"
        (self.folder / "config.yaml").write_text(self.layout + schedules)
        self.process.send_signal(signal.SIGHUP)

    def is_auditing(self) -> bool:
        """Whether an audit goes on."""
        return "auditor_audits_running 1.0" in self.client.get("/metrics").text

    def shows(self, run: int) -> bool:
        """Whether the front page is that of *run*."""
        return f'href="/runs/{run}"' in self.client.get("/").text

    def peaks(self) -> dict[str, int]:
        """Return the peak MiB of the daemon and of each process that it started and still runs."""
        return {one: _peak(one) for one in (str(self.process.pid), *self._children())}

    def computed(self) -> float:
        """Return the milliseconds that the view has computed so far."""
        return sum(time.clock_gettime_ns(_clock(one)) for one in self._children()) / 1e6

    def _children(self) -> list[str]:
        number = self.process.pid
        return Path(f"/proc/{number}/task/{number}/children").read_text().split()


def _peak(process: str) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def _clock(process: str) -> int:
    """Return the clock that counts what a process computes, as Linux numbers it."""
    return ~int(process) << 3 | 2


@contextmanager
def serving(folder: Path) -> Iterator[Daemon]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    layout = (folder / "config.yaml").read_text()
    layout += f"web: {{port: {port}}}\ndaemon: {{tick: 1s}}\n"
    (folder / "config.yaml").write_text(layout + "schedules: [{name: later, daily: '03:00'}]\n")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", ENTRY, "--log-level", "error", "daemon"]
    process = subprocess.Popen(command, cwd=folder, env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield Daemon(folder, process, client, layout)
    finally:
        process.terminate()
        process.wait()


def pages(client: httpx.Client) -> Iterator[tuple[str, str]]:
    yield "verdict", "/"
    yield "findings", "/findings"
    yield "findings, far down", "/findings?status=any&after=30000"
    yield "findings, newest first", "/findings?order=new&after=20000"
    yield "findings, filtered", "/findings?policy=dormant-credential&organization=acme:org-3"
    yield "findings, found", "/findings?q=svc-42+team"
    yield "findings, nothing found", "/findings?q=nothing-is-called-so"
    found = client.get("/findings").text.split('href="/findings/')[1].split('"')[0]
    yield "one finding", f"/findings/{found}"
    yield "credentials", "/credentials"
    yield "credentials, far down", "/credentials?after=90000"
    yield "credentials, filtered", "/credentials?owner=team-3@example.com&privilege=write"
    yield "credentials, nothing found", "/credentials?q=nothing-is-called-so"
    uid = "acme:org-0:api_key:key-0000007"
    yield "one credential", "/credential?" + urlencode({"uid": uid})
    yield "a credential that is gone", "/credential?uid=acme:org-5:api_key:key-0000999"
    yield "runs", "/runs"
    yield "one run", "/runs/1"
    yield "compare", "/compare?from=1&to=2"
    yield "compare, far down", "/compare?from=1&to=2&uid=acme:org-6:api_key:key-0090000"
    yield "trends", "/trends"
    yield "coverage", "/coverage"
    yield "schedules", "/schedules"


def measure(daemon: Daemon) -> None:
    client = daemon.client
    begun = time.perf_counter()
    _until(lambda: _answers(client))
    print(f"first answer after {time.perf_counter() - begun:.1f} s")
    _until(lambda: daemon.shows(2))
    print(f"the newest run of {LARGE:,} after {time.perf_counter() - begun:.1f} s")
    asked = list(pages(client))
    first = _ask(daemon, asked)
    quiet: Taken = defaultdict(list)
    for _ in range(TIMES):
        _add(quiet, _ask(daemon, asked))
    during: Taken = defaultdict(list)
    daemon.schedule("1m")
    _until(daemon.is_auditing)
    daemon.schedule("12h")
    begun = time.perf_counter()
    rounds = 0
    while not daemon.shows(3):
        _add(during, _ask(daemon, asked))
        rounds += 1
    print(f"a run and its lists: {time.perf_counter() - begun:.1f} s, {rounds} rounds meanwhile")
    after = _ask(daemon, asked)
    columns = {"first": first, "quiet": quiet, "during": during, "after": after}
    for number, what in enumerate(("", " of computing by the view")):
        print(f"{'milliseconds' + what:46}" + "".join(f"{name:>14}" for name in columns))
        for name, _ in asked:
            cells = ([one[number] for one in taken[name]] for taken in columns.values())
            print(f"{name:46}" + "".join(map(_cell, cells)))
        worst = {
            name: max(one[number] for answers in taken.values() for one in answers)
            for name, taken in columns.items()
        }
        print(f"{f'slowest (aim {AIM})':46}" + "".join(f"{ms:14.0f}" for ms in worst.values()))
    print(f"peak MiB by process: {daemon.peaks()}")


def _until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def _ask(daemon: Daemon, asked: Iterable[tuple[str, str]]) -> Taken:
    taken: Taken = {}
    for name, path in asked:
        time.sleep(PAUSE)
        computed, begun = daemon.computed(), time.perf_counter()
        answer = daemon.client.get(path)
        took = (time.perf_counter() - begun) * 1000
        taken[name] = [(took, daemon.computed() - computed)]
        assert answer.status_code == 200, (path, answer.status_code, answer.text[-400:])
    return taken


def _add(all_of_them: Taken, more: Taken) -> None:
    for name, taken in more.items():
        all_of_them[name] += taken


def _cell(taken: list[float]) -> str:
    text = f"{median(taken):.0f}" + (f" to {max(taken):.0f}" if len(taken) > 1 else "")
    return f"{text:>14}"


if __name__ == "__main__":
    main()
