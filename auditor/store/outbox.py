"""The outbox: messages that were promised in the judging transaction, until they are sent."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, or_, select, update

from auditor.store.bulk import upsert
from auditor.store.codec import instant, micros
from auditor.store.database import Database
from auditor.store.records import Message, Undelivered
from auditor.store.tables import OutboxRow, columns, table
from auditor.store.texts import safe_text

_outbox = columns(OutboxRow)

PENDING = "pending"
SENT = "sent"
DEAD = "dead"
UNKNOWN = "unknown"


def enqueue(connection: Connection, run_id: int, channel: str, parcels: Iterable[Any]) -> None:
    """Add a row for every parcel; one that is there already stays as it is."""
    rows = [
        {
            "run_id": run_id,
            "channel": channel,
            "recipient": safe_text(parcel.recipient),
            "message_id": safe_text(parcel.message_id),
            "state": PENDING,
            "attempts": 0,
            "next_attempt_at": micros(parcel.created_at),
            "created_at": micros(parcel.created_at),
        }
        for parcel in parcels
    ]
    if rows:
        statement = upsert(connection.dialect.name, OutboxRow)
        connection.execute(statement.on_conflict_do_nothing(), rows)


_Messages = list[Message]


class Outbox:
    """The messages of all runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, now: datetime, *, limit: int = 100) -> _Messages:
        """Return the messages whose next attempt is due, the oldest first."""
        statement = (
            select(table(OutboxRow))
            .where(*_is_due(now))
            .order_by(_outbox.next_attempt_at, _outbox.id)
            .limit(limit)
        )
        return self._read(statement)

    def list(
        self, *, run_id: int | None = None, state: str | None = None, limit: int = 1000
    ) -> _Messages:
        """Return messages, the newest first."""
        statement = select(table(OutboxRow)).order_by(_outbox.id.desc()).limit(limit)
        if run_id is not None:
            statement = statement.where(_outbox.run_id == run_id)
        if state is not None:
            statement = statement.where(_outbox.state == state)
        return self._read(statement)

    def undelivered(self) -> Sequence[Undelivered]:
        """Return the channels whose messages failed and wait, or were given up, by name."""
        is_dead = case((_outbox.state == DEAD, 1), else_=0)
        failed = (
            select(
                _outbox.channel,
                func.count().label("messages"),
                func.sum(is_dead).label("dead"),
                func.max(_outbox.id).label("newest"),
            )
            .where(_outbox.state.in_((PENDING, UNKNOWN, DEAD)), _outbox.last_error.is_not(None))
            .group_by(_outbox.channel)
            .subquery()
        )
        statement = select(
            failed.c.channel, failed.c.messages, failed.c.dead, _outbox.last_error
        ).join(failed, _outbox.id == failed.c.newest)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(failed.c.channel))
            return [
                Undelivered(channel=channel, waiting=messages - dead, dead=dead, error=error)
                for channel, messages, dead, error in rows
            ]

    def newest(self, channel: str) -> datetime | None:
        """Return when the newest message of *channel* was made; None where there is none."""
        statement = select(func.max(_outbox.created_at)).where(_outbox.channel == channel)
        with self._database.read() as connection:
            found = connection.scalar(statement)
        return None if found is None else instant(found)

    def claim(self, message: int, now: datetime, until: datetime) -> bool:
        """Keep others off *message* until then; False where it is not due any more.

        A sender that dies lets it be due again at *until*.
        """
        with self._database.write() as connection:
            claimed = connection.execute(
                update(OutboxRow)
                .where(_outbox.id == message, *_is_due(now))
                .values(next_attempt_at=micros(until))
            )
            return claimed.rowcount == 1

    def sent(self, message: int, at: datetime) -> None:
        """Count the attempt and note that the receiver has accepted *message*."""
        self._change(message, state=SENT, sent_at=micros(at), next_attempt_at=None)

    def failed(
        self, message: int, *, error: str, next_attempt_at: datetime, in_doubt: bool = False
    ) -> None:
        """Count the attempt and note that it is to be repeated.

        *in_doubt*: it was handed over, but nobody said whether it was accepted.
        """
        self._change(
            message,
            state=UNKNOWN if in_doubt else PENDING,
            last_error=safe_text(error),
            next_attempt_at=micros(next_attempt_at),
        )

    def dead(self, message: int, *, error: str) -> None:
        """Count the attempt and give *message* up; it stays listed."""
        self._change(message, state=DEAD, last_error=safe_text(error), next_attempt_at=None)

    def _change(self, message: int, **facts: Any) -> None:
        with self._database.write() as connection:
            connection.execute(
                update(OutboxRow)
                .where(_outbox.id == message)
                .values(attempts=_outbox.attempts + 1, **facts)
            )

    def _read(self, statement: Any) -> _Messages:
        with self._database.read() as connection:
            return [_message(row) for row in connection.execute(statement)]


def _is_due(now: datetime) -> tuple[Any, ...]:
    return (
        _outbox.state.in_((PENDING, UNKNOWN)),
        or_(_outbox.next_attempt_at.is_(None), _outbox.next_attempt_at <= micros(now)),
    )


def _message(row: Any) -> Message:
    return Message(
        id=row.id,
        run_id=row.run_id,
        channel=row.channel,
        recipient=row.recipient,
        message_id=row.message_id,
        state=row.state,
        attempts=row.attempts,
        next_attempt_at=None if row.next_attempt_at is None else instant(row.next_attempt_at),
        last_error=row.last_error,
        created_at=instant(row.created_at),
        sent_at=None if row.sent_at is None else instant(row.sent_at),
    )
