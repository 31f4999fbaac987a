"""Any table and any JSON, by a map of columns."""

import json
from datetime import UTC, datetime

import pytest

from auditor.collectors.file import FileCollector
from auditor.model import ExpiresState, LastUsedState, PrincipalType, Status

COLUMNS = {
    "id": "Key",
    "name": "Label",
    "created_at": {"column": "Created", "format": "%d.%m.%Y %H:%M"},
    "last_used_at": {"column": "Used", "format": "%d.%m.%Y %H:%M", "never": ["never", "-"]},
    "expires_at": {"column": "Until", "format": "%d.%m.%Y %H:%M", "never": ["forever"]},
    "status": {"column": "State", "map": {"An": "active", "aus": "inactive"}},
    "permissions": "Rights",
    "principal.name": "Account",
    "principal.type": {"value": "application"},
    "tags.team": "Team",
    "provider": {"value": "portal"},
    "type": {"value": "API Key"},
}
HEADER = "Key;Label;Created;Used;Until;State;Rights;Account;Team;Ignored\n"
OPTIONS = {"name": "table.csv", "columns": COLUMNS, "time_zone": "Europe/Berlin"}


def test_a_row_becomes_a_credential(read) -> None:
    row = (
        "k1;Deploy;01.07.2025 12:00;15.01.2026 08:30;forever;an;zones:read zones:update;ci;web;x\n"
    )
    outcome = read(HEADER + row, **OPTIONS)
    credential = outcome.only
    assert outcome.gaps == []
    assert credential.uid == "portal:exports:credential:k1"
    assert credential.name == "Deploy"
    assert credential.created_at == datetime(2025, 7, 1, 10, tzinfo=UTC)
    assert credential.last_used_at == datetime(2026, 1, 15, 7, 30, tzinfo=UTC)
    assert credential.expires_state is ExpiresState.NEVER
    assert credential.status is Status.ACTIVE
    assert credential.permissions == {"zones": {"read": True, "update": True}}
    assert credential.principal.name == "ci"
    assert credential.principal.type is PrincipalType.APPLICATION
    assert credential.tags == {"team": "web"}
    assert credential.raw["Label"] == "Deploy"
    assert "Ignored" not in credential.raw


@pytest.mark.parametrize(("cell", "state"), [("never", "never"), ("-", "never"), ("", "unknown")])
def test_only_the_words_for_never_mean_never(read, cell, state) -> None:
    outcome = read(HEADER + f"k1;a;01.07.2025 12:00;{cell};;an;;;;\n", **OPTIONS)
    assert outcome.only.last_used_state == state
    assert outcome.only.expires_state is ExpiresState.UNKNOWN
    assert outcome.gaps == []


def test_an_unreadable_cell_is_said_with_its_column(read) -> None:
    outcome = read(HEADER + "k1;a;soon;later;;weird;;;;\n", **OPTIONS)
    assert outcome.only.created_at is None
    assert outcome.only.last_used_state is LastUsedState.UNKNOWN
    assert outcome.only.status is Status.UNKNOWN
    assert "table.csv, line 2: created_at (from 'Created') does not look like" in outcome.messages
    assert len(outcome.gaps) == 3


