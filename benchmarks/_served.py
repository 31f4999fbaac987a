"""A fake provider in a process of its own, and what it costs to read it.

Its work is then not counted as the auditor's. It answers after a fixed latency; the ratio is
elapsed time ÷ (requests * latency ÷ concurrency). Where other work keeps the processors busy, the
second ratio tells more: against as many requests over plain sockets in the same minute.
"""

import asyncio
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditor.collectors.interface import Collector, Context, Page
from tests.fakes.http import LoopbackServer

CONCURRENCY = 16
AIM = 2.0
_ROUNDS = 40


@dataclass(frozen=True)
class Cost:
    """What one reading took."""

    credentials: int
    requests: int
    seconds: float
    cpu: float
    """Seconds of this process."""
    peak: int
    """Traced bytes; 0 where they were not traced."""
    latency: float
    floor: float
    """Seconds that one request over plain sockets took, with as many in flight."""

    @property
    def ratio(self) -> float:
        return self.seconds / (self.requests * self.latency / CONCURRENCY)

    def __str__(self) -> str:
        return (
            f"{self.requests} requests at {self.latency * 1000:.0f} ms, {CONCURRENCY} in flight: "
            f"{self.seconds:.1f} s, {self.ratio:.2f} x requests x latency / concurrency "
            f"(aim <= {AIM:g}), {self.seconds / (self.requests * self.floor):.2f} x plain sockets "
            f"in the same minute; {self.cpu / self.requests * 1e6:.0f} us CPU per request, "
            f"{self.cpu / self.seconds:.0%} of a processor"
        )


def serve(server: LoopbackServer, **options: str) -> None:
    """Serve until the reader writes a line, then tell it how much was asked.

    *options* are further options of a source, such as a key that only this process knows.
    """
    with server:
        print(json.dumps({"url": server.url, **options}), flush=True)
        sys.stdin.readline()
        print(len(server.requests), flush=True)


def measure(
    module: str,
    arguments: list[str],
    open_: Callable[..., Collector],
    latency: float,
    *,
    is_traced: bool = False,
) -> Cost:
    """Run ``module serve *arguments latency`` and read it by ``open_(url, context, **options)``."""
    command = [sys.executable, "-m", module, "serve", *arguments, str(latency)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        context = Context(now=datetime.now(UTC), directory=Path(), resolve=str)
        if is_traced:
            tracemalloc.start()
        cpu, start = time.process_time(), time.perf_counter()
        url = told.pop("url")
        found = asyncio.run(_counted(open_(url, context, **told)))
        cpu, elapsed = time.process_time() - cpu, time.perf_counter() - start
        peak = tracemalloc.get_traced_memory()[1] if is_traced else 0
        tracemalloc.stop()
        floor = 0.0 if is_traced else asyncio.run(_plain(url))
        requests = int(server.communicate("\n")[0]) - (0 if is_traced else _ROUNDS * CONCURRENCY)
    return Cost(found, requests, elapsed, cpu, peak, latency, floor)


async def _plain(url: str) -> float:
    """Return the seconds for one request: what this machine can do at this moment."""
    host, port = url.removeprefix("http://").split(":")

    async def lane() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for _ in range(_ROUNDS):
            writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r")[0]))
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(CONCURRENCY)))
    return (time.perf_counter() - started) / (_ROUNDS * CONCURRENCY)


async def _counted(collector: Collector) -> int:
    """Read every unit as the line does, so many side by side, and keep nothing."""
    places = asyncio.Semaphore(collector.units_at_once)

    async def read(unit: Any) -> int:
        found = 0
        async with places, aclosing(collector.collect(unit)) as items:  # type: ignore[type-var]
            async for item in items:
                found += len(item.credentials) if isinstance(item, Page) else 0
        return found

    try:
        return sum(await asyncio.gather(*map(read, await collector.units())))
    finally:
        await collector.aclose()
