"""A described provider (GitLab) with 2,000 projects: time against the ideal, and memory.

Memory is the peak while nothing but the count of credentials is kept, at 200 and at 2,000.
"""

import sys
from typing import Any

from auditor import plugs
from auditor.collectors.declarative import Declarative
from auditor.collectors.interface import Collector, Context
from benchmarks._served import CONCURRENCY, Cost, measure, serve
from tests.fakes.http import LoopbackServer, Reply, Request

LATENCY = 0.1
FEW, MANY = 200, 2_000
PAGE = 100


def fake(projects: int, latency: float) -> LoopbackServer:
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

    server = LoopbackServer(handle, latency=latency)
    return server


def opened(url: str, context: Context) -> Collector:
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
    return collector(options, context)


def read(projects: int, latency: float, *, is_traced: bool = False) -> Cost:
    arguments = [str(projects)]
    return measure("benchmarks.declarative", arguments, opened, latency, is_traced=is_traced)


def main() -> None:
    cost = read(MANY, LATENCY)
    few, many = (read(count, 0.0, is_traced=True).peak for count in (FEW, MANY))
    print(
        f"gitlab: {cost.credentials} tokens, {cost}; peak {few / 1e6:.1f} MB at {FEW}, "
        f"{many / 1e6:.1f} MB at {MANY}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(fake(int(sys.argv[2]), float(sys.argv[3])))
    else:
        main()
