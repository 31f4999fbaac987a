"""One daemon leads: by a lock beside a SQLite file, by a lease in PostgreSQL.

On SQLite the lock goes with its process, so a second daemon is refused and never waits. On
PostgreSQL the others follow: the lease of a leader that died or stands still runs out by the
database's clock, and the next one to ask has it. A fence tells the former leader that it is none
any more.
"""

import contextlib
import fcntl
import os
import socket
import time
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import structlog
from msgspec import Struct
from sqlalchemy import or_, select, update

from auditor.errors import StoreError
from auditor.store.bulk import upsert
from auditor.store.claims import database_time, micros_of
from auditor.store.codec import instant
from auditor.store.database import Database
from auditor.store.places import MOUNTS, REMOTE, file_system
from auditor.store.tables import LeaderRow, columns, table

log = structlog.get_logger()

LEASE = timedelta(seconds=60)
"""How long a leader that fell silent still leads."""

_NAME = "daemon"
_LOOKS = 3
_LOOK = 0.02
"""How often, and how many seconds apart, a lock is asked for."""

_leader = columns(LeaderRow)


class DatabaseReplaced(StoreError):
    """The file is another one than was locked, or is gone: what is written is lost."""


class LeaderRecord(Struct, frozen=True):
    """Who leads."""

    holder: str
    """``host:process``, with a random part where it is a lease."""
    expires_at: datetime | None = None
    """When the lease runs out unless it is renewed; None for a lock."""


class Leadership(Protocol):
    """The right to run schedules."""

    def hold(self) -> bool:
        """Take the leadership, or keep it; False while another process has it.

        Raises `StoreError` where waiting for it makes no sense, or where the database is away.
        """

    def release(self) -> None:
        """Give it to whoever comes next."""

    def leader(self) -> LeaderRecord | None:
        """Return who leads at present."""


def leadership(database: Database, *, lease: timedelta = LEASE) -> Leadership:
    """Return what decides who leads on *database*."""
    return FileLock(database) if database.is_sqlite else Lease(database, lease)


def own_name() -> str:
    """Return what this process calls itself."""
    return f"{socket.gethostname()}:{os.getpid()}"


class FileLock:
    """A lock on ``<database>.lock``, held for as long as the process lives."""

    def __init__(self, database: Database, *, mounts: Path = MOUNTS) -> None:
        name = database.url.database or ""
        self._database = Path(name)
        self._is_memory = name in ("", ":memory:") or name.startswith("file:")
        self._path = Path(f"{name}.lock")
        self._file: int | None = None
        self._locked = (0, 0)
        self._mounts = mounts

    def hold(self) -> bool:
        """Lock the file; raises `StoreError` at once where another process has.

        Once it is held: raises `DatabaseReplaced` where the database is another one by now.
        """
        if self._is_memory:
            return True
        if self._file is not None:
            if _identity(self._database) != self._locked:
                raise DatabaseReplaced(
                    f"{self._database} was replaced or deleted while it was open; start again, to "
                    "work on what is there now"
                )
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(file)
        except OSError as error:
            holder = os.pread(file, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(file)
            raise StoreError(
                f"{self._path} is locked by {holder}: another daemon works on this database. "
                "Stop it, or use PostgreSQL, where several daemons can stand by"
            ) from error
        os.ftruncate(file, 0)
        os.pwrite(file, own_name().encode(), 0)
        self._file = file
        self._locked = _identity(self._database)
        if (kind := file_system(self._path, self._mounts)) in REMOTE:
            log.warning(
                "store.remote_file",
                path=str(self._path),
                file_system=kind,
                reason="locks of a network file system cannot be relied on; use a local disk",
            )
        return True

    def release(self) -> None:
        """Unlock; the file stays, so that nobody locks one that another deletes."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def leader(self) -> LeaderRecord | None:
        """Return the process that holds the lock."""
        if self._file is not None:
            return LeaderRecord(own_name())
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return LeaderRecord(os.pread(file, 200, 0).decode(errors="replace").strip())
        finally:
            os.close(file)
        return None


class Lease:
    """A row that says who leads and until when."""

    def __init__(self, database: Database, lease: timedelta) -> None:
        self._database = database
        self._lease = lease
        self._holder = f"{own_name()}:{uuid.uuid4().hex[:8]}"
        self._fence: int | None = None

    def hold(self) -> bool:
        """Renew the lease, or take one that has run out."""
        with self._database.write() as connection:
            now = database_time(connection)
            until = now + micros_of(self._lease)
            if self._fence is not None:
                renewed = connection.execute(
                    update(LeaderRow)
                    .where(_leader.name == _NAME, _leader.fence == self._fence)
                    .values(expires_at=until)
                )
                if renewed.rowcount == 1:
                    return True
                self._fence = None
            first = upsert(connection.dialect.name, LeaderRow).values(
                name=_NAME, holder="", since=now, expires_at=0, fence=0
            )
            connection.execute(first.on_conflict_do_nothing())
            self._fence = connection.execute(
                update(LeaderRow)
                .where(_leader.name == _NAME)
                .where(or_(_leader.expires_at < now, _leader.holder == ""))
                .values(holder=self._holder, since=now, expires_at=until, fence=_leader.fence + 1)
                .returning(_leader.fence)
            ).scalar()
        return self._fence is not None

    def release(self) -> None:
        """Let the lease end now."""
        if self._fence is None:
            return
        with self._database.write() as connection:
            connection.execute(
                update(LeaderRow)
                .where(_leader.name == _NAME, _leader.fence == self._fence)
                .values(expires_at=0, holder="")
            )
        self._fence = None

    def leader(self) -> LeaderRecord | None:
        """Return whose lease has not run out."""
        with self._database.read() as connection:
            row = connection.execute(
                select(table(LeaderRow)).where(
                    _leader.name == _NAME, _leader.expires_at >= database_time(connection)
                )
            ).first()
        return None if row is None else LeaderRecord(row.holder, instant(row.expires_at))


def _lock(file: int) -> None:
    """Lock *file*; somebody who only looks who leads holds it for a moment."""
    for _ in range(_LOOKS):
        with contextlib.suppress(OSError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(_LOOK)
    return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _identity(path: Path) -> tuple[int, int]:
    """Return what tells a file from another one of its name."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino
