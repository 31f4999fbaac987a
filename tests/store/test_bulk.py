"""Reading many rows as the driver's own tuples, on both databases."""

from collections.abc import Iterator

import pytest

from auditor.store.bulk import fetch
from auditor.store.database import Database

VALUES = "(SELECT 1 AS n, 'one' AS name UNION ALL SELECT 2, 'two' UNION ALL SELECT 3, 'three') v"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


def test_rows_are_plain_tuples_and_a_name_may_stand_twice(database: Database) -> None:
    statement = f"SELECT n, name FROM {VALUES} WHERE n > :low AND n + :low < :high ORDER BY n"
    with database.read() as connection:
        rows = fetch(connection, statement, low=1, high=5)
    assert rows == [(2, "two"), (3, "three")]
    assert type(rows[0]) is tuple


@pytest.mark.parametrize("names", [["two", "three", "none"], ["two"], []])
def test_a_list_is_as_long_as_it_is(database: Database, names: list[str]) -> None:
    statement = f"SELECT name FROM {VALUES} WHERE n < :most AND name IN :names ORDER BY n"
    with database.read() as connection:
        rows = fetch(connection, statement, most=9, names=names)
    assert [name for (name,) in rows] == [name for name in ("two", "three") if name in names]
