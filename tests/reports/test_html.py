"""The HTML report: nothing runs, loads or breaks out; everything is said; long runs fit."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from msgspec import structs

from auditor.model import (
    Change,
    Coverage,
    CoverageStatus,
    NotEvaluable,
    Organization,
    Remediation,
)
from auditor.reports.page.commands import filled, slots, with_slots
from auditor.reports.page.links import https
from auditor.reports.page.moments import Moment
from auditor.resources import bundled
from tests.reports.conftest import Render
from tests.reports.dom import elements, parsed, skeleton
from tests.reports.hostile import BENIGN, HOSTILE, poisoned_view
from tests.reports.views import NOW, RUN, credential, finding, full_view, generated, view

TEMPLATES = sorted(
    path for path in bundled("templates").rglob("*.html") if "report" in path.as_posix()
)


def _words(raw: bytes) -> str:
    return " ".join("".join(parsed(raw).itertext()).split())


def test_the_page_reads_as_the_golden_one(
    render: Render, golden: Callable[[str, str], None]
) -> None:
    """Style and script are left out: a golden file is for what the page says."""
    page = render("html", full_view()).decode()
    page = re.sub(r"<(style|script)>.*?</\1>", r"<\1></\1>", page, flags=re.DOTALL)
    golden("report.html", re.sub(r"sha256-[A-Za-z0-9+/=]+", "sha256-", page))


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[1:25])
def test_hostile_text_leaves_the_skeleton_of_the_page_as_it_is(text: str, render: Render) -> None:
    def without_links(pairs: list[tuple[str, tuple[str, ...]]]) -> list[tuple[str, object]]:
        return [pair for pair in pairs if pair[0] != "a"]

    benign, hostile = (skeleton(render("html", poisoned_view(one))) for one in (BENIGN, text))

    assert without_links(hostile) == without_links(benign)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[1:25])
def test_nothing_runs_and_nothing_leaves_the_page(text: str, render: Render) -> None:
    for one in elements(parsed(render("html", poisoned_view(text)))):
        attributes = {str(name): value for name, value in one.attrib.items()}
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert one.tag not in {"img", "iframe", "object", "embed", "link", "base", "image"}
        assert "src" not in attributes
        target = attributes.get("href", "#")
        assert target.startswith(("#", "https://")), target


def test_the_policy_allows_exactly_the_pages_own_style_and_script(render: Render) -> None:
    page = render("html", full_view())
    root = parsed(page)
    policy = next(one.attrib["content"] for one in elements(root) if "http-equiv" in one.attrib)

    for tag in ("style", "script"):
        (only,) = [one for one in elements(root) if one.tag == tag]
        digest = b64encode(hashlib.sha256((only.text or "").encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_the_page_names_no_other_address(render: Render) -> None:
    page = render("html", view([], [], coverage=(), not_evaluable=())).decode()

    assert "http:" not in page.replace("http-equiv", "")
    assert "https:" not in page
    assert "@import" not in page
    assert "url(" not in page


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_never_mark_text_as_safe_and_quote_every_attribute(path: Path) -> None:
    source = path.read_text()

    assert not re.search(r"\|\s*safe|Markup|autoescape\s+false", source)
    assert not re.search(r"=\s*\{\{", source), "an attribute without quotes"
    bare = re.sub(r"\{[{%].*?[}%]\}", "", re.sub(r'"[^"]*"', '""', source))
    assert not re.search(r"<[a-z][^>]*\s[a-z-]+=[^\"]", bare), "an attribute without quotes"


def test_without_javascript_everything_is_on_the_page(render: Render) -> None:
    words = _words(render("html", full_view()))

    for said in (
        "7 open findings; deal with the root key of payments first.",
        "2 collections of 4 could not be read whole",
        "GitHub refused the listing",
        "Known gap: Decommissioned on 31 March 2026",
        "Privileged and not used for 30 days",
        "Idle for: 120 days, limit 45 days",
        "it may write and nobody used it for 120 days",
        "keycard credentials disable key-5",
        "An unused credential still opens doors",
        "nist-800-53-r5 AC-2(3), IA-5(1)",
        "Accepted until 2026-06-30 by ciso@example.com: Vendor migration (SEC-12)",
        "Ended in this run: superseded by long-lived-credential.",
        "its source has not been read since 26 Feb 2026",
        "9 days ago reopened in run 5",
        "AKIAIOSFODNN7EXAMPLE",
        "keycard:org-1:service_account_credential:key-4",
    ):
        assert said in words


def test_instants_are_words_with_utc_in_the_tooltip(render: Render) -> None:
    times = [one for one in elements(parsed(render("html", full_view()))) if one.tag == "time"]

    created = next(one for one in times if one.text == "400 days ago")
    assert created.attrib == {"datetime": "2025-01-25T03:00Z", "title": "2025-01-25 03:00 UTC"}


def test_the_words_of_a_moment_are_escaped() -> None:
    for at in (Moment("<b>"), Moment("<b>", "2025-01-25T03:00Z")):
        for written in (at.__html__(), at.brief):
            assert "&lt;b&gt;" in written
            assert "<b>" not in written


def test_every_link_inside_the_page_leads_somewhere(render: Render) -> None:
    root = parsed(render("html", full_view()))
    ids = [one.attrib["id"] for one in elements(root) if "id" in one.attrib]
    targets = {
        one.attrib["href"][1:]
        for one in elements(root)
        if one.attrib.get("href", "").startswith("#")
    }

    assert len(ids) == len(set(ids))
    assert targets <= set(ids)


def test_beyond_the_limit_the_page_says_how_many_and_where_the_rest_is(render: Render) -> None:
    found, credentials = generated(40)

    page = render("html", view(found, credentials), max_findings=10, max_credentials=5)

    words = _words(page)
    assert page.count(b'<details class="f ') == 10
    assert "The 10 riskiest of 40 are shown; all of them are in the JSON and CSV" in words
    assert "The first 5 are shown; auditor credentials list shows all" in words


def test_a_page_never_outgrows_its_budget_and_says_where_it_ends(render: Render) -> None:
    wordy = ["w" * 120, "v" * 120]
    found, credentials = generated(10_000, names=wordy)
    found = [
        structs.replace(one, message=f"{number} " + "m" * 590) for number, one in enumerate(found)
    ]

    page = render("html", view(found, credentials))

    assert len(page) <= 12_000_000
    words = _words(page[-2_000_000:])
    assert re.search(r"The list ends here, to keep this page usable: [\d,]+ of 10,000", words)


def test_ten_thousand_ordinary_findings_fit(render: Render) -> None:
    page = render("html", view(*generated(10_000, healthy=500)))

    assert page.count(b'<details class="f ') == 10_000
    assert len(page) <= 12_000_000


def test_a_long_page_tells_shared_commands_once_and_the_values_in_every_finding(
    render: Render,
) -> None:
    page = render("html", view(*generated(2_600))).decode()

    start = page.index('<div id="list">')
    listed = page[start : page.index('id="policies"')]
    assert "<pre>" not in listed
    assert "keycard credentials disable \u2039Id\u203a" in unescape(page)
    assert "Id: aws-" in listed


def test_commands_are_rebuilt_exactly_or_not_shared() -> None:
    values = {"Id": "AKIA1", "Principal": "my user", "Name": "x"}
    commands = "aws iam delete-access-key --user-name 'my user' --access-key-id AKIA1"

    pattern = with_slots(commands, values)

    assert slots(pattern) == ("Principal", "Id")
    assert filled(pattern, values) == commands
    other = values | {"Principal": "o'neill", "Id": "AKIA2"}
    assert filled(pattern, other).endswith("--user-name 'o'\"'\"'neill' --access-key-id AKIA2")


@pytest.mark.parametrize(
    ("url", "is_link"),
    [
        ("https://console.example.com/keys?id=1#top", True),
        ("https://[::1]:8443/x", True),
        ("http://console.example.com/", False),
        ("javascript:alert(1)", False),
        ("https://user@example.com/", False),
        ("https:///nowhere", False),
        ("https://example.com:bad/", False),
        ("https://example.com/a b", False),
        ("https://ex\u00e4mple.com/", False),
        ("//example.com/", False),
        ("https://example.com/" + "a" * 1000, False),
        (None, False),
    ],
)
def test_only_plain_https_addresses_become_links(
    url: str | None, *, is_link: bool, render: Render
) -> None:
    one = finding(
        1, subject=credential(1, url=url), remediation=Remediation("Mend it.", ("mend",), url)
    )

    page = render("html", view([one])).decode()

    assert bool(https(url)) is is_link
    assert ('href="https://' in page) is is_link


def test_a_trend_has_numbers_beside_the_picture(render: Render) -> None:
    words = _words(render("html", full_view()))

    assert "7 open findings on 1 Mar 2026, 12 on 23 Feb 2026 (-5) over 7 runs." in words
    assert "Run 7, 1 Mar 2026: 7 open findings: 1 critical, 2 high and 4 medium" in words


def test_one_run_is_no_trend(render: Render) -> None:
    made = full_view()

    assert b"over the last runs" not in render("html", replace(made, trend=made.trend[-1:]))


def test_the_last_use_is_as_old_as_the_data_say_not_older(render: Render) -> None:
    subject = credential(1, data_as_of=NOW - timedelta(hours=4))
    old = credential(2, data_as_of=NOW - timedelta(days=10))

    words = _words(render("html", view([finding(1, subject=subject), finding(2, subject=old)])))

    assert "Last used: 120 days ago" in words
    assert "Last used: 110 days before 19 Feb 2026" in words


def test_as_of_is_printed(render: Render) -> None:
    page = render("html", view(run=structs.replace(RUN, is_as_of=True)))

    assert "(set by as_of)" in _words(page)


def test_a_breakdown_calls_an_organization_what_the_filter_of_the_findings_calls_it(
    render: Render,
) -> None:
    """A file tells of credentials of many providers, so its coverage cannot name them."""
    read = Coverage(
        source="exports",
        provider="file",
        organization=Organization(id="org-1", name="Example"),
        status=CoverageStatus.COMPLETE,
    )
    root = parsed(render("html", view([finding(1)], coverage=(read,))))

    tables = [one for one in elements(root) if one.attrib.get("data-facet") == "organization"]
    labels = ["".join(one.itertext()) for one in elements(tables[0]) if one.tag == "a"]
    assert labels == ["Example (keycard)"]


def test_what_a_source_does_not_tell_stands_once_with_the_policies_it_blinds(
    render: Render,
) -> None:
    blind = [
        NotEvaluable(policy_id=policy, source="aws", field="privilege", count=len(uids), uids=uids)
        for policy, uids in (("b-policy", ("x", "y")), ("a-policy", ("y", "z")))
    ]
    root = parsed(render("html", view([finding(1)], not_evaluable=tuple(blind))))

    (row,) = [
        one
        for one in elements(root)
        if one.tag == "tr" and "a-policy, b-policy" in "".join(one.itertext())
    ]
    cells = [" ".join("".join(cell.itertext()).split()) for cell in row]
    assert cells == ["aws", "privilege", "a-policy, b-policy", "3", "Showxyz"]


def test_facts_unknown_of_the_very_same_credentials_are_one_gap(render: Render) -> None:
    blind = [
        NotEvaluable(policy_id="p", source="aws", field=field, count=len(uids), uids=uids)
        for field, uids in (
            ("last_used_at", ("x", "y")),
            ("last_used_state", ("x", "y")),
            ("privilege", ("y", "z")),
        )
    ]
    root = parsed(render("html", view([finding(1)], not_evaluable=tuple(blind))))

    gaps = [
        "".join(row[1].itertext())
        for row in elements(root)
        if row.tag == "tr" and "Show" in "".join(row.itertext())
    ]
    assert gaps == ["last used, last used state", "privilege"]


def test_a_number_of_the_verdict_stays_with_what_it_counts(render: Render) -> None:
    assert "7\u00a0open findings" in render("html", full_view()).decode()


def test_the_first_look_at_an_organization_is_not_passed_off_as_news(render: Render) -> None:
    read = Coverage(
        source="keycard-prod",
        provider="keycard",
        organization=Organization(id="org-1", name="Example"),
        status=CoverageStatus.COMPLETE,
        is_baseline=True,
    )
    found = [finding(1), finding(2), finding(3, state={"change": Change.REOPENED})]

    words = _words(render("html", view(found, coverage=(read,))))
    assert "New in this run3 2 at first look" in words
    assert "at first look" not in _words(render("html", view(found)))
