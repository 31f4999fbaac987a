"""The example exports: reproducible, whole, and with every case in them."""

import asyncio
import importlib.util
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from auditor.collectors.file import FileCollector
from auditor.collectors.interface import Amendment, Context, Gap, Page
from auditor.model import Credential, ExpiresState, LastUsedState, Status
from auditor.yamlfile import load, parse

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "config.example.yaml"


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "examples" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def everything() -> tuple[list[Credential], list[Any]]:
    credentials: list[Credential] = []
    others: list[Any] = []
    data = load(CONFIG).data
    now = datetime.fromisoformat(data["as_of"]).astimezone(UTC)
    for source in data["sources"]:
        context = Context(now=now, directory=ROOT, resolve=lambda text: text)
        collector = FileCollector(FileCollector.Options.model_validate(source), context)
        (unit,) = await collector.units()
        async for item in collector.collect(unit):
            if isinstance(item, Page):
                credentials += item.credentials
            else:
                others.append(item)
    return credentials, others


@pytest.fixture(scope="module")
def examples() -> tuple[list[Credential], list[Any]]:
    return asyncio.run(everything())


def test_the_committed_files_are_what_the_script_writes(tmp_path) -> None:
    module = generator()
    module.main(tmp_path)
    written = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for name, content in written.items():
        assert (ROOT / "examples" / name).read_bytes() == content, name
    committed = [
        path
        for path in (ROOT / "examples").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".md")
    ]
    assert len(committed) == len(written)


def test_four_organizations_and_more_than_two_hundred_credentials(examples) -> None:
    credentials, _ = examples
    assert len({c.organization.id for c in credentials}) == 4
    assert len({c.uid for c in credentials}) == len(credentials) >= 250
    assert {c.provider for c in credentials} == {"gcp", "keycard", "aws", "delta-portal"}


def test_the_examples_are_read_whole(examples) -> None:
    assert [item for item in examples[1] if isinstance(item, Gap)] == []


def test_every_state_occurs(examples) -> None:
    credentials, others = examples
    assert {c.last_used_state for c in credentials} == set(LastUsedState)
    assert {c.status for c in credentials} == set(Status) - {Status.UNKNOWN}
    assert {c.expires_state for c in credentials} == set(ExpiresState) - {ExpiresState.SLIDING}
    assert any(c.principal.is_root and c.status is Status.ACTIVE for c in credentials)
    assert any(c.permissions is None for c in credentials)
    assert any(c.unused_permissions for c in credentials)
    assert any(c.owner is None for c in credentials)
    assert any(c.name.startswith("=") for c in credentials)
    assert max(Counter(c.principal for c in credentials if c.provider == "aws").values()) == 2
    assert any(isinstance(item, Amendment) for item in others)
    assert any("lies in the future" in getattr(item, "text", "") for item in others)


def test_nothing_in_the_examples_depends_on_the_age_of_the_checkout(examples) -> None:
    assert {c.data_as_of for c in examples[0]} == {datetime(2026, 3, 1, 2, tzinfo=UTC)}


def test_switching_on_the_commented_blocks_gives_a_file_that_can_be_read() -> None:
    text = re.sub(r"(?m)^# ", "", CONFIG.read_text(encoding="utf-8"))
    data = parse(text, "config.yaml").data
    assert [source["provider"] for source in data["sources"]] == ["file"] * 4 + ["keycard", "aws"]
    assert data["deliveries"][0]["channel"] == "email"
    assert data["schedules"][0]["sources"] == ["keycard-prod", "aws-prod"]
