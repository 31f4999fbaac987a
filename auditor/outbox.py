"""Works off the outbox: every message at least once, with back-off, until it is sent or given up.

The rows are written in the transaction that commits the findings, so that exactly the committed
runs are told about. A message keeps its identity through every attempt; a receiver that
remembers identities sees it once.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby
from typing import Any, Protocol

import structlog

from auditor.delivery.interface import Channel, Parcel
from auditor.errors import AuditorError, DeliveryError
from auditor.findings.view import ReportView
from auditor.log import redact

log = structlog.get_logger()

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=4)
ATTEMPTS = 24
"""With the waits above, a message is given up after just under three days."""
JITTER = 0.2
"""Waits are this much shorter or longer by chance, so that many auditors do not knock at once."""
LEASE = timedelta(minutes=5)
"""How long one attempt may take; a message whose sender died is due again after it."""
_IN_A_ROW = 5
"""So many failures in a row end a channel's turn: its server is down, not its recipients."""


class Message(Protocol):
    """A row of the outbox."""

    @property
    def id(self) -> int:
        """The row."""

    @property
    def run_id(self) -> int:
        """The run it tells about."""

    @property
    def channel(self) -> str:
        """The configured channel's name."""

    @property
    def recipient(self) -> str:
        """As `Parcel.recipient`."""

    @property
    def message_id(self) -> str:
        """As `Parcel.message_id`."""

    @property
    def state(self) -> str:
        """``pending``, ``unknown`` (handed over, never acknowledged), ``sent`` or ``dead``."""

    @property
    def attempts(self) -> int:
        """How many attempts came to an end."""

    @property
    def created_at(self) -> datetime:
        """As `Parcel.created_at`."""


class Outbox(Protocol):
    """What the worker needs of the store."""

    def due(self, now: datetime) -> Sequence[Message]:
        """Return the unsent messages whose time has come, oldest first."""

    def claim(self, message: int, now: datetime, until: datetime) -> bool:
        """Keep others off the message until then, in case this process dies.

        False where it is not due any more: another process has taken it.
        """

    def sent(self, message: int, at: datetime) -> None:
        """Count the attempt and record that the message was accepted."""

    def failed(
        self, message: int, *, error: str, next_attempt_at: datetime, in_doubt: bool = False
    ) -> None:
        """Count the attempt and record that it is repeated; *in_doubt*: it may have arrived."""

    def dead(self, message: int, *, error: str) -> None:
        """Count the attempt and record that nobody tries any more."""


@dataclass(frozen=True)
class Delivery:
    """What became of one message in one pass."""

    message: Message
    state: str
    """``sent``, ``pending``, ``unknown`` or ``dead``."""
    error: str = ""
    next_attempt_at: datetime | None = None


def next_attempt(
    attempts: int,
    error: DeliveryError,
    now: datetime,
    rng: random.Random,
    *,
    was_in_doubt: bool = False,
) -> datetime | None:
    """Return when to try again after *attempts* attempts, the last of which met *error*.

    None gives the message up: the refusal is final, the attempts are spent, or it was already in
    doubt before (*was_in_doubt*) and is again, so that one more attempt could only be one more
    copy.
    """
    if not error.retry or attempts >= ATTEMPTS or (error.in_doubt and was_in_doubt):
        return None
    doubled = FIRST_WAIT * (1 << min(attempts - 1, 20))
    wait = min(doubled, LONGEST_WAIT) * rng.uniform(1 - JITTER, 1 + JITTER)
    if error.retry_after is not None:
        wait = max(wait, timedelta(seconds=min(error.retry_after, 86_400)))
    return now + wait


