"""Makes the schema of an empty database as it is now, without its history.

Alembic brings older databases up to date; it takes longer to import than a whole schema to make.
"""

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert

from auditor.store import tables

_stamp = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Where Alembic looks for the migration that a database stands at."""


def create(connection: Connection, version: str) -> None:
    """Make every table, and note that the database stands at *version*."""
    tables.Table.metadata.create_all(connection, checkfirst=False)
    _stamp.create(connection, checkfirst=False)
    connection.execute(insert(_stamp).values(version_num=version))
