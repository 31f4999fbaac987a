"""What the store costs: microseconds per credential and bytes per change, on SQLite.

python benchmarks/store.py [credentials] [database url]
"""

import gc
import resource
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time as clock

from auditor.evidence import Page, Unit
from auditor.model import (
    Change,
    Credential,
    ExpiresState,
    FindingState,
    FindingStatus,
    LastUsedState,
    Organization,
    Principal,
    PrincipalType,
    RunStatus,
    Severity,
    credential_uid,
)
from auditor.store import Spool, Store

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
ORGANIZATION = Organization(id="org-1", name="Example")
UNIT = Unit("org-1", ORGANIZATION)
SOURCES = frozenset({"keycard-prod"})


def build(number: int, now: datetime, *, used: int = 0) -> Credential:
    return Credential(
        uid=credential_uid("keycard", "org-1", "service_account_credential", f"key-{number:08}"),
        provider="keycard",
        source="keycard-prod",
        organization=ORGANIZATION,
        principal=Principal(
            id=f"sa-{number // 3}", name=f"deploy-{number // 3}", type=PrincipalType.SERVICE_ACCOUNT
        ),
        client_id=f"client-{number:08}",
        name=f"key {number}",
        type="Service Account Key",
        created_at=NOW - timedelta(days=20 + number % 700),
        observed_at=now,
        last_used_at=NOW - timedelta(days=number % 90) + timedelta(seconds=used),
        last_used_state=LastUsedState.USED,
        data_as_of=now,
        expires_state=ExpiresState.UNSUPPORTED,
        permissions={"zones": {"read": True, "write": number % 2 == 0}, "users": {"read": True}},
        tags={"team": f"team-{number % 40}"},
        raw={"id": f"key-{number:08}", "identifier": f"client-{number:08}"},
    )


def spool_of(count: int, now: datetime, used: int = 0) -> Spool:
    spool = Spool()
    for start in range(0, count, 500):
        page = tuple(
            build(number, now, used=used) for number in range(start, min(start + 500, count))
        )
        spool.append(Page(ORGANIZATION, page))
    return spool


def judge(store: Store, run_id: int, now: datetime) -> int:
    flagged = 0
    with store.judging(run_id, selected=SOURCES, configured=SOURCES) as book:
        for number, (credential, prior) in enumerate(book.judgeable()):
            if number % 5 == 0:
                flagged += 1
                book.record([finding(credential, prior, now)])
        for _state in book.remaining():
            pass
    return flagged


def finding(credential: Credential, prior: tuple[FindingState, ...], now: datetime) -> FindingState:
    return FindingState(
        id="f-" + credential.uid,
        policy_id="dormant-credential",
        credential_uid=credential.uid,
        status=FindingStatus.OPEN,
        change=Change.UNCHANGED if prior else Change.OPENED,
        severity=Severity.MEDIUM,
        risk_score=40,
        first_seen_at=prior[0].first_seen_at if prior else now,
        last_seen_at=now,
    )


def timed(name: str, count: int, started: float) -> None:
    print(f"{name:42} {(clock() - started) / count * 1e6:8.2f} µs per credential")


def runs() -> Iterator[tuple[str, int]]:
    yield "new", 0
    yield "unchanged", 0
    yield "last use changed", 1


def main() -> None:
    gc.freeze()  # as the line does
    gc.set_threshold(50_000, 20, 50)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        url = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{path}"
        store = Store.open(url)
        for day, (name, used) in enumerate(runs()):
            measure(store, path, name, count, NOW + timedelta(days=day), used)
        store.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'peak memory':42} {peak:8.1f} MiB")


def measure(store: Store, path: Path, name: str, count: int, now: datetime, used: int) -> None:
    before = path.stat().st_size if path.exists() else 0
    run_id = store.begin_run(now=now, started_at=now)
    built = [build(number, now, used=used) for number in range(500)]
    started = clock()
    for _ in range(4):
        for number in range(500):
            build(number, now)
    per_build = (clock() - started) / 2000
    started = clock()
    spool = spool_of(count, now, used)
    timed(f"{name}: spool", count, started + per_build * count)
    started = clock()
    store.write_unit(
        run_id,
        source="keycard-prod",
        provider="keycard",
        unit=UNIT,
        spool=spool,
        error=None,
        now=now,
    )
    timed(f"{name}: write", count, started)
    spool.close()
    started = clock()
    judge(store, run_id, now)
    timed(f"{name}: judge (one in five flagged)", count, started)
    started = clock()
    total = sum(1 for _ in store.credentials(run_id))
    timed(f"{name}: read back", count, started)
    assert total == count
    assert built
    if name == "last use changed":
        started = clock()
        assert sum(1 for _ in store.credentials(run_id - 1)) == count
        timed(f"{name}: rebuild the run before", count, started)
    store.finish_run(run_id, status=RunStatus.COMPLETE, finished_at=now)
    if path.exists():
        grown = (path.stat().st_size - before) / count
        print(f"{name + ': file growth':42} {grown:8.1f} bytes per credential")


if __name__ == "__main__":
    main()