def test_a_pattern_without_a_zone_needs_the_sources(read) -> None:
    outcome = read(HEADER + "k1;a;01.07.2025 12:00;;;an;;;;\n", name="t.csv", columns=COLUMNS)
    assert outcome.only.created_at is None
    assert "has no time zone" in outcome.messages
    assert "`time_zone`" in outcome.messages


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        ("rfc3339", "2026-01-15T08:30:00+01:00"),
        ("epoch_s", "1768462200"),
        ("epoch_ms", "1768462200000"),
        ("rfc2822", "Thu, 15 Jan 2026 08:30:00 +0100"),
        ("%Y%m%dT%H%M%S%z", "20260115T083000+0100"),
    ],
)
def test_times_in_every_format(read, form, cell) -> None:
    columns = {"id": "id", "created_at": {"column": "at", "format": form}}
    outcome = read(f'id,at\n1,"{cell}"\n', name="t.csv", columns=columns)
    assert outcome.only.created_at == datetime(2026, 1, 15, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("admin", {"*": {"admin": True}}),
        ("a:read,b:write;c", {"a": {"read": True}, "b": {"write": True}, "*": {"c": True}}),
        ("arn:aws:s3:read", {"arn:aws:s3": {"read": True}}),
        ("iam:*", {"iam": {"*": True}}),
        ("", None),
    ],
)
def test_rights_are_written_as_words(read, cell, expected) -> None:
    content = f'id,rights\n1,"{cell}"\n'
    outcome = read(content, name="t.csv", columns={"id": "id", "permissions": "rights"})
    assert outcome.only.permissions == expected


def test_a_json_export_is_followed_by_paths(read) -> None:
    document = {
        "page": 1,
        "data": {
            "keys": [
                {
                    "key": {"id": 17, "made": 1768462200},
                    "owner.email": "a@example.com",
                    "grants": ["zones:read"],
                    "used": None,
                },
                {"key": {"id": 18}, "grants": {"zones": {"read": True}}, "used": "x"},
            ],
            "more": False,
        },
    }
    columns = {
        "id": "key.id",
        "created_at": {"column": "key.made", "format": "epoch_s"},
        "owner": "owner.email",
        "permissions": "grants",
        "last_used_at": {"column": "used", "never": [""]},
    }
    outcome = read(document, columns=columns, records="data.keys")
    first, second = outcome.credentials
    assert first.provider_id == "17"
    assert first.owner == "a@example.com"
    assert first.permissions == second.permissions == {"zones": {"read": True}}
    assert first.last_used_state is LastUsedState.NEVER
    assert second.last_used_state is LastUsedState.UNKNOWN


def test_json_lines_are_mapped_as_well(read) -> None:
    content = "".join(json.dumps({"k": n}) + "\n" for n in range(3))
    outcome = read(content, name="x.ndjson", columns={"id": "k"})
    assert [c.provider_id for c in outcome.credentials] == ["0", "1", "2"]


def test_a_table_that_is_called_as_our_fields_are_needs_no_map(read) -> None:
    content = "id,name,created_at,principal.name,tags.team,other\n1,One,2026-01-01,ci,web,x\n"
    credential = read(content, name="t.csv").only
    assert (credential.name, credential.principal.name, credential.tags) == (
        "One",
        "ci",
        {"team": "web"},
    )


def test_an_unknown_table_asks_for_a_map(read) -> None:
    outcome = read("a,b\n1,2\n", name="t.csv")
    assert outcome.error is not None
    assert "t.csv is a table of unknown columns (a, b)" in str(outcome.error)
    assert "`columns`" in str(outcome.error)


def test_a_column_that_is_not_there_is_named_with_those_that_are(read) -> None:
    outcome = read("Key,Labl\n1,x\n", name="t.csv", columns={"id": "Key", "name": "Label"})
    assert outcome.error is not None
    assert "has no column 'Label'; it has 'Key', 'Labl'" in str(outcome.error)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_seen_from_the_header(read, delimiter) -> None:
    content = delimiter.join(["id", "name"]) + "\n" + delimiter.join(["1", "x"]) + "\n"
    assert read(content, name="t.csv").only.name == "x"


def test_the_delimiter_and_the_encoding_can_be_said(read) -> None:
    content = "id~name\n1~Müller\n".encode("cp1252")
    outcome = read(content, name="t.csv", delimiter="~", encoding="cp1252")
    assert outcome.only.name == "Müller"


def test_quoted_cells_keep_their_line_breaks_and_later_lines_their_numbers(read) -> None:
    content = 'id,name,created_at\n1,"two\nlines",\n2,x,soon\n'
    outcome = read(content, name="t.csv")
    assert outcome.credentials[0].name == "two\nlines"
    assert "t.csv, line 4: created_at" in outcome.messages


