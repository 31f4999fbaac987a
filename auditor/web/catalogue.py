"""The newest judged run, laid out for pages: what lists filter by, in the order they show it.

Names, owners and the order of risk are known only to explained findings and decoded credentials;
a page cannot do that for a hundred thousand. So it is done once a run, into a private file without
a name that goes with its connections, whatever database the store itself is.
"""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec.structs import replace

from auditor.errors import StoreError
from auditor.line.explain import Explainer
from auditor.model import Credential, FindingState, FindingStatus

_BATCH = 200
"""Rows that are written at once: a page that comes meanwhile waits for no more than these."""
_READERS = 4
"""Pages that read at the same time."""
_MOST_COUNTS = 1000
_SCHEMA = """
    CREATE TABLE credential (
        number INTEGER PRIMARY KEY, uid TEXT UNIQUE, provider TEXT, source TEXT, organization TEXT,
        owner TEXT, status TEXT, privilege TEXT, used TEXT, is_present INT, open INT, worst INT,
        words TEXT
    );
    CREATE TABLE credential_body (number INTEGER PRIMARY KEY, body BLOB);
    CREATE TABLE found (
        credential INT, id TEXT, status TEXT, change TEXT, severity INT, score INT, policy TEXT,
        first_seen REAL, uid TEXT, body BLOB
    );
"""
_ORDERED = """
    CREATE TABLE finding (
        place INTEGER PRIMARY KEY, id TEXT, credential INT, status TEXT, change TEXT, severity INT,
        policy TEXT, first_seen REAL, provider TEXT, source TEXT, organization TEXT, owner TEXT
    );
    CREATE TABLE finding_body (place INTEGER PRIMARY KEY, body BLOB);
    CREATE TEMP TABLE ranked AS
        SELECT row_number() OVER (ORDER BY score DESC, severity DESC, policy, uid) AS place,
               rowid AS source FROM found;
    INSERT INTO finding
        SELECT r.place, f.id, f.credential, f.status, f.change, f.severity, f.policy, f.first_seen,
               c.provider, c.source, c.organization, c.owner
        FROM ranked r JOIN found f ON f.rowid = r.source
        JOIN credential c ON c.number = f.credential
        ORDER BY r.place;
    INSERT INTO finding_body
        SELECT r.place, f.body FROM ranked r JOIN found f ON f.rowid = r.source ORDER BY r.place;
    DROP TABLE ranked;
    DROP TABLE found;
    CREATE INDEX finding_id ON finding (id);
    CREATE INDEX finding_credential ON finding (credential);
    CREATE INDEX finding_new ON finding (-first_seen, place);
    CREATE INDEX finding_old ON finding (first_seen, place);
    UPDATE credential SET (open, worst) = (
        SELECT count(*), max(severity) FROM finding f
        WHERE f.credential = credential.number AND f.status = 'open'
    ) WHERE number IN (SELECT credential FROM finding WHERE status = 'open');
    ANALYZE;
"""


@dataclass(frozen=True)
class Facets:
    """What the lists can be narrowed to: value → how many; the values in order."""

    findings: dict[str, dict[str, int]]
    credentials: dict[str, dict[str, int]]
    organizations: dict[str, str]
    """``<provider>:<id>`` → name."""


@dataclass
class _Counts:
    credentials: dict[str, Counter[str]] = field(default_factory=dict)
    organizations: dict[str, str] = field(default_factory=dict)


def organization_key(credential: Credential) -> str:
    """Return what names an organization across providers."""
    return f"{credential.provider}:{credential.organization.id}"


def searchable(credential: Credential) -> str:
    """Return the words by which a credential, or a finding about it, is found."""
    principal, organization = credential.principal, credential.organization
    parts = (
        credential.name,
        principal.name,
        principal.id,
        credential.uid,
        credential.provider_id,
        credential.client_id,
        credential.owner,
        organization.name,
        credential.type,
    )
    words = "\n".join(dict.fromkeys(part for part in parts if part)).casefold()
    return words.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _on_and_on() -> None:
    """Give way to nobody."""


def _connections(number: int) -> list[sqlite3.Connection]:
    """Return connections to one new file, which has no name any more."""
    with TemporaryDirectory(prefix="auditor-") as folder:
        path = Path(folder) / "catalogue"
        made = [sqlite3.connect(path, check_same_thread=False) for _ in range(number)]
        for one in made:
            # Nothing of it outlives the process, so nothing need survive a crash.
            one.execute("PRAGMA journal_mode = OFF")
            one.execute("PRAGMA synchronous = OFF")
            one.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the file
        return made


