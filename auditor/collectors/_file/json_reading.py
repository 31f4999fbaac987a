"""Read JSON and NDJSON exports: normalized records, saved list responses, mapped records."""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from typing import Any

from auditor.collectors._file import normalized, patient, scrub
from auditor.collectors._file.columns import Columns
from auditor.collectors._file.documents import Element, Names, elements, unpack
from auditor.collectors._file.keycard import KeycardLists
from auditor.collectors._file.normalized import HEAD_KEYS, Head
from auditor.collectors._file.opening import LARGEST_RECORD, Export, lines
from auditor.collectors._file.session import Event, Problem, Seen, Session
from auditor.errors import SourceError

NORMALIZED_NAMES = frozenset({"credentials", "records"})
KEYCARD_NAMES = frozenset({"items"})


class JsonReading:
    """Reads one JSON file; *form* is ``auto``, ``normalized``, ``keycard`` or ``json``."""

    def __init__(
        self,
        export: Export,
        session: Session,
        keycard: KeycardLists,
        *,
        form: str,
        columns: Columns | None,
        records: str | None,
    ) -> None:
        self._export = export
        self._session = session
        self._keycard = keycard
        self._form = form
        self._columns = columns
        self._head = Head(data_as_of=session.file_time(export))
        if form == "json":
            self._names = Names(path=tuple(records.split(".")) if records else ())
        elif form == "auto":
            self._names = Names(names=NORMALIZED_NAMES | KEYCARD_NAMES)
        else:
            self._names = Names(names=KEYCARD_NAMES if form == "keycard" else NORMALIZED_NAMES)

    def read(self, *, is_lines: bool) -> Iterator[Event]:
        """Yield what the file holds; raises `SourceError` where it cannot be read on."""
        return self._read_lines() if is_lines else self._read_documents()

    def _read_lines(self) -> Iterator[Event]:
        head, session = self._head, self._session
        is_fast = self._form in ("auto", "normalized")
        from_json, may_hold_secret = normalized.from_json, scrub.may_hold_secret
        with self._export.open() as stream:
            for first, block in lines(stream):
                if block is None:
                    yield _oversized(first, head, session)
                    continue
                is_clean = not may_hold_secret(block)
                for number, line in enumerate(BytesIO(block), first):
                    if is_fast and (is_clean or not may_hold_secret(line)):
                        credential = from_json(line, head, session)
                        if credential is not None:
                            yield credential
                            continue
                    if not line.isspace():
                        head = yield from self._read_line(number, line, head)

    def _read_line(self, number: int, line: bytes, head: Head) -> Generator[Event, None, Head]:
        """Read a line that is not simply a well-formed record; returns the head from here on."""
        try:
            value = _parse(line)
        except (ValueError, RecursionError):
            yield Problem(
                "malformed_record",
                number,
                "this line is not JSON and is lost; export it again",
                head.organization and self._session.organization(head.organization),
            )
            return head
        if isinstance(value, Mapping) and self._is_head(value):
            head = head.read(value)
            yield from _seen(head, self._session)
            return head
        for element in unpack(value, self._names, number):
            yield from self._element(element, head.read(element.head), element.head)
        return head

    def _is_head(self, value: Mapping[str, Any]) -> bool:
        """Tell whether a line says something about the lines after it instead of a credential."""
        return self._form in ("auto", "normalized") and bool(value) and value.keys() <= HEAD_KEYS

    def _read_documents(self) -> Iterator[Event]:
        heads = self._heads()
        document, outer, head = -1, dict[str, Any](), self._head
        with self._export.open() as stream:
            for element in elements(stream, self._names, self._export.shown):
                if element.document != document or element.document not in heads:
                    document = element.document
                    outer = heads.get(document, element.head)
                    head = self._head.read(outer)
                yield from self._element(element, head, outer)

    def _heads(self) -> dict[int, dict[str, Any]]:
        """Return what each document says beside its records: it may stand behind them.

        This reads the file once more, unless it is a bare array or plain values. Where it breaks
        off, so will the reading proper, which then says so.
        """
        found: dict[int, dict[str, Any]] = {}
        with suppress(SourceError), self._export.open() as stream:
            for element in elements(stream, self._names, self._export.shown):
                if element.key is None and not element.is_end:
                    break
                found[element.document] = element.head
        return found

    def _element(self, element: Element, head: Head, outer: Mapping[str, Any]) -> Iterator[Event]:
        value, line, key = element.value, element.line, element.key
        if element.is_end:
            if self._form == "keycard" or key in KEYCARD_NAMES:
                self._keycard.close_page(self._export.shown, outer, head)
            yield from _seen(head, self._session)
        elif self._columns is not None:
            value, problems = self._columns.translate_json(value)
            yield from patient.read(value, line, head, self._session, problems)
        elif self._form == "keycard" or key in KEYCARD_NAMES:
            yield from self._keycard.read(value, line, head, outer)
        else:
            credential = None
            if element.source and not scrub.may_hold_secret(element.source):
                credential = normalized.from_json(element.source, head, self._session)
            if credential is not None:
                yield credential
            else:
                yield from patient.read(value, line, head, self._session)


def _parse(line: bytes) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    return json.loads(line.decode("utf-8", "surrogateescape"), parse_constant=refuse)


def _seen(head: Head, session: Session) -> Iterator[Seen]:
    """An export that names its organization lists it even when it is empty."""
    if head.organization is not None:
        yield Seen(session.organization(head.organization), min(head.data_as_of, session.now))


def _oversized(line: int, head: Head, session: Session) -> Problem:
    return Problem(
        "oversized_record",
        line,
        f"this line is longer than {LARGEST_RECORD // 2**20} MiB and is lost; "
        "write one credential per line",
        head.organization and session.organization(head.organization),
    )
