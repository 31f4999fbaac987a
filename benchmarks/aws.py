"""A whole audit of AWS beside other tools, on the same simulated account, in the same run.

python -m benchmarks.aws [users] [--latency MS]... [--without-peers] [--accounts N]

The account is served from a process of its own and has a seeded truth. Each tool is a process of
its own as well: its CPU and memory are those the kernel counted. Peers are looked for in
$AWS_BENCH (default /tmp/aws-bench): `python -m venv c7n && c7n/bin/pip install c7n`, and the same
for prowler. One that is absent is said to be absent. Ours may be there, too, installed with
`pip install 'auditor[aws]'` as auditor; else it runs beside all that its tests need, some of which
libraries load because it is there (h2: 4 MB, 40 ms).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks._aws.keys import KEY_ID, SECRET
from benchmarks._aws.peers import HOME, PEERS, Peer

CONCURRENCY = 16
AIM_CALLS_AGAIN = 30
JUDGED = (
    "dormant-credential",
    "dormant-privileged-credential",
    "long-lived-credential",
    "never-used-credential",
    "over-permissioned-credential",
    "stale-credential",
)


# -- the server, in a process of its own


@dataclass
class Service:
    """The server as the tools see it."""

    url: str
    truth: dict[str, Any]
    overrides: str
    _process: subprocess.Popen[str]

    def calls(self, latency: float) -> Counter[str]:
        """Return the calls since the last time, and answer with *latency* from now on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{latency}\n")
        self._process.stdin.flush()
        return Counter(json.loads(self._process.stdout.readline()))


