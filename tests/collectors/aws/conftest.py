from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.collectors.aws import Aws, AwsOptions
from auditor.collectors.interface import Context, Gap, Note, Page, Unit
from auditor.errors import SourceError
from auditor.model import Credential
from auditor.policy.privilege import classify
from tests.fakes.aws import KEY_ID, SECRET, FakeAws
from tests.fakes.aws_account import FakeAccount
from tests.fakes.http import LoopbackServer

DAY = timedelta(days=1)
OWN = "123456789012"
MEMBERS = ("210987654321", "345678901234", "456789012345")


@pytest.fixture
def fake(now: datetime) -> FakeAws:
    """AWS without accounts."""
    return FakeAws(now)


@pytest.fixture
def account(fake: FakeAws) -> FakeAccount:
    """The auditor's own account, empty."""
    return fake.account(OWN)


@pytest.fixture
def server(fake: FakeAws) -> Iterator[LoopbackServer]:
    with fake.server() as running:
        yield running


@dataclass
class Read:
    """What one account gave."""

    credentials: dict[str, Credential] = field(default_factory=dict)
    """By provider id, classified."""
    gaps: list[Gap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: SourceError | None = None
    pages: int = 0

    def one(self) -> Credential:
        (credential,) = self.credentials.values()
        return credential

    @property
    def reasons(self) -> list[str]:
        return [gap.reason for gap in self.gaps]


Build = Callable[..., "Source"]


@dataclass
class Source:
    """A collector with what the line would do around it."""

    options: AwsOptions
    now: datetime
    previous: dict[str, list[Credential]] = field(default_factory=dict)

    def collector(self) -> Aws:
        return Aws(
            self.options,
            Context(
                now=self.now,
                directory=Path(),
                resolve=str,
                previous=lambda account: self.previous.get(account, []),
            ),
        )

    async def read(self, account: str = OWN) -> Read:
        return (await self.read_all())[account]

    async def read_all(self) -> dict[str, Read]:
        """Read every account; what was read whole is what the next reading knows."""
        collector = self.collector()
        try:
            units = await collector.units()
            found = {unit.key: await _read(collector, unit) for unit in units}
        finally:
            await collector.aclose()
        for key, read in found.items():
            if read.error is None and not read.gaps:
                self.previous[key] = list(read.credentials.values())
        return found


async def _read(collector: Aws, unit: Unit) -> Read:
    read = Read()
    try:
        async for item in collector.collect(unit):
            if isinstance(item, Page):
                read.pages += 1
                for credential in item.credentials:
                    assert credential.provider_id not in read.credentials
                    read.credentials[credential.provider_id] = classify(credential)
            elif isinstance(item, Gap):
                read.gaps.append(item)
            elif isinstance(item, Note):
                read.notes.append(item.text)
    except SourceError as error:
        read.error = error
    return read


@pytest.fixture
def source(server: LoopbackServer, now: datetime) -> Build:
    """Build a source that reads the server; options may be given."""

    def build(**options: Any) -> Source:
        given = {
            "name": "aws-prod",
            "provider": "aws",
            "endpoint_url": server.url,
            "access_key_id": KEY_ID,
            "secret_access_key": SECRET,
            "backoff": "1s",
            **options,
        }
        if "backoff" not in options:
            given["backoff"] = timedelta(milliseconds=20)
        return Source(AwsOptions.model_validate(given), now)

    return build


@pytest.fixture
def organization(fake: FakeAws, now: datetime) -> FakeAws:
    """A management account without the role, and three members with a key each."""
    fake.account(OWN, name="Management", role=None)
    for number, account_id in enumerate(MEMBERS):
        fake.account(account_id, name=f"Member {number}", external_id="canary-external-id")
    for account in fake.accounts.values():
        account.user("ci", now - 9 * DAY)
        account.key("ci", now - 9 * DAY)
    return fake


@pytest.fixture
def everything(organization: FakeAws, source: Build) -> Source:
    """A source that reads them all."""
    return source(accounts="organization", role_name="Auditor", external_id="canary-external-id")
