"""Reads what was: states, findings and the story of a credential at any past run."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import force_setattr
from sqlalchemy import Connection, func, select, text

from auditor.model import (
    Change,
    Coverage,
    CoverageStatus,
    Credential,
    FindingState,
    FindingStatus,
)
from auditor.store.codec import IdSet, instant, unpack
from auditor.store.findings import decode_finding
from auditor.store.records import Earlier, FindingRecord
from auditor.store.state import Fact, State
from auditor.store.tables import (
    Collection,
    CredentialRow,
    FindingEvent,
    FindingRow,
    Raw,
    Run,
    Scope,
    columns,
    table,
)

_collection = columns(Collection)
_credential = columns(CredentialRow)
_event = columns(FindingEvent)
_finding = columns(FindingRow)
_raw = columns(Raw)
_run = columns(Run)
_scope = columns(Scope)

_decode_state = msgspec.json.Decoder(FindingState).decode

_findings_then = text("""
    SELECT f.number, f.credential_id, e.id, e.run_id, e.body
    FROM credential c JOIN finding f ON f.credential_id = c.id
    JOIN finding_event e ON e.id = (
        SELECT max(x.id) FROM finding_event x WHERE x.finding = f.number AND x.id <= :mark
    )
    WHERE c.uid > :after AND c.uid <= :upto
    ORDER BY c.uid, f.policy_id