@contextmanager
def service(users: int, accounts: int = 1) -> Iterator[Service]:
    command = [sys.executable, "-m", "benchmarks._aws.server", str(users), str(accounts)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        yield Service(said["url"], said["truth"], said["overrides"], process)
        assert process.stdin is not None
        process.stdin.close()


# -- measuring


@dataclass
class Run:
    """What one run of one tool cost."""

    name: str
    wall: float
    cpu: float
    memory: int
    """Peak, MB."""
    code: int
    calls: Counter[str] = field(default_factory=Counter)
    written: int = 0
    """Bytes in the files it left."""
    wrong: str = ""
    """False positives and negatives."""

    def line(self) -> str:
        return (
            f"  {self.name:34} {self.calls.total():7,} calls {self.cpu:7.1f} s CPU "
            f"{self.memory:5} MB {self.wall:7.1f} s wall {self.written / 1e6:7.1f} MB written  "
            f"{self.wrong}"
        )


def measure(
    name: str,
    command: list[str],
    folder: Path,
    served: Service,
    latency: float,
    environment: dict[str, str] | None = None,
) -> Run:
    served.calls(latency)
    before = _size(folder)
    started = time.perf_counter()
    with (folder / f"{name.replace(' ', '-')}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**_as_installed(), **(environment or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    return Run(
        name,
        wall,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss // 1024,
        process.returncode,
        served.calls(latency),
        _size(folder) - before,
    )


def _as_installed() -> dict[str, str]:
    """Return our environment, in which modules are compiled once as pip compiles what it installs.

    Tools from a venv are compiled; without this ours would be compiled anew in every run.
    """
    return {k: value for k, value in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


# -- the auditor


def configure(folder: Path, served: Service, more: str) -> None:
    (folder / "config.yaml").write_text(
        f"sources:\n  - name: aws\n    provider: aws\n    endpoint_url: {served.url}\n"
        f"    access_key_id: {KEY_ID}\n    secret_access_key: ${{env:BENCH_SECRET}}\n"
        f"    concurrency: {CONCURRENCY}\n{more}"
        "reports: {directory: reports, formats: [html, json, ocsf]}\n" + served.overrides
    )


def audit(served: Service, latency: float, more: str = "") -> list[Run]:
    """Audit twice into a fresh database; the second run finds nothing changed."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        configure(folder, served, more)
        command = [str(_auditor()), "audit", "-c", "config.yaml"]
        environment = {"BENCH_SECRET": SECRET, "PYTHONPATH": str(Path.cwd())}
        runs = []
        for name in ("auditor, first run", "auditor, unchanged second run"):
            run = measure(name, command, folder, served, latency, environment)
            run.wrong = _elsewhere(_compare, folder, served.truth["by_policy"])
            runs.append(run)
            if run.code != 0:
                print((folder / f"{name.replace(' ', '-')}.log").read_text()[-2000:])
        return runs


def _auditor() -> Path:
    own = HOME / "auditor/bin/auditor"
    return own if own.exists() else Path(sys.executable).with_name("auditor")


def _elsewhere(judge: Callable[..., str], *arguments: Any) -> str:
    """Call *judge* in another process: Linux counts our own peak as that of what we start next."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(judge, *arguments).result()


def _compare(folder: Path, truth: dict[str, list[str]]) -> str:
    reports = sorted((folder / "reports").glob("report-*.json"), key=lambda p: p.stat().st_mtime)
    if not reports:
        return "no report"
    found: dict[str, set[str]] = {policy: set() for policy in JUDGED}
    for finding in json.loads(reports[-1].read_text())["findings"]:
        if finding["status"] == "open" and finding["policy_id"] in found:
            key_id = finding["credential"]["uid"].rpartition(":")[2]
            found[finding["policy_id"]].add(key_id)
    false_positive = sum(len(found[p] - set(truth[p])) for p in JUDGED)
    false_negative = sum(len(set(truth[p]) - found[p]) for p in JUDGED)
    total = sum(len(truth[p]) for p in JUDGED)
    return f"{false_positive} false, {false_negative} missed of {total} (per key)"


def measure_floor(served: Service, latency: float) -> Run:
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "benchmarks._aws.floor", served.url, str(CONCURRENCY)]
        environment = {"PYTHONPATH": str(Path.cwd())}
        run = measure("floor", command, Path(scratch), served, latency, environment)
        run.name = f"floor: the calls, {CONCURRENCY} threads"
        run.written = 0
        return run


def measure_peer(peer: Peer, served: Service, latency: float) -> Run | None:
    command = peer.command()
    if command is None:
        print(f"  {peer.name:34} absent: {peer.how_to_install()}")
        return None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        peer.prepare(folder)
        environment = {
            "AWS_ENDPOINT_URL": served.url,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "HOME": scratch,
        }
        run = measure(peer.name, command, folder, served, latency, environment)
        run.wrong = _elsewhere(peer.judge, folder, served.truth)
        if not run.wrong:
            log = (folder / f"{peer.name.replace(' ', '-')}.log").read_text(errors="replace")
            run.wrong = f"exit {run.code}: {log[-300:]}"
        return run


# -- the whole


def compare(users: int, latencies: list[float], *, with_peers: bool) -> None:
    with service(users) as served:
        for latency in latencies:
            print(f"{users:,} users, {served.truth['keys']:,} keys, {latency * 1000:.0f} ms a call")
            audit(served, 0)  # the report is made and every page rendered: the same for all
            base = measure_floor(served, latency)
            print(base.line())
            first, second = audit(served, latency)
            ratio = first.wall / base.wall
            print(first.line(), f"; {ratio:.2f} x the floor (aim <= 1.5)", sep="", flush=True)
            print(second.line(), f"; aim <= {AIM_CALLS_AGAIN} calls, <= 2 s at 40 ms", sep="")
            for peer in PEERS if with_peers else ():
                run = measure_peer(peer, served, latency)
                if run is not None:
                    print(run.line(), flush=True)


def many(accounts: int, users: int, latency: float) -> None:
    """Read a whole organization, ten requests a second in each account."""
    more = (
        "    accounts: organization\n    role_name: Auditor\n    requests_per_second: 10\n"
        "    report_wait: 60s\n"
    )
    with service(users, accounts) as served:
        keys = served.truth["keys"]
        print(f"{accounts} accounts x {users} users, {keys:,} keys, 10 requests/s per account")
        for run in audit(served, latency, more):
            print(run.line(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("users", nargs="?", type=int, default=1000)
    parser.add_argument("--latency", action="append", type=float, help="milliseconds a call")
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--accounts", type=int, help="read so many accounts instead")
    given = parser.parse_args()
    latencies = [value / 1000 for value in given.latency or (0.0, 40.0)]
    if given.accounts:
        many(given.accounts, given.users, latencies[-1])
    else:
        compare(given.users, latencies, with_peers=not given.without_peers)


if __name__ == "__main__":
    main()
