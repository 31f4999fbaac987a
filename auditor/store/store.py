"""The store as the line sees it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import select

from auditor.errors import SourceError
from auditor.evidence import Unit
from auditor.model import Coverage, CoverageStatus, Credential, Organization
from auditor.store import claims, history, leases, scopes
from auditor.store.book import Book
from auditor.store.browse import Browse
from auditor.store.database import BUSY_SECONDS, Database
from auditor.store.leadership import LEASE, Leadership, leadership
from auditor.store.leases import Leases
from auditor.store.ledger import Ledger
from auditor.store.outbox import Outbox
from auditor.store.prune import Pruned, prune
from auditor.store.readings import Readings
from auditor.store.records import Claim, Hold
from auditor.store.runs import Runs
from auditor.store.spool import Spool
from auditor.store.state import State
from auditor.store.tables import Run, columns, table
from auditor.store.texts import safe_id
from auditor.store.writer import UnitWriter

_run = columns(Run)


class Store(Runs, Readings):
    """What is remembered between runs. Every method raises `StoreError` where that fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.outbox = Outbox(database)
        self.ledger = Ledger(database)
        self.browse = Browse(database)
        self.leases = Leases(database)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        migrate: bool = True,
        create: bool = True,
        busy_seconds: float = BUSY_SECONDS,
    ) -> "Store":
        """Open the database at *url* (``sqlite:///path`` or ``postgresql+psycopg://…``).

        A missing SQLite file is created, readable by its owner only. Without *create*, as it is
        right for whoever only reads, it is refused (`ConfigError`), and one that cannot be written
        is read as it is. Without *migrate* an older schema is refused instead of upgraded.
        """
        database = Database(url, busy_seconds=busy_seconds, create=create)
        try:
            if migrate:
                database.migrate()
            else:
                database.check()
        except BaseException:
            database.close()
            raise
        return cls(database)

    def leadership(self, *, lease: timedelta = LEASE) -> Leadership:
        """Return what decides which daemon leads on this database."""
        return leadership(self._database, lease=lease)

    def close(self) -> None:
        """Give back connections and files."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # -- collections

    def claim(
        self, run_id: int, *, source: str, provider: str, unit: Unit, owner: str, lease: timedelta
    ) -> Claim | None:
        """Take a unit of a run for *owner*; None where it is done or somebody holds a live lease.

        A claim whose lease has run out can be taken over; the former holder can then no longer
        write (`StaleClaim`). Leases are told by the database's clock.
        """
        with self._database.write() as connection:
            return claims.claim(
                connection,
                run_id=run_id,
                source=source,
                provider=provider,
                unit=unit,
                owner=owner,
                lease=lease,
            )

    def renew(self, claim: Claim, lease: timedelta) -> bool:
        """Prolong *claim*; False where somebody else has it now."""
        with self._database.write() as connection:
            return claims.renew(connection, claim, lease)

    def write_unit(
        self,
        run_id: int,
        *,
        source: str,
        provider: str,
        unit: Unit,
        spool: Spool,
        error: SourceError | None,
        now: datetime,
        accept_drop: bool = False,
        classify: Callable[[Credential], Credential] = lambda credential: credential,
        claim: Claim | None = None,
    ) -> list[Coverage]:
        """Write what one unit gave, in one transaction, and return what that covers.

        *classify* completes every credential before it is compared with what is known. *now* is
        the time of the reading (``observed_at``). An organization is *failed* where *error* came
        before any page of it, *partial* where a gap or an error came after, and also where it
        suddenly shows nothing, or less than half of 20 or more (``suspicious_drop``), unless the
        reading before showed exactly the same or *accept_drop* confirms it. Organizations that
        this unit used to show and no longer does count as showing nothing. A unit that was
        written in this run already stays as it is.
        """
        with self._database.write(collection=True) as connection:
            if claim is None and claims.is_done(connection, run_id, source, safe_id(unit.key)):
                return scopes.coverage(connection, run_id, unit=(source, safe_id(unit.key)))
            writer = UnitWriter(
                connection,
                run_id,
                source=source,
                provider=provider,
                unit=unit,
                claim=claim,
                now=now,
                accept_drop=accept_drop,
            )
            return writer.write(spool, error, classify)

    def fail_source(
        self,
        run_id: int,
        *,
        source: str,
        provider: str,
        error: SourceError,
        notes: Sequence[str] = (),
    ) -> list[Coverage]:
        """Note that not even the units of *source* could be told: all it used to show is failed."""
        facts = {
            "status": CoverageStatus.FAILED.value,
            "reason": error.kind,
            "error": str(error),
            "notes": notes,
        }
        with self._database.write() as connection:
            known: list[tuple[int | None, str, Organization | None]] = [
                *scopes.known_organizations(connection, source, provider)
            ]
            settled = scopes.settled_scopes(connection, run_id, source)
            written = [
                claims.add_collection(
                    connection,
                    run_id=run_id,
                    source=source,
                    provider=provider,
                    unit=unit,
                    **scopes.outcome(organization, number, **facts),
                )
                for number, unit, organization in known or [(None, "", None)]
                if number not in settled  # a run that is taken up again has noted it already
            ]
            return scopes.coverage(connection, run_id, rows=written)

    def missing_units(
        self,
        run_id: int,
        *,
        source: str,
        provider: str,
        listed: list[Unit],
        now: datetime,
        is_deselected: bool = False,
        accept_drop: bool = False,
    ) -> list[Coverage]:
        """Settle the organizations that *source* used to have a unit for and no longer lists.

        The provider no longer lists them: *failed* (``not_listed``) until a second run, or
        *accept_drop*, confirms it; then they are empty and their credentials removed. With
        *is_deselected* it is the configuration that left them out: they are out of scope.
        """
        with self._database.write(collection=True) as connection:
            return scopes.settle_missing(
                connection,
                run_id,
                source=source,
                provider=provider,
                listed=frozenset(safe_id(unit.key) for unit in listed),
                now=now,
                is_deselected=is_deselected,
                accept_drop=accept_drop,
            )

    def known_organizations(self, source: str, provider: str) -> list[Organization]:
        """Return the organizations that *source* was seen to hold and that still count."""
        with self._database.read() as connection:
            known = scopes.known_organizations(connection, source, provider)
        return [organization for _number, _unit, organization in known]

    def previous(self, source: str, organization_id: str) -> Iterator[Credential]:
        """Yield the credentials of an organization in this source's last complete collection."""
        with self._database.read() as connection:
            for scope_id, seq in history.last_complete(connection, source, organization_id):
                state = State(connection, seq)
                yield from state.of_scope(scope_id)

    # -- judging

    @contextmanager
    def judging(
        self,
        run_id: int,
        *,
        selected: frozenset[str],
        configured: frozenset[str],
        hold: Hold | None = None,
    ) -> Iterator[Book]:
        """Open the judging of a run: one transaction, which an exception undoes whole.

        *selected* are the sources read in this run, *configured* all there are. A *hold* that is
        not the newest is refused (`StaleClaim`).
        """
        with self._database.judge() as connection:
            if hold is not None:
                leases.check(connection, hold)
            run = connection.execute(select(table(Run)).where(_run.id == run_id)).one()
            book = Book(connection, run, selected=selected, configured=configured)
            yield book
            book.close()

    # -- retention

    def prune(self, before: datetime) -> Pruned:
        """Forget runs older than *before* and all that only they needed.

        Findings that are not resolved keep their events and their credentials, messages still to
        be sent are kept, and so is the newest judged run.
        """
        with self._database.judge() as connection:
            pruned = prune(connection, before)
        self._database.compact()
        return pruned
