"""Which files are read, and what is said of those that cannot be."""

import asyncio
import gzip
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from auditor import plugs
from auditor.collectors._file.opening import Export
from auditor.collectors.file import FileCollector
from auditor.collectors.interface import Collector
from auditor.errors import SourceError


def write(folder: Path, name: str, content: str = '[{"id": "1"}]') -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_the_collector_is_found_by_its_name() -> None:
    assert plugs.find("auditor.collectors", "file", Collector) is FileCollector


def test_patterns_and_lists_name_files_once_each(read, tmp_path) -> None:
    for name in ("a.json", "b.json", "deep/er/c.json"):
        write(tmp_path, name, f'[{{"id": "{name}"}}]')
    outcome = read(path=["*.json", "a.json", "**/c.json"])
    assert sorted(c.provider_id for c in outcome.credentials) == [
        "a.json",
        "b.json",
        "deep/er/c.json",
    ]


def test_absolute_paths_and_names_with_brackets_work(read, tmp_path) -> None:
    path = write(tmp_path, "export [1].json")
    assert len(read(path=str(path)).credentials) == 1
    assert len(read(path="export [1].json").credentials) == 1


def test_no_match_is_said_with_pattern_and_folder(read, tmp_path) -> None:
    outcome = read(path="exports/*.json")
    assert outcome.error is not None
    assert outcome.error.kind == "no_such_file"
    assert f"No file matches exports/*.json (looked in {tmp_path})" in str(outcome.error)


def test_one_missing_file_among_others_is_a_gap(read, tmp_path) -> None:
    write(tmp_path, "a.json")
    outcome = read(path=["a.json", "gone.json"])
    assert len(outcome.credentials) == 1
    (gap,) = outcome.gaps
    assert (gap.reason, gap.organization) == ("no_such_file", None)


def test_a_folder_is_no_file(read, tmp_path) -> None:
    write(tmp_path, "exports/a.json")
    outcome = read(path="exports/")
    assert outcome.error is not None
    assert "exports/ names a folder; name its files, such as exports/*.json" in str(outcome.error)


def test_a_file_that_the_system_refuses_is_said(read, tmp_path, now) -> None:
    (tmp_path / "a.json").symlink_to(tmp_path / "b.json")
    (tmp_path / "b.json").symlink_to(tmp_path / "a.json")
    outcome = read(path="*.json")
    assert outcome.error is not None
    assert outcome.error.kind == "unreadable_file"
    with (
        pytest.raises(SourceError, match="shown cannot be read: Is a directory"),
        Export(tmp_path, "shown", now).open(),
    ):
        pass


def test_a_pipe_is_no_file(read, tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    outcome = read(path="pipe.json")
    assert outcome.error is not None
    assert "pipe.json is no ordinary file" in str(outcome.error)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04....", gzip.compress(gzip.compress(b"[]"))], ids=["zip", "twice-gzip"]
)
def test_an_archive_is_named_as_what_it_is(read, content) -> None:
    outcome = read(content)
    assert outcome.error is not None
    assert "is an archive; unpack it" in str(outcome.error)


def test_a_link_to_nowhere_is_said(read, tmp_path) -> None:
    (tmp_path / "a.json").symlink_to(tmp_path / "gone")
    write(tmp_path, "b.json")
    outcome = read(path="*.json")
    assert len(outcome.credentials) == 1
    assert outcome.gaps[0].reason == "unreadable_file"
    assert "a.json cannot be read: No such file" in outcome.messages


@pytest.mark.parametrize("path", ["\0", "x" * 5000, "a\nb.json"])
def test_paths_that_no_file_can_have_are_said(read, path) -> None:
    outcome = read(path=path)
    assert isinstance(outcome.error, SourceError)


