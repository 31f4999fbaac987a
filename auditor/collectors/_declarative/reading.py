"""Reading one organization: lists, the lists below them, and what could not be read."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from auditor.client import BrokenPaging, Client, fan_out
from auditor.collectors._declarative.asking import Listing
from auditor.collectors._declarative.mapping import Mapper
from auditor.collectors._declarative.paths import MISSING, select
from auditor.collectors._declarative.schema import JoinSpec, Step
from auditor.collectors.interface import Gap, Item, Note, Page
from auditor.errors import AuthenticationFailed, SourceError

_GAPS_SHOWN = 5
_FAILURES_IN_A_ROW = 5  # of parts of one organization, before the rest is given up

Variables = dict[str, Any]


@dataclass(frozen=True)
class _Parent:
    """A record that other lists are read for."""

    step: Step
    variables: Variables


@dataclass
class Reading:
    """One organization being read."""

    client: Client
    steps: tuple[Step, ...]
    """Those that apply, without the one that lists organizations."""
    mapper: Mapper
    variables: Variables
    _tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    _gaps: list[Gap] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)
    _left_out: int = 0
    _failures: int = 0
    _has_answered: bool = False
    """Whether any list of credentials was answered."""
    _first_error: SourceError | None = None

    async def items(self) -> AsyncGenerator[Item, None]:
        """Yield pages, then what was missing; raises `SourceError` where nothing can be read."""
        try:
            await self._fill_tables()
            for step in self.steps:
                if step.each is None and self._leads_somewhere(step):
                    async with aclosing(self._top(step)) as items:
                        async for item in items:
                            yield item
        except SourceError:
            for item in self._conclusions():
                yield item
            raise
        if self._first_error is not None and not self._has_answered:
            raise self._first_error
        for item in self._conclusions():
            yield item

    def _leads_somewhere(self, step: Step) -> bool:
        """Whether credentials come from *step* or from one below it, not from a join alone."""
        return step.credentials is not None or any(map(self._leads_somewhere, self._below(step)))

    def _below(self, step: Step) -> list[Step]:
        return [one for one in self.steps if one.each == step.id]

    async def _top(self, step: Step) -> AsyncGenerator[Item, None]:
        async with aclosing(self._side_by_side(self._guarded(step, self.variables))) as items:
            async for item in items:
                yield item

    def _side_by_side(self, found: AsyncIterator[Item | _Parent]) -> AsyncGenerator[Item, None]:
        return fan_out(found, self._deeper, self.client.options.concurrency)

    async def _deeper(self, found: Item | _Parent) -> AsyncIterator[Item]:
        if not isinstance(found, _Parent):
            yield found
            return
        for step in self._below(found.step):
            listed = self._guarded(step, found.variables)
            # What has lists below it is read side by side again; a last list is one request or few.
            deeper = self._side_by_side(listed) if self._below(step) else listed
            async with aclosing(deeper) as items:
                async for item in items:
                    assert not isinstance(item, _Parent)  # noqa: S101 - a last list has none
                    yield item

    async def _guarded(
        self, step: Step, variables: Variables
    ) -> AsyncGenerator[Item | _Parent, None]:
        """Read one list; what goes wrong with it is remembered and the rest goes on."""
        try:
            async for found in self._read(step, variables):
                yield found
            self._failures = 0
        except AuthenticationFailed:
            raise
        except SourceError as error:
            if self._is_skipped(step, error):
                self._has_answered = self._has_answered or step.credentials is not None
                if step.each is None:
                    self._notes.append(
                        f"{step.id}: the provider answered {error.status}; there is none, or it is "
                        "hidden from the auditor."
                    )
                return
            self._first_error = self._first_error or error
            self._failures += 1
            self._missing(Gap(error.kind, str(error), self.mapper.organization))
            if self._failures >= _FAILURES_IN_A_ROW and not isinstance(error, BrokenPaging):
                raise

    @staticmethod
    def _is_skipped(step: Step, error: SourceError) -> bool:
        """Whether there is nothing to read: by the description, or a record that has vanished."""
        policy = step.on_status.get(error.status or 0)
        return policy == "skip" or (policy is None and error.status == 404 and bool(step.each))

    async def _read(self, step: Step, variables: Variables) -> AsyncIterator[Item | _Parent]:
        below = [trimmed_for(one, step.id, self.steps) for one in self._below(step)]
        listing = Listing(self.client, step, variables)
        async for records in listing.pages():
            views = [view for record in records for view in self._views(step, record, variables)]
            if step.credentials is not None:
                self._has_answered = True
                yield self._page(step, views, variables)
            for view in views if below else ():
                kept = {name: view[name] for names in below for name in names if name in view}
                yield _Parent(step, {**variables, step.id: kept})
        for gap in listing.shortfalls():
            self._missing(Gap("cut_short", gap, self.mapper.organization))

    def _page(self, step: Step, views: list[Any], variables: Variables) -> Page:
        assert step.credentials is not None  # noqa: S101 - asked before
        found = []
        for view in views:
            credential = self.mapper.credential(view, step.credentials, variables)
            if credential is None:
                self._malformed(step)
            else:
                found.append(credential)
        return Page(self.mapper.organization, tuple(found))

    def _views(self, step: Step, record: Any, variables: Variables) -> Iterator[dict[str, Any]]:
        """Yield what the paths of *step* see: the record, and the records beside and above it."""
        if not isinstance(record, dict):
            self._malformed(step)
            return
        above = {f"@{name}": value for name, value in variables.items() if isinstance(value, dict)}
        inner = [record]
        if step.expand is not None:
            listed = select(record, step.expand)
            inner = [one for one in listed if isinstance(one, dict)] if _is_list(listed) else []
            above["@outer"] = record
        for one in inner:
            view = {**one, **above}
            for name, join in step.join.items():
                if join.step is not None:
                    view[f"@{name}"] = self._joined(join.step, join, view)
            yield view

    def _joined(self, step: str, join: JoinSpec, view: dict[str, Any]) -> Any:
        value = select(view, join.by)
        table = self._tables.get(step, {})
        return table.get(str(value), {}) if value not in (None, MISSING) else {}

    async def _fill_tables(self) -> None:
        """Read the lists that other steps join, once and before them."""
        joins = [(name, join, step) for step in self.steps for name, join in step.join.items()]
        for wanted in dict.fromkeys(join.step for _name, join, _step in joins if join.step):
            users = [(name, join, step) for name, join, step in joins if join.step == wanted]
            fields = set[str]().union(*(_fields_of(name, step) for name, _join, step in users))
            other = next(one for one in self.steps if one.id == wanted)
            self._tables[wanted] = await self._table(other, users[0][1].key, fields)

    async def _table(self, step: Step, key: str, fields: set[str]) -> dict[str, Any]:
        table: dict[str, Any] = {}
        try:
            async for records in Listing(self.client, step, self.variables).pages():
                for record in records:
                    found = select(record, key)
                    if isinstance(found, str | int):
                        table[str(found)] = {
                            name: record[name] for name in fields if name in record
                        }
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self._notes.append(f"{step.id} could not be read, so what it tells is unknown: {error}")
        return table

    def _malformed(self, step: Step) -> None:
        what = f"A record of {step.id} has no usable id and was left out; report it to the provider"
        self._missing(Gap("malformed_record", what, self.mapper.organization))

    def _missing(self, gap: Gap) -> None:
        if len(self._gaps) < _GAPS_SHOWN:
            self._gaps.append(gap)
        else:
            self._left_out += 1

    def _conclusions(self) -> Iterator[Item]:
        organization = self.mapper.organization
        yield from self._gaps
        if self._left_out:
            more = f"{self._left_out} more parts could not be read either"
            yield Gap("incomplete", more, organization)
        yield from (Note(text, organization) for text in self._notes)
        for problem, count in sorted(self.mapper.problems.items()):
            yield Note(f"{problem} in {count} records; the value is unknown there.", organization)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _fields_of(name: str, step: Step) -> set[str]:
    """Return the fields of joined or parent records *name* that *step* looks at."""
    dumped = step.model_dump_json(exclude_none=True)
    return set(re.findall(rf"(?:@|\$\{{){re.escape(name)}\.([\w-]+)", dumped))


def trimmed_for(step: Step, parent: str, steps: tuple[Step, ...]) -> set[str]:
    """Return the fields of *parent*'s records that *step*, or one below it, looks at."""
    below = [one for one in steps if one.each == step.id]
    return _fields_of(parent, step).union(*(trimmed_for(one, parent, steps) for one in below))
