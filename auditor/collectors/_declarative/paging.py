"""How lists go on: every style as a cursor that `auditor.client.walk` follows with its guards."""

import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from auditor.client import Answer, Batch
from auditor.collectors._declarative.paths import MISSING, checked_path, select
from auditor.errors import UnexpectedResponse

Path = Annotated[str, AfterValidator(checked_path)]


@dataclass(frozen=True)
class Ask:
    """What the next request adds to the first one."""

    params: dict[str, str | int]
    body: dict[str, Any]
    link: str | None = None
    """Instead: a link to follow as it is."""


@dataclass(frozen=True)
class Got:
    """One answer."""

    answer: Answer
    document: Any
    records: list[Any]
    seen: int
    """Records received so far, with these."""


class _Style(BaseModel, ABC):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def ask(self, cursor: str | None) -> Ask:  # noqa: ARG002 - what subclasses read
        """Return what to add for *cursor*, None for the first page."""
        return Ask({}, {})

    @abstractmethod
    def next(self, got: Got, cursor: str | None) -> str | None:
        """Return the next cursor, or None at the end."""


class Single(_Style):
    """Everything at once."""

    style: Literal["single"]

    def next(self, got: Got, cursor: str | None) -> str | None:  # noqa: ARG002 - see above
        """There is no next page."""
        return None


class LinkHeader(_Style):
    """A ``Link`` header with ``rel="next"``."""

    style: Literal["link_header"]
    size_param: str | None = None
    size: int = 100

    def ask(self, cursor: str | None) -> Ask:
        """Follow the link."""
        first: dict[str, str | int] = {self.size_param: self.size} if self.size_param else {}
        return Ask({} if cursor else first, {}, cursor)

    def next(self, got: Got, cursor: str | None) -> str | None:  # noqa: ARG002 - see above
        """Return the link; one that says ``results="false"`` leads to an empty page."""
        header = ",".join(got.answer.headers.get_list("link"))
        for target, details in re.findall(r"<([^>]*)>([^<]*)", header[:20_000]):
            if re.search(r'rel="?next\b', details) and 'results="false"' not in details:
                return str(target)
        return None


class NextUrl(_Style):
    """A URL in the answer, absolute or relative."""

    style: Literal["next_url"]
    path: Path
    size_param: str | None = None
    size: int = 100

    def ask(self, cursor: str | None) -> Ask:
        """Follow the link."""
        first: dict[str, str | int] = {self.size_param: self.size} if self.size_param else {}
        return Ask({} if cursor else first, {}, cursor)

    def next(self, got: Got, cursor: str | None) -> str | None:  # noqa: ARG002 - see above
        """Return the link; some providers wrap it in an object with ``href``."""
        link = select(got.document, self.path)
        if isinstance(link, dict):
            link = link.get("href")
        return _text(link, got)


class PageNumber(_Style):
    """Numbered pages, until the total is reached or a page is empty."""

    style: Literal["page_number"]
    page_param: str = "page"
    first: int = 1
    size_param: str | None = "per_page"
    size: int = 100
    total: Path | None = None
    """How many records there are."""

    def ask(self, cursor: str | None) -> Ask:
        """Name the page."""
        size = {self.size_param: self.size} if self.size_param else {}
        return Ask({self.page_param: int(cursor or self.first), **size}, {})

    def next(self, got: Got, cursor: str | None) -> str | None:
        """Return the next number; a short page proves nothing, as sizes are capped silently."""
        if not got.records or _is_reached(got, self.total):
            return None
        return str(int(cursor or self.first) + 1)


class Offset(_Style):
    """An offset and a limit, until the total is reached or a page is empty."""

    style: Literal["offset"]
    offset_param: str = "offset"
    limit_param: str = "limit"
    limit: int = 100
    total: Path | None = None

    def ask(self, cursor: str | None) -> Ask:
        """Name the offset."""
        return Ask({self.offset_param: int(cursor or 0), self.limit_param: self.limit}, {})

    def next(self, got: Got, cursor: str | None) -> str | None:  # noqa: ARG002 - see above
        """Return how many came so far."""
        if not got.records or _is_reached(got, self.total):
            return None
        return str(got.seen)


