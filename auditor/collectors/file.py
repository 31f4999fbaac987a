"""Credentials from exported files: our own shape, saved lists, AWS reports, mapped tables."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

from auditor import wording
from auditor.collectors._file.opening import Export, find
from auditor.collectors._file.options import FileOptions
from auditor.collectors._file.reading import Reading, glance
from auditor.collectors._file.session import Event, Gaps, Problem, Seen, Session
from auditor.collectors.interface import Access, Collector, Gap, Item, Page, Unit
from auditor.errors import SourceError, UnexpectedResponse
from auditor.model import Credential, Organization, Principal, PrincipalType

PAGE = 500
"""Credentials handed over at once."""
_PENDING = 2_000
"""Credentials held at most while many organizations are interleaved."""


class FileCollector(Collector):
    """Reads the files that a pattern names; they are one unit, whatever organizations they hold.

    What a file says is judged as of the time its content gives, else of the file's own time, and
    never later than the run's instant.
    """

    Options = FileOptions
    summary = (
        "Exported files: normalized JSON or NDJSON, saved Keycard lists, AWS credential reports, "
        "any CSV or JSON with a column map"
    )
    least_privileges = ("read access to the files",)

    async def units(self) -> list[Unit]:
        """Return the one unit; raises `SourceError` where no file is there to read."""
        self._find()
        return [Unit(key="*")]

    async def collect(self, unit: Unit) -> AsyncIterator[Item]:  # noqa: ARG002 - there is but one
        """Yield the files' credentials by organization, in the order of the files."""
        exports, errors = self._find()
        session = self._session()
        reading = Reading(self.options, session)
        pages = _Pages()
        gaps = Gaps()
        for export in exports:
            try:
                for item in _items(export, reading, pages, gaps):
                    yield item
                    await asyncio.sleep(0)  # others get their turn between pages
            except SourceError as error:
                errors.append(error)
        for page in pages.rest():
            yield page
        if not pages.is_any and not errors and not gaps.total:
            yield Page(session.organization(None), (), _oldest(exports, session))
        _raise_if_nothing(errors, gaps, is_any=pages.is_any)
        for gap in (*gaps.rest(), *(Gap(error.kind, str(error)) for error in errors)):
            yield gap
        for last in (*reading.keycard.conclude(), *session.notes()):
            yield last

    async def check(self) -> list[Access]:
        """Return for every file whether it can be opened, and how old it is."""
        exports, errors = self._find()
        rows = [Access(str(error), "read", is_granted=False) for error in errors]
        for export in exports:
            try:
                glance(export)
            except SourceError as error:
                rows.append(Access(export.shown, "read", is_granted=False, detail=str(error)))
            else:
                written = f"written {export.modified_at:%Y-%m-%d %H:%M} UTC"
                rows.append(Access(export.shown, "read", is_granted=True, detail=written))
        return rows

    def _find(self) -> tuple[list[Export], list[SourceError]]:
        patterns = tuple(self.context.resolve(pattern) for pattern in self.options.patterns)
        exports, errors = find(patterns, self.context.directory)
        if not exports:
            raise errors[0]
        return exports, errors

    def _session(self) -> Session:
        options: FileOptions = self.options
        organization, principal = options.organization, options.principal
        return Session(
            source=options.name,
            now=self.context.now,
            default_organization=Organization(id=organization.id, name=organization.name)
            if organization
            else Organization(id=options.name, name=options.name),
            default_principal=Principal(
                id=principal.id, name=principal.name or principal.id, type=principal.type
            )
            if principal
            else Principal(id="unknown", name="unknown", type=PrincipalType.UNKNOWN),
            zone=options.zone,
            stated_data_as_of=options.data_as_of,
            organization_names=options.organization_names,
        )


class _Pages:
    """Gathers credentials by organization into pages."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Credential]] = {}
        self._count = 0
        self.is_any = False

    def add(self, credential: Credential) -> tuple[Page, ...]:
        """Take *credential*; return the pages that are full."""
        waiting = self._waiting.setdefault(credential.organization.id, [])
        waiting.append(credential)
        self._count += 1
        if len(waiting) >= PAGE:
            del self._waiting[credential.organization.id]
            self._count -= len(waiting)
            return (self._page(waiting),)
        return tuple(self.rest()) if self._count >= _PENDING else ()

    def rest(self) -> Iterator[Page]:
        """Yield what waits still."""
        waiting, self._waiting, self._count = self._waiting, {}, 0
        for credentials in waiting.values():
            yield self._page(credentials)

    def seen(self, seen: Seen) -> Page:
        """Return the empty page that tells of an organization."""
        self.is_any = True
        return Page(seen.organization, (), seen.data_as_of)

    def _page(self, credentials: list[Credential]) -> Page:
        self.is_any = True
        oldest = min([credential.data_as_of for credential in credentials])
        return Page(credentials[0].organization, tuple(credentials), oldest)


def _items(export: Export, reading: Reading, pages: _Pages, gaps: Gaps) -> Iterator[Page | Gap]:
    event: Event
    for event in reading.read(export):
        if isinstance(event, Credential):
            full = pages.add(event)
            if full:
                yield from full
        elif isinstance(event, Problem):
            gap = gaps.add(export.shown, event)
            if gap is not None:
                yield gap
        else:
            yield pages.seen(event)


def _oldest(exports: list[Export], session: Session) -> datetime:
    return min(session.file_time(export) for export in exports)


def _raise_if_nothing(errors: list[SourceError], gaps: Gaps, *, is_any: bool) -> None:
    """Fail the source where not one credential could be read, with the first reason."""
    if is_any:
        return
    if errors:
        raise errors[0]
    if gaps.total:
        failure: Any = UnexpectedResponse(
            f"none of {wording.count(gaps.total, 'record')} could be read ({gaps.first}). "
            "Correct `format` or `columns` of this source, or export the files again."
        )
        failure.kind = "malformed_record"
        raise failure
