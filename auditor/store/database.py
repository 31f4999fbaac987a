"""The connection: opening a database safely, transactions, and errors as sentences.

A SQLite file is created readable by its owner only and runs in WAL mode; an existing file that
others may read is narrowed to its owner when it is opened. One that cannot be written can still be
read. PostgreSQL is reached through psycopg.
"""

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from auditor.errors import ConfigError, StoreError
from auditor.store.postgres import expect_much, postgres_engine, take_any_time
from auditor.store.schema import create
from auditor.store.unwritable import Unwritable, unwritable

HEAD = "0002"
"""The newest migration; a database that names any other is either older or newer."""

_BEFORE_ALL = "base"
"""What Alembic calls the state before the first migration."""

BUSY_SECONDS = 60.0
"""How long a writer waits for another one, and anybody for PostgreSQL to answer."""

_SHORTEST_WAIT = 1.0
_LONGEST_WAIT = 3600.0

_WRITERS = 7_201_501
"""PostgreSQL advisory lock: shared by everybody who writes a collection."""
_JUDGES = 7_201_502
"""PostgreSQL advisory lock: held by the one who judges."""
_MIGRATION = 7_201_503
"""PostgreSQL advisory lock: held by the one who migrates."""

_CACHE_KIB = 16 * 1024


class NoDatabase(ConfigError):
    """There is nothing to read where the configuration says."""


