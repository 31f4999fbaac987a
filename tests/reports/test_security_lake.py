"""Security Lake: Parquet of one class, OCSF 1.3.0, nothing newer in it."""

import io
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.reports.security_lake import partition
from tests.reports.conftest import Render
from tests.reports.hostile import every_hostile_text, poisoned_view
from tests.reports.views import RUN, full_view, generated, view

every_class = pytest.mark.parametrize("kind", ["compliance", "detection"])
TOO_NEW = {"programmatic_credentials", "traits", "tags", "uid_alt", "is_alert", "role_id", "checks"}


def _rows(raw: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(raw)).to_pylist()
    return rows


def _names(shape: Any) -> set[str]:
    if hasattr(shape, "value_type") and not hasattr(shape, "key_type"):
        return _names(shape.value_type)
    if isinstance(shape, pa.StructType):
        fields = [shape.field(index) for index in range(shape.num_fields)]
        return {one.name for one in fields}.union(*(_names(one.type) for one in fields))
    return set()


@every_class
def test_there_is_one_row_a_finding_in_one_class(kind: str, render: Render) -> None:
    rows = _rows(render("security_lake", full_view(), **{"class": kind}))

    assert len(rows) == 15
    assert {row["class_uid"] for row in rows} == {2003 if kind == "compliance" else 2004}
    assert {row["metadata"]["version"] for row in rows} == {"1.3.0"}
    assert all(row["resources"][0]["owner"]["credential_uid"] for row in rows)
    assert all(row["type_uid"] == row["class_uid"] * 100 + row["activity_id"] for row in rows)


@every_class
def test_no_column_is_newer_than_the_lake(kind: str, render: Render) -> None:
    schema = pq.read_schema(io.BytesIO(render("security_lake", full_view(), **{"class": kind})))

    assert not _names(pa.struct(list(schema))) & TOO_NEW
    assert schema.field("time").type == pa.int64()
    assert schema.field("time_dt").type == pa.timestamp("ms", tz="UTC")
    assert schema.field("unmapped").type == pa.map_(pa.string(), pa.string())


@every_class
def test_times_twins_agree_and_rows_are_sorted(kind: str, render: Render) -> None:
    rows = _rows(render("security_lake", view(*generated(50)), **{"class": kind}))

    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    assert rows[0]["time_dt"] == datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


@every_class
@every_hostile_text
def test_required_attributes_are_there(kind: str, text: str, render: Render) -> None:
    for row in _rows(render("security_lake", poisoned_view(text), **{"class": kind})):
        assert row["finding_info"]["title"]
        assert row["finding_info"]["uid"]
        assert row["cloud"]["provider"]
        assert kind == "detection" or row["compliance"]["standards"]


def test_the_file_is_compressed_as_the_lake_prefers(render: Render) -> None:
    meta = pq.read_metadata(io.BytesIO(render("security_lake", full_view())))

    assert meta.row_group(0).column(0).compression == "ZSTD"


def test_the_partition_is_the_lakes() -> None:
    assert partition(RUN, source="auditor", region="eu-central-1") == (
        "ext/auditor/region=eu-central-1/accountId=external/eventDay=20260301/"
    )
