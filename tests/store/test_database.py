import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine.interfaces import ReflectedIndex

from auditor.errors import AuditorError, ConfigError, StoreError
from auditor.model import Credential
from auditor.store import Store
from auditor.store.database import HEAD, Database
from auditor.store.migrate import head, upgrade
from auditor.store.schema import create
from auditor.store.tables import Table
from tests.store.conftest import Line

Build = Callable[..., Credential]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_files_are_for_their_owner_only_whatever_the_umask(
    tmp_path: Path, credential: Build, now: datetime
) -> None:
    before = os.umask(0)
    try:
        with Store.open(f"sqlite:///{tmp_path}/new/deep/audit.db") as store:
            Line(store).run(now, [credential()])
            files = list((tmp_path / "new" / "deep").iterdir())
            assert {path.name for path in files} == {"audit.db", "audit.db-wal", "audit.db-shm"}
            assert {mode(path) for path in files} == {0o600}
        assert mode(tmp_path / "new") == mode(tmp_path / "new" / "deep") == 0o700
    finally:
        os.umask(before)


def test_a_database_that_others_may_read_is_narrowed_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    Store.open(f"sqlite:///{path}").close()
    path.chmod(0o644)
    Store.open(f"sqlite:///{path}").close()
    assert mode(path) == 0o600


def test_a_database_in_memory_works(credential: Build, now: datetime) -> None:
    with Store.open("sqlite://") as store:
        run_id = Line(store).run(now, [credential()])
        assert len(list(store.credentials(run_id))) == 1


def test_the_tables_are_exactly_what_the_migrations_make(url: str) -> None:
    assert head() == HEAD
    with Store.open(url) as store, store._database.read() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Table.metadata) == []


def test_a_new_database_is_what_all_migrations_make_of_an_empty_one(url: str) -> None:
    database = Database(url)
    with database.engine.connect() as connection:
        create(connection, HEAD)
        created = shape(connection)
        connection.rollback()
        assert shape(connection) == {}
        upgrade(connection, database.name)
        assert shape(connection) == created
        connection.rollback()
    database.close()


def shape(connection: Connection) -> dict[str, object]:
    """All that a database knows of its tables, and the migration it says it stands at."""
    look = inspect(connection)
    found: dict[str, object] = {
        name: (
            [column | {"type": str(column["type"])} for column in look.get_columns(name)],
            look.get_pk_constraint(name),
            sorted(map(str, look.get_unique_constraints(name))),
            sorted(
                (str(index["name"]), index["column_names"], index["unique"], options(index))
                for index in look.get_indexes(name)
            ),
        )
        for name in look.get_table_names()
    }
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master"))
        found |= {f"{name}, as SQL": " ".join((sql or "").split()) for name, sql in rows}
    elif sequences := look.get_sequence_names():
        found["sequences"] = sorted(sequences)
    if "alembic_version" in found:
        found["version"] = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def options(index: ReflectedIndex) -> dict[str, str]:
    return {name: str(value) for name, value in index.get("dialect_options", {}).items()}


def test_opening_again_changes_nothing(url: str, credential: Build, now: datetime) -> None:
    with Store.open(url) as store:
        run_id = Line(store).run(now, [credential()])
    with Store.open(url, migrate=False) as store:
        assert len(list(store.credentials(run_id))) == 1


def test_an_older_schema_is_refused_unless_it_may_be_upgraded(url: str) -> None:
    with pytest.raises(StoreError, match="db upgrade"):
        Store.open(url, migrate=False)


def test_a_newer_database_is_refused_and_left_alone(url: str) -> None:
    with Store.open(url) as store, store._database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version of the auditor; upgrade the program"):
        Store.open(url)
    with pytest.raises(StoreError):
        Store.open(url, migrate=False)
    database = Database(url)
    with database.read() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    database.close()


def test_a_database_of_somebody_else_is_refused(url: str) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE customers (id INTEGER)"))
    database.close()
    with pytest.raises(StoreError, match=r"holds other tables .customers.*`database.url`"):
        Store.open(url)


