"""Both databases, empty, for every test that asks for ``store``."""

import os
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from auditor.errors import SourceError
from auditor.evidence import Item, Page, Unit
from auditor.model import Coverage, Credential, Organization
from auditor.store import Spool, Store

LOCAL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"


def _server() -> str:
    return os.environ.get("AUDITOR_TEST_DATABASE_URL", LOCAL)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A database of this session's own on the server; skipped, or failed, where none answers."""
    admin = make_url(_server()).set(drivername="postgresql")
    name = f"auditor_store_{uuid.uuid4().hex[:12]}"
    try:
        connection = psycopg.connect(admin.render_as_string(hide_password=False), autocommit=True)
    except psycopg.OperationalError as error:
        if os.environ.get("AUDITOR_REQUIRE_POSTGRES") == "1":
            pytest.fail(f"no PostgreSQL answers at {admin.render_as_string()}: {error}")
        pytest.skip("no PostgreSQL answers; set AUDITOR_TEST_DATABASE_URL")
    with connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield make_url(_server()).set(database=name).render_as_string(hide_password=False)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def empty_postgres_url(postgres_url: str) -> str:
    """The session's own database, emptied."""
    plain = make_url(postgres_url).set(drivername="postgresql")
    address = plain.render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgres_url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    address: str = request.getfixturevalue("empty_postgres_url")
    return address


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened


ORGANIZATION = Organization(id="org-1", name="Example")


class Line:
    """A run reduced to what the store is asked: begin, write units, judge, finish."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def begin(self, now: datetime, **facts: Any) -> int:
        return self.store.begin_run(now=now, started_at=now, **facts)

    def write(
        self,
        run_id: int,
        now: datetime,
        *items: Item | list[Credential],
        source: str = "keycard-prod",
        unit: Unit | None = None,
        error: SourceError | None = None,
        **options: Any,
    ) -> list[Coverage]:
        """Write a unit; a list of credentials stands for a page of their organization."""
        with Spool() as spool:
            for item in items:
                if isinstance(item, list):
                    organization = item[0].organization if item else ORGANIZATION
                    spool.append(Page(organization, tuple(item)))
                else:
                    spool.append(item)
            return self.store.write_unit(
                run_id,
                source=source,
                provider="keycard",
                unit=unit or Unit(ORGANIZATION.id, ORGANIZATION),
                spool=spool,
                error=error,
                now=now,
                **options,
            )

    def run(self, now: datetime, *items: Item | list[Credential], **options: Any) -> int:
        """One run with one unit, not judged."""
        run_id = self.begin(now)
        self.write(run_id, now, *items, **options)
        return run_id


@pytest.fixture
def line(store: Store) -> Line:
    return Line(store)


@pytest.fixture
def at(now: datetime) -> Callable[[float], datetime]:
    from datetime import timedelta  # noqa: PLC0415

    return lambda days: now + timedelta(days=days)
