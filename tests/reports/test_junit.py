"""The JUnit report: well-formed, with counts that add up."""

from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from tests.reports.conftest import Render
from tests.reports.hostile import every_hostile_text, poisoned_view
from tests.reports.views import full_view, generated, view


def test_the_report_reads_as_the_golden_one(
    render: Render, golden: Callable[[str, str], None]
) -> None:
    golden("report.junit.xml", render("junit", full_view()).decode())


@every_hostile_text
def test_hostile_text_keeps_the_xml_well_formed(text: str, render: Render) -> None:
    root = ET.fromstring(render("junit", poisoned_view(text)))  # noqa: S314 - our own output

    assert {one.tag for one in root.iter()} == {
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
        "error",
        "skipped",
    }


@pytest.mark.parametrize("number", [0, 100])
def test_the_counts_are_the_cases(number: int, render: Render) -> None:
    root = ET.fromstring(render("junit", view(*generated(number))))  # noqa: S314 - our own output

    for suite in (root, *root.iter("testsuite")):
        assert int(suite.attrib["tests"]) == len(list(suite.iter("testcase")))
        assert int(suite.attrib["failures"]) == len(list(suite.iter("failure")))
        assert int(suite.attrib["errors"]) == len(list(suite.iter("error")))
        assert int(suite.attrib["skipped"]) == len(list(suite.iter("skipped")))


def test_a_source_that_was_not_read_is_an_error_unless_the_gap_is_known(render: Render) -> None:
    root = ET.fromstring(render("junit", full_view()))  # noqa: S314 - our own output

    by_name = {one.attrib["name"]: [part.tag for part in one] for one in root.iter("testcase")}
    assert by_name["keycard-prod / Example is read whole"] == []
    assert by_name["github is read whole"] == ["error"]
    assert by_name["gitlab is read whole"] == ["skipped"]
