"""What the store tells of what was: states, findings, the story of a credential."""

from collections.abc import Iterator
from typing import Any

from auditor.model import Coverage, Credential, FindingState
from auditor.store import history, scopes, story
from auditor.store.database import Database
from auditor.store.records import Earlier, Event, FindingRecord, TimelineEntry
from auditor.store.vitals import Vitals, newest_notes, vitals


class Readings:
    """The part of the store that reads back."""

    _database: Database

    def coverage(self, run_id: int) -> list[Coverage]:
        """Return what a run has read, by source and organization.

        Once the run is judged, configured sources that it left out are listed as *not selected*.
        """
        with self._database.read() as connection:
            return scopes.coverage(connection, run_id) + history.not_selected(connection, run_id)

    def earlier(self, run_id: int) -> Earlier:
        """Return how everything was read before a run."""
        with self._database.read() as connection:
            return history.earlier(connection, run_id)

    def credentials(self, run_id: int, *, raw: bool = False) -> Iterator[Credential]:
        """Yield the state at a run, by uid.

        That is, per source and organization, the newest complete collection up to the run plus
        what later partial ones added; of several observers the newest data count. With *raw* the
        newest record as received is filled in, whatever the run.
        """
        with self._database.read() as connection:
            yield from history.credentials(connection, run_id, raw=raw)

    def findings_at(self, run_id: int) -> Iterator[tuple[FindingState, Credential]]:
        """Yield every finding of a judged run as it was then, by credential uid.

        Open and suppressed ones, and those that were resolved in this very run, each with its
        credential as of the run.
        """
        with self._database.read() as connection:
            yield from history.findings_at(connection, run_id)

    def findings(self, **filters: Any) -> list[FindingRecord]:
        """Return the newest state of findings; see `auditor.store.history.findings`."""
        with self._database.read() as connection:
            return history.findings(connection, **filters)

    def finding(self, finding_id: str) -> FindingRecord | None:
        """Return one finding by id or by an unambiguous beginning of it."""
        with self._database.read() as connection:
            return history.finding(connection, finding_id)

    def events(self, finding_id: str) -> list[Event]:
        """Return every state a finding took on, the oldest first."""
        with self._database.read() as connection:
            return story.events(connection, finding_id)

    def timeline(self, uid: str) -> list[TimelineEntry]:
        """Return everything that happened to a credential, the oldest first."""
        with self._database.read() as connection:
            return story.timeline(connection, uid)

    def vitals(self) -> Vitals:
        """Return how old what is known is, what became of occurrences, and what is to be sent."""
        with self._database.read() as connection:
            return vitals(connection)

    def newest_notes(self, beginning: str) -> list[tuple[str, str]]:
        """Return source and note of what each source's newest reading said with *beginning*."""
        with self._database.read() as connection:
            return newest_notes(connection, beginning)
