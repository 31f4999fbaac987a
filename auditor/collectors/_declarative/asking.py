"""One list of a provider: its requests, its pages, and whether it was answered as promised."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec

from auditor.client import Answer, Batch, BrokenPaging, Client, walk
from auditor.collectors._declarative.conditions import meets
from auditor.collectors._declarative.paging import Ask, Got, batch
from auditor.collectors._declarative.paths import MISSING, select
from auditor.collectors._declarative.schema import Step
from auditor.collectors._declarative.templates import filled, path_text
from auditor.errors import UnexpectedResponse

_encode = msgspec.json.Encoder(order="deterministic").encode


class Listing:
    """The pages of *step* for given *variables*."""

    def __init__(self, client: Client, step: Step, variables: dict[str, Any]) -> None:
        self._client = client
        self._step = step
        self._variables = variables
        self._previous: Answer | None = None
        self._pages_seen: set[int] = set()
        self._seen = 0
        self._total: int | None = None

    async def pages(self) -> AsyncGenerator[list[Any], None]:
        """Yield the records of each page; raises `SourceError`."""
        spec = self._step.credentials
        # Only an id that is the credential's own tells that a record came twice.
        key = spec.id[0] if spec is not None and len(spec.id) == 1 else ""
        async for records in walk(self._fetch, f"The list {self._step.id}", key=key):
            yield [
                self._with_neighbours(record)
                for record in records
                if not isinstance(record, dict) or meets(record, self._step.where)
            ]

    def shortfalls(self) -> list[str]:
        """Return a sentence where fewer records came than the provider says there are."""
        if self._total is None or self._seen >= self._total:
            return []
        sentence = (
            f"The list {self._step.id} ended after {self._seen} of {self._total} records; "
            "run again, and report it to the provider if it stays so"
        )
        return [sentence]

    async def _fetch(self, cursor: str | None) -> Batch:
        answer = await self._send(self._step.paginate.ask(cursor))
        document = answer.json()
        self._check(answer, document)
        records = self._records(answer, document)
        self._seen += len(records)
        self._previous, self._document = answer, document
        total = select(document, self._step.total) if self._step.total else None
        if isinstance(total, int) and not isinstance(total, bool):
            self._total = total
        self._refuse_repetition(records)
        return batch(self._step.paginate, Got(answer, document, records, self._seen), cursor)

    async def _send(self, ask: Ask) -> Answer:
        if ask.link is not None and self._previous is not None:
            return await self._client.get_link(ask.link, self._previous)
        step = self._step
        path = path_text(step.path, self._variables)
        params = {**filled(step.params, self._variables), **ask.params}
        sent = as_params(params)
        if step.method == "GET":
            return await self._client.get(path, sent)
        if step.graphql is not None:
            variables = {
                **filled(step.graphql.variables, self._variables),
                **ask.body.get("variables", {}),
            }
            body: Any = {"query": step.graphql.query, "variables": variables}
        else:
            body = {**filled(step.json_body, self._variables), **ask.body}
        return await self._client.post(path, json=body, params=sent)

    def _check(self, answer: Answer, document: Any) -> None:
        if self._step.graphql is not None and select(document, "errors") not in (MISSING, None, []):
            raise UnexpectedResponse(
                f"{answer.where} answered with GraphQL errors; check what the auditor's own "
                "credential may read"
            )
        if not meets(document, self._step.expect):
            raise UnexpectedResponse(
                f"{answer.where} answered {answer.status}, but says itself that it went wrong"
            )

    def _records(self, answer: Answer, document: Any) -> list[Any]:
        found = select(document, self._step.records) if self._step.records else document
        if self._step.one:
            return [] if found is None else [found]
        if not isinstance(found, list):
            where = self._step.records or "the answer"
            raise UnexpectedResponse(f"{answer.where}: {where} is not a list of records")
        return found

    def _refuse_repetition(self, records: list[Any]) -> None:
        """Numbers always go on, so a provider that ignores them shows by repeating itself."""
        if not records or self._step.paginate.style not in ("page_number", "offset"):
            return
        page = hash(_encode(records))
        if page in self._pages_seen:
            raise BrokenPaging(
                "repeated_cursor",
                f"The list {self._step.id}: the provider answers the next page with one that was "
                "read; the list is cut short. Report it to the provider",
            )
        self._pages_seen.add(page)

    def _with_neighbours(self, record: Any) -> Any:
        """Add the records of the same answer that belong to *record*."""
        joins = {name: join for name, join in self._step.join.items() if join.within is not None}
        if not joins or not isinstance(record, dict):
            return record
        found = dict(record)
        for name, join in joins.items():
            wanted = select(record, join.by)
            beside = select(self._document, join.within or "")
            beside = beside if isinstance(beside, list) and isinstance(wanted, str | int) else []
            near = (item for item in beside if select(item, join.key) == wanted)
            found[f"@{name}"] = next(near, {})
        return found


def as_params(params: Mapping[str, Any]) -> dict[str, str | int | list[str]] | None:
    """Return *params* as a query; None for none at all."""
    return {name: _as_param(value) for name, value in params.items()} or None


def _as_param(value: Any) -> str | int | list[str]:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, int | list) else str(value)
