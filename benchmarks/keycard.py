"""Keycard over HTTP with 20 ms latency, against what the latency alone would cost.

The fake runs in a process of its own, so that its work is not counted as the auditor's. The
ratio is elapsed time ÷ (requests * latency ÷ concurrency); the aim is at most 2.
"""

import asyncio
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from auditor.collectors.interface import Context, Page
from auditor.collectors.keycard import Keycard, KeycardOptions
from tests.fakes.keycard import FakeKeycard

LATENCY = 0.020
CONCURRENCY = 16
ORGANIZATIONS = 4
ACCOUNTS = 400
CREDENTIALS = 5
AIM = 2.0


def tenant() -> FakeKeycard:
    fake = FakeKeycard(grant={"organizations": {"read": True}, "service_accounts": {"read": True}})
    for org in range(ORGANIZATIONS):
        fake.add_organization(f"org-{org}")
        for account in range(ACCOUNTS):
            account_id = f"sa-{org}-{account}"
            fake.add_account(f"org-{org}", account_id)
            for number in range(CREDENTIALS):
                fake.add_credential(account_id, f"{account_id}-{number}")
    return fake


def serve() -> None:
    with tenant().server(latency=LATENCY) as server:
        print(server.url, flush=True)
        sys.stdin.readline()
        print(len(server.requests), flush=True)


async def read(url: str) -> int:
    options = KeycardOptions(
        name="bench",
        provider="keycard",
        base_url=url,
        token=FakeKeycard().token,
        concurrency=CONCURRENCY,
    )
    context = Context(now=datetime.now(UTC), directory=Path(), resolve=str)
    collector = Keycard(options, context)
    found = 0
    try:
        units = await collector.units()
        counts = await asyncio.gather(*(_count(collector, unit) for unit in units))
        found = sum(counts)
    finally:
        await collector.aclose()
    return found


async def _count(collector: Keycard, unit) -> int:
    return sum(
        [len(item.credentials) async for item in collector.collect(unit) if isinstance(item, Page)]
    )


async def bare(url: str, requests: int) -> float:
    """Seconds for as many requests over plain sockets: what this machine can do at this moment."""
    host, port = url.removeprefix("http://").split(":")
    path = "/organizations/org-0/service-accounts/sa-0-0/credentials?limit=100"
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {FakeKeycard().token}",
    )
    message = "\r\n".join((*lines, "", "")).encode()

    async def lane(count: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for _ in range(count):
            writer.write(message)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
            await reader.readexactly(length)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(lane(requests // CONCURRENCY) for _ in range(CONCURRENCY)))
    return time.perf_counter() - started


def main() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.keycard", "serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        started = time.perf_counter()
        cpu = time.process_time()
        found = asyncio.run(read(url))
        elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
        control = 1 + ORGANIZATIONS * (1 + ACCOUNTS // 100 + ACCOUNTS)
        floor = asyncio.run(bare(url, control))
        requests = int(server.communicate("\n")[0]) - control // CONCURRENCY * CONCURRENCY
    assert found == ORGANIZATIONS * ACCOUNTS * CREDENTIALS
    ideal = requests * LATENCY / CONCURRENCY
    print(
        f"keycard: {requests} requests at {LATENCY * 1000:.0f} ms, {CONCURRENCY} in flight: "
        f"{elapsed:.2f} s, {elapsed / ideal:.2f} x requests x latency / concurrency "
        f"(aim <= {AIM:g}), {elapsed / floor:.2f} x plain sockets in the same minute; "
        f"{cpu / requests * 1e6:.0f} us CPU per request"
    )


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
