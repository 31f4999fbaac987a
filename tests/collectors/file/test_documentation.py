"""docs/files.md names what there is, and nothing else."""

import re
from pathlib import Path

from auditor.collectors._file.columns import FORMATS, TARGETS, Column
from auditor.collectors._file.normalized import HEAD_KEYS, Record
from auditor.collectors._file.options import FileOptions

TEXT = (Path(__file__).parents[3] / "docs" / "files.md").read_text(encoding="utf-8")


def first_cells(heading: str) -> set[str]:
    """Return the names in the first column of the first table below *heading*."""
    below = TEXT.split(f"\n## {heading}\n")[1]
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table is not None
    rows = table.group().splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def test_the_options_are_those_of_a_source() -> None:
    assert first_cells("Options") == set(FileOptions.model_fields) - {"name", "provider"}


def test_the_fields_are_those_of_a_record() -> None:
    documented = first_cells("The normalized shape")
    assert documented | {"data_as_of", "observed_at"} == set(Record.__struct_fields__)


def test_the_keys_of_a_column_are_those_there_are() -> None:
    assert first_cells("Tables and foreign JSON") == set(Column.model_fields)


def test_every_target_format_and_head_key_is_named() -> None:
    for name in (*TARGETS, *FORMATS, *HEAD_KEYS):
        assert f"`{name}`" in TEXT, name
