"""Reading leaves no trace: nothing is made where nothing is, and what cannot be written is read."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from auditor.errors import StoreError
from auditor.model import Credential
from auditor.store import NoDatabase, Store
from auditor.store.database import Database
from tests.store.conftest import Line

Build = Callable[..., Credential]
NOBODY = 65534


class Folder:
    """A folder that its owner may write and this process, for a while, may not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}/audit.db"

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Take away the right to write; from root, by being somebody else."""
        self._close()
        try:
            yield
        finally:
            self._open()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Be the owner again, amidst `closed`."""
        self._open()
        try:
            yield
        finally:
            self._close()

    def _open(self) -> None:
        os.seteuid(os.getuid())
        self.path.chmod(0o755)
        for file in self.path.iterdir():
            file.chmod(0o644)

    def _close(self) -> None:
        for file in self.path.iterdir():
            file.chmod(0o444)
        self.path.chmod(0o555)
        if os.geteuid() == 0:
            os.seteuid(NOBODY)

    def names(self) -> set[str]:
        return {path.name for path in self.path.iterdir()}


@pytest.fixture
def folder() -> Iterator[Folder]:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are for one user
        yield Folder(Path(name))


@pytest.fixture
def kept(folder: Folder, credential: Build, now: datetime) -> Folder:
    """With a database in it that nobody has open."""
    with Store.open(folder.url) as store:
        Line(store).run(now, [credential()])
    return folder


def test_reading_creates_neither_file_nor_folder(folder: Folder) -> None:
    with pytest.raises(NoDatabase, match=r"no database at .*new/audit.db yet; run `auditor audit`"):
        Store.open(f"sqlite:///{folder.path}/new/audit.db", create=False)
    assert folder.names() == set()


def test_an_empty_database_stays_empty_when_it_is_only_read(url: str) -> None:
    database = Database(url)
    with database.write():
        pass
    with pytest.raises(NoDatabase, match="is empty; run `auditor audit` first"):
        Store.open(url, create=False)
    with database.read() as connection:
        assert inspect(connection).get_table_names() == []
    database.close()


def test_a_database_in_a_folder_that_cannot_be_written_is_read(kept: Folder) -> None:
    with kept.closed(), Store.open(kept.url, create=False) as store:
        assert len(list(store.credentials(1))) == 1
        assert [run.id for run in store.runs()] == [1]
        assert store.leadership().leader() is None
    assert kept.names() == {"audit.db"}


def test_what_is_read_without_locks_and_changed_meanwhile_is_told(
    kept: Folder, credential: Build, now: datetime
) -> None:
    with kept.closed(), Store.open(kept.url, create=False) as store:
        with kept.opened(), Store.open(kept.url) as other:
            Line(other).run(now, [credential("key-2")])
        with pytest.raises(StoreError, match=r"was written by another process .*again"):
            store.runs()


def test_a_file_that_vanishes_while_it_is_read_is_told(kept: Folder) -> None:
    with kept.closed(), Store.open(kept.url, create=False) as store:
        with kept.opened():
            (kept.path / "audit.db").unlink()
        with pytest.raises(StoreError, match="run the command again"):
            store.runs()


def test_what_a_living_writer_wrote_last_is_read(
    kept: Folder, credential: Build, now: datetime
) -> None:
    with Store.open(kept.url) as writer:
        Line(writer).run(now, [credential("key-2")])
        with kept.closed(), Store.open(kept.url, create=False) as store:
            assert len(list(store.credentials(2))) == 1
            with kept.opened():
                writer.begin_run(now=now, started_at=now)
            assert [run.id for run in store.runs()] == [3, 2, 1]


def test_a_log_that_sqlite_cannot_read_there_is_no_older_state(
    kept: Folder, credential: Build, now: datetime
) -> None:
    with Store.open(kept.url) as writer:
        Line(writer).run(now, [credential("key-2")])
        before = {name: (kept.path / name).read_bytes() for name in ("audit.db", "audit.db-wal")}
    for name, content in before.items():  # as if the writer had been killed, or copied amidst
        (kept.path / name).write_bytes(content)
    with kept.closed(), pytest.raises(StoreError, match=r"still in audit.db-wal.*copy both"):
        Store.open(kept.url, create=False)


def test_an_older_schema_that_cannot_be_upgraded_is_refused(kept: Folder) -> None:
    database = Database(kept.url)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    database.close()
    with kept.closed(), pytest.raises(StoreError, match="older schema; run `auditor db upgrade`"):
        Store.open(kept.url, create=False)


def test_nothing_is_written_where_nothing_can_be(kept: Folder, now: datetime) -> None:
    with kept.closed(), Store.open(kept.url, create=False) as store:
        with pytest.raises(StoreError, match="cannot be written; check the permissions"):
            store.begin_run(now=now, started_at=now)
        assert len(store.runs()) == 1


def test_a_name_with_signs_of_an_address_is_that_file(
    folder: Folder, credential: Build, now: datetime
) -> None:
    place = Folder(folder.path)
    place.url = f"sqlite:///{folder.path}/a%20b?c#d.db".replace("?", "%3F")
    with Store.open(place.url) as store:
        Line(store).run(now, [credential()])
    with place.closed(), Store.open(place.url, create=False) as store:
        assert len(store.runs()) == 1
