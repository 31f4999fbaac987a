"""The tables: what is kept, in which shape.

Instants are integers, microseconds since 1970 UTC. A *scope* is one organization as one source
sees it; a *collection* is one reading of a scope in one run, and ``seq`` is the order in which
collections were written: every row that says *since* or *until* means a ``seq``. See
``docs/store.md`` for how a past state is rebuilt from them.
"""

from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy import Table as SqlTable
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel

Key: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up by itself only where the type is called INTEGER."""

Word: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")
"""Text ordered by code point everywhere, as Python orders it."""


def _key() -> Any:
    return Field(default=None, sa_column=Column(Key, primary_key=True, autoincrement=True))


def _time(*, null: bool = False) -> Any:
    return Field(default=None, sa_column=Column(BigInteger(), nullable=null))


def _blob(*, null: bool = True) -> Any:
    return Field(default=None, sa_column=Column(LargeBinary(), nullable=null))


def _text(*, null: bool = False, index: bool = False, unique: bool = False) -> Any:
    column: Column[str] = Column(Word, nullable=null, index=index or None, unique=unique or None)
    return Field(default=None, sa_column=column)


def _number(default: int | None = None, *, null: bool = False) -> Any:
    server = None if default is None else text(str(default))
    return Field(
        default=default, sa_column=Column(BigInteger(), nullable=null, server_default=server)
    )


def _part(*, small: bool = False) -> Any:
    kind: TypeEngine[int] = SmallInteger() if small else BigInteger()
    return Field(sa_column=Column(kind, primary_key=True, autoincrement=False))


class Table(SQLModel):
    """The base of all tables, with a metadata collection of its own."""

    model_config = {"defer_build": True}
    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Run(Table, table=True):
    """One pass of the line."""

    __tablename__ = "run"
    __table_args__ = (UniqueConstraint("schedule", "occurrence"),)

    id: int = _key()
    now: int = _time()
    is_as_of: int = _number(0)
    started_at: int = _time()
    finished_at: int | None = _time(null=True)
    status: str = _text()
    schedule: str | None = _text(null=True)
    occurrence: str | None = _text(null=True)
    context: bytes | None = _blob()
    summary: bytes | None = _blob()
    sources: bytes | None = _blob()
    """JSON ``{"selected": […], "configured": […]}``, written when the run is judged."""
    watermark: int | None = _number(null=True)
    """The newest ``collection.seq`` when the run was judged: the state it was judged on."""
    judged: int | None = _number(null=True)
    """The order in which runs were judged."""
    event_mark: int | None = _number(null=True)
    """The newest ``finding_event.id`` when the run was judged."""
    observed: bytes | None = _blob()
    """Numbers of the findings seen again in this run without any other change."""
    is_pruned: int = _number(0)
    holder: str | None = _text(null=True)
    """The process that makes the run, while it does."""
    lease_until: int | None = _time(null=True)
    fence: int = _number(0)
    """How often the run was taken; only the newest taker may judge and end it."""


class Scope(Table, table=True):
    """One organization as one source sees it."""

    __tablename__ = "scope"
    __table_args__ = (UniqueConstraint("source", "provider", "organization_id"),)

    id: int = _key()
    source: str = _text()
    provider: str = _text()
    organization_id: str = _text()
    organization_name: str = _text()
    unit: str = _text()
    """The key of the unit that read it last."""


class Collection(Table, table=True):
    """What one source gave of one organization in one run, or why it did not.

    While ``status`` is ``queued`` or ``running`` the row is a claim: whoever holds the newest
    ``fence`` may complete it, in the transaction that writes what was read.
    """

    __tablename__ = "collection"
    __table_args__ = (UniqueConstraint("run_id", "source", "unit", "part"),)

    id: int = _key()
    run_id: int = Field(sa_column=Column(BigInteger(), nullable=False, index=True))
    scope_id: int | None = Field(default=None, sa_column=Column(BigInteger(), nullable=True))
    source: str = _text()
    provider: str = _text()
    unit: str = _text()
    part: int = _number(0)
    """0 for the claimed row; further organizations of the same unit count up."""
    status: str = _text()
    reason: str | None = _text(null=True)
    error: str | None = _text(null=True)
    notes: str | None = _text(null=True)
    """JSON list of texts."""
    organization_id: str | None = _text(null=True)
    organization_name: str | None = _text(null=True)
    credentials: int = _number(0)
    data_as_of: int | None = _time(null=True)
    observed_at: int | None = _time(null=True)
    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger(), nullable=True, unique=True)
    )
    is_keyframe: int = _number(0)
    uses: bytes | None = _blob()
    """Last uses that differ from the state before; of every member, if a keyframe."""
    as_of: bytes | None = _blob()
    """Members whose data are of another time than ``data_as_of``."""
    seen: bytes | None = _blob()
    """If partial: by which collection each member was read last, since the last complete one."""
    owner: str | None = _text(null=True)
    lease_until: int | None = _time(null=True)
    fence: int = _number(0)
    attempts: int = _number(0)


class CredentialRow(Table, table=True):
    """An identity ever seen; what is known of it stands in the tables below."""

    __tablename__ = "credential"

    id: int = _key()
    uid: str = _text(unique=True)
    first_seen_at: int = _time()


class Presence(Table, table=True):
    """A stretch of readings in which one scope showed one credential, with its newest facts."""

    __tablename__ = "presence"

    credential_id: int = _part()
    scope_id: int = _part()
    since: int = _part()
    until: int | None = _number(null=True)
    """The complete collection that no longer showed it."""
    version: int = _number()
    """``since`` of its newest version."""
    digest: bytes = _blob(null=False)
    use_code: int = Field(sa_column=Column(SmallInteger(), nullable=False))
    use_at: int | None = _time(null=True)
    use_window: int | None = _time(null=True)
    raw_digest: int | None = _number(null=True)


class Version(Table, table=True):
    """What a scope said of a credential from one collection on, last use excepted."""

    __tablename__ = "version"

    credential_id: int = _part()
    scope_id: int = _part()
    since: int = _part()
    body: bytes = _blob(null=False)
    permissions_id: int | None = _number(null=True)
    unused_id: int | None = _number(null=True)


class Raw(Table, table=True):
    """The newest record as received; not kept through time."""

    __tablename__ = "raw"

    credential_id: int = _part()
    scope_id: int = _part()
    body: bytes = _blob(null=False)


class PermissionSet(Table, table=True):
    """A permission map, stored once however many credentials carry it."""

    __tablename__ = "permission_set"

    id: int = _key()
    digest: bytes = Field(sa_column=Column(LargeBinary(), nullable=False, unique=True))
    body: bytes = _blob(null=False)


class FindingRow(Table, table=True):
    """The newest state of a finding."""

    __tablename__ = "finding"

    number: int = _key()
    id: str = _text(unique=True)
    policy_id: str = _text()
    credential_id: int = Field(sa_column=Column(BigInteger(), nullable=False, index=True))
    status: str = _text()
    severity: int = Field(sa_column=Column(SmallInteger(), nullable=False))
    """The severity's rank, so that it sorts."""
    risk_score: int = Field(sa_column=Column(SmallInteger(), nullable=False))
    first_seen_at: int = _time()
    last_seen_at: int = _time()
    run_id: int = _number()
    """The run that changed it last."""
    body: bytes = _blob(null=False)


