"""Saved answers played back over loopback, so that a description is tried without its provider.

The folder mirrors the paths below ``base_url``: the answer to ``GET /api/tokens`` is saved as
``api/tokens.json``, or, with status and headers as ``curl -i`` prints them, as
``api/tokens.http``. ``api/tokens@page=2.json`` answers requests with that parameter (in the query
or, for a POST, in the body or its ``variables``); where several fit, the one that names most
parameters answers. ``options.yaml`` holds the keys of the source.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

_ENDINGS = (".json", ".http")


@dataclass(frozen=True)
class Answered:
    """One saved answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Saved:
    """The answers in *folder*; *vendor* in them becomes *here*, so that links stay inside."""

    folder: Path
    base_path: str = ""
    vendor: str = ""
    here: str = ""
    missing: list[str] = field(default_factory=list)
    """What was asked for and not saved, as method and file name."""

    def answer(self, method: str, target: str, body: bytes = b"") -> Answered:
        """Return the saved answer that fits best; a 404 where none does."""
        parts = urlsplit(target)
        path = parts.path.removeprefix(self.base_path).strip("/")
        given = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **_body_params(body)}
        file = self._best(path, given)
        if file is None:
            self.missing.append(f"{method} {path}.json")
            return Answered(404, {}, b'{"error": "nothing saved"}')
        content = file.read_bytes()
        if self.vendor:
            content = content.replace(self.vendor.encode(), self.here.encode())
        return _parsed(content) if file.suffix == ".http" else Answered(200, {}, content)

    def _best(self, path: str, given: Mapping[str, str]) -> Path | None:
        wanted = self.folder / path
        found: list[tuple[int, Path]] = []
        for file in sorted(wanted.parent.glob("*")) if wanted.parent.is_dir() else ():
            if file.suffix not in _ENDINGS:
                continue
            name, _, conditions = file.name.removesuffix(file.suffix).partition("@")
            needed = dict(parse_qsl(conditions, keep_blank_values=True))
            if name in (wanted.name, unquote(wanted.name)) and needed.items() <= given.items():
                found.append((len(needed), file))
        return max(found, default=(0, None), key=lambda one: one[0])[1]


def _body_params(body: bytes) -> dict[str, str]:
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    inner = document.get("variables")
    return {
        name: ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for part in (document, inner if isinstance(inner, dict) else {})
        for name, value in part.items()
        if isinstance(value, str | int | list)
    }


def _parsed(content: bytes) -> Answered:
    head, _, body = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip(): value.strip() for name, _, value in pairs}
    kept = {n: v for n, v in headers.items() if n.lower() not in _TRANSPORT}
    return Answered(int(first.split(" ")[1]), kept, body)


_TRANSPORT = frozenset({"content-length", "transfer-encoding", "connection", "content-encoding"})


@asynccontextmanager
async def replaying(saved: Saved) -> AsyncIterator[str]:
    """Serve *saved* on a free port of loopback; yields the origin."""
    running: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        running.add(task)
        try:
            while await _one(saved, reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        saved.here = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield saved.here
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _one(saved: Saved, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, target, _version = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers: dict[str, Any] = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    answer = saved.answer(method, target, body)
    shown = {"Content-Type": "application/json", **answer.headers}
    shown["Content-Length"] = str(len(answer.body))
    lines = [f"HTTP/1.1 {answer.status} Saved", *(f"{n}: {v}" for n, v in shown.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body)
    await writer.drain()
    return True
