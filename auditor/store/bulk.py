"""Statements over many rows, without SQLAlchemy's cost per row.

A Core statement is compiled once per database; its rows then go to the driver as plain tuples.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Executable, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from auditor.store.tables import Table, table

_DIALECTS: dict[str, Any] = {
    "sqlite": SQLiteDialect_pysqlite(),
    "postgresql": PGDialect_psycopg(paramstyle="format"),  # type: ignore[no-untyped-call]
}


class Bulk:
    """One statement to be run with many rows; each row is a tuple in the order of *names*."""

    def __init__(self, names: Sequence[str], **statements: Executable) -> None:
        self._names = tuple(names)
        self._statements = statements
        self._compiled: dict[str, tuple[str, tuple[int, ...]]] = {}

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run it."""
        if not rows:
            return
        name = connection.dialect.name
        if name not in self._compiled:
            self._compiled[name] = self._compile(name)
        statement, order = self._compiled[name]
        if order != tuple(range(len(self._names))):
            rows = [tuple([row[at] for at in order]) for row in rows]
        connection.exec_driver_sql(statement, list(rows))

    def _compile(self, name: str) -> tuple[str, tuple[int, ...]]:
        statement: Any = self._statements[name if name in self._statements else "any"]
        compiled = statement.compile(dialect=_DIALECTS[name], column_keys=list(self._names))
        return str(compiled), tuple(self._names.index(key) for key in compiled.positiontup)


def inserting(row: type[Table], *names: str) -> Bulk:
    """Return what inserts into *row*."""
    return Bulk(names, any=insert(row))


def replacing(row: type[Table], *names: str) -> Bulk:
    """Return what inserts into *row*, and overwrites where the primary key exists."""
    keys = [column.name for column in table(row).primary_key]
    statements: dict[str, Any] = {
        "sqlite": sqlite.insert(row),
        "postgresql": postgresql.insert(row),
    }
    for name, statement in statements.items():
        others = {other: statement.excluded[other] for other in names if other not in keys}
        statements[name] = statement.on_conflict_do_update(index_elements=keys, set_=others)
    return Bulk(names, **statements)


def adding(row: type[Table], *names: str) -> Bulk:
    """Return what inserts into *row*, and leaves alone what is there."""
    return Bulk(
        names,
        sqlite=sqlite.insert(row).on_conflict_do_nothing(),
        postgresql=postgresql.insert(row).on_conflict_do_nothing(),
    )
