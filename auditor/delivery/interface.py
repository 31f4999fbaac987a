"""What a delivery channel is: a configured way by which a run reaches people or machines."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

from pydantic import BaseModel

from auditor.errors import DeliveryError
from auditor.findings.view import ReportView, RunInfo
from auditor.options import OPTIONS


class ChannelOptions(BaseModel):
    """The keys of one entry under ``deliveries:``; a channel adds its own by subclassing."""

    model_config = OPTIONS

    name: str
    channel: str


@dataclass(frozen=True)
class Parcel:
    """One thing to hand over to one recipient: what an outbox row stands for."""

    recipient: str
    """Address or URL as configured; unique within the channel and run."""
    message_id: str
    """Fixed for ever for this run, channel and recipient: Message-ID or idempotency key."""
    created_at: datetime
    """The run's ``finished_at``; used wherever a message needs a date, so bytes are stable."""


class Document(Protocol):
    """What a channel needs of a report format; the classes under ``reports/`` fit."""

    filename: ClassVar[str]
    media_type: ClassVar[str]

    def render(self, view: ReportView, out: BinaryIO) -> None:
        """Write the report, streaming."""


def _no_documents(name: str) -> Document:
    raise DeliveryError(f"The report format {name!r} is not available to this channel", retry=False)


class Channel(ABC):
    """One configured channel. One subclass per module; the module's name is the channel's name.

    *resolve* turns the references of the configuration into their values, *documents* a format's
    name into the format, for channels that attach or carry reports; relative paths start in
    *directory*; *clock* tells the time where a protocol wants the time of sending.
    """

    Options: ClassVar[type[ChannelOptions]] = ChannelOptions

    suffix: ClassVar[str] = ".json"
    """How a file that holds one rendered message is called."""

    def __init__(
        self,
        options: Any,
        resolve: Callable[[str], str],
        documents: Callable[[str], Document] = _no_documents,
        directory: Path = Path(),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.options = options
        self.resolve = resolve
        self.documents = documents
        self.directory = directory
        self.clock = clock

    @abstractmethod
    def recipients(self, view: ReportView) -> list[str]:
        """Return whom this run concerns under the channel's ``when`` and filters; may be none."""

    @abstractmethod
    def render(self, view: ReportView, parcel: Parcel) -> bytes:
        """Return the bytes that would be sent (an ``.eml``, a JSON body); deterministic."""

    @abstractmethod
    async def send(self, body: bytes, parcel: Parcel) -> None:
        """Hand *body* over; raises `DeliveryError`, with ``retry=False`` where that is final."""

    def message_id(self, run: RunInfo, recipient: str) -> str:
        """Return the identity of the message about *run* to *recipient*, the same for ever.

        The start of the run is part of it, because run numbers of two databases repeat.
        """
        parts = (str(run.id), run.started_at.isoformat(), self.options.name, recipient)
        return f"run-{run.id}.{sha256(chr(0).join(parts).encode()).hexdigest()[:32]}"

    def parcels(self, view: ReportView) -> list[Parcel]:
        """Return one parcel for every recipient: the outbox rows of this channel and run."""
        return [
            Parcel(recipient, self.message_id(view.run, recipient), view.run.finished_at)
            for recipient in self.recipients(view)
        ]
