from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.collectors.interface import Amendment, Context, Gap, Note, Page
from auditor.collectors.keycard import Keycard, KeycardOptions
from auditor.errors import SourceError
from auditor.model import Credential, Organization
from tests.fakes.http import LoopbackServer
from tests.fakes.keycard import FakeKeycard

READ_ONLY = {"organizations": {"read": True, "update": False}}


@pytest.fixture
def fake() -> FakeKeycard:
    """Two organizations; three credentials in the first, one in the second."""
    fake = FakeKeycard(grant=READ_ONLY)
    fake.add_organization("org-1", "acme", "Acme")
    fake.add_account("org-1", "sa-1", "ci")
    fake.add_account("org-1", "sa-2", "deploy")
    fake.add_credential("sa-1", "c-1", last_used_at="2026-02-27T18:11:19.117Z")
    fake.add_credential("sa-1", "c-2")
    fake.add_credential("sa-2", "c-3", description="nightly")
    fake.add_organization("org-2", "beta", "Beta")
    fake.add_account("org-2", "sa-3", "other")
    fake.add_credential("sa-3", "c-4")
    return fake


@pytest.fixture
def server(fake: FakeKeycard) -> Iterator[LoopbackServer]:
    with fake.server() as running:
        yield running


@dataclass
class Read:
    """What one organization gave, amendments applied."""

    credentials: dict[str, Credential] = field(default_factory=dict)
    """By provider id."""
    gaps: list[Gap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pages: int = 0
    error: SourceError | None = None

    @property
    def reason(self) -> str | None:
        """Why it is not complete; None where it is."""
        if self.error is not None:
            return self.error.kind
        return self.gaps[0].reason if self.gaps else None

    @property
    def status(self) -> str:
        if self.error is not None:
            return "partial" if self.pages else "failed"
        return "partial" if self.gaps else "complete"


@dataclass
class Source:
    """A collector with what the line would do around it."""

    collector: Keycard
    duplicates: int = 0

    async def read(self) -> dict[str, Read]:
        """Read every unit, by key."""
        return {unit.key: await self.read_unit(unit) for unit in await self.collector.units()}

    async def read_unit(self, unit: Any) -> Read:
        read = Read()
        by_uid: dict[str, Credential] = {}
        amendments: list[Amendment] = []
        try:
            async for item in self.collector.collect(unit):
                match item:
                    case Page():
                        read.pages += 1
                        self.duplicates += sum(c.uid in by_uid for c in item.credentials)
                        by_uid |= {c.uid: c for c in item.credentials}
                    case Gap():
                        read.gaps.append(item)
                    case Note():
                        read.notes.append(item.text)
                    case Amendment():
                        amendments.append(item)
        except SourceError as error:
            read.error = error
        for uid, credential in by_uid.items():
            changes: dict[str, Any] = {}
            for amendment in amendments:
                if amendment.only in (None, uid):
                    changes |= amendment.changes
            facts = {name: getattr(credential, name) for name in credential.__struct_fields__}
            amended = Credential(**(facts | changes))
            read.credentials[amended.provider_id] = amended
        return read


OpenSource = Callable[..., Source]


@pytest.fixture
async def keycard(
    fake: FakeKeycard, server: LoopbackServer, now: datetime, tmp_path: Path
) -> AsyncIterator[OpenSource]:
    """Open a source on the fake; keywords are options, *known* and *previous* what was seen."""
    opened: list[Keycard] = []

    def open_source(
        *,
        known: Iterable[Organization] = (),
        previous: Callable[[str], Iterable[Credential]] = lambda _organization: (),
        **keys: Any,
    ) -> Source:
        defaults: dict[str, Any] = {
            "name": "keycard-prod",
            "provider": "keycard",
            "base_url": server.url,
            "backoff": timedelta(milliseconds=2),
            "attempts": 2,
        }
        if "client_id" not in keys:
            defaults["token"] = fake.token
        context = Context(
            now=now,
            directory=tmp_path,
            resolve=str,
            previous=previous,
            known_organizations=lambda: known,
        )
        collector = Keycard(KeycardOptions(**(defaults | keys)), context)
        opened.append(collector)
        return Source(collector)

    yield open_source
    for collector in opened:
        await collector.aclose()