class Database:
    """One database, SQLite or PostgreSQL; safe to use from several threads."""

    def __init__(
        self, url: str, *, busy_seconds: float = BUSY_SECONDS, create: bool = True
    ) -> None:
        self.url, busy_seconds = _parse(url, busy_seconds)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.name = self.url.render_as_string(hide_password=True)
        self.busy_seconds = busy_seconds
        self._writing = threading.Lock()
        self._create = create
        self._unwritable: Unwritable | None = None
        if self.is_sqlite:
            if not create:
                self._unwritable = _existing(self.url)
            if self._unwritable is None:
                _prepare_file(self.url)
        self._is_closed = False
        self.engine = self._engine()

    def _engine(self) -> Engine:
        if not self.is_sqlite:
            return postgres_engine(self.url, self.busy_seconds)
        arguments: dict[str, Any] = {"check_same_thread": False, "timeout": self.busy_seconds}
        options: dict[str, Any] = {"poolclass": StaticPool} if not self.url.database else {}
        if self._unwritable is not None:
            options["creator"] = partial(self._unwritable.connect, **arguments)
        engine = create_engine(self.url, hide_parameters=True, connect_args=arguments, **options)
        configure = _configure_sqlite if self._unwritable is None else _configure_reading
        event.listen(engine, "connect", configure)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def close(self) -> None:
        """Give back every connection; one that a thread still uses, when it is done."""
        self._is_closed = True
        self.engine.dispose()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            try:
                yield connection
            finally:
                if self._is_closed:
                    connection.invalidate()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn what a database throws into a `StoreError` that says what to do."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            self._check_unchanged()
            raise StoreError(self._sentence(error)) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection whose statements all see one state of the database."""
        with self.guard(), self._connection() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
                expect_much(connection, self.busy_seconds)
            with connection.begin():
                yield connection
            self._check_unchanged()

    def _check_unchanged(self) -> None:
        if self._unwritable is not None:
            self._unwritable.check()

    @contextmanager
    def write(self, *, collection: bool = False) -> Iterator[Connection]:
        """Yield a connection in a transaction that commits at the end, whole or not at all.

        *collection* tells that a collection is written: judging waits for those.
        """
        with self.guard(), self._turn(), self._connection() as connection:
            connection.execution_options(is_writer=True)
            if collection and not self.is_sqlite:
                expect_much(connection, self.busy_seconds)
            with connection.begin():
                if collection and not self.is_sqlite:
                    connection.execute(
                        text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": _WRITERS}
                    )
                yield connection

    @contextmanager
    def judge(self) -> Iterator[Connection]:
        """Yield a writing connection that nobody else judges beside, on one frozen state."""
        if self.is_sqlite:
            with self.write() as connection:
                yield connection
            return
        with self.guard(), self._gate() as release, self._connection() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ")
            expect_much(connection, self.busy_seconds)
            with connection.begin():
                connection.execute(text("SELECT count(*) FROM run"))  # freezes the state
                release()
                yield connection

    @contextmanager
    def _gate(self) -> Iterator[Callable[[], None]]:
        """Hold off other judges, and writers of collections until the state is frozen.

        Yield what lets the writers go on: none of them may commit with a number older than the
        newest one in the frozen state.
        """
        with self._connection() as gate:
            gate.execution_options(isolation_level="AUTOCOMMIT")
            expect_much(gate, self.busy_seconds)
            try:
                for key in (_JUDGES, _WRITERS):
                    gate.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
                yield lambda: _release(gate)
            finally:
                gate.invalidate()  # ends the session, and with it whatever it still holds

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Queue this process's writers; SQLite itself would let them poll and starve."""
        if not self.is_sqlite:
            yield
            return
        if not self._writing.acquire(timeout=self.busy_seconds):
            raise StoreError(self._locked())
        try:
            yield
        finally:
            self._writing.release()

    def compact(self) -> None:
        """Give the room of deleted rows back to the disk, where the database does not itself."""
        if self.is_sqlite:
            with self.guard(), self._turn(), self._connection() as connection:
                driver: Any = connection.connection.driver_connection
                driver.execute("VACUUM")  # refuses to run inside a transaction

    def migrate(self) -> None:
        """Bring the schema up to date; refuse what is newer or not ours.

        One that cannot be written is only checked.
        """
        if self._unwritable is not None:
            return self.check()
        with self.guard():
            with self._connection() as connection, connection.begin():
                if self._version(connection) == HEAD:
                    return None
            with self.write() as connection:
                if not self.is_sqlite:
                    take_any_time(connection)
                    connection.execute(
                        text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION}
                    )
                version = self._version(connection)
                if version is None:
                    create(connection, HEAD)
                elif version != HEAD:
                    from auditor.store.migrate import upgrade  # noqa: PLC0415 - slow to import

                    upgrade(connection, self.name)
        return None

    def check(self) -> None:
        """Refuse a database whose schema is not exactly this program's."""
        with self.guard(), self._connection() as connection, connection.begin():
            version = self._version(connection) or ""
            if version > HEAD:
                raise StoreError(
                    f"{self.name} was written by a newer version of the auditor; "
                    "upgrade the program"
                )
            if version < HEAD:
                raise StoreError(
                    f"{self.name} has an older schema; run `auditor db upgrade` and try again"
                )

    def _version(self, connection: Connection) -> str | None:
        """Return the migration the database stands at, None for an empty database."""
        names = set(inspect(connection).get_table_names())
        if "alembic_version" in names:
            row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
            return _BEFORE_ALL if row is None else str(row[0])
        if names:
            raise StoreError(
                f"{self.name} holds other tables ({', '.join(sorted(names)[:3])}) and is no "
                "database of the auditor; give `database.url` one of its own"
            )
        if not self._create:
            raise NoDatabase(
                f"{self.name} is empty; run `auditor audit` first, or mend `database.url`"
            )
        return None

    def _locked(self) -> str:
        return (
            f"{self.name} is locked by another process for more than {self.busy_seconds:g} "
            "seconds; wait for the other audit to end, or stop it, and try again"
        )

    def _sentence(self, error: Exception) -> str:
        """Return what is wrong with the database, where, and what to do next."""
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        # PostgreSQL's further lines quote rows.
        what = " ".join(str(cause).partition("\nDETAIL")[0].split())
        lowered = what.lower()
        for sign, sentence in _SIGNS:
            if sign in lowered:
                return f"{self.name} {sentence}"
        if "locked" in lowered or "lock timeout" in lowered:
            return self._locked()
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return f"the connection to {self.name} was lost ({what}); try again"
        return f"{self.name} cannot be used: {what[:300]}"