@pytest.mark.parametrize(
    ("step", "before"),
    [
        ("auditor.store.database.create", []),
        ("auditor.store.migrate.upgrade", ["CREATE TABLE alembic_version (version_num TEXT)"]),
    ],
)
def test_a_migration_that_dies_leaves_the_database_as_it_was(
    url: str, monkeypatch: pytest.MonkeyPatch, step: str, before: list[str]
) -> None:
    def die(connection: Connection, name: str) -> None:
        connection.execute(text("CREATE TABLE run (id INTEGER)"))
        raise KeyboardInterrupt

    database = Database(url)
    with database.write() as connection:
        for statement in before:
            connection.execute(text(statement))
    database.close()
    with monkeypatch.context() as patch:
        patch.setattr(step, die)
        with pytest.raises(KeyboardInterrupt):
            Store.open(url)
    Store.open(url).close()


def test_two_may_open_a_new_database_at_once(url: str) -> None:
    errors: list[Exception] = []

    def attempt() -> None:
        try:
            Store.open(url).close()
        except Exception as error:  # noqa: BLE001 - reported below
            errors.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("these are notes\n" * 400)
    with pytest.raises(StoreError, match="is not a SQLite database; restore a backup or name"):
        Store.open(f"sqlite:///{path}")
    assert path.read_text().startswith("these are notes")


def test_a_corrupt_database_is_a_sentence(tmp_path: Path, credential: Build, now: datetime) -> None:
    path = tmp_path / "audit.db"
    with Store.open(f"sqlite:///{path}") as store:
        Line(store).run(now, [credential(f"key-{n}") for n in range(2000)])
    data = bytearray(path.read_bytes())
    for start in range(8192, len(data), 4096):
        data[start : start + 2048] = b"\xa5" * 2048
    path.write_bytes(data)
    with (
        pytest.raises(StoreError, match=r"audit.db (is corrupt|cannot be used|lacks a table)"),
        Store.open(f"sqlite:///{path}") as store,
    ):
        list(store.credentials(1))


