"""A process killed between commit and send, or in mid-send, loses no mail."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from email import message_from_bytes
from pathlib import Path

import pytest

SENDER = Path(__file__).with_name("sender.py")
ROOT = SENDER.parents[2]


def start(database: Path, port: int, runs: int) -> subprocess.Popen[str]:
    with (database.parent / "errors").open("a") as errors:
        return subprocess.Popen(
            [sys.executable, str(SENDER), f"sqlite:///{database}", str(port), str(runs)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.slow)])
def test_every_committed_report_arrives_and_a_duplicate_keeps_its_identity(kills, post, tmp_path):
    server = post("none")
    rng = random.Random(kills)
    database = tmp_path / "auditor.db"
    committed: list[str] = []
    for _ in range(kills):
        process = start(database, server.port, runs=1000)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("committed "), (tmp_path / "errors").read_text()[-2000:]
        committed.append(line.split()[1])
        time.sleep(rng.uniform(0, 0.08))
        process.kill()
        committed += [line.split()[1] for line in process.stdout if line.endswith(">\n")]
        process.wait()
        process.stdout.close()
    last = start(database, server.port, runs=0)
    out, _ = last.communicate(timeout=60)
    assert out == "done\n"

    arrived = Counter(
        message_from_bytes(envelope.content or b"")["Message-ID"]
        for envelope in server.handler.accepted
    )
    assert set(committed) <= set(arrived)
    assert len(arrived) <= len(committed) + kills  # killed between the commit and its line
    assert arrived.total() - len(arrived) <= kills  # at most the message in flight was repeated
