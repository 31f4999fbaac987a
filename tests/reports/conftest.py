"""Rendering to memory, and golden files that ``--update-golden`` writes anew."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor import plugs
from auditor.findings.view import ReportView
from auditor.reports.interface import ReportFormat

GOLDEN = Path(__file__).parent / "golden"

Render = Callable[..., bytes]


@pytest.fixture
def render() -> Render:
    """``render("csv", view, raw=True)``: the bytes of a format, with options by name."""

    def rendered(name: str, view: ReportView, **options: object) -> bytes:
        kind = plugs.find("auditor.reports", name, ReportFormat)
        out = io.BytesIO()
        kind(kind.Options(**options)).render(view, out)
        return out.getvalue()

    return rendered


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with the golden file of that name; the failure shows the difference."""

    def compare(name: str, actual: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(actual.encode())
        assert actual == path.read_bytes().decode()

    return compare
