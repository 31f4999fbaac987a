"""Forgets old runs, and everything that only they needed.

What stays: every run from the cut on, whole; every finding that is not resolved, with all its
events and its credential; messages that are still to be sent; the newest judged run.
"""

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, func, select, text

from auditor.store.codec import micros
from auditor.store.tables import Run, columns

_run = columns(Run)


class Pruned(Struct, frozen=True, kw_only=True):
    """How many rows of each kind were deleted."""

    runs: int = 0
    collections: int = 0
    versions: int = 0
    credentials: int = 0
    findings: int = 0
    messages: int = 0


_STEPS = {
    "messages": "DELETE FROM outbox WHERE run_id <= :last AND state IN ('sent', 'dead')",
    "findings": "DELETE FROM finding WHERE status = 'resolved' AND run_id <= :last",
    "events": """
        DELETE FROM finding_event
        WHERE NOT EXISTS (SELECT 1 FROM finding f WHERE f.number = finding_event.finding)
    """,
    # What remains is enough to rebuild the newest forgotten state, on which the others stand.
    "collections": """
        DELETE FROM collection WHERE run_id <= :last AND (seq IS NULL OR (
            seq < (SELECT max(c.seq) FROM collection c WHERE c.scope_id = collection.scope_id
                   AND c.status = 'complete' AND c.seq <= :watermark)
            AND seq < (SELECT max(c.seq) FROM collection c WHERE c.scope_id = collection.scope_id
                       AND c.is_keyframe = 1 AND c.seq <= :watermark)
        ))
    """,
    "presences": """
        DELETE FROM presence WHERE until <= :watermark
        AND NOT EXISTS (SELECT 1 FROM finding f WHERE f.credential_id = presence.credential_id)
    """,
    "versions": """
        DELETE FROM version WHERE EXISTS (
            SELECT 1 FROM version w WHERE w.credential_id = version.credential_id
            AND w.scope_id = version.scope_id AND w.since > version.since
            AND w.since <= :watermark
        ) OR NOT EXISTS (
            SELECT 1 FROM presence p WHERE p.credential_id = version.credential_id
            AND p.scope_id = version.scope_id AND p.since <= version.since
        )
    """,
    "raws": """
        DELETE FROM raw WHERE NOT EXISTS (
            SELECT 1 FROM presence p WHERE p.credential_id = raw.credential_id
            AND p.scope_id = raw.scope_id
        )
    """,
    "credentials": """
        DELETE FROM credential WHERE NOT EXISTS (
            SELECT 1 FROM presence p WHERE p.credential_id = credential.id
        ) AND NOT EXISTS (SELECT 1 FROM finding f WHERE f.credential_id = credential.id)
    """,
    "permission_sets": """
        DELETE FROM permission_set WHERE NOT EXISTS (
            SELECT 1 FROM version v WHERE v.permissions_id = permission_set.id
        ) AND NOT EXISTS (SELECT 1 FROM version v WHERE v.unused_id = permission_set.id)
    """,
    "hidden": """
        UPDATE run SET is_pruned = 1, context = NULL, summary = NULL
        WHERE is_pruned = 0 AND id <= :last
    """,
    "runs": """
        DELETE FROM run WHERE id <= :last AND judged IS NULL AND schedule IS NULL
        AND NOT EXISTS (SELECT 1 FROM collection c WHERE c.run_id = run.id)
        AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.run_id = run.id)
    """,
}


def prune(connection: Connection, before: datetime) -> Pruned:
    """Delete what only runs older than *before* need."""
    newest = connection.scalar(
        select(_run.id).where(_run.judged.is_not(None)).order_by(_run.judged.desc()).limit(1)
    )
    kept = connection.scalar(
        select(func.min(_run.id)).where((_run.now >= micros(before)) | (_run.id == newest))
    )
    if kept is None:
        return Pruned()
    last = connection.execute(
        select(_run.id, _run.watermark)
        .where(_run.id < kept, _run.judged.is_not(None))
        .order_by(_run.judged.desc())
        .limit(1)
    ).first()
    if last is None:
        return Pruned()
    counts = {
        name: connection.execute(
            text(statement), _bound(statement, last=last.id, watermark=last.watermark)
        ).rowcount
        for name, statement in _STEPS.items()
    }
    return Pruned(
        **{name: counts[name] for name in Pruned.__struct_fields__ if name != "runs"},
        runs=counts["hidden"],
    )


def _bound(statement: str, **values: int) -> dict[str, int]:
    return {name: value for name, value in values.items() if f":{name}" in statement}
