"""Which reading a file needs: by its configured format, else by what stands at its beginning."""

from collections.abc import Iterator

from auditor.collectors._file.columns import Columns
from auditor.collectors._file.json_reading import JsonReading
from auditor.collectors._file.keycard import KeycardLists
from auditor.collectors._file.opening import Export, failure
from auditor.collectors._file.options import FileOptions
from auditor.collectors._file.session import Event, Session
from auditor.collectors._file.tables import TableReading

_GLANCE = 64 * 1024
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")
"""zip, gzip within gzip, zstandard, bzip2, xz."""
_TABLES = ("csv", "aws-credential-report")


class Reading:
    """Reads the files of one source, one after the other."""

    def __init__(self, options: FileOptions, session: Session) -> None:
        self._options = options
        self._session = session
        self._columns = Columns(options.columns, options.zone) if options.columns else None
        self.keycard = KeycardLists(
            session,
            subject=options.permissions_subject,
            usage_tracked_since=options.usage_tracked_since,
        )

    def read(self, export: Export) -> Iterator[Event]:
        """Yield what *export* holds; raises `SourceError` where it cannot be read on."""
        start = glance(export)
        form = self._options.format
        if not start.strip():
            raise failure("empty_file", f"{export.shown} is empty; export it again.")
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise failure("unknown_format", f"{export.shown} is UTF-16; save it as UTF-8.")
        if start.startswith(_ARCHIVES):
            raise failure("unknown_format", f"{export.shown} is an archive; unpack it.")
        if form in _TABLES or (form == "auto" and not is_json(start)):
            return self._table(export).read()
        if form == "auto" and self._columns is not None:
            form = "json"
        reading = JsonReading(
            export,
            self._session,
            self.keycard,
            form=form,
            columns=self._columns if form == "json" else None,
            records=self._options.records,
        )
        return reading.read(is_lines=is_lines(start, export))

    def _table(self, export: Export) -> TableReading:
        return TableReading(
            export,
            self._session,
            form=self._options.format,
            columns=self._columns,
            delimiter=self._options.delimiter,
            encoding=self._options.encoding,
            include_passwords=self._options.include_passwords,
            zone=self._options.zone,
        )


def glance(export: Export) -> bytes:
    """Return the beginning of *export*, unpacked; raises `SourceError` where it is unreadable."""
    with export.open() as stream:
        return stream.read(_GLANCE)


def is_json(start: bytes) -> bool:
    """Tell whether a file that begins with *start* is JSON rather than a table."""
    return start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def is_lines(start: bytes, export: Export) -> bool:
    """Tell whether every line is a JSON value of its own."""
    if {".ndjson", ".jsonl"} & set(export.path.suffixes):
        return True
    first, end, rest = start.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    is_whole = first.startswith(b"{") and first.rstrip().endswith(b"}")
    return is_whole and bool(end) and rest.lstrip()[:1] in (b"{", b"")
