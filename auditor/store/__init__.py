"""What is remembered between runs: evidence, its coverage, findings and what is to be sent."""

from auditor.store.book import Book
from auditor.store.claims import StaleClaim
from auditor.store.database import NoDatabase
from auditor.store.leadership import DatabaseReplaced, LeaderRecord, Leadership
from auditor.store.leases import FIRST_FENCE
from auditor.store.ledger import Ledger, OccurrenceRecord
from auditor.store.outbox import Outbox
from auditor.store.prune import Pruned
from auditor.store.records import (
    Claim,
    Earlier,
    Event,
    FindingRecord,
    Hold,
    Message,
    RunRecord,
    TimelineEntry,
    Undelivered,
)
from auditor.store.runs import OccurrenceTaken, UnknownRun
from auditor.store.spool import Spool
from auditor.store.store import Store
from auditor.store.vitals import Snapshot, Vitals, Waiting

__all__ = [
    "FIRST_FENCE",
    "Book",
    "Claim",
    "DatabaseReplaced",
    "Earlier",
    "Event",
    "FindingRecord",
    "Hold",
    "LeaderRecord",
    "Leadership",
    "Ledger",
    "Message",
    "NoDatabase",
    "OccurrenceRecord",
    "OccurrenceTaken",
    "Outbox",
    "Pruned",
    "RunRecord",
    "Snapshot",
    "Spool",
    "StaleClaim",
    "Store",
    "TimelineEntry",
    "Undelivered",
    "UnknownRun",
    "Vitals",
    "Waiting",
]