_UNREACHABLE = "cannot be reached; check that the server runs and the URL is right"
_SIGNS = (
    ("not a database", "is not a SQLite database; restore a backup or name another file"),
    ("malformed", "is corrupt; restore a backup, or move it away to start afresh"),
    ("disk is full", "cannot grow, the disk is full; make room and run again, nothing was lost"),
    ("no space left", "cannot grow, the disk is full; make room and run again, nothing was lost"),
    ("readonly", "cannot be written; check the permissions of the file and its directory"),
    ("unable to open", "cannot be opened; check the path and the permissions of its directory"),
    ("disk i/o", "cannot be read or written (I/O error); check the disk"),
    ("no such table", "lacks a table; restore a backup, or move it away to start afresh"),
    ("undefinedtable", "lacks a table; restore a backup, or use an empty database"),
    ("connection refused", _UNREACHABLE),
    ("timeout expired", _UNREACHABLE),
    ("no route to host", _UNREACHABLE),
    ("network is unreachable", _UNREACHABLE),
    ("resolve host", _UNREACHABLE),
    ("translate host", _UNREACHABLE),
    (
        "statement timeout",
        "took too long over a statement; try again, or raise `timeout` in its URL",
    ),
    ("authentication failed", "refuses the login; check user and password in `database.url`"),
    ("does not exist", "does not exist or lacks a table; create it, or mend `database.url`"),
    ("connection failed", _UNREACHABLE),
)


def _parse(url: str, busy_seconds: float) -> tuple[URL, float]:
    """Return the address without the part of it that is ours: ``?timeout=`` in seconds."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        parsed.get_dialect()
    except (ArgumentError, ModuleNotFoundError, SQLAlchemyError) as error:
        raise ConfigError(
            "database.url cannot be read; write sqlite:///auditor.db or "
            "postgresql+psycopg://user@host/name"
        ) from error
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(f"database.url names {backend}; SQLite and PostgreSQL are supported")
    if backend == "postgresql" and parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if "timeout" in parsed.query:
        busy_seconds = _seconds(parsed.query["timeout"])
        parsed = parsed.difference_update_query(["timeout"])
    return parsed, busy_seconds


def _seconds(text: object) -> float:
    try:
        seconds = float(str(text))
    except ValueError:
        seconds = 0.0
    if not _SHORTEST_WAIT <= seconds <= _LONGEST_WAIT:
        raise StoreError(
            f"`timeout` in database.url is {str(text)!r}; give seconds from "
            f"{_SHORTEST_WAIT:g} to {_LONGEST_WAIT:g}"
        )
    return seconds


def _existing(url: URL) -> Unwritable | None:
    """Return how the file is read where it cannot be written; refuse where there is none."""
    path = _file(url)
    if path is None:
        return None
    try:
        if not path.exists():
            raise NoDatabase(
                f"There is no database at {path} yet; run `auditor audit` first, or mend "
                "`database.url`"
            )
        return unwritable(path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be opened ({error.strerror}); "
            "check the path and the permissions of its directory"
        ) from error


def _file(url: URL) -> Path | None:
    """Return the file that *url* names, None for a database in memory."""
    name = url.database
    return None if not name or name == ":memory:" or name.startswith("file:") else Path(name)


def _prepare_file(url: URL) -> None:
    """Create the file for its owner only, and narrow one that others may read."""
    path = _file(url)
    if path is None:
        return
    try:
        for folder in reversed([path.parent, *path.parent.parents]):
            folder.mkdir(mode=0o700, exist_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077 and path.stat().st_uid == os.getuid():
                path.chmod(mode & 0o700)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be created or opened ({error.strerror}); "
            "check the path and the permissions of its directory"
        ) from error


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling would begin late and commit before DDL.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    cursor.close()


def _configure_reading(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}").close()


def _begin_sqlite(connection: Connection) -> None:
    is_writer = connection.get_execution_options().get("is_writer")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _release(gate: Connection) -> None:
    gate.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _WRITERS})
