"""Commands where the machine is not as it should be: closed streams, full disks, lost folders."""

import json
import re
import resource
import shlex
import signal
import subprocess
import sys

import pytest

from auditor.cli.newfile import write_new
from auditor.errors import ConfigError
from auditor.model import RunStatus
from auditor.store import Store
from tests.cli.conftest import ROOT
from tests.house import NOW
from tests.service.conftest import wait_for

AUDITOR = [sys.executable, "-c", "import sys; from auditor.cli import main; sys.exit(main())"]


def shell(line: str, cwd) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which ``auditor`` is ours."""
    function = f'auditor() {{ {shlex.join(AUDITOR)} --log-level error "$@"; }}'
    return subprocess.run(
        ["bash", "-c", f"{function}\n{line}"],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_cost_nothing(home, closed):
    audited = shell(f"auditor audit {closed}", home)
    listed = shell(f"auditor findings list {closed}", home)

    assert (audited.returncode, audited.stderr) == (0, "")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert shell("auditor db upgrade", home).returncode == 0


def test_an_output_that_is_full_is_told_and_is_no_defect(home):
    done = shell("auditor findings list > /dev/full", home)

    assert done.returncode == 4
    assert done.stderr == (
        "auditor: The output cannot be written or read: No space left on device; "
        "mend that and run the command again.\n"
    )


def test_a_current_folder_that_was_removed_does_not_matter(home):
    line = f"mkdir gone && cd gone && rmdir ../gone && auditor audit -c {home}/config.yaml"

    done = shell(line, home)

    assert done.returncode == 0
    assert f"Report: {home}/reports/report-2.json" in done.stdout


@pytest.fixture
def tiny_files():
    """No file of this process can grow beyond ten bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_cannot_be_finished_is_taken_away_again(tmp_path, tiny_files):
    path = tmp_path / "plan.sh"

    with pytest.raises(ConfigError, match=r"plan\.sh cannot be written: File too large; try later"):
        write_new(path, "x" * 100, otherwise="try later")

    assert not path.exists()


def test_only_failed_runs_are_no_latest_run(run, home):
    (home / "auditor.db").unlink()
    with Store.open(f"sqlite:///{home / 'auditor.db'}") as store:
        store.begin_run(now=NOW, started_at=NOW)

    answer = run("findings", "list", "-c", home / "config.yaml")

    assert answer.code == 2
    assert "No run was judged yet, of 1; run `auditor audit`, or name one by number" in answer.err


@pytest.fixture
def held(tmp_path):
    """An audit as a process of its own that waits amidst its reading, and its database."""
    database = f"sqlite:///{tmp_path / 'auditor.db'}"
    (tmp_path / "config.yaml").write_text(
        f"database: {{url: '{database}'}}\n"
        "sources: [{name: paced, provider: 'tests.fakes.paced:Paced'}]\n"
    )
    (tmp_path / "hold-2").touch()
    process = subprocess.Popen(
        [*AUDITOR, "--log-level", "error", "audit", "-c", tmp_path / "config.yaml"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        calls = tmp_path / "calls"
        wait_for(lambda: calls.exists() and "org-2" in calls.read_text())
        yield process, database
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "line",
    [
        "compliance",
        "credentials list",
        "credentials show some:uid:of:it",
        "db prune",
        "deliver --channel folder --dry-run --output .",
        "diff",
        "evaluate",
        "findings list",
        "findings show 0123abcd",
        "owners list",
        "plan --policy dormant-credential",
        "report",
        "review",
        "status",
        "status --json",
        "trends",
        "web --port 0",
    ],
)
def test_reading_where_no_database_is_says_so_and_makes_none(run, tmp_path, line):
    (tmp_path / "config.yaml").write_text(
        "sources: [{name: exports, provider: file, path: a.json}]\n"
        "deliveries: [{name: folder, channel: folder, directory: out}]\n"
        "reports: {directory: reports}\n"
    )
    answer = run(*line.split(), "-c", tmp_path / "config.yaml")

    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"auditor: There is no database at {tmp_path}/auditor.db yet; run `auditor audit` first, "
        "or mend `database.url`\n"
    )
    assert not list(tmp_path.glob("auditor.db*"))


def test_exceptions_can_be_checked_before_the_first_audit(run, tmp_path):
    (tmp_path / "config.yaml").write_text(
        "sources: [{name: exports, provider: file, path: a.json}]\n"
    )

    assert run("exceptions", "check", "-c", tmp_path / "config.yaml").code == 0
    assert not list(tmp_path.glob("auditor.db*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_audit_that_is_told_to_stop_says_so_and_notes_it(held, number):
    process, database = held
    process.send_signal(number)
    out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err.strip()) == (130, "", "auditor: interrupted")
    with Store.open(database) as store:
        (run,) = store.runs()
    assert run.status == RunStatus.INTERRUPTED


def test_status_tells_of_a_killed_audit_once_its_lease_has_run_out(held, run, tmp_path):
    process, database = held
    config = tmp_path / "config.yaml"
    process.kill()
    process.communicate()
    fresh = run("status", "-c", config).out
    with Store.open(database) as store, store._database.write() as connection:
        connection.exec_driver_sql("UPDATE run SET lease_until = lease_until - 600000000")
    later = run("status", "-c", config).out
    (told,) = json.loads(run("status", "-c", config, "--json").out)["runs"]

    assert "1    running" in fresh
    assert "cut off" not in fresh
    assert "1    interrupted" in later
    assert re.search(r"Run 1 was cut off: its process is gone since 2\S+Z; audit again\.", later)
    assert (told["status"], told["is_awaited"]) == ("interrupted", False)
    assert told["lapsed_at"] is not None
    with Store.open(database) as store, store._database.read() as connection:
        assert connection.exec_driver_sql("SELECT status FROM run").scalar_one() == "running"
