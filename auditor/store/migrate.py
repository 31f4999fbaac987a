"""Runs the migrations, all of them in the one transaction it is given."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from auditor.errors import StoreError

_MIGRATIONS = Path(__file__).parent / "migrations"


def configuration() -> Config:
    """Return the Alembic configuration of this package; there is no ``alembic.ini``."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str | None:
    """Return the newest migration among the scripts."""
    return ScriptDirectory.from_config(configuration()).get_current_head()


def upgrade(connection: Connection, name: str) -> None:
    """Bring the database behind *connection* to `head`; *name* is for the message."""
    config = configuration()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"{name} was written by a newer version of the auditor; upgrade the program, "
            "the database was left as it is"
        ) from error
