"""Reading one credential again, as its description says."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from auditor.collectors.declarative import Declarative
from auditor.collectors.interface import Context
from auditor.errors import ConfigError, UnexpectedResponse
from tests.collectors.declarative.conftest import TOKENS
from tests.collectors.reading import read_all
from tests.fakes.http import LoopbackServer, Reply, Request

BELOW = """\
steps:
  - id: projects
    path: /projects
  - id: tokens
    each: projects
    path: "/projects/${projects.id}/tokens"
    where: {hidden: false}
    retrieve: {path: "/projects/${tags.project}/tokens/${id}", record: found}
    credentials:
      kind: token
      id: id
      type: Access Token
      name: label
      principal: {id: "@projects.id", name: "@projects.name"}
      last_used_at: {path: used, when_null: never}
      expires_at: {path: ends, when_null: never}
      tags: {project: "@projects.id", label: label}
"""
RETRIEVE = 'retrieve: {path: "/projects/${tags.project}/tokens/${id}", record: found}'
TOKEN = {"id": "t-1", "label": "ci", "used": None, "ends": None, "hidden": False}


@pytest.fixture
def answers() -> dict[str, Any]:
    return {
        "/projects": [{"id": "p-1", "name": "Web"}],
        "/projects/p-1/tokens": [TOKEN],
        "/projects/p-1/tokens/t-1": {"found": TOKEN},
        "/tokens": {"tokens": [TOKEN], "next": None},
    }


@pytest.fixture
def opened(
    write: Callable[..., type[Declarative]], answers: dict[str, Any], now: Any, tmp_path: Any
) -> Any:
    async def running(steps: str) -> AsyncIterator[Declarative]:
        def handle(request: Request) -> Reply:
            found = answers.get(request.path)
            return Reply(404) if found is None else Reply(200, found)

        with LoopbackServer(handle) as server:
            collector = write(steps)
            keys = {"name": "acme", "provider": "acme", "token": "t", "base_url": server.url}
            made: Any = collector.Options.model_validate(keys)
            source = collector(made, Context(now=now, directory=tmp_path, resolve=str))
            yield source
            await source.aclose()

    return running


async def only(source: Declarative) -> Any:
    (read,) = (await read_all(source)).values()
    (credential,) = read.credentials.values()
    return credential


async def test_what_stands_in_other_records_is_kept_and_its_own_facts_are_new(opened, answers):
    async for source in opened(BELOW):
        before = await only(source)
        answers["/projects/p-1/tokens/t-1"] = {"found": TOKEN | {"label": "new", "ends": 7}}

        after = await source.refresh(before)

        assert after is not None
        assert (after.principal, after.tags["project"]) == (before.principal, "p-1")
        assert (after.name, after.tags["label"]) == ("new", "new")
        assert (before.expires_state, after.expires_state) == ("never", "unknown")


async def test_what_a_whole_reading_would_leave_out_is_gone(opened, answers):
    async for source in opened(BELOW):
        before = await only(source)
        answers["/projects/p-1/tokens/t-1"] = {"found": TOKEN | {"hidden": True}}

        assert await source.refresh(before) is None


async def test_one_that_answers_404_is_gone_while_the_lists_above_answer(opened, answers):
    async for source in opened(BELOW):
        before = await only(source)
        del answers["/projects/p-1/tokens/t-1"]

        assert await source.refresh(before) is None


async def test_where_no_call_is_named_it_says_what_to_do_instead(opened):
    async for source in opened(TOKENS):
        with pytest.raises(UnexpectedResponse) as caught:
            await source.refresh(await only(source))

        assert "reads one Access Token alone" in str(caught.value)
        assert "auditor audit --source acme" in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (RETRIEVE.replace("tags.project", "tags.team"), "tags.team"),
        (RETRIEVE.replace("tags.project", "projects.id"), "projects.id"),
        (RETRIEVE.replace("tags.project", "principal.name"), "principal.name"),
        (f'{RETRIEVE}\n    expand: "x"'.replace("record", "recod"), "recod"),
    ],
)
def test_a_path_that_names_what_is_not_known_is_an_error(write, wrong, expected):
    with pytest.raises(ConfigError) as caught:
        write(BELOW.replace(RETRIEVE, wrong))

    assert expected in str(caught.value)


def test_an_id_that_stands_in_another_record_cannot_be_asked_for(write):
    with pytest.raises(ConfigError, match="an id of their own"):
        write(BELOW.replace("      id: id\n", '      id: ["@projects.id", id]\n'))
