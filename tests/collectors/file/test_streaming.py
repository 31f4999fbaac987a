"""Memory holds a page, whatever the size of the file."""

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from auditor.collectors.file import FileCollector
from auditor.collectors.interface import Page

SMALL, LARGE = 4_000, 12_000


def records(count: int) -> Iterator[dict[str, Any]]:
    for n in range(count):
        yield {
            "uid": f"acme:org-{n % 5}:key:{n}",
            "provider": "acme",
            "organization": {"id": f"org-{n % 5}", "name": f"Org {n % 5}"},
            "principal": {"id": f"sa-{n}", "name": f"sa {n}"},
            "name": f"key {n} " + "x" * 200,
            "type": "API Key",
            "created_at": "2025-06-01T10:00:00Z",
            "permissions": {f"zone-{n}": {"read": True}},
        }


def ndjson(out: IO[str], count: int) -> None:
    for record in records(count):
        out.write(json.dumps(record) + "\n")


def enveloped(out: IO[str], count: int) -> None:
    out.write('{"credentials": [')
    for n, record in enumerate(records(count)):
        out.write(("," if n else "") + json.dumps(record))
    out.write('], "data_as_of": "2026-02-01T00:00:00Z"}')


def one_after_the_other(out: IO[str], count: int) -> None:
    for record in records(count):
        out.write(json.dumps(record, indent=1))


def table(out: IO[str], count: int) -> None:
    out.write("id,name,organization.id\n")
    for record in records(count):
        out.write(f"{record['uid']},{record['name']},{record['organization']['id']}\n")


def broken(out: IO[str], count: int) -> None:
    out.write('{"id": "first"}\n')
    for _ in range(count):
        out.write("not json " + "x" * 200 + "\n")


async def drain(source: FileCollector) -> int:
    count = 0
    (unit,) = await source.units()
    async for item in source.collect(unit):
        if isinstance(item, Page):
            count += len(item.credentials)
    return count


def peak(source: FileCollector) -> tuple[int, int]:
    """Return the credentials read and the most bytes held while reading them."""
    tracemalloc.start()
    try:
        count = asyncio.run(drain(source))
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("write", "packed"),
    [
        (ndjson, False),
        (ndjson, True),
        (enveloped, True),
        (one_after_the_other, False),
        (table, False),
        (broken, True),
    ],
)
def test_three_times_the_file_takes_no_more_memory(
    collector: Callable[..., FileCollector],
    tmp_path: Path,
    write: Callable[[IO[str], int], None],
    packed: bool,
) -> None:
    peaks = []
    for size in (SMALL, LARGE):
        name = f"{size}.ndjson" if write in (ndjson, broken) else f"{size}.txt"
        with (gzip.open if packed else open)(tmp_path / name, "wt", encoding="utf-8") as out:
            write(out, size)
        count, most = peak(collector(path=name))
        assert count == (1 if write is broken else size)
        peaks.append(most)
    assert peaks[1] <= peaks[0] * 1.15 + 200_000
    assert peaks[1] < 12_000_000


def test_a_line_without_end_is_not_held(
    collector: Callable[..., FileCollector], tmp_path: Path
) -> None:
    with gzip.open(tmp_path / "bomb.ndjson", "wb") as out:
        out.write(b'{"id": "1"}\n{"id": "')
        for _ in range(48):
            out.write(b"x" * 1024 * 1024)
        out.write(b'"}\n{"id": "3"}\n')
    count, most = peak(collector(path="bomb.ndjson"))
    assert count == 2
    assert most < 60_000_000
