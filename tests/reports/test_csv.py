"""The CSV report: strict to re-read, harmless to open in a spreadsheet."""

import csv
import io
from collections.abc import Callable

import pytest

from auditor.reports.csv import COLUMNS, CsvOptions
from tests.reports.conftest import Render
from tests.reports.hostile import every_hostile_text, poisoned_view
from tests.reports.views import full_view, generated, view

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def _rows(raw: bytes) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(raw.decode(), newline=""), strict=True)
    return list(reader)


def _original(cell: str) -> str:
    return cell.removeprefix("'")


def test_the_report_reads_as_the_golden_one(
    render: Render, golden: Callable[[str, str], None]
) -> None:
    golden("report.csv", render("csv", full_view()).decode())


def test_there_is_one_row_a_finding_and_every_cell_is_quoted(render: Render) -> None:
    raw = render("csv", view(*generated(700))).decode()

    assert len(_rows(raw.encode())) == 700
    assert all(line.startswith('"') and line.endswith('"') for line in raw.split("\r\n")[:-1])


@every_hostile_text
def test_rows_are_those_of_pythons_own_writer(text: str, render: Render) -> None:
    raw = render("csv", poisoned_view(text)).decode()

    again = io.StringIO(newline="")
    writer = csv.writer(again, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows(csv.reader(io.StringIO(raw, newline=""), strict=True))
    assert raw == again.getvalue()


@every_hostile_text
def test_no_cell_is_a_formula_and_the_original_comes_back(text: str, render: Render) -> None:
    rows = _rows(render("csv", poisoned_view(text)))

    for row in rows:
        assert list(row) == list(COLUMNS)
        assert not any(cell.startswith(FORMULA) for cell in row.values())
    expected = text.replace("\ud800", "\ufffd").replace("\0", "")
    assert _original(rows[0]["credential_name"]) == expected
    assert _original(rows[0]["owner"]) == expected


def test_raw_leaves_cells_alone(render: Render) -> None:
    rows = _rows(render("csv", poisoned_view("=1+1"), raw=True))

    assert rows[0]["credential_name"] == "=1+1"


def test_a_negative_number_would_stay_a_number(render: Render) -> None:
    rows = _rows(render("csv", full_view()))

    assert all(row["risk_score"].isdecimal() for row in rows)


@pytest.mark.parametrize(
    "name",
    ["210987654321", "000123", "1e5", "9E87532", "3-4", "12/11", "1:30", "MAR1", "Sept-2", "2 dec"],
)
def test_for_a_spreadsheet_an_id_that_looks_like_a_number_or_a_day_stays_text(
    name: str, render: Render
) -> None:
    raw = render("csv", poisoned_view(name), spreadsheet=True)

    assert raw.startswith(b'\xef\xbb\xbf"finding_id"')
    rows = _rows(raw.removeprefix(b"\xef\xbb\xbf"))
    assert rows[0]["credential_name"] == f"'{name}"
    assert not any(cell.startswith(FORMULA) for cell in rows[0].values())


@pytest.mark.parametrize("name", ["deploy-9", "3.beta", "AKIA1", "2026-12-31", "marta", "e"])
def test_for_a_spreadsheet_other_names_stay_as_they_are(name: str, render: Render) -> None:
    raw = render("csv", poisoned_view(name), spreadsheet=True)

    assert _rows(raw.removeprefix(b"\xef\xbb\xbf"))[0]["credential_name"] == name


def test_for_a_spreadsheet_no_cell_runs_over_into_the_rows_below(render: Render) -> None:
    raw = render("csv", poisoned_view("ü" * 40_000), spreadsheet=True)

    rows = _rows(raw.removeprefix(b"\xef\xbb\xbf"))
    assert max(len(cell) for row in rows for cell in row.values()) == 32_767
    assert rows[0]["credential_name"].endswith("…")
    assert f'"{"ü" * 40_000}"'.encode() in render("csv", poisoned_view("ü" * 40_000))


def test_raw_and_spreadsheet_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="choose one of them"):
        CsvOptions(raw=True, spreadsheet=True)
