"""A described provider with 2,000 projects: requests, time against the ideal, and memory.

The fake runs in a process of its own and answers after a fixed latency. The ratio is elapsed time
÷ (requests * latency ÷ concurrency). Memory is the growth of the peak from 200 to 2,000 projects,
while nothing but the count of credentials is kept.
"""

import asyncio
import subprocess
import sys
import time
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditor import plugs
from auditor.collectors.declarative import Declarative
from auditor.collectors.interface import Context, Page
from tests.fakes.http import LoopbackServer, Reply, Request

LATENCY = 0.020
CONCURRENCY = 16
PROJECTS = (200, 2_000)
PAGE = 100
AIM = 2.0


def fake(projects: int) -> LoopbackServer:
    def handle(request: Request) -> Reply:
        parts = request.path.removeprefix("/api/v4/").split("/")
        if parts[0] == "groups" and parts[-1] == "projects":
            page = int(request.query.get("page", ["1"])[0])
            first, last = (page - 1) * PAGE, min(page * PAGE, projects)
            listed = [
                {"id": n, "path_with_namespace": f"acme/{n}", "description": "x" * 2_000}
                for n in range(first, last)
            ]
            link = f'<{server.url}{request.path}?page={page + 1}>; rel="next"'
            return Reply(200, listed, {"Link": link} if last < projects else {})
        if parts[0] == "projects":
            token = {"id": int(parts[1]), "name": "ci", "revoked": False, "active": True}
            times = {"created_at": "2025-03-23T14:31:47.729Z", "last_used_at": None}
            return Reply(200, [token | times | {"scopes": ["api"], "access_level": 40}])
        return Reply(200, [])

    server = LoopbackServer(handle, latency=LATENCY)
    return server


def serve(projects: int) -> None:
    with fake(projects) as server:
        print(server.url, flush=True)
        sys.stdin.readline()
        print(len(server.requests), flush=True)


async def read(url: str) -> int:
    collector = plugs.find("auditor.collectors", "gitlab", Declarative)
    options: Any = collector.Options.model_validate(
        {
            "name": "bench",
            "provider": "gitlab",
            "base_url": f"{url}/api/v4",
            "token": "glpat-of-the-benchmark",
            "groups": ["acme"],
            "concurrency": CONCURRENCY,
        }
    )
    running = collector(options, Context(now=datetime.now(UTC), directory=Path(), resolve=str))
    found = 0
    try:
        for unit in await running.units():
            async for item in running.collect(unit):
                found += len(item.credentials) if isinstance(item, Page) else 0
    finally:
        await running.aclose()
    return found


def measure(projects: int, *, is_traced: bool) -> tuple[int, int, float, int]:
    """Return credentials, requests, seconds and the peak of traced memory."""
    command = [sys.executable, "-m", "benchmarks.declarative", "serve", str(projects)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        if is_traced:
            tracemalloc.start()
        start = time.perf_counter()
        found = asyncio.run(read(url))
        elapsed = time.perf_counter() - start
        peak = tracemalloc.get_traced_memory()[1] if is_traced else 0
        tracemalloc.stop()
        server.stdin.write("\n")
        server.stdin.flush()
        requests = int(server.stdout.readline())
    return found, requests, elapsed, peak


def main() -> None:
    peaks = []
    for projects in PROJECTS:
        found, requests, elapsed, _ = measure(projects, is_traced=False)
        peak = measure(projects, is_traced=True)[3]
        peaks.append(peak)
        ideal = requests * LATENCY / CONCURRENCY
        print(
            f"{projects} projects: {found} tokens, {requests} requests, {elapsed:.1f} s, "
            f"{elapsed / ideal:.2f} times the ideal (aim {AIM}), peak {peak / 1e6:.1f} MB"
        )
    print(f"memory grows by {(peaks[1] - peaks[0]) / 1e6:.1f} MB for ten times the projects")


if __name__ == "__main__":
    serve(int(sys.argv[2])) if sys.argv[1:2] == ["serve"] else main()
