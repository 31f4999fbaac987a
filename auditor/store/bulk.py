"""Statements over many rows, without SQLAlchemy's cost per row.

A statement is spelled once per database; its rows are the driver's own tuples, in both directions.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Executable, insert

from auditor.store.tables import Table, table

_BY_POSITION = {"sqlite": "qmark", "postgresql": "format"}
"""How each database's driver spells parameters that are given in order."""


class Bulk:
    """One statement to be run with many rows; each row is a tuple in the order of *names*.

    *statement* may be what makes it for a database, given the database's name.
    """

    def __init__(
        self, names: Sequence[str], statement: Executable | Callable[[str], Executable]
    ) -> None:
        self._names = tuple(names)
        self._statement = statement
        self._compiled: dict[str, tuple[str, tuple[int, ...]]] = {}

    def __call__(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run it."""
        if not rows:
            return
        name = connection.dialect.name
        if name not in self._compiled:
            self._compiled[name] = self._compile(connection.dialect)
        statement, order = self._compiled[name]
        if order != tuple(range(len(self._names))):
            rows = [tuple([row[at] for at in order]) for row in rows]
        connection.exec_driver_sql(statement, list(rows))

    def _compile(self, dialect: Any) -> tuple[str, tuple[int, ...]]:
        made = self._statement
        statement: Any = made if isinstance(made, Executable) else made(dialect.name)
        positional = type(dialect)(paramstyle=_BY_POSITION[dialect.name])
        compiled = statement.compile(dialect=positional, column_keys=list(self._names))
        return str(compiled), tuple(self._names.index(key) for key in compiled.positiontup)


def inserting(row: type[Table], *names: str) -> Bulk:
    """Return what inserts into *row*."""
    return Bulk(names, insert(row))


def replacing(row: type[Table], *names: str) -> Bulk:
    """Return what inserts into *row*, and overwrites where the primary key exists."""
    keys = [column.name for column in table(row).primary_key]

    def statement(database: str) -> Executable:
        start = upsert(database, row)
        others = {name: start.excluded[name] for name in names if name not in keys}
        made: Executable = start.on_conflict_do_update(index_elements=keys, set_=others)
        return made

    return Bulk(names, statement)


def adding(row: type[Table], *names: str) -> Bulk:
    """Return what inserts into *row*, and leaves alone what is there."""
    return Bulk(names, lambda database: upsert(database, row).on_conflict_do_nothing())


def upsert(database: str, row: type[Table]) -> Any:
    """Return an insert statement of *database* that knows ``on_conflict_…``.

    SQLAlchemy's support of a database is imported where that database is used.
    """
    return import_module(f"sqlalchemy.dialects.{database}").insert(row)


def fetch(connection: Connection, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return all rows of *statement*, which names its parameters ``:name``.

    Where the statement says ``IN :name``, the parameter is a list.
    """
    counts = tuple([(name, len(value)) for name, value in parameters.items() if _is_many(value)])
    spelled, names = _spell(statement, connection.dialect.name, counts)
    values: list[Any] = []
    for name in names:
        value = parameters[name]
        if counts and _is_many(value) and connection.dialect.name == "sqlite":
            values += value
        else:
            values.append(value)
    result = connection.exec_driver_sql(spelled, tuple(values))
    cursor: Any = result.cursor
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    result.close()
    return rows


def _is_many(value: object) -> bool:
    return isinstance(value, list)


@lru_cache(maxsize=256)
def _spell(
    statement: str, dialect: str, counts: tuple[tuple[str, int], ...]
) -> tuple[str, tuple[str, ...]]:
    """Return *statement* as the driver wants it, and the parameters in the order of their places.

    SQLite has a place for every value of a list, of which there are *counts*.
    """
    many = dict(counts)

    def place(found: re.Match[str]) -> str:
        is_in, name = found.groups()
        if name not in many:
            return f"{is_in or ''}{'?' if dialect == 'sqlite' else '%s'}"
        return f"IN ({', '.join('?' * many[name])})" if dialect == "sqlite" else "= ANY(%s)"

    names = tuple(name for _is_in, name in _PARAMETER.findall(statement))
    return _PARAMETER.sub(place, statement), names


_PARAMETER = re.compile(r"(\bIN )?:(\w+)")