class FindingEvent(Table, table=True):
    """A state a finding took on; never changed afterwards."""

    __tablename__ = "finding_event"

    id: int = _key()
    finding: int = _number()
    run_id: int = _number()
    body: bytes = _blob(null=False)


class OccurrenceRow(Table, table=True):
    """One occurrence of a schedule and what became of it; an empty key: since when it is known."""

    __tablename__ = "occurrence"
    __table_args__ = (UniqueConstraint("schedule", "key"),)

    id: int = _key()
    schedule: str = _text()
    key: str = _text()
    state: str = _text()
    reason: str = _text()
    recorded_at: int = _time()


class LeaderRow(Table, table=True):
    """Which daemon leads, and until when unless it says so again."""

    __tablename__ = "leader"

    name: str = Field(sa_column=Column(Word, primary_key=True))
    holder: str = _text()
    since: int = _time()
    expires_at: int = _time()
    fence: int = _number(0)


class OutboxRow(Table, table=True):
    """One message to one recipient, kept until it is sent or given up."""

    __tablename__ = "outbox"

    id: int = _key()
    run_id: int = Field(sa_column=Column(BigInteger(), nullable=False, index=True))
    channel: str = _text()
    recipient: str = _text()
    message_id: str = _text(unique=True)
    state: str = _text()
    attempts: int = _number(0)
    next_attempt_at: int | None = _time(null=True)
    last_error: str | None = _text(null=True)
    created_at: int = _time()
    sent_at: int | None = _time(null=True)


def _clustered(row: type[Table]) -> Any:
    """Return the table behind *row*, stored in the order of its key where SQLite can."""
    table = row.__table__  # type: ignore[attr-defined]
    table.dialect_options["sqlite"]["with_rowid"] = False
    return table


for _row in (Presence, Version, Raw):
    _clustered(_row)

Sequence("collection_seq", metadata=Table.metadata)  # PostgreSQL's; see `auditor.store.claims`

_is_open = text("until IS NULL")
_open_presences = Index(
    "ix_presence_open",
    Presence.scope_id,  # type: ignore[arg-type]
    Presence.credential_id,  # type: ignore[arg-type]
    sqlite_where=_is_open,
)
Index("ix_collection_scope", Collection.scope_id, Collection.seq)  # type: ignore[arg-type]
Index("ix_finding_status", FindingRow.status, FindingRow.risk_score)  # type: ignore[arg-type]
Index("ix_finding_event_finding", FindingEvent.finding, FindingEvent.id)  # type: ignore[arg-type]
Index("ix_outbox_due", OutboxRow.state, OutboxRow.next_attempt_at)  # type: ignore[arg-type]


def complete_for_postgresql() -> None:
    """Add what the schema says of PostgreSQL alone: saying so imports its support, 25 ms."""
    _open_presences.dialect_options["postgresql"]["where"] = _is_open


def table(row: type[Table]) -> SqlTable:
    """Return the table behind *row*."""
    found: SqlTable = row.__table__  # type: ignore[attr-defined]
    return found


def columns(row: type[Table]) -> Any:
    """Return the columns of *row* for statements (``columns(Run).id``)."""
    return table(row).c
