"""Lists below lists below lists: all of them are read side by side."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from auditor.collectors.declarative import Declarative
from auditor.collectors.interface import Context
from tests.collectors.reading import read_all
from tests.fakes.http import LoopbackServer, Reply, Request

STEPS = """\
steps:
  - id: regions
    path: /regions
  - id: projects
    each: regions
    path: "/regions/${regions.id}/projects"
  - id: tokens
    each: projects
    path: "/projects/${projects.id}/tokens"
    credentials:
      kind: token
      id: id
      type: Access Token
      name: id
      expires_at: {state: unknown}
      tags: {region: "@regions.id"}
"""
PROJECTS = 30


async def test_one_record_at_the_top_is_no_bottleneck(
    write: Callable[..., type[Declarative]], now: datetime, tmp_path: Path
) -> None:
    def handle(request: Request) -> Reply:
        match request.path.strip("/").split("/"):
            case ["regions"]:
                return Reply(200, [{"id": "eu"}])
            case ["regions", _, "projects"]:
                server.together = 8  # from now on nobody is answered alone
                return Reply(200, [{"id": f"p-{number}"} for number in range(PROJECTS)])
            case ["projects", project, "tokens"]:
                return Reply(200, [{"id": f"t-of-{project}"}])
        return Reply(404)

    collector = write(STEPS)
    with LoopbackServer(handle) as server:
        keys = {"name": "acme", "provider": "acme", "token": "t", "base_url": server.url}
        options: Any = collector.Options.model_validate(keys | {"concurrency": 8})
        source = collector(options, Context(now=now, directory=tmp_path, resolve=str))
        (read,) = (await read_all(source)).values()
        await source.aclose()

    assert read.status == "complete"
    assert len(read.credentials) == PROJECTS
    assert {one.tags["region"] for one in read.credentials.values()} == {"eu"}
    assert server.most_in_flight == 8
