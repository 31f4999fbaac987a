"""Providers that are described as data: one collector for every plain REST or GraphQL API.

A description says how to log in, what to list, how lists go on and what the fields mean; see
``descriptions/``. Whether a null or missing last use means *never* or *unknown* is decided there,
from the provider's documentation, and carried out here.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import httpx

from auditor.client import Client, Dialect, Sign, Wait, origin_of
from auditor.collectors._declarative.again import Again
from auditor.collectors._declarative.asking import Listing
from auditor.collectors._declarative.loading import json_schema, load_description
from auditor.collectors._declarative.login import login
from auditor.collectors._declarative.mapping import Mapper
from auditor.collectors._declarative.options import DescribedOptions, options_type, values
from auditor.collectors._declarative.paths import select
from auditor.collectors._declarative.reading import Reading
from auditor.collectors._declarative.schema import Description, RateLimit, Step
from auditor.collectors._declarative.templates import filled, text
from auditor.collectors._declarative.trial import Trial
from auditor.collectors._declarative.trial import attempt as _attempt
from auditor.collectors.interface import Access, Collector, Context, Item, Unit
from auditor.errors import AuthenticationFailed, SourceError, UnexpectedResponse
from auditor.model import Credential, Organization

__all__ = ["Declarative", "Trial", "attempt", "described", "description_schema"]


class Declarative(Collector):
    """Reads what its description describes."""

    description: ClassVar[Description]
    options: DescribedOptions

    def __init__(self, options: DescribedOptions, context: Context) -> None:
        super().__init__(options, context)
        self._values = dict(values(options, self.description))
        self._client = Client(
            options.base_url,
            options,
            auth=login(self.description.auth, self._values),
            dialect=_dialect(self.description.rate_limit),
            headers=filled(self.description.headers, self._values),
            hint=f"`auditor providers show {self.description.id}`",
            directory=context.directory,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @property
    def reads_all(self) -> bool:
        """Whether nothing narrows the organizations."""
        option = self.description.units.option
        return option is None or not self._values.get(option)

    async def units(self) -> list[Unit]:
        """Return one unit per organization."""
        rule = self.description.units
        chosen = self._values.get(rule.option) if rule.option else None
        if rule.list is not None:
            return await self._listed_units(chosen)
        if chosen:
            return [Unit(name, Organization(name, name)) for name in chosen]
        return [Unit("*", self._only_organization())]

    async def collect(self, unit: Unit) -> AsyncIterator[Item]:
        """Yield the credentials of one organization."""
        if unit.organization is None:
            raise UnexpectedResponse(f"{self.description.title} knows no unit {unit.key!r}")
        reading = self._reading(unit.organization)
        async with aclosing(reading.items()) as items:
            async for item in items:
                yield item

    async def refresh(self, credential: Credential) -> Credential | None:
        """Read one credential again by the call that its step names; None where it is gone."""
        reading = self._reading(credential.organization)
        again = Again(
            self._client,
            reading.steps,
            reading.mapper,
            reading.variables,
            self.description.title,
        )
        return await again.read(credential)

    async def check(self) -> list[Access]:
        """Ask for the first page of every list that needs no other one."""
        rows = []
        for unit in await self.units():
            assert unit.organization is not None  # noqa: S101 - made above
            reading = self._reading(unit.organization)
            first = (step for step in reading.steps if step.each is None)
            rows += [await self._access(unit, step, reading.variables) for step in first]
        return rows

    async def _access(self, unit: Unit, step: Step, variables: dict[str, Any]) -> Access:
        what = step.needs or f"to list {step.id.replace('_', ' ')}"
        assert unit.organization is not None  # noqa: S101 - asked before
        name = unit.organization.name
        try:
            async with aclosing(Listing(self._client, step, variables).pages()) as pages:
                async for _records in pages:
                    break
        except AuthenticationFailed:
            raise
        except SourceError as error:
            if step.on_status.get(error.status or 0) == "skip":
                return Access(name, what, is_granted=True, detail="there is none")
            return Access(name, what, is_granted=False, detail=str(error))
        return Access(name, what, is_granted=True)

    async def _listed_units(self, chosen: Any) -> list[Unit]:
        rule = self.description.units
        step = next(one for one in self.description.steps if one.id == rule.list)
        units: dict[str, Unit] = {}
        async for records in Listing(self._client, step, self._variables(None)).pages():
            for record in records:
                found, name = select(record, rule.id), select(record, rule.name)
                if isinstance(found, bool) or not isinstance(found, str | int) or not str(found):
                    raise UnexpectedResponse(f"{step.id} listed a record without a usable id")
                label = name if isinstance(name, str) and name else str(found)
                units[str(found)] = Unit(str(found), Organization(str(found), label))
        if not chosen:
            return list(units.values())
        named = {unit.organization.name: key for key, unit in units.items() if unit.organization}
        wanted = [named.get(name, name) for name in chosen]
        return [units.get(key, Unit(key, Organization(key, key))) for key in wanted]

    def _only_organization(self) -> Organization:
        template = self.description.organization
        name = text(template, self._variables(None)) if template else self.options.name
        return Organization(name, name)

    def _variables(self, organization: Organization | None) -> dict[str, Any]:
        host = origin_of(httpx.URL(self.options.base_url)).host
        found = {**self._values, "host": host}
        return found if organization is None else {**found, "organization": organization.id}

    def _reading(self, organization: Organization) -> Reading:
        description = self.description
        variables = self._variables(organization)
        steps = tuple(
            step
            for step in description.steps
            if step.id != description.units.list
            and (step.if_option is None or self._values.get(step.if_option))
            and (step.unless_option is None or not self._values.get(step.unless_option))
        )
        mapper = Mapper(
            provider=description.id,
            tenant=text(description.tenant, variables),
            source=self.options.name,
            organization=organization,
            now=self.context.now,
        )
        return Reading(self._client, steps, mapper, variables)


def described(path: Path) -> type[Declarative]:
    """Return the collector for the description at *path*; raises `ConfigError`."""
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        changed = 0
    return _described(path, changed)


async def attempt(collector: type[Declarative], responses: Path, now: datetime) -> Trial:
    """Read everything once from the answers saved in *responses*; raises `ConfigError`."""
    return await _attempt(collector, collector.description.base_url, responses, now)


def description_schema() -> dict[str, Any]:
    """Return the JSON Schema of a description, for editors."""
    return json_schema()


@lru_cache(maxsize=64)
def _described(path: Path, _changed: int) -> type[Declarative]:
    description = load_description(path)
    return type(
        f"Declarative_{description.id}",
        (Declarative,),
        {
            "__doc__": description.summary,
            "__module__": __name__,
            "Options": options_type(description),
            "description": description,
            "summary": description.summary,
            "usage_is_recorded": description.usage_is_recorded,
            "least_privileges": description.least_privileges,
            "last_use": description.last_use,
            "limits": description.limits,
            "verified": description.verified.said,
        },
    )


def _dialect(limit: RateLimit) -> Dialect:
    return Dialect(
        tuple(Sign(sign.status, sign.header, sign.equals) for sign in limit.signs),
        tuple(Wait(wait.header, wait.unit, wait.pattern) for wait in limit.waits),
    )