""")


def state_at(connection: Connection, run_id: int) -> State:
    """Return the state a run was judged on; for one that was not, all it and earlier runs read."""
    run = connection.execute(select(_run.watermark, _run.sources).where(_run.id == run_id)).first()
    watermark = None if run is None else run.watermark
    if watermark is None:
        watermark = connection.scalar(
            select(func.coalesce(func.max(_collection.seq), 0)).where(_collection.run_id <= run_id)
        )
    sources = None
    if run is not None and run.sources:
        sources = frozenset(msgspec.json.decode(run.sources)["configured"])
    return State(connection, watermark, sources=sources)


def credentials(connection: Connection, run_id: int, *, raw: bool) -> Iterator[Credential]:
    """Yield the state at a run; see `auditor.store.Store.credentials`."""
    state = state_at(connection, run_id)
    for after, upto in state.bounds():
        chosen = state.chosen(after, upto)
        records = _raws(connection, chosen) if raw else {}
        for fact, credential in zip(chosen, state.decode(chosen), strict=True):
            record = records.get((fact.credential_id, fact.scope_id))
            if record is not None:
                force_setattr(credential, "raw", record)
            yield credential


def _raws(connection: Connection, facts: list[Fact]) -> dict[tuple[int, int], dict[str, Any]]:
    numbers = [fact.credential_id for fact in facts]
    statement = select(_raw.credential_id, _raw.scope_id, _raw.body).where(
        _raw.credential_id.in_(numbers)
    )
    rows = connection.execute(statement)
    return {(number, scope): msgspec.json.decode(body) for number, scope, body in rows}


def last_complete(
    connection: Connection, source: str, organization_id: str
) -> list[tuple[int, int]]:
    """Return scope and number of the last complete reading of an organization by a source."""
    statement = (
        select(_collection.scope_id, func.max(_collection.seq))
        .join(table(Scope), _scope.id == _collection.scope_id)
        .where(
            _scope.source == source,
            _scope.organization_id == organization_id,
            _collection.status == CoverageStatus.COMPLETE.value,
        )
        .group_by(_collection.scope_id)
    )
    return [(scope, seq) for scope, seq in connection.execute(statement)]


def not_selected(connection: Connection, run_id: int) -> list[Coverage]:
    """Return the scopes of configured sources that a judged run left out."""
    run = connection.execute(select(_run.watermark, _run.sources).where(_run.id == run_id)).first()
    if run is None or not run.sources:
        return []
    sources = msgspec.json.decode(run.sources)
    left_out = set(sources["configured"]) - set(sources["selected"])
    state = State(connection, run.watermark, sources=frozenset(left_out))
    found = [state.scopes[number] for number in state.live]
    return [
        Coverage(
            source=scope.source,
            provider=scope.provider,
            organization=scope.organization,
            status=CoverageStatus.NOT_SELECTED,
        )
        for scope in sorted(found, key=lambda scope: (scope.source, scope.organization.id))
    ]


def earlier(connection: Connection, run_id: int) -> Earlier:
    """Return how everything was read before a run."""
    told = [status.value for status in CoverageStatus if status != CoverageStatus.NOT_SELECTED]
    place = (_collection.source, _collection.organization_id)
    newest = (
        select(func.max(_collection.id))
        .where(_collection.run_id < run_id, _collection.status.in_(told))
        .group_by(*place)
    )
    whole = (
        select(_collection.provider, _collection.organization_id)
        .where(_collection.run_id < run_id)
        .where(_collection.status == CoverageStatus.COMPLETE.value)
        .distinct()
    )
    statuses = select(*place, _collection.status).where(_collection.id.in_(newest))
    return Earlier(
        statuses={
            (source, organization or ""): CoverageStatus(status)
            for source, organization, status in connection.execute(statuses)
        },
        whole=frozenset((provider, one) for provider, one in connection.execute(whole)),
    )


class _Sightings:
    """Tells when a finding was seen last, as of one run."""

    def __init__(self, connection: Connection, judged: int) -> None:
        self._connection = connection
        statement = (
            select(_run.id, _run.now).where(_run.judged <= judged).order_by(_run.judged.desc())
        )
        self._runs = connection.execute(statement).all()
        self._observed: dict[int, IdSet] = {}

    def last(self, finding: int, event_run: int) -> int | None:
        """Return ``now`` of the newest run since *event_run* that saw *finding* again."""
        for run_id, now in self._runs:
            if run_id == event_run:
                return None
            if finding in self._in(run_id):
                return int(now)
        return None

    def _in(self, run_id: int) -> IdSet:
        observed = self._observed.get(run_id)
        if observed is None:
            observed = self._observed[run_id] = IdSet()
            blob = self._connection.scalar(select(_run.observed).where(_run.id == run_id))
            for (number,) in unpack(blob):
                observed.add(number)
        return observed


def findings_at(connection: Connection, run_id: int) -> Iterator[tuple[FindingState, Credential]]:
    """Yield the findings as of a run; see `auditor.store.Store.findings_at`."""
    run = connection.execute(select(_run.event_mark, _run.judged).where(_run.id == run_id)).first()
    if run is None or run.judged is None:
        return
    state = state_at(connection, run_id)
    sightings = _Sightings(connection, run.judged)
    for after, upto in state.bounds():
        parameters = {"after": after, "upto": upto, "mark": run.event_mark}
        found: list[tuple[int, FindingState]] = []
        for number, owner, _event_id, event_run, body in connection.execute(
            _findings_then, parameters
        ):
            finding = _decode_state(body)
            if event_run != run_id:
                if finding.status == FindingStatus.RESOLVED:
                    continue
                force_setattr(finding, "change", Change.UNCHANGED)
                seen_at = sightings.last(number, event_run)
                if seen_at is not None:
                    force_setattr(finding, "last_seen_at", instant(seen_at))
            found.append((owner, finding))
        known = owners(state, {owner for owner, _finding in found})
        for owner, finding in found:
            yield finding, known[owner]


def owners(state: State, numbers: set[int]) -> dict[int, Credential]:
    """Return the credentials with these numbers as of *state*, the gone ones as seen last."""
    if not numbers:
        return {}
    groups: dict[int, list[Fact]] = {}
    for fact in state.facts_of(numbers):
        groups.setdefault(fact.credential_id, []).append(fact)
    chosen = [state.best(group) for group in groups.values()]
    decoded = state.decode(chosen)
    return {fact.credential_id: one for fact, one in zip(chosen, decoded, strict=True)}


def findings(
    connection: Connection,
    *,
    status: str | None = None,
    policy_id: str | None = None,
    severity: int | None = None,
    uid: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[FindingRecord]:
    """Return the newest states, the highest risk first; *severity* is the lowest rank wanted."""
    statement = _records().order_by(_finding.risk_score.desc(), _finding.id)
    for condition in (
        None if status is None else _finding.status == status,
        None if policy_id is None else _finding.policy_id == policy_id,
        None if severity is None else _finding.severity >= severity,
        None if uid is None else _credential.uid == uid,
    ):
        if condition is not None:
            statement = statement.where(condition)
    if limit is not None:
        statement = statement.limit(limit).offset(offset)
    latest = connection.scalar(select(_run.id).order_by(_run.judged.desc().nulls_last()).limit(1))
    return [_record(row, latest) for row in connection.execute(statement)]


def finding(connection: Connection, finding_id: str) -> FindingRecord | None:
    """Return one finding by id, or by a beginning that only one has."""
    prefix = finding_id.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    statement = _records().where(_finding.id.like(f"{prefix}%", escape="\\")).limit(2)
    rows = connection.execute(statement).all()
    exact = [row for row in rows if row.id == finding_id]
    chosen = exact or (rows if len(rows) == 1 else [])
    latest = connection.scalar(select(_run.id).order_by(_run.judged.desc().nulls_last()).limit(1))
    return _record(chosen[0], latest) if chosen else None


def _records() -> Any:
    return select(_finding.id, _finding.run_id, _finding.body, _finding.last_seen_at).join(
        table(CredentialRow),
        _credential.id == _finding.credential_id,
    )


def _record(row: Any, latest: int | None) -> FindingRecord:
    state = decode_finding(row.body, row.last_seen_at)
    if row.run_id != latest:
        force_setattr(state, "change", Change.UNCHANGED)
    return FindingRecord(state=state, run_id=row.run_id)
