"""Reading one credential again, where its step names a call for that."""

import re
from collections.abc import Iterator
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

import msgspec
from pydantic import BaseModel

from auditor.client import Client
from auditor.collectors._again import found_or_gone, kind_of, same
from auditor.collectors._declarative.asking import Listing, as_params
from auditor.collectors._declarative.conditions import meets
from auditor.collectors._declarative.fields import CredentialSpec
from auditor.collectors._declarative.mapping import Mapper
from auditor.collectors._declarative.paths import select
from auditor.collectors._declarative.schema import Retrieve, Step
from auditor.collectors._declarative.templates import filled, path_text, variables_in
from auditor.errors import UnexpectedResponse
from auditor.model import Credential

_ELSEWHERE = re.compile(r'"@|\$\{\w+\.')
"""In the JSON of a part: it is read from another record than the credential's own."""
_OF_IT = re.compile(r"\$\{(?:tags|principal)\.")
"""In a path: it names what is known of the one credential, and so fits it best."""
_ALSO = {"last_used_at": ("last_used_state",), "expires_at": ("expires_state",)}


class Again:
    """The calls of *steps* that read one credential; *title* names the provider in messages."""

    def __init__(
        self,
        client: Client,
        steps: tuple[Step, ...],
        mapper: Mapper,
        variables: dict[str, Any],
        title: str,
    ) -> None:
        self._client = client
        self._steps = steps
        self._mapper = mapper
        self._variables = variables
        self._title = title

    async def read(self, wanted: Credential) -> Credential | None:
        """Return *wanted* as it is now; None where it is gone. Raises `SourceError`."""
        variables = {**self._variables, **_known(wanted)}
        step, retrieve = self._chosen(wanted, variables)
        ask = partial(self._ask, step, retrieve, variables, wanted)
        return await found_or_gone(ask, partial(self._first_page, step))

    def _chosen(self, wanted: Credential, variables: dict[str, Any]) -> tuple[Step, Retrieve]:
        """Return the step that *wanted* came from, with the call that says the most of it."""
        found = [
            (step, step.retrieve)
            for step in self._steps
            if step.retrieve is not None
            and _may_have_made(step.credentials, wanted)
            and all(_has(variables, name) for name in variables_in(step.retrieve.path))
        ]
        if not found:
            raise UnexpectedResponse(
                f"{self._title} offers no call that reads one {wanted.type} alone, or its "
                f"description names none (`retrieve`); `auditor audit --source {wanted.source}` "
                "reads them all again"
            )
        return max(found, key=lambda one: len(_OF_IT.findall(one[1].path)))

    async def _ask(
        self, step: Step, retrieve: Retrieve, variables: dict[str, Any], wanted: Credential
    ) -> Credential | None:
        path = path_text(retrieve.path, variables)
        answer = await self._client.get(path, as_params(filled(retrieve.params, variables)))
        document = answer.json()
        found = select(document, retrieve.record) if retrieve.record else document
        if not isinstance(found, dict):
            raise UnexpectedResponse(f"{answer.where} answered without a record")
        if not meets(document, step.expect):
            raise UnexpectedResponse(f"{answer.where} says itself that it went wrong")
        if not meets(found, step.where):
            return None  # a reading of everything would leave it out as well
        assert step.credentials is not None  # noqa: S101 - `_chosen` has seen to it
        fresh = same(self._mapper.credential(found, step.credentials, variables), wanted)
        return msgspec.structs.replace(fresh, **_kept(step.credentials, fresh, wanted))

    async def _first_page(self, step: Step) -> None:
        """Ask for the list that *step* belongs to, or for the one above it.

        A step that answers a single record is no list: another one stands in for it.
        """
        while step.each is not None:
            step = next(one for one in self._steps if one.id == step.each)
        lists = (one for one in self._steps if one.each is None and not one.one)
        step = next(lists, step) if step.one else step
        async with aclosing(Listing(self._client, step, self._variables).pages()) as pages:
            with suppress(StopAsyncIteration):
                await anext(pages)


def _known(wanted: Credential) -> dict[str, Any]:
    """Return what a path may name: what is known of the credential itself."""
    return {"id": wanted.provider_id, "principal": {"id": wanted.principal.id}, "tags": wanted.tags}


def _has(variables: dict[str, Any], name: str) -> bool:
    head, _, rest = name.partition(".")
    value = variables.get(head)
    return bool(select(value, rest) if rest and isinstance(value, dict) else value)


def _may_have_made(spec: CredentialSpec | None, wanted: Credential) -> bool:
    """Whether *spec* makes credentials of the kind and type of *wanted*."""
    if spec is None or spec.kind != kind_of(wanted):
        return False
    return not spec.type.words or wanted.type in spec.type.words


def _kept(spec: CredentialSpec, fresh: Credential, wanted: Credential) -> dict[str, Any]:
    """Return the facts of *wanted* that stand in other records, which are not read again."""
    kept: dict[str, Any] = {}
    for name in _read_elsewhere(spec):
        if name == "tags":
            kept["tags"] = {**wanted.tags, **fresh.tags}
            continue
        for field in (name, *_ALSO.get(name, ())):
            if field in Credential.__struct_fields__:
                kept[field] = getattr(wanted, field)
    return kept


def _read_elsewhere(spec: CredentialSpec) -> Iterator[str]:
    for name in CredentialSpec.model_fields:
        value = getattr(spec, name)
        parts = value.values() if isinstance(value, dict) else (value,)
        for part in parts:
            dumped = part.model_dump_json() if isinstance(part, BaseModel) else f'"{part}"'
            if _ELSEWHERE.search(dumped):
                yield name
                break
