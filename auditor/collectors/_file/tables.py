"""Read CSV exports: AWS credential reports and any other table with a column map."""

import codecs
import csv
from collections.abc import Iterator
from datetime import tzinfo
from io import BytesIO
from typing import Protocol

from auditor.collectors._file import patient, scrub
from auditor.collectors._file.aws_report import AwsReport, is_report
from auditor.collectors._file.columns import TARGETS, Column, Columns
from auditor.collectors._file.facts import has_foreign_bytes
from auditor.collectors._file.normalized import Head
from auditor.collectors._file.opening import Export, failure, lines
from auditor.collectors._file.session import Event, Problem, Session


class _Rows(Protocol):
    """What `csv.reader` returns: the typing of the standard library hides its name."""

    line_num: int

    def __next__(self) -> list[str]: ...


_DELIMITERS = ",;\t|"


class TableReading:
    """Reads one CSV file; *form* is ``auto``, ``csv`` or ``aws-credential-report``."""

    def __init__(
        self,
        export: Export,
        session: Session,
        *,
        form: str,
        columns: Columns | None,
        delimiter: str | None,
        encoding: str,
        include_passwords: bool,
        zone: tzinfo | None,
    ) -> None:
        self._export = export
        self._session = session
        self._form = form
        self._columns = columns
        self._delimiter = delimiter
        self._encoding = encoding
        self._zone = zone
        self._include_passwords = include_passwords
        self._head = Head(data_as_of=session.file_time(export))
        self._is_utf8 = codecs.lookup(encoding).name == "utf-8"
        self._quotes = 0
        """Quotation marks in the row being read."""

    def read(self) -> Iterator[Event]:
        """Yield what the table holds; raises `SourceError` where it cannot be read at all."""
        texts = self._texts()
        first = next(texts, None)
        if first is None:
            raise failure("empty_file", f"{self._export.shown} is empty; export it again.")
        rows = csv.reader(_chain(first, texts), delimiter=self._delimiter or _guess(first))
        try:
            header = [name.strip() for name in next(rows, [])]
        except csv.Error as error:
            raise failure(
                "malformed_file", f"{self._export.shown}: the header row is not CSV ({error})."
            ) from error
        if self._form == "aws-credential-report" or (
            self._form == "auto" and self._columns is None and is_report(header)
        ):
            yield from self._read_report(header, rows)
        else:
            yield from self._read_mapped(header, rows)

    def _read_report(self, header: list[str], rows: "_Rows") -> Iterator[Event]:
        if not is_report(header):
            raise failure(
                "malformed_file",
                f"{self._export.shown} is no AWS credential report: its header lacks `user`, "
                "`arn` or the access_key columns. Download it again or correct `format`.",
            )
        report = AwsReport(self._session, self._head, include_passwords=self._include_passwords)
        for line, row in self._records(header, rows):
            if isinstance(row, Problem):
                yield row
            else:
                cells = {name: scrub.clean_text(cell) for name, cell in row.items()}
                yield from report.read(cells, line)

    def _read_mapped(self, header: list[str], rows: "_Rows") -> Iterator[Event]:
        columns = self._columns or self._same_names(header)
        twice = columns.ambiguous(header)
        if twice:
            raise failure(
                "ambiguous_column",
                f"{self._export.shown} has more than one column {', '.join(map(repr, twice))}; "
                "give each a heading of its own.",
            )
        missing = columns.missing(header)
        if missing:
            raise failure(
                "missing_column",
                f"{self._export.shown} has no column {', '.join(map(repr, missing))}; it has "
                f"{', '.join(map(repr, header))}. Correct `columns` of this source.",
            )
        for line, row in self._records(header, rows):
            if isinstance(row, Problem):
                yield row
            else:
                record, problems = columns.translate_row(row)
                yield from patient.read(record, line, self._head, self._session, problems)

    def _same_names(self, header: list[str]) -> Columns:
        """Return the map of a table whose columns are called as our fields are."""
        names = [name for name in header if name in TARGETS or name.startswith("tags.")]
        if not {"id", "uid"} & set(names):
            raise failure(
                "unknown_format",
                f"{self._export.shown} is a table of unknown columns ({', '.join(header[:12])}); "
                "say under `columns` of this source which one is `id`, `name`, `created_at` …",
            )
        return Columns({name: Column(column=name) for name in names}, self._zone)

    def _records(
        self, header: list[str], rows: "_Rows"
    ) -> Iterator[tuple[int, dict[str, str] | Problem]]:
        """Yield each row by column name; a row of another length proves nothing and is lost."""
        width = len(header)
        while True:
            started = rows.line_num + 1
            self._quotes = 0
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                line = rows.line_num
                yield line, Problem("malformed_record", line, f"this row is lost: {error}")
                continue
            if not row:
                continue
            if rows.line_num > started and self._quotes % 2:
                # Only the end of the file closes it; the lines behind it went into one cell.
                message = "a quote that opens here is never closed; the rows from here on are lost"
                yield started, Problem("malformed_record", started, message)
                continue
            if len(row) < width or any(row[width:]):
                yield (
                    rows.line_num,
                    Problem(
                        "malformed_record",
                        rows.line_num,
                        f"this row is lost: it has {len(row)} cells under {width} headings; "
                        "export the file again",
                    ),
                )
                continue
            yield rows.line_num, dict(zip(header, row, strict=False))

    def _texts(self) -> Iterator[str]:
        with self._export.open() as stream:
            for first, block in lines(stream):
                if block is None:
                    raise failure(
                        "malformed_file",
                        f"{self._export.shown}, line {first}: the line is longer than 16 MiB; "
                        "this is no table. The rest was not read.",
                    )
                for number, line in enumerate(BytesIO(block), first):
                    yield self._text(line, number)

    def _text(self, line: bytes, number: int) -> str:
        text = line.decode(self._encoding, "surrogateescape" if self._is_utf8 else "replace")
        if number == 1 and not text.isascii() and has_foreign_bytes(text):
            raise failure(
                "wrong_encoding",
                f"{self._export.shown} is not in {self._encoding}; save it as UTF-8, or set "
                "`encoding` of this source, such as cp1252.",
            )
        self._quotes += text.count('"')
        return text


def _guess(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
