"""The web view in a real browser: no script, no stranger, no violation; filters, paging, links.

Needs Chromium and, for the accessibility rules, ``npm install --no-save axe-core``. Absence skips,
visibly; with ``AUDITOR_REQUIRE_BROWSER=1`` it fails.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chromium import chromium, rules
from tests.house import House
from tests.reports.hostile import HOSTILE
from tests.web.conftest import Web, fill

pytestmark = pytest.mark.browser

TOKEN = "a-token-of-more-than-sixteen-characters"  # a made-up one
PAGES = (
    "/",
    "/findings",
    "/credentials",
    "/runs",
    "/runs/3",
    "/compare?from=1&to=3",
    "/trends",
    "/coverage",
    "/schedules",
)

EMPTY = ("/findings?q=nothing-is-called-so", "/compare?from=2&to=2", "/runs/99", "/nothing")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def address(audited: House) -> Iterator[str]:
    web = Web(audited)
    with web.store, web.served() as address:
        yield address.rstrip("/")


def watched(browser: Browser, address: str, **options: Any) -> Iterator[Page]:
    """A page that fails its test on any message, error, or request to somebody else."""
    options = {"viewport": {"width": 1280, "height": 900}} | options
    context = browser.new_context(**options)
    opened = context.new_page()
    troubles: list[str] = []
    opened.on(
        "console",
        lambda message: (
            None  # the browser tells of a page that is not there, as it should be
            if message.location.get("url") == opened.url and "404" in message.text
            else troubles.append(message.text)
        ),
    )
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("dialog", lambda dialog: troubles.append(dialog.message))
    opened.on(
        "request",
        lambda request: (
            None
            if urlsplit(request.url).netloc == urlsplit(address).netloc
            else troubles.append(request.url)
        ),
    )
    yield opened
    context.close()
    assert troubles == []


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    yield from watched(browser, address)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_loads_with_its_style_and_nothing_else(
    page: Page, address: str, path: str
) -> None:
    page.goto(address + path)

    assert page.locator("h1").count() == 1
    assert page.evaluate("document.styleSheets.length") == 1
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_menu_leads_through_all_pages(page: Page, address: str) -> None:
    page.goto(address)
    names = page.locator(".mast nav a").all_inner_texts()
    for name in names:
        page.locator(".mast nav a", has_text=name).click()
        assert page.locator('.mast [aria-current="page"]').inner_text() == name

    assert len(names) == 8
    page.goto(f"{address}/credentials")
    page.locator("#credentials th a").first.click()
    assert page.locator('.mast [aria-current="page"]').inner_text() == "Credentials"


def test_filters_stand_in_the_address_and_stay_set(page: Page, address: str) -> None:
    page.goto(f"{address}/findings")
    page.select_option("select[name=policy]", "dormant-credential")
    page.fill("input[name=q]", "deploy 1")
    page.keyboard.press("Enter")

    expect(page.locator(".found")).to_contain_text("match")
    assert "policy=dormant-credential" in page.url
    assert page.input_value("select[name=policy]") == "dormant-credential"
    assert page.input_value("input[name=q]") == "deploy 1"
    assert page.locator(".lines li").count() > 0
    kept = page.url
    shown = page.locator(".lines a").all_inner_texts()
    page.goto(f"{address}/runs")
    page.goto(kept)
    assert page.locator(".lines a").all_inner_texts() == shown
    page.get_by_role("link", name="Clear", exact=True).click()
    assert page.url == f"{address}/findings"


def test_everything_is_reached_by_keyboard(page: Page, address: str) -> None:
    def focused() -> str:
        return str(page.evaluate("document.activeElement.name || document.activeElement.innerText"))

    page.goto(f"{address}/findings")
    page.keyboard.press("Tab")
    assert focused() == "Skip to the content"
    page.keyboard.press("Enter")
    seen: list[str] = []
    while not seen or (seen[-1] != "order" and len(seen) < 30):
        page.keyboard.press("Tab")
        seen.append(focused())
        shown = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert shown != "none", seen
    for name in ("q", "Show", "status", "severity", "policy", "owner"):
        assert name in seen
    page.keyboard.press("o")  # the choice that begins so
    page.focus("input[name=q]")
    page.keyboard.type("deploy 7")
    page.keyboard.press("Enter")
    expect(page.locator(".found")).to_contain_text("match")
    assert "order=old" in page.url


def test_pages_turn_forth_and_back(page: Page, address: str) -> None:
    page.goto(f"{address}/findings")
    first = page.locator(".lines a").first.get_attribute("href")
    page.get_by_role("link", name="Next").click()
    assert page.locator(".lines a").first.get_attribute("href") != first
    page.get_by_role("link", name="Previous").click()
    assert page.locator(".lines a").first.get_attribute("href") == first


def test_from_a_finding_to_its_credential_and_its_story(page: Page, address: str) -> None:
    page.goto(f"{address}/findings?q=renamed")
    page.locator(".lines a").first.click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    page.locator(".who a").click()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    expect(page.locator(".timeline")).to_contain_text("deploy 3 → deploy renamed")


def test_a_report_is_downloaded_instead_of_opened(page: Page, address: str) -> None:
    page.goto(f"{address}/runs/3")
    with page.expect_download() as started:
        page.locator(".downloads a", has_text="json").first.click()

    assert started.value.suggested_filename == "report-3.json"


def test_the_login_opens_the_page_that_was_wanted(browser: Browser, audited: House) -> None:
    web = Web(audited, token=TOKEN)
    with web.store, web.served() as address:
        for opened in watched(browser, address):
            opened.goto(f"{address}findings?q=deploy")
            opened.get_by_label("Token").fill(TOKEN)
            opened.get_by_role("button", name="Log in").click()
            assert opened.url == f"{address}findings?q=deploy"
            [cookie] = opened.context.cookies()
            assert cookie["httpOnly"]
            assert cookie["sameSite"] == "Strict"
            assert opened.evaluate("document.cookie") == ""


def test_hostile_names_neither_run_nor_break_out(browser: Browser, tmp_path: Path) -> None:
    house = House(tmp_path)
    names = tuple(name.encode("utf-8", "replace").decode() for name in HOSTILE)
    with ThreadPoolExecutor() as beside:  # the browser's loop is in this thread
        beside.submit(fill, house, names=names).result()
    web = Web(house)
    with web.store, web.served() as address:
        for opened in watched(browser, address):
            for path in (
                "",
                "findings?status=any",
                "credentials",
                "credentials?after=50",
                "compare?from=1&to=3",
            ):
                opened.goto(address + path)
                assert opened.evaluate("document.scripts.length") == 0
                assert opened.locator("img, iframe, object").count() == 0
            opened.goto(f"{address}credentials?q=onerror")
            opened.locator("#credentials th a").first.click()
            assert opened.locator("h1").inner_text() == HOSTILE[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_violation(browser: Browser, address: str, scheme: str, width: int) -> None:
    options = {
        "viewport": {"width": width, "height": 900},
        "color_scheme": scheme,
        "bypass_csp": True,
    }
    for opened in watched(browser, address, **options):
        opened.goto(f"{address}/findings")
        finding = opened.locator(".lines a").first.get_attribute("href") or ""
        opened.goto(f"{address}/credentials?q=renamed")
        credential = opened.locator("#credentials th a").first.get_attribute("href") or ""
        for path in (*PAGES, *EMPTY, finding, credential, "/login"):
            opened.goto(address + path)
            opened.add_script_tag(path=rules())
            found = opened.evaluate("axe.run(document, {resultTypes: ['violations']})")
            assert [
                (path, violation["id"], [node["html"] for node in violation["nodes"]][:3])
                for violation in found["violations"]
            ] == []
            assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
                path
            )
