"""Nobody meets half a report, whatever ends its writing."""

import os
import subprocess
import sys
import time
from errno import ENOSPC
from pathlib import Path
from types import SimpleNamespace

import pytest

from auditor.errors import ConfigError
from auditor.line.publish import prepare_directory, publish
from auditor.reports.interface import ReportFormat

ROOT = Path(__file__).parents[2]
SIZE = 200_000
WRITER = """
import sys, time
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from auditor.line.publish import publish
from auditor.reports.interface import ReportFormat

class Slow(ReportFormat):
    filename, media_type = "report-{run}.json", "application/json"
    def render(self, view, out):
        for _ in range(20):
            out.write(b"x" * 10_000)
            out.flush()
            time.sleep(0.001)

print("ready", flush=True)
for number in count(1):
    publish(SimpleNamespace(run=SimpleNamespace(id=number)), [Slow()], Path(sys.argv[1]))
"""


class Failing(ReportFormat):
    """The disk is full in mid-report."""

    filename, media_type = "report-{run}.json", "application/json"

    def render(self, view, out):
        out.write(b"half of ")
        raise OSError(ENOSPC, os.strerror(ENOSPC))


@pytest.mark.parametrize("delay", [0.02, 0.05, 0.11, 0.17])
def test_a_report_is_whole_or_absent_after_kill_9(tmp_path, delay):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay)
    process.kill()
    process.wait()
    process.stdout.close()

    assert all(SIZE == path.stat().st_size for path in tmp_path.glob("report-*.json"))


def test_a_full_disk_leaves_no_half_report_and_a_sentence(tmp_path):
    view = SimpleNamespace(run=SimpleNamespace(id=7))

    paths, failures = publish(view, [Failing()], tmp_path)  # type: ignore[arg-type]

    assert [] == paths
    assert "report-7.json could not be written" in failures[0]
    assert "auditor report --run 7" in failures[0]
    assert [] == list(tmp_path.iterdir())


def test_a_link_in_the_place_of_a_report_is_replaced_not_followed(tmp_path):
    class Short(Failing):
        def render(self, view, out):
            out.write(b"{}")

    target = tmp_path / "elsewhere"
    target.write_text("untouched")
    (tmp_path / "report-7.json").symlink_to(target)
    view = SimpleNamespace(run=SimpleNamespace(id=7))

    publish(view, [Short()], tmp_path)  # type: ignore[arg-type]

    assert "untouched" == target.read_text()
    assert not (tmp_path / "report-7.json").is_symlink()


def test_a_folder_that_cannot_be_made_is_a_configuration_error(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="cannot be written"):
        prepare_directory(tmp_path / "file" / "reports")