def test_a_quote_that_is_never_closed_does_not_swallow_the_rows_after_it(read) -> None:
    outcome = read('id,name\n1,a\n2,"b\n3,c\n', name="table.csv")
    assert outcome.only.provider_id == "1"
    assert "line 3: a quote that opens here is never closed" in outcome.messages


def test_a_mapped_heading_that_stands_twice_is_refused(read) -> None:
    outcome = read("id,name,name\n1,a,b\n", name="table.csv")
    assert "more than one column 'name'" in str(outcome.error)


def test_numbers_of_json_are_compared_as_a_table_would_write_them(read) -> None:
    columns = {
        "id": "id",
        "last_used_at": {"column": "used", "format": "epoch_s", "never": [0]},
        "status": {"column": "on", "map": {"1": "active", "false": "inactive"}},
    }
    records = [{"id": 1, "used": 0, "on": 1}, {"id": 2, "used": "0", "on": False}]
    outcome = read(records, format="json", columns=columns)
    assert outcome.gaps == []
    assert {one.last_used_state for one in outcome.credentials} == {LastUsedState.NEVER}
    assert [one.status for one in outcome.credentials] == [Status.ACTIVE, Status.INACTIVE]


def test_rows_of_another_length_are_lost_alone(read) -> None:
    outcome = read("id,name\n1\n\n2,b\n3,c,\n4,d,extra\n", name="t.csv")
    assert [c.provider_id for c in outcome.credentials] == ["2", "3"]
    assert len(outcome.gaps) == 2
    assert "it has 1 cells under 2 headings" in outcome.messages


def test_a_cell_beyond_all_bounds_loses_its_row_alone(read) -> None:
    content = "id,name\n1," + "x" * 200_000 + "\n2,b\n"
    outcome = read(content, name="t.csv")
    assert [c.provider_id for c in outcome.credentials] == ["2"]
    assert "this row is lost: field larger than field limit" in outcome.messages


def test_a_table_of_headings_alone_is_an_empty_answer(read) -> None:
    outcome = read("id,name\n", name="t.csv")
    (page,) = outcome.pages
    assert page.credentials == ()
    assert outcome.error is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"columns": {"id": "a", "last_used": "b"}}, "did you mean 'last_used_at'?"),
        ({"columns": {"name": "a"}}, "map a column to `id`"),
        ({"columns": {"id": {"column": "a", "value": "b"}}}, "either a `column` or a constant"),
        ({"columns": {"id": {}}}, "either a `column` or a constant"),
        ({"columns": {"id": {"column": "a", "never": [""]}}}, "takes no `never`"),
        ({"columns": {"id": {"column": "a", "format": "epoch_s"}}}, "takes no `format`"),
        (
            {"columns": {"id": "a", "created_at": {"column": "b", "format": "iso"}}},
            "none of rfc3339",
        ),
        ({"columns": {"id": "a"}, "format": "keycard"}, "`columns` goes with format csv or json"),
        ({"format": "json"}, "needs `columns`"),
        ({"time_zone": "Berlin"}, "no such time zone"),
        ({"encoding": "latin-9000"}, "no such encoding"),
        ({"encoding": "utf-16"}, "save the file as UTF-8"),
        ({"path": ""}, "name at least one file"),
        ({"path": []}, "name at least one file"),
        ({"format": "xml"}, "Input should be 'auto'"),
        ({"data_as_of": "2026-01-01T00:00:00"}, "timezone"),
        ({"delimiter": "::"}, "at most 1"),
        ({"colums": {}}, "Extra inputs"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(options, says) -> None:
    with pytest.raises(ValueError, match="validation error") as caught:
        FileCollector.Options.model_validate(
            {"name": "x", "provider": "file", "path": "a.csv"} | options
        )
    assert says in str(caught.value)
