"""PostgreSQL over a network that may fall silent: nobody waits for ever, on neither side.

A lost cable is noticed by TCP, within a minute. A server, a proxy or a pooler that holds the
connection and says nothing is noticed by nobody but a clock: an answer has *answer_seconds* to
come, and ten times as long where a statement may have much to do. The server in turn ends the
session of a client that fell silent inside a transaction, and with it the locks it holds.
"""

from collections.abc import Generator
from math import inf
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from auditor.errors import StoreError
from auditor.store.tables import complete_for_postgresql

_LONGER = 10
"""How much longer than a brief statement one may take that reads or writes much."""
_SILENT_CLIENT = 5
"""How much longer than that a client may be silent within a transaction."""
_CONNECT_SECONDS = 10


def postgres_engine(url: URL, answer_seconds: float) -> Engine:
    """Return an engine for *url*; connection parameters in it win over those given here."""
    try:
        engine = create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args=_parameters(url, answer_seconds),
        )
    except ModuleNotFoundError as error:
        raise StoreError(
            "PostgreSQL needs psycopg, which is not installed; "
            "install it with `pip install 'auditor[postgres]'`"
        ) from error
    complete_for_postgresql()
    patient = _patient_connection(answer_seconds)

    def connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
        return patient.connect(*arguments, **parameters)

    def checked_in(connection: Any, _record: Any) -> None:
        if connection is not None:
            connection.patience = answer_seconds

    def connected(connection: Any, _record: Any) -> None:
        _limit_server(connection, answer_seconds)

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", connected)
    event.listen(engine, "checkin", checked_in)
    return engine


def expect_much(connection: Connection, answer_seconds: float) -> None:
    """Let what is asked on *connection* until it is given back take longer."""
    driver: Any = connection.connection.driver_connection
    driver.patience = answer_seconds * _LONGER


def take_any_time(connection: Connection) -> None:
    """Lift every limit for the transaction of *connection*: a migration takes what it takes."""
    driver: Any = connection.connection.driver_connection
    driver.patience = inf
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def _parameters(url: URL, answer_seconds: float) -> dict[str, Any]:
    wanted = {
        "connect_timeout": max(2, int(min(answer_seconds, _CONNECT_SECONDS))),
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": int(answer_seconds * 1000),
    }
    return {name: value for name, value in wanted.items() if name not in url.query}


def _limit_server(connection: Any, answer_seconds: float) -> None:
    settings = {
        "statement_timeout": int(answer_seconds * _LONGER * 1000),
        "idle_in_transaction_session_timeout": int(answer_seconds * _SILENT_CLIENT * 1000),
        "tcp_keepalives_idle": 30,
        "tcp_keepalives_interval": 10,
        "tcp_keepalives_count": 3,
    }
    calls = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())
    connection.autocommit = True
    try:
        connection.execute(f"SELECT {calls}")
    finally:
        if not connection.closed:
            connection.autocommit = False


def _patient_connection(answer_seconds: float) -> Any:
    import psycopg  # noqa: PLC0415 - an extra may be missing

    class PatientConnection(psycopg.Connection[Any]):
        """Gives up on a server that does not answer, and is closed then."""

        patience = answer_seconds

        def wait(self, gen: Generator[Any, Any, Any], *args: Any, **more: Any) -> Any:
            return super().wait(self._bounded(gen), *args, **more)

        def _bounded(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
            """Hand *gen* on; it is told every tenth of a second that nothing has come."""
            try:
                wanted = next(gen)
                heard_at = monotonic()
                while True:
                    is_ready = yield wanted
                    if is_ready:
                        heard_at = monotonic()
                    elif monotonic() - heard_at > self.patience:
                        self.close()
                        raise psycopg.OperationalError(f"no answer within {self.patience:g} s")
                    wanted = gen.send(is_ready)
            except StopIteration as end:
                return end.value

    return PatientConnection
