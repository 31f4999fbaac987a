"""The Markdown report: names stay text, whatever they try."""

from collections.abc import Callable

import pytest
from markdown_it import MarkdownIt

from tests.reports.conftest import Render
from tests.reports.hostile import BENIGN, HOSTILE, poisoned_view
from tests.reports.views import full_view, generated, view


def _kinds(raw: bytes) -> list[str]:
    """Return the kinds of all blocks and spans, plain text and breaks left out."""
    parser = MarkdownIt("gfm-like", {"linkify": False})
    found: list[str] = []
    for block in parser.parse(raw.decode()):
        inside = [span.type for span in block.children or ()]
        found += [block.type, *(kind for kind in inside if kind not in {"text", "text_special"})]
    return found


def test_the_report_reads_as_the_golden_one(
    render: Render, golden: Callable[[str, str], None]
) -> None:
    golden("report.md", render("markdown", full_view()).decode())


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[1:25])
def test_hostile_text_never_becomes_markup(text: str, render: Render) -> None:
    benign, hostile = (_kinds(render("markdown", poisoned_view(one))) for one in (BENIGN, text))

    assert hostile == benign


@pytest.mark.parametrize("text", ["@team", "#12", "www.evil.example", "https://evil.example"])
def test_nobody_is_mentioned_and_nothing_is_linked(text: str, render: Render) -> None:
    prose = [
        line
        for line in render("markdown", poisoned_view(f"see {text} now")).decode().splitlines()
        if "`" not in line and not line.startswith("see")
    ]

    assert not any(text in line for line in prose)


def test_a_long_run_is_cut_and_says_so(render: Render) -> None:
    text = render("markdown", view(*generated(30)), max_findings=10).decode()

    assert "The 10 riskiest of 30 findings; all of them are in the JSON and CSV reports" in text