def test_a_truncated_database_is_a_sentence(
    tmp_path: Path, credential: Build, now: datetime
) -> None:
    path = tmp_path / "audit.db"
    with Store.open(f"sqlite:///{path}") as store:
        Line(store).run(now, [credential(f"key-{n}") for n in range(2000)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StoreError), Store.open(f"sqlite:///{path}") as store:
        list(store.credentials(1))


def test_a_database_locked_by_another_process_is_a_sentence(tmp_path: Path, now: datetime) -> None:
    path = tmp_path / "audit.db"
    store = Store.open(f"sqlite:///{path}", busy_seconds=0.2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"locked by another process .*try again"):
        store.begin_run(now=now, started_at=now)
    other.execute("ROLLBACK")
    assert store.begin_run(now=now, started_at=now) == 1
    other.close()
    store.close()


def test_writers_of_one_process_take_turns(
    store: Store, line: Line, credential: Build, now: datetime
) -> None:
    run_id = line.begin(now)
    errors: list[Exception] = []

    def write(source: str) -> None:
        try:
            own = [credential(f"{source}-{n}", source=source) for n in range(300)]
            shared = [credential(f"key-{n}", source=source) for n in range(300)]
            line.write(run_id, now, own, shared, source=source)
        except Exception as error:  # noqa: BLE001 - reported below
            errors.append(error)

    threads = [threading.Thread(target=write, args=(f"source-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(list(store.credentials(run_id))) == 300 * 5
    assert [one.credentials for one in store.coverage(run_id)] == [600] * 4


def test_a_full_disk_rolls_back_whole_and_says_so(
    tmp_path: Path, credential: Build, now: datetime
) -> None:
    with Store.open(f"sqlite:///{tmp_path}/audit.db") as store:
        line = Line(store)
        first = line.run(now, [credential()])
        run_id = line.begin(now)
        with store._database.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar() or 0
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 3}")
        with pytest.raises(StoreError, match="disk is full; make room and run again"):
            line.write(run_id, now, [credential(f"key-{n}") for n in range(2000)])
        assert len(list(store.credentials(first))) == 1
        assert store.coverage(run_id) == []


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be created or opened .*check the path"):
        Store.open(f"sqlite:///{tmp_path}/file/audit.db")
    with pytest.raises(StoreError, match=r"audit.db|cannot be"):
        Store.open(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("nonsense", ConfigError, "database.url cannot be read"),
        ("mysql://host/name", ConfigError, "database.url"),
        (
            "postgresql+psycopg://nobody@127.0.0.1:1/x",
            StoreError,
            "cannot be reached; check that the server",
        ),
    ],
)
def test_an_address_that_cannot_be_used_is_a_sentence(
    address: str, error: type[AuditorError], message: str
) -> None:
    with pytest.raises(error, match=message):
        Store.open(address)


def test_no_value_and_no_password_is_shown_in_an_error(url: str, now: datetime) -> None:
    with Store.open(url) as store:
        store.begin_run(now=now, started_at=now)
        with pytest.raises(StoreError) as caught, store._database.write() as connection:
            connection.execute(
                text("INSERT INTO run (id, status) VALUES (:id, :canary)"),
                {"id": 1, "canary": "CANARY-1"},
            )
    assert "CANARY" not in str(caught.value)
    with pytest.raises(StoreError) as caught:
        Store.open("postgresql+psycopg://nobody:CANARY-2@127.0.0.1:1/x")
    assert "CANARY" not in str(caught.value)


_WRITER = """
import os, sys
from datetime import UTC, datetime, timedelta
from auditor.evidence import Page, Unit
from auditor.model import Credential, Organization, Principal
from auditor.store import Spool, Store

now = datetime(2026, 3, 1, tzinfo=UTC)
store = Store.open(sys.argv[1])
organization = Organization("org-1", "Example")
run = 0
while True:
    run += 1
    at = now + timedelta(days=run)
    run_id = store.begin_run(now=at, started_at=at)
    with Spool() as spool:
        for start in range(0, 1500, 100):
            spool.append(Page(organization, tuple(
                Credential(
                    uid=f"keycard:org-1:key:{n}", provider="keycard", source="s",
                    organization=organization, principal=Principal("p", "p"),
                    name=f"run {run}", type="API Key", observed_at=at, data_as_of=at,
                ) for n in range(start, start + 100)
            )))
        print("writing", run_id, flush=True)
        store.write_unit(run_id, source="s", provider="keycard",
                         unit=Unit("org-1", organization), spool=spool, error=None, now=at)
    print("written", run_id, flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.2])
def test_a_killed_writer_leaves_the_snapshot_before_or_the_one_after_never_a_mix(
    url: str, delay: float
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = 0
    for line in process.stdout:
        verb, number = line.split()
        if verb == "written":
            acknowledged = int(number)
        elif int(number) == 3:
            time.sleep(delay)
            process.kill()
            break
    for line in process.stdout:
        if line.startswith("written"):
            acknowledged = int(line.split()[1])
    process.wait()
    process.stdout.close()
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as plain:
            assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        plain.close()
    with Store.open(url) as store:
        complete = [run.id for run in store.runs() if store.coverage(run.id)]
        assert max(complete) >= acknowledged
        for run_id in complete:
            names = {one.name for one in store.credentials(run_id)}
            assert names == {f"run {run_id}"}
            assert len(list(store.credentials(run_id))) == 1500
        for run in store.runs():
            if run.id not in complete:
                assert {one.name for one in store.credentials(run.id)} == {f"run {max(complete)}"}


@pytest.mark.postgres
def test_a_lost_connection_is_a_sentence_and_the_next_attempt_works(
    empty_postgres_url: str, credential: Build, now: datetime
) -> None:
    with Store.open(empty_postgres_url) as store:
        line = Line(store)
        run_id = line.begin(now)
        listed = [credential(f"key-{n}") for n in range(1200)]

        def cut(one: Credential) -> Credential:
            if one.provider_id == "key-700":
                with store._database.read() as other:
                    other.execute(
                        text(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                        )
                    )
            return one

        with pytest.raises(StoreError, match=r"was lost .*try again"):
            line.write(run_id, now, listed, classify=cut)
        assert store.coverage(run_id) == []
        line.write(run_id, now, listed)
        assert len(list(store.credentials(run_id))) == 1200
