"""What a collector's stream amounts to: the small part of the line that collectors' tests need."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from auditor.collectors.interface import Collector, Context, Gap, Note, Page, Unit
from auditor.errors import SourceError
from auditor.model import Credential


@dataclass
class Outcome:
    """What one unit gave besides credentials."""

    gaps: list[Gap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pages: int = 0
    error: SourceError | None = None

    @property
    def status(self) -> str:
        if self.error is not None:
            return "partial" if self.pages else "failed"
        return "partial" if self.gaps else "complete"

    @property
    def reason(self) -> str | None:
        """Why it is not complete; None where it is."""
        if self.error is not None:
            return self.error.kind
        return self.gaps[0].reason if self.gaps else None


@dataclass
class Read(Outcome):
    """What one unit gave."""

    credentials: dict[str, Credential] = field(default_factory=dict)
    """By name."""
    uids: list[str] = field(default_factory=list)
    """As they came."""


def context(now: datetime, directory: Path) -> Context:
    return Context(now=now, directory=directory, resolve=str)


def opener(
    kind: type[Collector], context: Context, *, unless: str = "", token: str, **usual: Any
) -> Callable[..., Any]:
    """Return what opens a *kind* of source with options of a test's own besides the *usual* ones.

    It logs in by *token*, *unless* another way is given.
    """
    usual |= {"backoff": timedelta(milliseconds=2), "attempts": 2}

    def build(**keys: Any) -> Collector:
        login = {} if unless in keys else {"token": token}
        return kind(kind.Options(**(usual | login | keys)), context)

    return build


async def read(collector: Collector, unit: Unit | None = None) -> Read:
    """Read *unit*, or the only one there is, and close the collector."""
    found = Read()
    try:
        if unit is None:
            (unit,) = await collector.units()
        async for item in collector.collect(unit):
            match item:
                case Page():
                    found.pages += bool(item.credentials)
                    found.uids += [one.uid for one in item.credentials]
                    found.credentials |= {one.name: one for one in item.credentials}
                case Gap():
                    found.gaps.append(item)
                case Note():
                    found.notes.append(item.text)
    except SourceError as error:
        found.error = error
    finally:
        await collector.aclose()
    return found
