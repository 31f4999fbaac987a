"""Amazon Security Lake: OCSF 1.3.0 events of one class as Parquet (extra ``parquet``)."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, Literal

from pydantic import ConfigDict, Field

from auditor.errors import ConfigError
from auditor.findings.view import ReportView, RunInfo
from auditor.reports.events import EventClass
from auditor.reports.interface import FormatOptions, ReportFormat

_ROWS = 200
"""Converted at once: few, because Python's objects take far more room than Arrow's."""
_GROUP = 25
"""Conversions to a row group of the file."""
_PAGE = 1 << 20
"""Security Lake asks for pages of at most 1 MB before compression."""


class SecurityLakeOptions(FormatOptions):
    """What the Security Lake report can be told."""

    model_config = ConfigDict(populate_by_name=True)

    event_class: Literal[EventClass.COMPLIANCE, EventClass.DETECTION] = Field(
        default=EventClass.COMPLIANCE, alias="class"
    )
    """``compliance`` (2003) or ``detection`` (2004); Security Lake knows no newer class."""


class SecurityLakeReport(ReportFormat):
    """Parquet with zstd, sorted by time, for a custom source of Security Lake.

    Where the file belongs in the lake says `partition`.
    """

    Options = SecurityLakeOptions
    filename = "findings-{run}.ocsf.parquet"
    media_type = "application/vnd.apache.parquet"

    def render(self, view: ReportView, out: BinaryIO) -> None:
        """Write one row a finding; raises `ConfigError` where pyarrow is not installed."""
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra that most do without
            import pyarrow.parquet as pq  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError(
                "The format security_lake needs pyarrow: pip install 'auditor[parquet]'."
            ) from error
        from auditor.reports.lake.table import table_schema  # noqa: PLC0415 - needs pyarrow

        schema = table_schema(self.options.event_class)
        rows = self._rows(view)
        with pq.ParquetWriter(out, schema, compression="zstd", data_page_size=_PAGE) as writer:
            batches = iter(lambda: list(islice(rows, _ROWS)), [])
            arrays = (pa.RecordBatch.from_pylist(batch, schema=schema) for batch in batches)
            while group := list(islice(arrays, _GROUP)):
                writer.write_table(pa.Table.from_batches(group))

    def _rows(self, view: ReportView) -> Iterator[dict[str, Any]]:
        from auditor.reports.lake.record import record  # noqa: PLC0415 - beside the other

        for finding in view.findings():
            yield record(finding, view.run, self.options.event_class)


def partition(run: RunInfo, *, source: str, region: str, account: str = "external") -> str:
    """Return the folder that Security Lake expects the file in, relative to the bucket.

    *account* is an AWS account's id; for accounts elsewhere ``external`` or ``external_<id>``.
    """
    day = run.now.strftime("%Y%m%d")
    return f"ext/{source}/region={region}/accountId={account}/eventDay={day}/"
