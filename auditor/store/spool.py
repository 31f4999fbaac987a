"""What a collector yields, kept on disk until the unit is complete and can be written whole."""

import tempfile
from collections.abc import Iterator
from datetime import datetime
from typing import Self

import msgspec

from auditor.errors import StoreError
from auditor.evidence import Amendment, Gap, Item, Note, Page
from auditor.model import Organization
from auditor.store.texts import encodable, safe_id

_MEMORY = 1 << 20


class Spool:
    """The items of one unit, in a temporary file that only this process can read.

    Text that no database can carry is made safe, so that a hostile name never costs a
    credential: see `auditor.store.texts`. Raises `StoreError` where there is no room.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY)  # noqa: SIM115 - close() does
        self._encode = msgspec.msgpack.Encoder().encode
        self.pages = 0
        self.credentials = 0
        self.organizations: dict[str, Organization] = {}
        """By id, as named last."""
        self.data_as_of: dict[str, datetime] = {}
        """By organization, the time of its oldest page that states one."""
        self.gaps: list[Gap] = []
        self.notes: list[Note] = []
        self.amendments: list[tuple[int, Amendment]] = []
        """With the number of pages that came before, which are those it concerns."""

    def append(self, item: Item) -> None:
        """Keep *item*."""
        if isinstance(item, Page):
            self._append_page(item)
        elif isinstance(item, Amendment):
            self.amendments.append((self.pages, encodable(item)))
        elif isinstance(item, Gap):
            self.gaps.append(encodable(item))
        else:
            self.notes.append(encodable(item))

    def _append_page(self, page: Page) -> None:
        try:
            data = self._encode(page)
        except (UnicodeEncodeError, OverflowError):
            page = encodable(page)
            data = self._encode(page)
        try:
            self._file.write(len(data).to_bytes(4, "big"))
            self._file.write(data)
        except OSError as error:
            raise StoreError(
                f"what was read cannot be kept in {tempfile.gettempdir()} ({error.strerror}); "
                "make room there, or set TMPDIR to a larger disk"
            ) from error
        self.pages += 1
        self.credentials += len(page.credentials)
        organization = page.organization
        identity = safe_id(organization.id)
        self.organizations[identity] = organization
        if page.data_as_of is not None:
            known = self.data_as_of.get(identity, page.data_as_of)
            self.data_as_of[identity] = min(known, page.data_as_of)

    def __iter__(self) -> Iterator[Page]:
        """Yield the pages in order; the other items are held in attributes."""
        decode = msgspec.msgpack.Decoder(Page).decode
        self._file.seek(0)
        while length := self._file.read(4):
            yield decode(self._file.read(int.from_bytes(length, "big")))

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
