"""The HTML of a mail keeps to what Outlook's Word engine and Gmail are documented to show.

Neither runs here. Their rules do: Microsoft's "Word HTML and CSS rendering capabilities in
Outlook", Google's "CSS support in Gmail" and its cut at 102 KB. A browser shows what is left for
the eye: that nothing runs over the edge of a phone.
"""

import os
import re
import shutil
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from playwright.sync_api import sync_playwright

from auditor.delivery._mailtext import Page
from auditor.delivery._news import news_of
from auditor.delivery.email import EmailOptions
from auditor.findings.view import EndingException
from auditor.model import Change, CoverageStatus, ExceptionNote, Organization, Risk, Severity
from tests.conftest import NOW

GMAIL_CUT = 102 * 1024
VOID = {"meta", "br"}
WORD_IGNORES = re.compile(
    r"(?:^|;)\s*(?:position|float|background-image|transform|animation|box-shadow|opacity|grid"
    r"|flex|gap|object-fit|clip|columns|inset|z-index)[a-z-]*\s*:"
    r"|display\s*:\s*(?:inline-)?(?:flex|grid|block)|url\(|var\(|calc\(|\d\s*r?em\b|\dv[wh]\b"
)
FORMS = {"form", "input", "button", "select", "textarea"}
DROPPED = {"style", "script", "link", "iframe", "object", "embed", "svg", "img", "video", "base"}


class Elements(HTMLParser):
    """Every element with its attributes and the elements around it."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.around = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        entry = (tag, {name: value or "" for name, value in attrs}, tuple(self.around))
        self.found.append(entry)
        if tag not in VOID:
            self.around.append(entry)

    def handle_endtag(self, tag):
        while self.around and self.around.pop()[0] != tag:
            pass


def styles(attributes):
    pairs = (part.split(":", 1) for part in attributes.get("style", "").split(";") if ":" in part)
    return {name.strip(): value.strip() for name, value in pairs}


def page_of(view, **options):
    keys = {"name": "security", "channel": "email", "host": "localhost", "to": ["s@example.com"]}
    checked = EmailOptions.model_validate(keys | {"from": "a@example.com"} | options)
    return Page(view, news_of(view, checked), "security", is_owner=False)


def full(view, finding, mended, coverage, text=""):
    """A run in which everything there is to say is said, and often."""
    levels = list(Severity)
    named = {"name": f"key {text}", "url": "https://console.example.com/keys/1"}
    place = Organization("o", f"Organization {text}")
    held = named | {"owner": f"o{text}@example.com", "organization": place}
    note = ExceptionNote(reason=f"migration {text}", approver="ciso", expires="2026-03-10")

    def several(build, start, **changes):
        return [
            build(
                f"key-{start + n}",
                severity=levels[n % 5],
                credential=held,
                title=f"Not used {text}",
                message=f"No use for 400 days {text}",
                risk=Risk(60, (f"admin {text}", f"idle {text}", "old")),
                **changes,
            )
            for n in range(500)
        ]

    gap = coverage(status=CoverageStatus.FAILED, error=f"access denied {text}", organization=place)
    return view(
        *several(finding, 0, change=Change.OPENED),
        *several(finding, 1000, first_seen_at=NOW - timedelta(days=30)),
        *several(mended, 2000),
        covered=(coverage(),) + (gap,) * 30,
        ending_exceptions=(EndingException(f"policy x {text}", note),) * 30,
        verdict=f"Much is open {text}",
    )


@pytest.fixture(
    params=["", "<&\"'>" * 80, "\U0001f511" * 400, "W" * 400],
    ids=["plain", "markup", "pictures", "long"],
)
def html(request, view, finding, mended, coverage):
    return page_of(full(view, finding, mended, coverage, request.param)).html()


def test_gmail_shows_it_to_the_end_however_much_there_is_to_say(html):
    assert len(html.encode()) < GMAIL_CUT
    assert "auditor report --run 12" in html[-800:]
    assert "more open findings" in html
    assert "DEAL WITH THESE FIRST" in html.upper()


def test_gmail_keeps_every_style_because_none_stands_in_a_block(html):
    tags = {tag for tag, _, _ in Elements(html).found}
    assert not tags & (DROPPED | FORMS)
    assert "@media" not in html


def test_gmail_drops_no_style_because_of_its_length_or_its_characters(html):
    for _, attributes, _ in Elements(html).found:
        assert len(attributes.get("style", "")) < 8192
        assert not re.search(r"-moz-|expression|behavior|!ie", attributes.get("style", ""))


def test_outlook_is_asked_for_nothing_it_cannot_draw(html):
    for tag, attributes, _ in Elements(html).found:
        style = attributes.get("style", "")
        assert not WORD_IGNORES.search(style), (tag, style)


def test_outlook_finds_the_width_of_every_table_in_an_attribute(html):
    for tag, attributes, _ in Elements(html).found:
        if tag == "table":
            assert re.fullmatch(r"\d+%?", attributes.get("width", "")), attributes
            spacing = {attributes.get(name) for name in ("cellpadding", "cellspacing", "border")}
            assert spacing == {"0"}
            assert attributes.get("role") == "presentation"


def test_outlook_needs_no_max_width_because_a_table_for_it_alone_holds_the_page(html):
    for tag, attributes, _ in Elements(html).found:
        if "max-width" in styles(attributes):
            assert tag == "table"
            wide = int(styles(attributes)["max-width"].removesuffix("px"))
            assert re.search(
                rf'<!--\[if mso\]><table[^>]* width="{wide}"[^>]*><tr><td><!\[endif\]-->\s*<table',
                html,
            )
    assert html.count("<!--[if mso]>") == html.count("<![endif]-->") == 2


def test_outlook_pads_cells_only_so_nothing_else_relies_on_padding(html):
    for tag, attributes, _ in Elements(html).found:
        if "padding" in styles(attributes):
            assert tag in {"td", "body"}, tag


def test_what_is_hidden_for_a_preview_is_hidden_in_outlook_too(html):
    hidden = [
        styles(attributes)
        for _, attributes, _ in Elements(html).found
        if styles(attributes).get("display") == "none"
    ]
    assert hidden
    assert all(style.get("mso-hide") == "all" for style in hidden)


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 700])
def test_nothing_runs_over_the_edge_of_a_phone_or_a_window(html, width):
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("AUDITOR_REQUIRE_BROWSER") == "1":
            pytest.fail("Chromium is not installed")
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.set_content(html)
        wide = page.evaluate("document.documentElement.scrollWidth")
        smallest = page.evaluate(
            "Math.min(...[...document.querySelectorAll('td, p, h1, h2, a')]"
            ".map(one => parseFloat(getComputedStyle(one).fontSize)))"
        )
        browser.close()
    assert wide <= width
    assert smallest >= 12 or smallest == 1  # the stripe at a finding's side holds a space
