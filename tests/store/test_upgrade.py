"""A database of every earlier schema is brought up with what it holds."""

import sqlite3
from contextlib import closing

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from auditor.store import Store
from auditor.store.migrate import configuration

EARLIER = [
    script.revision
    for script in ScriptDirectory.from_config(configuration()).walk_revisions()
    if script.nextrev
]


@pytest.mark.parametrize("revision", EARLIER)
def test_a_filled_database_of_an_earlier_schema_keeps_its_rows(tmp_path, revision):
    path = tmp_path / "auditor.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        setup = configuration()
        setup.attributes["connection"] = connection
        command.upgrade(setup, revision)
    engine.dispose()
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "INSERT INTO run (id, now, started_at, status, schedule, occurrence)"
            " VALUES (7, 0, 0, 'complete', 'nightly', '2026-03-01T03:00')"
        )
        database.commit()

    with Store.open(f"sqlite:///{path}") as store:
        (record,) = store.runs()
        number = store.begin_run(now=record.now, started_at=record.now)

    assert (7, "nightly", "2026-03-01T03:00") == (record.id, record.schedule, record.occurrence)
    assert number > 7


def test_there_is_an_earlier_schema_to_come_from():
    assert EARLIER
