"""Exceptions about to end and controls of standards, on the page and in JSON."""

import json
from dataclasses import replace

from msgspec import structs

from auditor.findings.compliance import ControlRow, FrameworkRow, PolicyMapping
from auditor.findings.view import EndingException
from auditor.model import ExceptionNote
from auditor.reports.page.standards import maps_to
from tests.reports.conftest import Render
from tests.reports.dom import elements, parsed, skeleton
from tests.reports.hostile import BENIGN, HOSTILE
from tests.reports.views import full_view

CONTROL = ControlRow(
    id="1.11",
    title="Credentials unused for 45 days or more are disabled",
    policies=(PolicyMapping("dormant-credential", "high"),),
    credentials=1_234,
    passed=1_000,
    failed=200,
    excepted=30,
    not_evaluable=4,
)


def standing(text: str):
    note = ExceptionNote(reason=text, approver=text, expires="2026-03-10", ticket=text)
    row = FrameworkRow(key="cis", title="CIS AWS", version="5.0", controls=(CONTROL,))
    return replace(full_view(), ending_exceptions=(EndingException(text, note),), compliance=(row,))


def test_the_page_tells_both_and_claims_nothing(render: Render) -> None:
    said = " ".join(
        " ".join(parsed(render("html", standing("policy dormant-credential"))).itertext()).split()
    )

    assert "Exceptions about to end" in said
    assert "2026-03-10 policy dormant-credential" in said
    assert "dormant-credential high 1,000 200 30 4 1,234" in said
    assert "Policies map to controls" in said
    assert "no statement that anybody complies" in said


def test_every_standard_says_in_its_line_how_it_stands(render: Render) -> None:
    fine = structs.replace(CONTROL, id="1.12", failed=0, excepted=0, passed=1_230)
    clear = structs.replace(fine, id="1.13", not_evaluable=0, passed=1_234)
    nobody = structs.replace(
        CONTROL, credentials=0, passed=0, failed=0, excepted=0, not_evaluable=0
    )
    rows = [
        FrameworkRow(key=title, title=title, version="1", controls=controls)
        for title, controls in (
            ("Both", (CONTROL, fine, clear, nobody)),
            ("Clear", (clear,)),
            ("Azure", (nobody,)),
            ("Entra", (nobody,)),
        )
    ]
    page = render("html", replace(full_view(), compliance=tuple(rows)))
    said = " ".join(" ".join(parsed(page).itertext()).split())

    assert "Both 1 findings in 1 of 3 controls, 1 not wholly evaluable" in said
    assert "Clear 1 no finding in 1 control" in said
    assert "one that these speak about: Azure 1; Entra 1." in said


def test_of_a_standard_the_newest_version_is_told_and_the_older_ones_are_folded(
    render: Render,
) -> None:
    nobody = structs.replace(
        CONTROL, credentials=0, passed=0, failed=0, excepted=0, not_evaluable=0
    )
    rows = [
        FrameworkRow(key=f"cis-{version}", title="CIS", version=version, controls=controls)
        for version, controls in (
            ("4.0", (CONTROL,)),
            ("4.0.1", (CONTROL,)),
            ("10.0", (CONTROL,)),
            ("9.0", (nobody,)),
        )
    ]
    rows.append(FrameworkRow(key="hub", title="Hub", version="current", controls=(CONTROL,)))

    root = parsed(render("html", replace(full_view(), compliance=tuple(rows))))
    (section,) = [one for one in elements(root) if one.attrib.get("id") == "compliance"]
    lines = [
        " ".join("".join(one.itertext()).split())
        for one in elements(section)
        if one.tag == "summary"
    ]

    found = "findings in 1 of 1 control"
    assert lines == [
        f"CIS 10.0 {found}",
        "2 older versions: 4.0.1 and 4.0",
        f"CIS 4.0.1 {found}",
        f"CIS 4.0 {found}",
        f"Hub {found}",
    ]
    assert "one that these speak about: CIS 9.0." in " ".join("".join(section.itertext()).split())


def test_what_a_finding_maps_to_is_told_by_standard_the_newest_version_first() -> None:
    controls = {
        "cis-aws-4.0": ("1.4",),
        "cis-aws-4.0.1": ("1.4",),
        "cis-aws-5.0": ("1.3",),
        "cis-aws-10.0": ("2.3", "2.4"),
        "iso-27001-2022": ("A.8.2",),
        "aws-security-hub": ("IAM.4",),
    }

    assert maps_to(controls) == (
        "aws-security-hub IAM.4 · cis-aws-10.0 2.3, 2.4 (5.0: 1.3; 4.0.1 to 4.0: 1.4) · "
        "iso-27001-2022 A.8.2"
    )


def test_hostile_text_in_an_exception_stays_text(render: Render) -> None:
    expected = skeleton(render("html", standing(BENIGN)))

    for text in HOSTILE:
        assert expected == skeleton(render("html", standing(text)))


def test_a_page_without_either_says_nothing_of_them(render: Render) -> None:
    page = render("html", full_view()).decode()

    assert "Exceptions about to end" not in page
    assert "Controls of standards" not in page


def test_json_holds_both(render: Render) -> None:
    report = json.loads(render("json", standing("policy x")))

    assert [("policy x", "2026-03-10")] == [
        (one["covers"], one["expires"]) for one in report["ending_exceptions"]
    ]
    (row,) = report["compliance"]
    (control,) = row["controls"]
    assert [{"policy_id": "dormant-credential", "certainty": "high"}] == control["maps_from"]
    assert 1_234 == control["credentials"]
