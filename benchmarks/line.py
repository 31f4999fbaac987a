"""The whole line as its user runs it: ``auditor audit`` on NDJSON into SQLite with a JSON report.

Aims: at most 60 µs per credential at 100,000 of which at most a fifth are flagged; peak memory at
most 1.5 times that at 10,000; an unchanged second run at most 80 % of the first; evaluating and
reconciling, the reading of the snapshot included, at most 20 µs per credential; ``--help`` within
0.3 s. Every command is a process of its own; CPU seconds are the kernel's count of it.
"""

import json
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from auditor.cli.memory import expect_streaming
from auditor.config import load_config
from auditor.evidence import Page, Unit
from auditor.line.judge import Judging
from auditor.line.neighbours import Neighbourhood
from auditor.line.ranked import RankedFindings
from auditor.line.setting import Order, prepare
from auditor.model import Credential, FindingState
from auditor.store import Spool, Store

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
SMALL, LARGE = 10_000, 100_000
FLAGGED = 0.18
ENTRY = "import sys; from auditor.cli import main; sys.exit(main())"


class _Bare(Judging):
    """Evaluates and reconciles, and leaves out what only reports need."""

    def _report(self, credential: Credential, states: list[FindingState]) -> bool:  # noqa: ARG002
        return False


@dataclass
class Cost:
    wall: float
    cpu: float
    peak: int
    """KiB."""


def run(*arguments: str, cwd: Path) -> Cost:
    """Run the auditor as a child and return what the kernel says it took."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed auditor is compiled already
    started = time.perf_counter()
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", f"import os; os.chdir({str(cwd)!r}); {ENTRY}", *arguments],
        environment,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{' '.join(arguments)} failed")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def record(number: int, rng: random.Random) -> dict[str, object]:
    """One credential in the normalized shape; about a fifth violates something."""
    is_bad = rng.random() < FLAGGED
    created = NOW - timedelta(days=rng.randint(100, 300) if is_bad else rng.randint(1, 60))
    used = max(created, NOW - timedelta(days=rng.randint(50, 90) if is_bad else rng.randint(0, 20)))
    organization = f"org-{number % 7}"
    return {
        "uid": f"acme:{organization}:api_key:key-{number:07d}",
        "provider": "acme",
        "organization": {"id": organization, "name": organization.title()},
        "principal": {
            "id": f"svc-{number % 5000}",
            "name": f"svc-{number % 5000}",
            "type": "service_account",
        },
        "name": f"key {number}",
        "type": "API Key",
        "status": "active",
        "created_at": created.isoformat().replace("+00:00", "Z"),
        "last_used_at": used.isoformat().replace("+00:00", "Z"),
        "last_used_state": "used",
        "data_as_of": "2026-03-01T03:00:00Z",
        "expires_state": "unsupported",
        "owner": f"team-{number % 20}@example.com",
        "permissions": {"items": {"read": True, "write": number % 3 == 0}},
    }


def prepare_folder(folder: Path, count: int) -> None:
    rng = random.Random(1)
    with (folder / "keys.ndjson").open("w") as out:
        for number in range(count):
            out.write(json.dumps(record(number, rng)) + "\n")
    (folder / "config.yaml").write_text(
        "as_of: 2026-03-01T03:00:00Z\n"
        "sources: [{name: keys, provider: file, path: keys.ndjson}]\n"
        "reports: {directory: reports, formats: [json]}\n"
    )


def audit(folder: Path) -> Cost:
    return run("--log-level", "error", "audit", "--quiet", cwd=folder)


def judging_microseconds(folder: Path, count: int) -> float:
    """Judge the newest snapshot once more in this process: reading, evaluating, reconciling."""
    config = load_config(folder / "config.yaml")
    setting = prepare(config, Order(), NOW)
    expect_streaming()  # as the commands do
    with Store.open(config.database_url) as store, RankedFindings() as ranked, Spool() as spool:
        known = list(store.credentials(store.run("latest").id))
        run_id = store.begin_run(now=NOW, started_at=NOW)
        for start in range(0, len(known), 1000):
            part = tuple(known[start : start + 1000])
            for organization in {one.organization.id: one.organization for one in part}.values():
                mine = tuple(one for one in part if one.organization.id == organization.id)
                spool.append(Page(organization, mine))
        known.clear()
        store.write_unit(
            run_id, source="keys", provider="file", unit=Unit("*"), spool=spool, error=None, now=NOW
        )
        around = Neighbourhood(store, run_id, setting.policies, now=NOW)
        with store.judging(
            run_id, selected=setting.selected, configured=setting.configured
        ) as book:
            started = time.process_time()
            _Bare(setting, ranked, around).judge(book)
            return (time.process_time() - started) / count * 1e6


def main() -> None:
    costs: dict[int, tuple[Cost, Cost]] = {}
    with tempfile.TemporaryDirectory() as name:
        for count in (SMALL, LARGE):
            folder = Path(name) / str(count)
            folder.mkdir()
            prepare_folder(folder, count)
            costs[count] = audit(folder), audit(folder)
        judging = judging_microseconds(Path(name) / str(LARGE), LARGE)
        helping = min(run("--help", cwd=Path(name)).wall for _ in range(5))
    (small, _), (large, again) = costs[SMALL], costs[LARGE]
    print(f"first run of {LARGE:,}: {large.cpu / LARGE * 1e6:.1f} µs CPU a credential (aim 60), ")
    print(f"    {large.wall / LARGE * 1e6:.1f} µs wall, peak {large.peak / 1024:.0f} MiB")
    print(f"each further credential: {(large.cpu - small.cpu) / (LARGE - SMALL) * 1e6:.1f} µs CPU")
    print(f"peak at {LARGE:,} ÷ at {SMALL:,}: {large.peak / small.peak:.2f} (aim 1.5)")
    print(f"unchanged second run ÷ first: {again.cpu / large.cpu:.2f} (aim 0.80)")
    print(f"evaluate and reconcile, snapshot read: {judging:.1f} µs a credential (aim 20)")
    print(f"auditor --help: {helping:.2f} s (aim 0.3)")


if __name__ == "__main__":
    main()
