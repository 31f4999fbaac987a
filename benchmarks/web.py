"""What a page of the web view takes with 100,000 credentials on SQLite: aim 200 ms each.

Two audited runs of which the second saw changes, the application behind a real uvicorn on
loopback, every page asked over HTTP several times; the slowest answer counts. An argument names a
folder to keep, so that the audits need not be done again.
"""

import asyncio
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx

from auditor.config import load_config
from auditor.serving import WebSettings
from auditor.store import Store
from auditor.web.app import create_app
from auditor.web.server import serve
from benchmarks.line import LARGE, audit, prepare_folder

AIM = 200
TIMES = 7
CHANGED = 7


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else name)
        if not (folder / "auditor.db").exists():
            folder.mkdir(exist_ok=True)
            prepare_folder(folder, LARGE)
            audit(folder)
            change(folder / "keys.ndjson")
            audit(folder)
        with serving(folder) as (address, took):
            print(f"laying out {LARGE:,} credentials: {took:.1f} s before the first answer")
            measure(address)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of server and client: {peak:.0f} MiB")


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


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, float]]:
    config = load_config(folder / "config.yaml")
    stop, ready = asyncio.Event(), threading.Event()
    addresses: list[str] = []
    loops: list[asyncio.AbstractEventLoop] = []

    def started(address: str) -> None:
        addresses.append(address)
        ready.set()

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        await serve(app, WebSettings(port=0), stop=stop, started=started)

    with Store.open(config.database_url) as store:
        app = create_app(store, config)
        begun = time.perf_counter()
        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        ready.wait()
        took = time.perf_counter() - begun
        try:
            yield addresses[0], took
        finally:
            loops[0].call_soon_threadsafe(stop.set)
            thread.join()


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


def measure(address: str) -> None:
    slowest = 0.0
    with httpx.Client(base_url=address, timeout=60) as client:
        for name, path in pages(client):
            taken = []
            for _ in range(TIMES):
                begun = time.perf_counter()
                answer = client.get(path)
                taken.append((time.perf_counter() - begun) * 1000)
                assert answer.status_code == 200, (path, answer.status_code, answer.text[-400:])
            slowest = max(slowest, *taken)
            middle = sorted(taken)[TIMES // 2]
            size = len(answer.content) / 1024
            print(f"{name:28} {middle:6.1f} ms, slowest {max(taken):6.1f} ms, {size:5.0f} KiB")
    print(f"slowest page: {slowest:.0f} ms (aim {AIM})")


if __name__ == "__main__":
    main()
