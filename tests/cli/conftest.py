"""Commands run in this process, as `auditor` would run them."""

import gc
import logging
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog

from auditor.cli import main

ROOT = Path(__file__).parents[2]


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd):
    """Run a command line and return its exit code and what it printed."""
    root = logging.getLogger()
    before, level, mask = list(root.handlers), root.level, os.umask(0o022)

    def run(*arguments: object) -> Answer:
        code = main(["--log-level", "error", *map(str, arguments)])
        printed = capfd.readouterr()
        return Answer(code, printed.out, printed.err)

    yield run
    root.handlers, root.level = before, level
    structlog.reset_defaults()
    os.umask(mask)
    gc.unfreeze()


@pytest.fixture(scope="session")
def audited(tmp_path_factory):
    """The example configuration, audited once; copy what you want to change."""
    home = tmp_path_factory.mktemp("audited")
    shutil.copytree(ROOT / "examples", home / "examples")
    shutil.copy(ROOT / "config.example.yaml", home / "config.yaml")
    root = logging.getLogger()
    before, level, mask = list(root.handlers), root.level, os.umask(0o022)
    assert main(["--log-level", "error", "audit", "-c", str(home / "config.yaml"), "--quiet"]) == 0
    root.handlers, root.level = before, level
    structlog.reset_defaults()
    os.umask(mask)
    return home


@pytest.fixture
def home(audited, tmp_path):
    """A copy of the audited folder."""
    shutil.copytree(audited, tmp_path / "home")
    return tmp_path / "home"