class Cursor(_Style):
    """A value of the answer that the next request repeats."""

    style: Literal["cursor"]
    param: str
    path: Path
    more: Path | None = None
    """What says whether there is more; without it, the cursor's absence ends the list."""
    pattern: str | None = None
    """A regular expression whose first group is the cursor, where the value holds more."""
    size_param: str | None = "limit"
    size: int = 100

    def ask(self, cursor: str | None) -> Ask:
        """Repeat the cursor."""
        size: dict[str, str | int] = {self.size_param: self.size} if self.size_param else {}
        return Ask(size | ({self.param: cursor} if cursor else {}), {})

    def next(self, got: Got, cursor: str | None) -> str | None:  # noqa: ARG002 - see above
        """Return the cursor where there is more."""
        found = _announced(got, self.more, self.path)
        if not found or self.pattern is None:
            return found
        match = re.search(self.pattern, found[:8192])
        return unquote(match[1]) if match else ""


class GraphQLCursor(_Style):
    """A GraphQL connection: ``pageInfo`` with ``hasNextPage`` and ``endCursor``."""

    style: Literal["graphql"]
    page_info: Path
    variable: str = "after"

    def ask(self, cursor: str | None) -> Ask:
        """Set the variable."""
        return Ask({}, {"variables": {self.variable: cursor}})

    def next(self, got: Got, cursor: str | None) -> str | None:  # noqa: ARG002 - see above
        """Return the end cursor where there is more."""
        return _announced(got, f"{self.page_info}.hasNextPage", f"{self.page_info}.endCursor")


class SearchAfter(_Style):
    """The sort values of the last record, repeated in the body, until nothing is found."""

    style: Literal["search_after"]
    sort: Path = "_sort"
    param: str = "search_after"
    size_param: str = "size"
    size: int = Field(default=1000, ge=1)

    def ask(self, cursor: str | None) -> Ask:
        """Repeat the sort values."""
        after = {self.param: json.loads(cursor)} if cursor else {}
        return Ask({}, {self.size_param: self.size, **after})

    def next(self, got: Got, cursor: str | None) -> str | None:  # noqa: ARG002 - see above
        """Return the sort values of the last record."""
        if not got.records:
            return None
        values = select(got.records[-1], self.sort)
        if not isinstance(values, list) or not values:
            return ""  # more may follow, and nobody knows where
        return json.dumps(values)


Paging = Single | LinkHeader | NextUrl | PageNumber | Offset | Cursor | GraphQLCursor | SearchAfter


def batch(style: Paging, got: Got, cursor: str | None) -> Batch:
    """Return the page for `walk`."""
    following = style.next(got, cursor)
    # "" announces more without saying where it begins.
    return Batch(got.records, following is not None, following or None)


def _announced(got: Got, more: str | None, path: str) -> str | None:
    """Return the cursor; an empty text where more is announced without one."""
    if more is not None:
        has_more = select(got.document, more)
        if not isinstance(has_more, bool):
            raise UnexpectedResponse(
                f"{got.answer.where} answered without telling in {more} whether more pages follow"
            )
        if not has_more:
            return None
    cursor = _text(select(got.document, path), got)
    return cursor or ("" if more is not None else None)


def _text(value: Any, got: Got) -> str | None:
    if value is None or value is MISSING or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UnexpectedResponse(f"{got.answer.where} names its next page in a way nobody can read")
    return str(value)


def _is_reached(got: Got, total: str | None) -> bool:
    if total is None:
        return False
    value = select(got.document, total)
    return isinstance(value, int) and not isinstance(value, bool) and got.seen >= value
