"""The HTML report in a real browser: keyboard, filters, themes, print, and the axe rules.

Needs Chromium and, for the accessibility rules, ``npm install --no-save axe-core``. Absence skips,
visibly; with ``AUDITOR_REQUIRE_BROWSER=1`` it fails.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from auditor import plugs
from auditor.findings.view import ReportView
from auditor.reports.interface import ReportFormat
from tests.chromium import chromium, rules
from tests.reports.hostile import HOSTILE, poisoned_view
from tests.reports.views import full_view, generated, view

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def _write(made: ReportView, folder: Path) -> str:
    path = folder / "report.html"
    out = io.BytesIO()
    plugs.find("auditor.reports", "html", ReportFormat)().render(made, out)
    path.write_bytes(out.getvalue())
    return path.as_uri()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _write(full_view(), tmp_path_factory.mktemp("page"))


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The full view, in a page that fails its test on an error, a message or a request."""
    yield from _watched(browser, address)


def _watched(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    troubles: list[str] = []
    opened.on("console", lambda message: troubles.append(message.text))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("dialog", lambda dialog: troubles.append(dialog.message))
    opened.on("request", lambda request: troubles.append(request.url))
    opened.goto(address)
    yield opened
    context.close()
    assert troubles == [address]


def _shown(page: Page) -> int:
    return page.locator("#list > details:visible").count()


def _found(page: Page, words: str) -> None:
    page.get_by_text(words, exact=False).first.wait_for()


def test_search_narrows_the_list_and_says_how_far(page: Page) -> None:
    page.fill("#q", "deploy-2 admin")
    _found(page, "of 15 findings match")

    assert _shown(page) == 2
    assert page.locator("#found").inner_text() == "2 of 15 findings match"


def test_filters_combine_and_clear(page: Page) -> None:
    page.focus("#q")
    page.select_option("#by-status", "accepted")
    assert _shown(page) == 2
    page.select_option("#by-severity", "High")
    assert _shown(page) == 1
    page.get_by_role("button", name="Clear").click()
    _found(page, "15 findings")
    assert _shown(page) == 15


def test_a_bar_of_the_breakdown_filters_the_findings(page: Page) -> None:
    page.locator(".bars a", has_text="nobody named").click()
    _found(page, "findings match")

    assert _shown(page) == 2
    assert page.input_value("#by-owner") == "nobody named"


def test_findings_can_be_put_in_another_order(page: Page) -> None:
    page.select_option("#order", "name")

    names = page.locator("#list summary > :nth-child(4)").all_inner_texts()
    assert names == sorted(names)


def test_a_deep_link_opens_its_finding(browser: Browser, address: str) -> None:
    finding_id = next(iter(full_view().findings())).state.id
    for opened in _watched(browser, f"{address}#f-{finding_id}"):
        assert opened.locator(f"#f-{finding_id}").get_attribute("open") is not None
        opened.get_by_text("Link to this finding").first.wait_for()
        break


def test_an_opened_finding_shows_the_reason_and_the_remedy_in_place(page: Page) -> None:
    first = page.locator("#list > details").first
    first.locator("summary").focus()
    page.keyboard.press("Enter")

    first.get_by_text("Why it matters.").wait_for()
    assert first.get_by_text("Maps to.").count() == 1
    assert first.get_by_text("Reason, remedy, controls").count() == 0


def test_a_long_page_fills_the_shared_commands_on_opening(browser: Browser, tmp_path: Path) -> None:
    found, credentials = generated(2_600)
    for opened in _watched(browser, _write(view(found, credentials), tmp_path)):
        first = opened.locator("#list > details").first
        first.locator("summary").click()
        riskiest = min(found, key=lambda one: (-one.risk.score, one.state.id))
        assert first.locator("pre").inner_text() == riskiest.remediation.commands[0]


def test_the_inventory_sorts_and_searches(page: Page) -> None:
    page.get_by_role("button", name="Credential", exact=True).click()
    names = page.locator("#credentials tbody th").all_inner_texts()
    assert names == sorted(names)
    page.get_by_role("button", name="Credential", exact=True).click()
    assert page.locator("#credentials [aria-sort]").get_attribute("aria-sort") == "descending"
    page.fill("#iq", "deploy-99")
    _found(page, "of 15 credentials match")
    assert page.locator("#credentials tbody tr:visible").count() == 1


def test_the_theme_can_be_chosen(page: Page) -> None:
    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    before = paper()
    page.get_by_role("button", name="Light / dark").click()
    assert paper() != before
    page.get_by_role("button", name="Light / dark").click()
    assert paper() == before


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_never_scrolls_sideways(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")

    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_javascript_every_finding_can_be_read(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(address)

    assert opened.locator("#finding-tools").is_hidden()
    assert opened.locator("#list > details").count() == 15
    row = opened.locator("#list > details").first
    row.locator("summary").first.click()
    assert row.get_by_text("keycard credentials disable AKIAIOSFODNN7EXAMPLE").first.is_visible()
    context.close()


def test_print_opens_the_findings_and_drops_the_tools(page: Page) -> None:
    page.emulate_media(media="print")

    assert page.locator("#finding-tools").is_hidden()
    assert page.locator(".mast nav").is_hidden()
    assert len(page.pdf()) > 10_000


def test_nothing_runs_for_hostile_names(browser: Browser, tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE):
        folder = tmp_path / str(number)
        folder.mkdir()
        for opened in _watched(browser, _write(poisoned_view(text), folder)):
            opened.fill("#q", "x")
            opened.locator("#list > details summary").first.dispatch_event("click")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_violation(scheme: str, width: int, browser: Browser, address: str) -> None:
    context = browser.new_context(
        bypass_csp=True,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
    )
    opened = context.new_page()
    opened.goto(address)
    opened.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    opened.evaluate(rules().read_text())

    found = opened.evaluate("axe.run(document, {resultTypes: ['violations']})")

    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    context.close()


def test_on_a_phone_no_column_of_a_table_is_squeezed_to_letters(
    browser: Browser, address: str
) -> None:
    for opened in _watched(browser, address):
        opened.set_viewport_size({"width": 360, "height": 800})
        narrow = opened.evaluate(
            "[...document.querySelectorAll('.scroll td, .scroll th')]"
            ".filter(one => one.checkVisibility() && one.textContent.trim().length > 12)"
            ".filter(one => one.clientWidth < 56).map(one => one.textContent)"
        )
        assert narrow == []
        wide = opened.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360
        break
