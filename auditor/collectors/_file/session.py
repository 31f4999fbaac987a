"""What the readings of one run share: settings, the organizations met, what went wrong."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from msgspec import Struct

from auditor import wording
from auditor.collectors._file import scrub
from auditor.collectors._file.facts import CLOCKS_APART
from auditor.collectors._file.opening import Export
from auditor.collectors.interface import Gap, Note
from auditor.model import Credential, Organization, Principal

SHOWN_GAPS = 5
"""Messages per organization, file and reason; the rest is counted."""


LONGEST_ID = 1000
"""Characters of a uid or organization id: what every database can index."""


class Problem(Struct, frozen=True, gc=False):
    """A record, or a field of it, that cannot be used."""

    reason: str
    line: int
    message: str
    organization: Organization | None = None


class Seen(Struct, frozen=True, gc=False):
    """An organization was listed, be it without a single credential."""

    organization: Organization
    data_as_of: datetime


Event = Credential | Seen | Problem


@dataclass
class Session:
    """One pass over the files of a source."""

    source: str
    now: datetime
    default_organization: Organization
    default_principal: Principal
    zone: tzinfo | None = None
    stated_data_as_of: datetime | None = None
    """The `data_as_of` option: for exports whose content has no time of its own."""
    organization_names: Mapping[str, str] = field(default_factory=dict)
    organizations: dict[str, Organization] = field(default_factory=dict)
    future: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Records by organization and field that claim a time later than now."""
    secrets: Counter[str] = field(default_factory=Counter)
    """Values per organization that were dropped for their shape."""
    foreign: Counter[str] = field(default_factory=Counter)
    """Texts per organization that hold bytes which are no UTF-8."""

    def __post_init__(self) -> None:
        self.latest = self.now + CLOCKS_APART

    def organization(self, found: Organization | None) -> Organization:
        """Return the one value that stands for an organization; the first name met stays."""
        if found is None:
            found = self.default_organization
        known = self.organizations.get(found.id)
        if known is not None:
            return known
        name = self.organization_names.get(found.id) or found.name or found.id
        known = self.organizations[found.id] = Organization(id=found.id, name=name)
        return known

    def file_time(self, export: Export) -> datetime:
        """Return when *export* was true, as far as the file itself tells; never after now."""
        return min(self.stated_data_as_of or export.modified_at, self.now)

    def not_after_now(self, claimed: datetime, organization: Organization) -> datetime:
        """Return *claimed*, or now for data that claim to come from the future."""
        if claimed <= self.now:
            return claimed
        self.future[(organization.id, "data_as_of")] += 1
        return self.now

    def notes(self) -> Iterator[Note]:
        """Yield what readers of the numbers must know."""
        for (key, name), count in sorted(self.future.items()):
            instead = "the run's own time" if name == "data_as_of" else "unknown"
            yield Note(
                f"{name} lies in the future in {wording.count(count, 'record')}; "
                f"the value is {instead} there.",
                self.organizations[key],
            )
        for key, count in self.foreign.items():
            yield Note(
                f"{wording.count(count, 'text holds', 'texts hold')} bytes that are no UTF-8, "
                "shown as \N{REPLACEMENT CHARACTER}; export as UTF-8, or say a table's `encoding`.",
                self.organizations[key],
            )
        for key, count in self.secrets.items():
            yield Note(
                f"{wording.count(count, 'value')} shaped like secret material left out; "
                "have the exporter do so.",
                self.organizations[key],
            )


class Gaps:
    """Counts problems and shows the first few of each kind, so that one bad export stays short."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str | None], int] = defaultdict(int)
        self._organizations: dict[str | None, Organization | None] = {}
        self.total = 0
        self.first = ""
        """What was met first."""

    def add(self, shown: str, problem: Problem) -> Gap | None:
        """Return the gap to report now, None where enough of its kind were."""
        self.total += 1
        key = problem.organization.id if problem.organization else None
        self._organizations[key] = problem.organization
        self._counts[(shown, problem.reason, key)] += 1
        if self._counts[(shown, problem.reason, key)] > SHOWN_GAPS:
            return None
        message = f"{shown}, line {problem.line}: {problem.message}"
        self.first = self.first or message
        return Gap(problem.reason, message, problem.organization)

    def rest(self) -> Iterator[Gap]:
        """Yield one gap per kind for what `add` only counted."""
        for (shown, reason, key), count in self._counts.items():
            if count > SHOWN_GAPS:
                more = f"{shown}: and {count - SHOWN_GAPS} more like this"
                yield Gap(reason, more, self._organizations[key])


def named(value: Any) -> Organization | None:
    """Return the organization that *value* (an id, or a map with id and name) stands for."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_ID and not scrub.is_secret(value):
        return Organization(id=scrub.clean_text(value), name="")
    if isinstance(value, Mapping):
        found, name = named(value.get("id")), value.get("name") or value.get("label")
        if found is not None and isinstance(name, str) and not scrub.is_secret(name):
            return Organization(id=found.id, name=scrub.clean_text(name))
        return found
    return None
