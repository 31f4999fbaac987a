"""Reading a collector as the line does: what every organization gave, amendments applied."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from auditor.collectors.interface import Amendment, Collector, Gap, Note, Page, Unit
from auditor.errors import SourceError
from auditor.model import Credential
from tests.collectors.gathering import Outcome


@dataclass
class Read(Outcome):
    """What one unit gave."""

    credentials: dict[str, Credential] = field(default_factory=dict)
    """By uid."""
    duplicates: int = 0

    def one(self, kind: str, provider_id: str | None = None) -> Credential:
        """Return the credential of a kind, by its id where there are several."""
        found = [
            credential
            for uid, credential in self.credentials.items()
            if uid.split(":")[2] == kind and provider_id in (None, credential.provider_id)
        ]
        assert len(found) == 1, (kind, provider_id, sorted(self.credentials))
        return found[0]

    def shown(self) -> str:
        """Everything that leaves the collector, as text."""
        everything: Any = (list(self.credentials.values()), self.gaps, self.notes, str(self.error))
        return msgspec.json.encode(everything).decode()


async def read_unit(collector: Collector, unit: Unit) -> Read:
    """Read one unit to its end, whatever the end is."""
    read = Read()
    amendments: list[Amendment] = []
    try:
        async for item in collector.collect(unit):
            match item:
                case Page():
                    read.pages += 1
                    read.duplicates += sum(c.uid in read.credentials for c in item.credentials)
                    read.credentials |= {c.uid: c for c in item.credentials}
                case Gap():
                    read.gaps.append(item)
                case Note():
                    read.notes.append(item.text)
                case Amendment():
                    amendments.append(item)
    except SourceError as error:
        read.error = error
    for amendment in amendments:
        for uid, credential in read.credentials.items():
            if amendment.only in (None, uid):
                read.credentials[uid] = msgspec.structs.replace(credential, **amendment.changes)
    return read


async def read_all(collector: Collector) -> dict[str, Read]:
    """Read every unit, by its key."""
    return {unit.key: await read_unit(collector, unit) for unit in await collector.units()}
