"""A source with ten organizations that a test holds up, kills and counts by files beside it.

``calls`` lists what was read. Reading organization *n* waits while the file ``hold-<n>`` exists,
and the process dies at once where ``kill-<n>`` does (the file is taken away first). The file
``raise-<n>`` holds the name of an exception to raise.
"""

import asyncio
import builtins
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import ClassVar

from auditor.collectors.interface import Collector, Item, Page, SourceOptions, Unit
from auditor.model import Credential, LastUsedState, Organization, Principal, credential_uid


class Paced(Collector):
    """Reads one credential an organization."""

    summary: ClassVar[str] = "credentials of a test"

    class Options(SourceOptions):
        """How many organizations there are."""

        organizations: int = 10

    async def units(self) -> list[Unit]:
        """Return the organizations."""
        names = [f"org-{number}" for number in range(self.options.organizations)]
        return [Unit(name, Organization(id=name, name=name)) for name in names]

    async def collect(self, unit: Unit) -> AsyncIterator[Item]:
        """Yield the credential, when the test lets it."""
        organization = unit.organization
        assert organization is not None
        folder = self.context.directory
        number = organization.id.removeprefix("org-")
        with (folder / "calls").open("a") as calls:
            calls.write(f"{organization.id}\n")
        kill = folder / f"kill-{number}"
        if kill.exists():
            await asyncio.sleep(1)  # the others are written meanwhile
            kill.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        fault = folder / f"raise-{number}"
        if fault.exists():
            await asyncio.sleep(0.5)
            raise getattr(builtins, fault.read_text())
        while (folder / f"hold-{number}").exists():  # noqa: ASYNC110 - a test's signal
            await asyncio.sleep(0.02)
        now = self.context.now
        yield Page(
            organization,
            (
                Credential(
                    uid=credential_uid("paced", organization.id, "key", "1"),
                    provider="paced",
                    source=self.options.name,
                    organization=organization,
                    principal=Principal(id="svc", name="svc"),
                    name="key",
                    type="API Key",
                    created_at=now - timedelta(days=400),
                    last_used_at=now - timedelta(days=200),
                    last_used_state=LastUsedState.USED,
                    observed_at=now,
                    data_as_of=now,
                ),
            ),
        )
