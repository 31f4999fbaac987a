"""What a collector is: the class behind a ``provider:`` in the configuration.

A collector is asked for its units (usually one per organization) and then, for each unit, for a
stream of items. It holds no opinion about credentials and no memory; it reads only, and it
keeps an allow-list of fields, so that secret material never leaves it.

The ending tells how much was read: a stream that ends normally was read whole; a `Gap` makes its
organization *partial*; a `SourceError` makes the organization *partial* when pages came before it
and *failed* when none did.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator

from auditor.errors import UnexpectedResponse
from auditor.evidence import Amendment, Gap, Item, Note, Page, Unit
from auditor.model import Credential, Organization
from auditor.options import OPTIONS
from auditor.times import parse_duration

__all__ = [
    "Access",
    "Amendment",
    "Collector",
    "Context",
    "Gap",
    "Item",
    "Note",
    "Page",
    "SourceOptions",
    "Unit",
]


class SourceOptions(BaseModel):
    """The keys of one entry under ``sources:``; a collector adds its own by subclassing."""

    model_config = OPTIONS

    name: str
    """The configured instance; appears in coverage and reports, never in an identity."""
    provider: str
    deadline: Annotated[timedelta, BeforeValidator(parse_duration, json_schema_input_type=str)] = (
        timedelta(hours=1)
    )
    """How long one organization may take; what was read until then counts as partial."""


@dataclass(frozen=True)
class Access:
    """One row of ``auditor sources check``: may the auditor read this; if not, what is missing."""

    subject: str
    """An organization, account or endpoint."""
    permission: str
    """In the provider's own words."""
    is_granted: bool
    detail: str = ""


@dataclass(frozen=True)
class Context:
    """What the line lends a collector for one run."""

    now: datetime
    """The run's instant, aware UTC; use it as ``observed_at``."""
    directory: Path
    """Where relative paths in the configuration start."""
    resolve: Callable[[str], str]
    """Turn ``${env:NAME}`` and ``${file:PATH}`` references into their value (`ConfigError`)."""
    previous: Callable[[str], Iterable[Credential]] = field(default=lambda _organization: ())
    """The credentials of an organization (by id) in this source's last complete collection."""
    known_organizations: Callable[[], Iterable[Organization]] = field(default=lambda: ())
    """The organizations this source was ever seen to hold, so that one which is silently no
    longer listed is told from one that never was."""
    progress: Callable[[str, int], None] = field(default=lambda _what, _n: None)
    """Count something for the progress display: ``progress("credentials", 100)``."""


class Collector(ABC):
    """Reads one provider. One subclass per module; the module's name is the provider's name."""

    Options: ClassVar[type[SourceOptions]] = SourceOptions
    """The schema of its configuration."""

    usage_is_recorded: ClassVar[bool] = True
    """Whether this provider can tell when a credential was last used, given the right access."""

    summary: ClassVar[str]
    """One line for ``auditor providers list``: what is listed."""

    units_at_once: ClassVar[int] = 8
    """How many units are read side by side; a client bounds its requests by itself."""

    last_use: ClassVar[str] = ""
    """How exactly last use is known, as a sentence."""

    limits: ClassVar[tuple[str, ...]] = ()
    """What is not listed, and what else a reader must know."""

    verified: ClassVar[str] = ""
    """What its facts were checked against."""

    least_privileges: ClassVar[tuple[str, ...]] = ()
    """What the auditor's own credential must be allowed to do, in the provider's words."""

    def __init__(self, options: Any, context: Context) -> None:
        self.options = options
        self.context = context

    @property
    def reads_all(self) -> bool:
        """Whether the configuration asks for every organization there is.

        If so, one that is not among the units any more has vanished at the provider; if not, the
        configuration has left it out.
        """
        return True

    @classmethod
    def setup_documents(cls) -> dict[str, str]:
        """Return by name what an administrator of the provider applies to let the auditor in.

        Policies and templates, whole and ready to save; empty where there is nothing to apply.
        """
        return {}

    @abstractmethod
    async def units(self) -> list[Unit]:
        """Return what there is to read; raises `SourceError` where not even that can be told."""

    @abstractmethod
    def collect(self, unit: Unit) -> AsyncIterator[Item]:
        """Yield what *unit* holds; how the stream ends tells whether it was read whole."""

    async def check(self) -> list[Access]:
        """Return what the auditor may and may not read, without reading it all."""
        return [Access(unit.key, "list", is_granted=True) for unit in await self.units()]

    async def refresh(self, credential: Credential) -> Credential | None:
        """Read exactly *credential* again; None where it is gone.

        Raises `SourceError` where the provider has no such call.
        """
        raise UnexpectedResponse(
            f"The source {credential.source} has no call that reads one credential alone; "
            f"`auditor audit --source {credential.source}` reads them all again"
        )

    async def aclose(self) -> None:  # noqa: B027 - most collectors hold nothing to give back
        """Give back connections and files."""
