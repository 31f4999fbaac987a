"""Write files, read them through the collector, look at what came out."""

import asyncio
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from auditor.collectors.file import FileCollector
from auditor.collectors.interface import Amendment, Context, Gap, Item, Note, Page, Unit
from auditor.errors import SourceError
from auditor.model import Credential


@dataclass
class Outcome:
    """What a source gave, sorted by kind."""

    pages: list[Page] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    amendments: list[Amendment] = field(default_factory=list)
    error: SourceError | None = None

    @property
    def credentials(self) -> list[Credential]:
        return [credential for page in self.pages for credential in page.credentials]

    @property
    def only(self) -> Credential:
        (credential,) = self.credentials
        return credential

    @property
    def messages(self) -> str:
        return "\n".join(gap.message for gap in self.gaps)

    def add(self, item: Item) -> None:
        {Page: self.pages, Gap: self.gaps, Note: self.notes, Amendment: self.amendments}[
            type(item)
        ].append(item)  # type: ignore[attr-defined]


Read = Callable[..., Outcome]


@pytest.fixture
def collector(tmp_path: Path, now: datetime) -> Callable[..., FileCollector]:
    """A collector of the source ``exports`` over a folder of its own."""

    def build(**options: Any) -> FileCollector:
        checked = FileCollector.Options.model_validate(
            {"name": "exports", "provider": "file"} | options
        )
        return FileCollector(
            checked, Context(now=now, directory=tmp_path, resolve=lambda text: text)
        )

    return build


@pytest.fixture
def read(collector: Callable[..., FileCollector], tmp_path: Path) -> Read:
    """Write *content* (text, bytes, or a value for JSON) to *name*, if any, and read the source."""

    def run(content: Any = None, *, name: str = "export.json", **options: Any) -> Outcome:
        if content is not None:
            if not isinstance(content, bytes):
                text = content if isinstance(content, str) else json.dumps(content)
                content = text.encode("utf-8", "surrogatepass")
                content = gzip.compress(content) if name.endswith(".gz") else content
            (tmp_path / name).write_bytes(content)
        return asyncio.run(_drain(collector(**({"path": name} | options))))

    return run


async def _drain(source: FileCollector) -> Outcome:
    outcome = Outcome()
    try:
        (unit,) = await source.units()
        assert unit == Unit(key="*")
        async for item in source.collect(unit):
            outcome.add(item)
    except SourceError as error:
        outcome.error = error
    return outcome


@pytest.fixture
def record() -> Callable[..., dict[str, Any]]:
    """A well-formed normalized record; override what matters, None leaves a field out."""

    def build(own_id: str = "key-1", **changes: Any) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "uid": f"acme:org-1:api_key:{own_id}",
            "provider": "acme",
            "organization": {"id": "org-1", "name": "Example"},
            "principal": {"id": "sa-1", "name": "ci", "type": "service_account"},
            "name": own_id,
            "type": "API Key",
            "created_at": "2025-06-01T10:00:00Z",
            "last_used_at": "2026-02-01T10:00:00Z",
            "data_as_of": "2026-03-01T00:00:00Z",
        }
        return {key: value for key, value in (facts | changes).items() if value is not None}

    return build
