"""Reads what lies between an earlier run and a later one: for messages about a stretch of time."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, text

from auditor.model import Credential, FindingState
from auditor.store.history import owners, state_at

_CHUNK = 1000
_decode_state = msgspec.json.Decoder(FindingState).decode

# A run under judgement has no marks yet: whatever is there was written by earlier ones.
_marks = text("""
    SELECT
        (SELECT event_mark FROM run WHERE id = :start) AS start,
        max(r.event_mark) AS stop
    FROM run r
    WHERE r.id != :run AND r.judged IS NOT NULL AND r.judged < coalesce(
        (SELECT judged FROM run WHERE id = :run), r.judged + 1
    )
""")
_last_judged = text("""
    SELECT id FROM run WHERE id < :run AND judged IS NOT NULL ORDER BY id DESC LIMIT 1
""")
_events = text("""
    SELECT e.id, f.credential_id, e.body, (
        SELECT b.body FROM finding_event b WHERE b.id = (
            SELECT max(x.id) FROM finding_event x WHERE x.finding = e.finding AND x.id <= :start
        )
    ) AS before
    FROM finding_event e JOIN finding f ON f.number = e.finding
    WHERE e.id > :after AND e.id <= :stop AND NOT EXISTS (
        SELECT 1 FROM finding_event y
        WHERE y.finding = e.finding AND y.id > e.id AND y.id <= :stop
    )
    ORDER BY e.id LIMIT :most
""")
_readings = text("""
    SELECT c.source, c.provider, c.organization_id, max(c.organization_name) AS organization_name,
           count(DISTINCT CASE WHEN c.status IN ('partial', 'failed') THEN c.run_id END) AS gaps,
           min(CASE WHEN c.status = 'complete' THEN r.now END) AS whole_at
    FROM collection c JOIN run r ON r.id = c.run_id
    WHERE c.run_id > :start AND c.run_id < :run AND r.judged IS NOT NULL
    GROUP BY c.source, c.provider, c.organization_id
    ORDER BY c.source, c.organization_id
""")


class Turn(Struct, frozen=True):
    """A finding with events between two runs: as it stood at the earlier, and before the later."""

    before: FindingState | None
    after: FindingState
    credential: Credential


class Reading(Struct, frozen=True):
    """How one organization was read by a source between two runs."""

    source: str
    provider: str
    organization_id: str
    """Empty for a source that failed before it could name any."""
    organization_name: str
    gaps: int
    """Runs in which it was not read whole."""
    whole_at: int | None
    """``now`` of the first run that read it whole, in microseconds."""


def turns(connection: Connection, start: int, run_id: int) -> Iterator[Turn]:
    """Yield the findings that changed after run *start* and before run *run_id*."""
    marks = connection.execute(_marks, {"start": start, "run": run_id}).one()
    last = connection.scalar(_last_judged, {"run": run_id})
    first, stop = marks.start or 0, marks.stop or 0
    if last is None or stop <= first:
        return
    state = state_at(connection, last)
    after = first
    while True:
        wanted = {"start": first, "stop": stop, "after": after, "most": _CHUNK}
        rows = connection.execute(_events, wanted).all()
        if not rows:
            return
        found = owners(state, {row.credential_id for row in rows})
        for row in rows:
            before = None if row.before is None else _decode_state(row.before)
            yield Turn(before, _decode_state(row.body), found[row.credential_id])
        after = rows[-1].id


def readings(connection: Connection, start: int, run_id: int) -> list[Reading]:
    """Return how everything was read after run *start* and before run *run_id*."""
    rows = connection.execute(_readings, {"start": start, "run": run_id})
    return [
        Reading(
            row.source,
            row.provider,
            row.organization_id or "",
            row.organization_name or "",
            row.gaps,
            row.whole_at,
        )
        for row in rows
    ]
