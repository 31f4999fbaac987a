"""The browser that pages are looked at with, and the rules of accessibility they are held to.

Absence skips, visibly; with ``AUDITOR_REQUIRE_BROWSER=1`` it fails.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

_AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        _absent("Chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield running
        running.close()


def rules() -> Path:
    """The script of axe-core."""
    if not _AXE.exists():
        _absent("axe-core")
    return _AXE


def _absent(what: str) -> None:
    if os.environ.get("AUDITOR_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")
