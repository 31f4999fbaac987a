"""One account, read with as few calls as IAM allows.

The credential report and the authorization details are asked for side by side. The report has no
key ids and no call lists them in bulk, so users are asked one by one, as soon as the report is
there, and only those whose slots in it are not those of the last complete collection.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, TypeVar

from auditor.collectors._aws import authorization, whole
from auditor.collectors._aws.answers import Record
from auditor.collectors._aws.authorization import Identities
from auditor.collectors._aws.credentials import Maker
from auditor.collectors._aws.crew import Crew
from auditor.collectors._aws.keys import Key, remembered
from auditor.collectors._aws.options import AwsOptions
from auditor.collectors._aws.permissions import Permissions
from auditor.collectors._aws.report import ROOT, Report
from auditor.collectors._aws.session import Caller
from auditor.collectors._aws.unused import read_unused
from auditor.collectors._aws.users import UserReader
from auditor.collectors.interface import Gap, Item, Note, Page
from auditor.errors import SourceError
from auditor.model import Credential, Organization, PermissionMap

T = TypeVar("T")

_PAGE = 200


@dataclass
class Facts:
    """What was read of an account as a whole."""

    report: Report | None
    identities: Identities
    root_keys: int | None
    """None where it is not known."""
    specific: list[Record]


@dataclass
class Reading:
    """The calls about the account as a whole, on their way; close it with `aclose`."""

    report: asyncio.Task[Report | SourceError]
    details: asyncio.Task[Identities]
    root_keys: asyncio.Task[int | SourceError]
    alias: asyncio.Task[str | SourceError]
    specific: asyncio.Task[list[Record] | SourceError]

    @classmethod
    def start(cls, caller: Caller, options: AwsOptions, now: datetime) -> Self:
        """Ask for everything at once."""
        return cls(
            asyncio.create_task(_caught(whole.credential_report(caller, options, now))),
            asyncio.create_task(authorization.fetch(caller)),
            asyncio.create_task(_caught(whole.root_keys(caller))),
            asyncio.create_task(_caught(whole.alias(caller))),
            asyncio.create_task(_caught(whole.service_specific(caller, options))),
        )

    async def aclose(self) -> None:
        """Stop what nobody waits for any more."""
        tasks = list(vars(self).values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # each is told where it is awaited


class AccountReader:
    """Reads the credentials of one account."""

    def __init__(
        self,
        caller: Caller,
        organization: Organization,
        options: AwsOptions,
        *,
        now: datetime,
        previous: Callable[[str], Iterable[Credential]],
        analyzer: Caller | None = None,
        reading: Reading | None = None,
    ) -> None:
        self._caller = caller
        self._organization = organization
        self._options = options
        self._now = now
        self._previous = previous
        self._analyzer = analyzer or caller
        self._reading = reading
        self._gaps: list[Gap] = []

    async def items(self) -> AsyncIterator[Item]:
        """Yield the account's credentials, then what could not be read of it."""
        reading = self._reading or Reading.start(self._caller, self._options, self._now)
        crew: Crew | None = None
        try:
            before = await asyncio.to_thread(self._remembered)
            report = self._or_gap(await reading.report, "use of keys, MFA, keys of the root user")
            reader = UserReader(self._caller, self._options, report, before, self._now)
            crew = Crew(reader, self._options.concurrency)
            rows = report.rows if report is not None else {}
            # Two keys may need a further call, which everybody else would wait for at the end.
            two_first = sorted(rows.values(), key=lambda row: len(row.slots), reverse=True)
            crew.start([row.user for row in two_first if row.user != ROOT])
            facts = await self._facts(reading, report)
            crew.start([name for name in facts.identities.users if name not in rows])
            async with aclosing(self._pages(facts, crew)) as pages:  # type: ignore[type-var]
                async for page in pages:
                    yield page
        finally:
            await reading.aclose()
            if crew is not None:
                await crew.aclose()
        for name, error in crew.failures.items():
            self._gap(error, f"the credentials of the user {name}")
        for gap in self._gaps:
            yield gap
        if crew.fatal is not None:
            raise crew.fatal

    def _remembered(self) -> dict[str, list[Key]]:
        return remembered(self._previous(self._organization.id))

    async def _facts(self, reading: Reading, report: Report | None) -> Facts:
        identities = await reading.details
        if identities.error is not None:
            if report is None:
                raise identities.error
            self._gap(identities.error, "users, tags and permissions")
        if report is not None and report.malformed:
            message = (
                f"{report.malformed} rows of the credential report of {self._caller.subject} "
                "cannot be read; their users were asked for one by one"
            )
            self._gaps.append(Gap("malformed_record", message, self._organization))
        alias = await reading.alias
        if isinstance(alias, str) and alias and self._organization.name == self._organization.id:
            self._organization = Organization(self._organization.id, alias)
        return Facts(
            report,
            identities,
            self._or_gap(await reading.root_keys, "whether the root user has keys"),
            self._or_gap(await reading.specific, "service-specific credentials") or [],
        )

    async def _pages(self, facts: Facts, crew: Crew) -> AsyncIterator[Page]:
        """Yield the credentials in the order of arrival."""
        maker = await self._maker(facts)
        as_of = facts.report.generated_at if facts.report is not None else self._now
        yield Page(self._organization, tuple(self._at_once(facts, maker)), as_of)
        batch: list[Credential] = []
        async for holding in crew.found():
            batch += maker.credentials(holding)
            if len(batch) >= _PAGE:
                yield Page(self._organization, tuple(batch), as_of)
                batch = []
        if batch:
            yield Page(self._organization, tuple(batch), as_of)

    async def _maker(self, facts: Facts) -> Maker:
        permissions = Permissions(facts.identities, self._organization.id)
        unused: dict[str, PermissionMap] = {}
        try:
            unused = await read_unused(
                self._caller,
                self._analyzer,
                self._options,
                self._organization.id,
                facts.identities,
                permissions,
            )
        except SourceError as error:
            self._gap(error, "permissions that are granted and not used")
        return Maker(
            source=self._options.name,
            organization=self._organization,
            partition=self._options.partition,
            now=self._now,
            owner_tags=self._options.owner_tags,
            report=facts.report,
            identities=facts.identities,
            permissions=permissions,
            unused=unused,
        )

    def _at_once(self, facts: Facts, maker: Maker) -> Iterator[Credential]:
        """Yield what needs no further call: keys of root, passwords, service-specific ones."""
        row = facts.report.rows.get(ROOT) if facts.report is not None else None
        slots = row.slots if row is not None else ()
        if facts.root_keys != 0:  # the summary is newer than the report: 0 means deleted since
            for slot in slots:
                yield maker.root_key(slot, slot.number)
            if facts.root_keys and not slots:
                yield maker.root_key(None, 1)
        if self._options.console_passwords and facts.report is not None:
            for one in facts.report.rows.values():
                password = maker.password(one) if one.user != ROOT else None
                if password is not None:
                    yield password
        for record in facts.specific:
            credential = maker.service_specific(record)
            if credential is not None:
                yield credential

    def _or_gap(self, result: T | SourceError, what: str) -> T | None:
        if not isinstance(result, SourceError):
            return result
        self._gap(result, what)
        return None

    def _gap(self, error: SourceError, what: str) -> None:
        message = f"{self._organization.name}: {what} could not be read. {error}"
        self._gaps.append(Gap(error.kind, message, self._organization))


async def _caught(reading: Coroutine[Any, Any, T]) -> T | SourceError:
    try:
        return await reading
    except SourceError as error:
        return error


def boundary_note(organization: Organization) -> Note:
    """Return what a reader must know about permissions read from policies."""
    return Note(
        "permissions are what policies of users and groups grant within their boundaries; what a "
        "service control policy takes away is not seen",
        organization,
    )
