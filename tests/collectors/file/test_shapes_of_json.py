"""JSON as people save it: arrays, envelopes, one value per line, one after the other."""

import gzip
import json

import pytest

from auditor.collectors._file import opening


def dump(records, **options) -> str:
    return json.dumps(records, **options)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("key", ["credentials", "records"])
def test_an_envelope_speaks_for_its_records_even_from_behind_them(read, key, indent) -> None:
    records = [{"id": str(n)} for n in range(3)]
    head = {
        "data_as_of": "2026-02-01T00:00:00Z",
        "organization": {"id": "o", "name": "Org"},
        "provider": "acme",
    }
    for document in ({**head, key: records}, {key: records, **head}):
        outcome = read(dump(document, indent=indent))
        assert [c.uid for c in outcome.credentials] == [f"acme:o:credential:{n}" for n in range(3)]
        assert {c.data_as_of.day for c in outcome.credentials} == {1}
        assert outcome.gaps == []


def test_a_bare_array_in_one_line_or_many(read, record) -> None:
    records = [record(str(n)) for n in range(5)]
    assert len(read(dump(records)).credentials) == 5
    assert len(read(dump(records, indent=1)).credentials) == 5


def test_values_one_after_the_other_are_records(read, record) -> None:
    content = "".join(dump(record(str(n)), indent=2) for n in range(5))
    outcome = read(content)
    assert [c.name for c in outcome.credentials] == list("01234")


def test_a_single_record_is_a_file(read, record) -> None:
    assert read(dump(record("solo"), indent=2)).only.name == "solo"
    assert read(dump(record("solo"))).only.name == "solo"


def test_envelopes_one_per_line(read) -> None:
    content = "".join(
        dump({"organization": {"id": o, "name": o}, "credentials": [{"id": "1"}]}) + "\n"
        for o in ("a", "b")
    )
    outcome = read(content, name="export.ndjson")
    assert [c.organization.id for c in outcome.credentials] == ["a", "b"]


def test_lines_are_recognized_without_the_file_name_saying_so(read, record) -> None:
    content = "".join(dump(record(str(n))) + "\r\n" for n in range(3))
    assert len(read(content, name="export.txt").credentials) == 3


def test_a_byte_order_mark_is_no_content(read, record) -> None:
    content = dump([record()]).encode("utf-8-sig")
    assert len(read(content).credentials) == 1
    line = (dump(record()) + "\n").encode("utf-8-sig")
    assert len(read(line, name="export.ndjson").credentials) == 1


@pytest.mark.parametrize("name", ["export.json.gz", "export.ndjson.gz", "packed"])
def test_packed_files_are_unpacked_whatever_they_are_called(read, record, name) -> None:
    content = gzip.compress(dump(record()).encode()) if name == "packed" else dump(record())
    assert len(read(content, name=name).credentials) == 1


def test_an_empty_list_is_an_answer(read) -> None:
    outcome = read([])
    (page,) = outcome.pages
    assert page.credentials == ()
    assert page.organization.id == "exports"
    assert outcome.error is None


def test_an_empty_list_of_a_named_organization_is_that_organizations(read) -> None:
    for name in ("export.json", "export.ndjson"):
        outcome = read(dump({"organization": {"id": "o"}, "credentials": []}), name=name)
        (page,) = outcome.pages
        assert (page.organization.id, page.credentials) == ("o", ())


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_no_answer(read, content) -> None:
    outcome = read(content)
    assert outcome.pages == []
    assert outcome.error is not None
    assert outcome.error.kind == "empty_file"
    assert "export.json is empty" in str(outcome.error)


@pytest.mark.parametrize("start", ["", '{"provider": "acme", "credentials": '])
def test_an_array_that_breaks_off_keeps_what_came_before(read, record, start) -> None:
    content = start + dump([record(str(n)) for n in range(1200)], indent=0)
    outcome = read(content[: len(content) // 2])
    assert 500 <= len(outcome.credentials) <= 600
    assert outcome.error is None
    (gap,) = outcome.gaps
    assert gap.reason == "malformed_file"
    assert "export.json, line " in gap.message
    assert "rest of the file was not read" in gap.message
    assert gap.organization is None


@pytest.mark.parametrize(
    "content",
    [
        '[{"id": "1"} {"id": "2"}]',
        '{"credentials": [{"id": "1"}, ]}',
        '[{"id": "1"}, nope]',
        '[{"id": "1"}, NaN]',
        '[{"id": "1"}, {"id": "2"]',
        '{"credentials": [{"id": "1"}], 5: 6}',
        '{"credentials": [{"id": "1"}], "x"',
        "[" * 10_000,
        '[{"id": "1"}, {"a": ' + "[" * 10_000 + "]" * 10_000 + "}]",
        '[{"id": "1", "key_bits": ' + "9" * 5000 + "}]",
        '[{"id": "1"}',
        "{",
    ],
)
def test_broken_json_is_one_sentence(read, content) -> None:
    outcome = read(content)
    said = str(outcome.error) if outcome.error else outcome.messages
    assert "export.json, line 1: this is not JSON" in said
    assert "Export the file again" in said


@pytest.mark.parametrize("size", [1, 7, 64])
def test_elements_are_whole_wherever_the_pieces_are_cut(read, record, monkeypatch, size) -> None:
    monkeypatch.setattr("auditor.collectors._file.documents.BLOCK", size)
    monkeypatch.setattr(opening, "BLOCK", size)
    records = [record("ключ-" + str(n), key_bits=10**n) for n in range(4)]
    document = {"n": 12345, "credentials": records, "data_as_of": "2026-02-01T00:00:00Z"}
    for content, name in (
        (dump(document, ensure_ascii=False), "a.json"),
        ("\n".join(dump(r, ensure_ascii=False) for r in records), "b.ndjson"),
    ):
        outcome = read(content, name=name)
        assert [c.name for c in outcome.credentials] == [f"ключ-{n}" for n in range(4)]
        assert [c.key_bits for c in outcome.credentials] == [1, 10, 100, 1000]


def test_a_record_too_large_to_hold_is_refused_and_the_next_is_read(
    read, record, monkeypatch
) -> None:
    monkeypatch.setattr(opening, "LARGEST_RECORD", 2000)
    monkeypatch.setattr(opening, "BLOCK", 500)
    big = record("big", description="x" * 10_000)
    content = "".join(dump(r) + "\n" for r in (record("1"), big, record("3")))
    outcome = read(content, name="export.ndjson")
    assert [c.name for c in outcome.credentials] == ["1", "3"]
    assert outcome.gaps[0].reason == "oversized_record"
    assert "line 2" in outcome.gaps[0].message


def test_numbers_at_the_edge_of_a_piece_are_read_to_their_end(read, monkeypatch) -> None:
    monkeypatch.setattr("auditor.collectors._file.documents.BLOCK", 1)
    outcome = read('{"version": 123, "credentials": [{"id": 4567}]}')
    assert outcome.only.provider_id == "4567"


@pytest.mark.parametrize("content", ['[1, null, "x", [], true, {"id": "1"}]'])
def test_elements_that_are_no_records_are_lost_alone(read, content) -> None:
    outcome = read(content)
    assert outcome.only.provider_id == "1"
    assert len(outcome.gaps) == 5
    assert "write one JSON object per credential" in outcome.messages