async def deliver_due(
    outbox: Outbox,
    channels: Mapping[str, Channel],
    view_for_run: Callable[[int], ReportView],
    now: Callable[[], datetime],
    *,
    rng: random.Random | None = None,
    run_id: int | None = None,
) -> list[Delivery]:
    """Attempt every due message once and return what became of each.

    Messages of a channel go one after the other, channels side by side. A message whose channel
    is not configured here waits for a process that knows it. *run_id* restricts the pass to one
    run.
    """
    due = await asyncio.to_thread(outbox.due, now())
    messages = [m for m in due if run_id is None or m.run_id == run_id]
    known = sorted((m for m in messages if m.channel in channels), key=_by_channel)
    for channel in sorted({m.channel for m in messages} - channels.keys()):
        log.warning("delivery.waiting", channel=channel, reason="the channel is not configured")
    views = lru_cache(maxsize=4)(view_for_run)
    worker = _Worker(outbox, views, now, rng or random.SystemRandom())
    turns = [
        worker.turn(channels[name], list(group)) for name, group in groupby(known, _by_channel)
    ]
    return [delivery for turn in await asyncio.gather(*turns) for delivery in turn]


def _by_channel(message: Message) -> str:
    return message.channel


@dataclass(frozen=True)
class _Worker:
    """Asks the store and renders in threads, so that the loop stays awake whatever that takes."""

    outbox: Outbox
    view_for_run: Callable[[int], ReportView]
    now: Callable[[], datetime]
    rng: random.Random
    rendering: asyncio.Lock = field(default_factory=asyncio.Lock)
    """A view is read by one at a time."""

    async def turn(self, channel: Channel, messages: Iterable[Message]) -> list[Delivery]:
        """Attempt the messages of one channel in their order."""
        done: list[Delivery] = []
        in_a_row = 0
        for message in messages:
            if in_a_row >= _IN_A_ROW:
                break
            now = self.now()
            if not await asyncio.to_thread(self.outbox.claim, message.id, now, now + LEASE):
                continue
            delivery = await self._attempt(channel, message)
            in_a_row = 0 if delivery.state in ("sent", "dead") else in_a_row + 1
            done.append(delivery)
        return done

    async def _attempt(self, channel: Channel, message: Message) -> Delivery:
        facts = {"channel": message.channel, "recipient": message.recipient, "run": message.run_id}
        try:
            await self._send(channel, message)
        except DeliveryError as error:
            return await self._failed(message, error, facts)
        except AuditorError as error:
            return await self._failed(message, DeliveryError(str(error)), facts)
        except Exception as error:  # the boundary of a channel: the others go on
            log.exception("delivery.broken", **facts)
            wrapped = DeliveryError(
                f"{message.channel} failed unexpectedly ({type(error).__name__})"
            )
            return await self._failed(message, wrapped, facts)
        await _record(self.outbox.sent, message.id, self.now())
        log.info("delivery.sent", **facts)
        return Delivery(message, "sent")

    async def _send(self, channel: Channel, message: Message) -> None:
        parcel = Parcel(message.recipient, message.message_id, message.created_at)
        async with self.rendering:
            body = await asyncio.to_thread(self._render, channel, message.run_id, parcel)
        try:
            async with asyncio.timeout(LEASE.total_seconds() * 0.8):
                await channel.send(body, parcel)
        except TimeoutError as error:
            raise DeliveryError(
                f"{message.channel} did not finish within {LEASE.total_seconds() * 0.8:g} s; "
                "the message may have arrived",
                in_doubt=True,
            ) from error

    def _render(self, channel: Channel, run_id: int, parcel: Parcel) -> bytes:
        return channel.render(self.view_for_run(run_id), parcel)

    async def _failed(
        self, message: Message, error: DeliveryError, facts: dict[str, object]
    ) -> Delivery:
        said = redact(str(error))
        now, was_in_doubt = self.now(), message.state == "unknown"
        again = next_attempt(message.attempts + 1, error, now, self.rng, was_in_doubt=was_in_doubt)
        if again is None:
            await _record(self.outbox.dead, message.id, error=said)
            log.error("delivery.abandoned", error=said, **facts)
            return Delivery(message, "dead", said)
        in_doubt = error.in_doubt or was_in_doubt
        await _record(
            self.outbox.failed, message.id, error=said, next_attempt_at=again, in_doubt=in_doubt
        )
        log.warning("delivery.failed", error=said, next_attempt_at=again.isoformat(), **facts)
        return Delivery(message, "unknown" if in_doubt else "pending", said, again)


async def _record(call: Callable[..., None], *arguments: Any, **more: Any) -> None:
    """Record what has happened; who is cancelled meanwhile does not undo it."""
    await asyncio.shield(asyncio.to_thread(call, *arguments, **more))
