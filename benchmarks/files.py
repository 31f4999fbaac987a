"""Reading exports, the collector alone: CPU µs per credential in each shape, memory as a ratio.

Every measurement runs in a process of its own. Memory is the peak RSS over 100,000 credentials ÷
that over 10,000; the aim for normalized NDJSON is at most 12 µs and a ratio of 1.5.
"""

import asyncio
import csv
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import IO, Any

from auditor.collectors.file import FileCollector
from auditor.collectors.interface import Context, Page

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
SMALL, LARGE = 10_000, 100_000
AIM, RATIO_AIM = 12.0, 1.5

_RIGHTS = (
    {"zones": {"read": True, "list": True}},
    {"zones": {"read": True, "update": True, "delete": False}, "users": {"read": True}},
    {"storage": {"get": True, "create": True}},
    {"*": {"admin": True}},
)


def records(count: int) -> Iterator[dict[str, Any]]:
    random = Random(1)
    for n in range(count):
        age = random.uniform(1, 900)
        yield {
            "uid": f"acme:org-{n % 4}:api_key:{random.randbytes(10).hex()}",
            "provider": "acme",
            "organization": {"id": f"org-{n % 4}", "name": f"Organization {n % 4}"},
            "principal": {"id": f"sa-{n // 3}", "name": f"svc-{n // 3}", "type": "service_account"},
            "name": f"key {n} of svc-{n // 3}",
            "type": "API Key",
            "status": "active",
            "created_at": ago(age),
            "last_used_at": ago(random.uniform(0, age)),
            "last_used_state": "used",
            "data_as_of": ago(0),
            "expires_state": "never",
            "permissions": random.choice(_RIGHTS),
            "owner": f"team-{n % 17}@example.com",
            "tags": {"cadence": "daily"},
        }


def ago(days: float) -> str:
    return (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def ndjson(out: IO[str], count: int) -> None:
    out.writelines(json.dumps(record) + "\n" for record in records(count))


def array(out: IO[str], count: int) -> None:
    out.write("[" + ",\n".join(json.dumps(record) for record in records(count)) + "]")


def keycard(out: IO[str], count: int) -> None:
    items = [
        {
            "id": record["uid"].rsplit(":", 1)[-1],
            "client_id": f"client-{n}",
            "name": record["name"],
            "created_at": record["created_at"],
            "last_used_at": record["last_used_at"],
            "permissions": record["permissions"],
        }
        for n, record in enumerate(records(count))
    ]
    json.dump({"organization": "org-1", "items": items, "page_info": {}}, out)


def table(out: IO[str], count: int) -> None:
    fields = ("uid", "provider", "name", "type", "status", "created_at", "last_used_at", "owner")
    writer = csv.writer(out)
    writer.writerow(fields)
    writer.writerows([record[field] for field in fields] for record in records(count))


SHAPES: dict[str, tuple[str, Callable[[IO[str], int], None]]] = {
    "normalized NDJSON": ("ndjson", ndjson),
    "normalized JSON": ("json", array),
    "Keycard list": ("json", keycard),
    "CSV": ("csv", table),
}


async def read(path: Path) -> int:
    options = FileCollector.Options.model_validate(
        {"name": "bench", "provider": "file", "path": str(path)}
    )
    collector = FileCollector(options, Context(now=NOW, directory=Path(), resolve=str))
    (unit,) = await collector.units()
    found = 0
    async for item in collector.collect(unit):
        if isinstance(item, Page):
            found += len(item.credentials)
    return found


def measure(path: Path) -> None:
    """Print CPU µs per credential (the better of two readings) and the peak RSS in KiB."""
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        found = asyncio.run(read(path))
        best = min(best, (time.process_time() - start) / found * 1e6)
    print(best, peak_rss())


def peak_rss() -> float:
    """Return KiB; `ru_maxrss` starts with the size of the parent, so Linux is asked elsewhere."""
    status = Path("/proc/self/status")
    if status.exists():
        return float(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def run(path: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.files", str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    micros, rss = done.stdout.split()
    return float(micros), float(rss)


def main() -> None:
    print(f"{'shape':20} {'µs each':>8} {'at 10,000':>10} {'RSS ratio':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for shape, (suffix, write) in SHAPES.items():
            figures = []
            for size in (SMALL, LARGE):
                path = Path(folder) / f"{size}.{suffix}"
                with path.open("w", encoding="utf-8") as out:
                    write(out, size)
                figures.append(run(path))
            (small, small_rss), (large, large_rss) = figures
            print(f"{shape:20} {large:8.1f} {small:10.1f} {large_rss / small_rss:10.2f}")
    print(f"aim for normalized NDJSON: {AIM:.0f} µs, ratio {RATIO_AIM}")


if __name__ == "__main__":
    measure(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
