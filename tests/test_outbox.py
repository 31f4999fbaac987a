"""Every message at least once, with back-off, whatever the channel answers."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from auditor.delivery.interface import Channel, ChannelOptions, Parcel
from auditor.errors import DeliveryError, StoreError
from auditor.findings.view import ReportView
from auditor.log import register_secret
from auditor.outbox import ATTEMPTS, LEASE, deliver_due, next_attempt
from tests.conftest import NOW

REFUSED = DeliveryError("550 no such user", retry=False)
LATER = DeliveryError("451 come back")
DOUBT = DeliveryError("cut off", in_doubt=True)


# The decision


def waits(error: DeliveryError, *, attempts: int = ATTEMPTS) -> list[timedelta]:
    rng = random.Random(1)
    answers = [next_attempt(n, error, NOW, rng) for n in range(1, attempts)]
    return [answer - NOW for answer in answers if answer is not None]


def test_waits_double_to_four_hours_and_vary():
    found = waits(LATER)
    assert len(found) == ATTEMPTS - 1
    expected = [min(2.0**n, 240) for n in range(ATTEMPTS - 1)]
    for wait, minutes in zip(found, expected, strict=True):
        assert 0.8 * minutes <= wait.total_seconds() / 60 <= 1.2 * minutes
    assert len(set(found[-10:])) == 10


def test_a_message_is_given_up_after_about_three_days():
    assert next_attempt(ATTEMPTS, LATER, NOW, random.Random(1)) is None
    assert timedelta(days=2) < sum(waits(LATER), timedelta(0)) < timedelta(days=4)


def test_a_final_refusal_is_not_tried_again():
    assert next_attempt(1, REFUSED, NOW, random.Random(1)) is None


def test_a_message_in_doubt_is_tried_once_more_only():
    rng = random.Random(1)
    assert next_attempt(1, DOUBT, NOW, rng) is not None
    assert next_attempt(2, DOUBT, NOW, rng, was_in_doubt=True) is None
    assert next_attempt(2, LATER, NOW, rng, was_in_doubt=True) is not None


def test_a_server_that_names_a_wait_is_given_it_within_a_day():
    rng = random.Random(1)
    asked = DeliveryError("slow down", retry_after=1800)
    absurd = DeliveryError("slow down", retry_after=1e12)
    assert next_attempt(1, asked, NOW, rng) == NOW + timedelta(minutes=30)
    assert next_attempt(1, absurd, NOW, rng) == NOW + timedelta(days=1)


# The worker


@dataclass(frozen=True)
class Row:
    id: int
    run_id: int = 12
    channel: str = "security"
    recipient: str = "sec@example.com"
    message_id: str = "m"
    state: str = "pending"
    attempts: int = 0
    created_at: datetime = NOW
    next_attempt_at: datetime = NOW
    last_error: str = ""


@dataclass
class Box:
    """An outbox in memory, with the promises of the real one."""

    rows: dict[int, Row]

    def due(self, now: datetime) -> list[Row]:
        waiting = (row for row in self.rows.values() if row.state in ("pending", "unknown"))
        return [row for row in waiting if row.next_attempt_at <= now]

    def claim(self, message: int, now: datetime, until: datetime) -> bool:
        row = self.rows[message]
        if row not in self.due(now):
            return False
        self.rows[row.id] = replace(row, next_attempt_at=until)
        return True

    def sent(self, message: int, at: datetime) -> None:
        self._change(message, state="sent")

    def failed(
        self, message: int, *, error: str, next_attempt_at: datetime, in_doubt: bool = False
    ) -> None:
        state = "unknown" if in_doubt else "pending"
        self._change(message, state=state, last_error=error, next_attempt_at=next_attempt_at)

    def dead(self, message: int, *, error: str) -> None:
        self._change(message, state="dead", last_error=error)

    def _change(self, message: int, **changes) -> None:
        row = self.rows[message]
        self.rows[message] = replace(row, attempts=row.attempts + 1, **changes)


def box(*rows: Row) -> Box:
    return Box({row.id: row for row in rows})


@dataclass
class Clock:
    at: datetime = NOW

    def __call__(self) -> datetime:
        return self.at


Answer = Exception | Callable[[], None] | None


class Scripted(Channel):
    """Answers as told, one answer per message, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(ChannelOptions(name="security", channel="scripted"), lambda text: text)
        self.answers = list(answers)
        self.bodies: list[bytes] = []

    def recipients(self, view: ReportView) -> list[str]:
        return []

    def render(self, view: ReportView, parcel: Parcel) -> bytes:
        return f"{view} {parcel.message_id}".encode()

    async def send(self, body: bytes, parcel: Parcel) -> None:
        self.bodies.append(body)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            answer()
        await asyncio.sleep(0)


@dataclass
class World:
    outbox: Box
    channels: dict[str, Channel]
    clock: Clock = field(default_factory=Clock)
    views: list[int] = field(default_factory=list)

    def view(self, run_id: int) -> ReportView:
        self.views.append(run_id)
        return f"view-{run_id}"  # type: ignore[return-value]

    async def deliver(self, **more):
        rng = random.Random(1)
        return await deliver_due(self.outbox, self.channels, self.view, self.clock, rng=rng, **more)

    def states(self) -> list[str]:
        return [row.state for row in self.outbox.rows.values()]