class Catalogue(AbstractContextManager["Catalogue"]):
    """One judged run, ready to be looked at; safe to use from several threads."""

    def __init__(
        self, run_id: int, explainer: Explainer, give_way: Callable[[], None] = _on_and_on
    ) -> None:
        """Begin an empty one; *give_way* is called between the batches that fill it."""
        self.run_id = run_id
        self.explainer = explainer
        self.facets = Facets({}, {}, {})
        self._give_way = give_way
        self._database, *readers = _connections(1 + _READERS)
        self._database.executescript(_SCHEMA)
        self._readers: SimpleQueue[sqlite3.Connection | None] = SimpleQueue()
        """None: there are none any more."""
        self._open_readers = len(readers)
        for reader in readers:
            self._readers.put(reader)
        self._counting = threading.Lock()
        self._counts = _Counts()
        self._numbers = 0
        self._known_counts: dict[tuple[str, tuple[Any, ...]], int] = {}
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode_credential = msgspec.msgpack.Decoder(Credential).decode
        self._decode_state = msgspec.msgpack.Decoder(FindingState).decode

    # -- filling

    def add_credentials(self, credentials: Iterable[Credential]) -> Iterator[Credential]:
        """Take in what passes by; ordered by uid."""
        waiting: list[Credential] = []
        for credential in credentials:
            waiting.append(credential)
            if len(waiting) >= _BATCH:
                self._write_credentials(waiting, is_present=1)
                waiting.clear()
            yield credential
        self._write_credentials(waiting, is_present=1)

    def add_findings(self, findings: Iterable[tuple[FindingState, Credential]]) -> None:
        """Take in the findings, each with its credential."""
        rows: list[tuple[Any, ...]] = []
        for state, credential in findings:
            number = self._number_of(credential)
            rows.append(
                (
                    number, state.id, state.status.value, state.change.value, state.severity.rank,
                    state.risk_score, state.policy_id, state.first_seen_at.timestamp(),
                    state.credential_uid, self._encode(state),
                )
            )  # fmt: skip
            if len(rows) >= _BATCH:
                self._write_findings(rows)
                rows.clear()
        self._write_findings(rows)

    def close_books(self) -> None:
        """Put the findings in order and count what they can be filtered by; pages read then."""
        self._database.executescript(_ORDERED)
        self._database.commit()
        found = {
            name: self._count(f"SELECT {name}, count(*) FROM finding GROUP BY 1")  # noqa: S608
            for name in ("status", "severity", "policy", "provider", "organization", "owner")
        }
        kept = {name: dict(sorted(one.items())) for name, one in self._counts.credentials.items()}
        self.facets = Facets(found, kept, self._counts.organizations)

    def _count(self, statement: str) -> dict[str, int]:
        rows = self._database.execute(statement)
        return dict(sorted((str(value), number) for value, number in rows))

    def _number_of(self, credential: Credential) -> int:
        row = self._database.execute(
            "SELECT number FROM credential WHERE uid = ?", (credential.uid,)
        ).fetchone()
        if row is None:  # a finding outlives the reading that no longer shows its credential
            self._write_credentials([credential], is_present=0)
            return self._numbers
        return int(row[0])

    def _write_credentials(self, credentials: list[Credential], *, is_present: int) -> None:
        rows, bodies = [], []
        for credential in credentials:
            self._numbers += 1
            organization = organization_key(credential)
            facts = {
                "provider": credential.provider,
                "source": credential.source,
                "organization": organization,
                "owner": credential.owner or "",
                "status": credential.status.value,
                "privilege": credential.privilege.value,
                "used": credential.last_used_state.value,
            }
            for name, value in facts.items() if is_present else ():
                self._counts.credentials.setdefault(name, Counter())[value] += 1
            self._counts.organizations.setdefault(organization, credential.organization.name)
            words = searchable(credential)
            rows.append((self._numbers, credential.uid, *facts.values(), is_present, 0, -1, words))
            bodies.append((self._numbers, self._encode(replace(credential, raw={}))))
        marks = ", ".join("?" * 13)
        self._database.executemany(f"INSERT INTO credential VALUES ({marks})", rows)  # noqa: S608
        self._database.executemany("INSERT INTO credential_body VALUES (?, ?)", bodies)
        self._give_way()

    def _write_findings(self, rows: list[tuple[Any, ...]]) -> None:
        marks = ", ".join("?" * 10)
        self._database.executemany(f"INSERT INTO found VALUES ({marks})", rows)  # noqa: S608
        self._give_way()

    # -- reading

    def rows(self, statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Return what *statement*, which holds no value but bound ones, finds."""
        reader = self._readers.get()
        if reader is None:
            self._readers.put(None)
            raise StoreError("a newer run has taken the place of the one this page began with")
        try:
            return reader.execute(statement, parameters).fetchall()
        finally:
            self._readers.put(reader)

    def count(self, statement: str, parameters: dict[str, Any]) -> int:
        """Return the one number that *statement* finds; it stays what it is, so it is kept."""
        key = statement, tuple(parameters.items())
        known = self._known_counts.get(key)
        if known is None:
            known = int(self.rows(statement, parameters)[0][0])
            with self._counting:
                if len(self._known_counts) >= _MOST_COUNTS:
                    self._known_counts.clear()
                self._known_counts[key] = known
        return known

    def credential(self, body: bytes) -> Credential:
        """Decode a credential's body."""
        return self._decode_credential(body)

    def state(self, body: bytes) -> FindingState:
        """Decode a finding's body."""
        return self._decode_state(body)

    def open_findings(self) -> int:
        """Return how many findings are open."""
        return self.facets.findings.get("status", {}).get(FindingStatus.OPEN.value, 0)

    def close(self) -> None:
        """Delete the file."""
        while (reader := self._readers.get()) is not None:
            reader.close()
            self._open_readers -= 1
            if not self._open_readers:  # whoever read still has given its connection back
                self._readers.put(None)
        self._readers.put(None)
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