@pytest.mark.parametrize("damage", ["cut", "flip", "tail"])
def test_damaged_gzip_keeps_what_came_before(read, record, damage) -> None:

    noise = Random(1)
    records = [record(str(n), description=noise.randbytes(400).hex()) for n in range(4000)]
    packed = bytearray(gzip.compress("".join(json.dumps(r) + "\n" for r in records).encode()))
    if damage == "cut":
        packed = packed[: len(packed) * 3 // 4]
    elif damage == "flip":
        packed[len(packed) * 3 // 4 : len(packed) * 3 // 4 + 400] = bytes(400)
    else:
        packed += b"garbage"
    outcome = read(bytes(packed), name="export.ndjson.gz")
    assert outcome.credentials
    assert outcome.error is None
    assert outcome.gaps[-1].reason == "corrupt_gzip"
    assert "export.ndjson.gz: the gzip data are damaged" in outcome.gaps[-1].message


@pytest.mark.parametrize("damage", [lambda data: data + b"x", lambda data: data[:-8] + bytes(8)])
def test_a_small_gzip_file_that_is_damaged_at_its_end_is_read_up_to_there(
    read, record, damage
) -> None:
    outcome = read(damage(gzip.compress(json.dumps(record()).encode() + b"\n")), name="x.ndjson")
    assert outcome.only.provider_id == "key-1"
    assert [gap.reason for gap in outcome.gaps] == ["corrupt_gzip"]


def test_a_file_that_is_no_gzip_behind_its_first_bytes_fails(read) -> None:
    outcome = read(b"\x1f\x8bno gzip at all", name="e.bin")
    assert outcome.error is not None
    assert outcome.error.kind == "corrupt_gzip"


def test_utf_16_is_named_as_what_it_is(read) -> None:
    outcome = read('[{"id": "1"}]'.encode("utf-16"))
    assert "is UTF-16; save it as UTF-8" in str(outcome.error)


def test_a_file_is_as_old_as_it_says_by_its_own_time(read, tmp_path, now) -> None:
    path = write(tmp_path, "a.json")
    os.utime(path, (now.timestamp() - 86_400, now.timestamp() - 86_400))
    outcome = read(path="a.json")
    assert outcome.only.data_as_of == datetime(2026, 2, 28, 3, tzinfo=UTC)
    os.utime(path, (time.time(), time.time()))
    assert read(path="a.json").only.data_as_of == now


def test_the_configured_time_beats_the_files_own_but_not_the_contents(read) -> None:
    stated = {"data_as_of": "2026-01-05T00:00:00+01:00"}
    assert read([{"id": "1"}], **stated).only.data_as_of == datetime(2026, 1, 4, 23, tzinfo=UTC)
    content = {"data_as_of": "2026-02-01T00:00:00Z", "credentials": [{"id": "1"}]}
    assert read(content, **stated).only.data_as_of == datetime(2026, 2, 1, tzinfo=UTC)


def test_references_in_paths_are_resolved(tmp_path, collector) -> None:
    write(tmp_path, "a.json")
    source = collector(path="${env:NAME}.json")
    object.__setattr__(source.context, "resolve", lambda text: text.replace("${env:NAME}", "a"))
    assert [unit.key for unit in asyncio.run(source.units())] == ["*"]


def test_checking_a_source_opens_every_file(collector, tmp_path) -> None:
    write(tmp_path, "a.json")
    (tmp_path / "b.json").write_bytes(b"\x1f\x8bbroken")
    first, second, third = asyncio.run(collector(path=["*.json", "gone.json"]).check())
    assert (first.is_granted, second.subject, second.is_granted) == (False, "a.json", True)
    assert (third.subject, third.is_granted) == ("b.json", False)
    assert "written 20" in second.detail


def test_pages_stay_small_and_others_get_their_turn(read, record, collector, tmp_path) -> None:

    content = "".join(json.dumps(record(str(n))) + "\n" for n in range(1700))
    write(tmp_path, "a.ndjson", content)

    async def run() -> tuple[list[int], int]:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        source = collector(path="a.ndjson")
        (unit,) = await source.units()
        sizes = [len(page.credentials) async for page in source.collect(unit)]
        task.cancel()
        return sizes, turns

    sizes, turns = asyncio.run(run())
    assert sizes == [500, 500, 500, 200]
    assert turns >= 3