async def test_a_due_message_is_rendered_sent_and_recorded():
    channel = Scripted(None)
    world = World(box(Row(1, message_id="m-1")), {"security": channel})
    (delivery,) = await world.deliver()
    assert delivery.state == "sent"
    assert channel.bodies == [b"view-12 m-1"]
    assert world.states() == ["sent"]
    assert await world.deliver() == []


async def test_a_run_is_brought_back_once_for_all_its_messages():
    rows = [Row(n, message_id=f"m-{n}") for n in range(5)]
    world = World(box(*rows), {"security": Scripted(None)})
    await world.deliver()
    assert world.views == [12]


async def test_a_refused_recipient_dies_alone_and_visibly():
    world = World(box(Row(1), Row(2)), {"security": Scripted(REFUSED, None)})
    await world.deliver()
    assert world.states() == ["dead", "sent"]
    assert world.outbox.rows[1].last_error == "550 no such user"


async def test_a_failed_message_waits_and_is_sent_with_the_same_identity():
    channel = Scripted(LATER, None)
    world = World(box(Row(1, message_id="m-1")), {"security": channel})
    (delivery,) = await world.deliver()
    assert delivery.state == "pending"
    assert delivery.next_attempt_at is not None
    assert await world.deliver() == []
    world.clock.at = delivery.next_attempt_at
    (delivery,) = await world.deliver()
    assert delivery.state == "sent"
    assert channel.bodies == [b"view-12 m-1"] * 2


async def test_a_message_in_doubt_twice_is_given_up_as_such():
    world = World(box(Row(1)), {"security": Scripted(DOUBT)})
    await world.deliver()
    assert world.states() == ["unknown"]
    world.clock.at += timedelta(days=1)
    await world.deliver()
    assert world.states() == ["dead"]


async def test_a_doubt_is_not_forgotten_by_a_plain_failure():
    world = World(box(Row(1)), {"security": Scripted(DOUBT, LATER, DOUBT)})
    for _ in range(3):
        await world.deliver()
        world.clock.at += timedelta(days=1)
    assert world.states() == ["dead"]


async def test_a_channel_that_breaks_does_not_stop_the_others():
    channels: dict[str, Channel] = {
        "broken": Scripted(ZeroDivisionError("boom")),
        "good": Scripted(None),
    }
    world = World(box(Row(1, channel="broken"), Row(2, channel="good")), channels)
    await world.deliver()
    assert world.states() == ["pending", "sent"]
    assert "ZeroDivisionError" in world.outbox.rows[1].last_error
    assert "boom" not in world.outbox.rows[1].last_error


async def test_a_run_that_cannot_be_read_now_is_told_later():
    world = World(box(Row(1)), {"security": Scripted(None)})

    def locked(run_id: int) -> ReportView:
        raise StoreError("the database is locked")

    await deliver_due(world.outbox, world.channels, locked, world.clock)
    assert world.states() == ["pending"]
    assert world.outbox.rows[1].last_error == "the database is locked"


async def test_a_channel_this_process_does_not_know_keeps_its_messages():
    world = World(box(Row(1, channel="elsewhere")), {"security": Scripted(None)})
    assert await world.deliver() == []
    assert world.outbox.rows[1] == Row(1, channel="elsewhere")


async def test_two_workers_send_a_message_once():
    channel = Scripted(None)
    world = World(box(Row(1)), {"security": channel})
    first, second = await asyncio.gather(world.deliver(), world.deliver())
    assert len(first) + len(second) == 1
    assert len(channel.bodies) == 1


async def test_a_message_whose_sender_died_is_due_again_after_its_lease():
    world = World(box(Row(1)), {"security": Scripted(None)})
    (row,) = world.outbox.due(NOW)
    assert world.outbox.claim(row.id, NOW, NOW + LEASE)  # and then the process is killed
    assert await world.deliver() == []
    world.clock.at += LEASE
    (delivery,) = await world.deliver()
    assert delivery.state == "sent"


async def test_a_server_that_is_down_is_not_asked_for_every_recipient():
    channel = Scripted(LATER)
    world = World(box(*(Row(n) for n in range(500))), {"security": channel})
    await world.deliver()
    assert len(channel.bodies) == 5


async def test_a_pass_can_be_restricted_to_one_run():
    world = World(box(Row(1, run_id=11), Row(2, run_id=12)), {"security": Scripted(None)})
    await world.deliver(run_id=12)
    assert world.states() == ["pending", "sent"]


async def test_a_secret_in_an_error_is_struck_out_before_it_is_kept():
    register_secret("CANARY-password-1")
    error = DeliveryError("535 CANARY-password-1 is wrong")
    world = World(box(Row(1)), {"security": Scripted(error)})
    await world.deliver()
    assert "CANARY" not in world.outbox.rows[1].last_error
