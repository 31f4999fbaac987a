"""Clients that are not ours read the fakes, page by page and strictly, and see what we see.

They are witnesses of paging, field names, types and time formats: none of it is ours. One that is
not installed fails when it is imported.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from auditor import plugs
from auditor.collectors.declarative import Declarative
from auditor.collectors.interface import Context
from auditor.model import Credential
from tests.collectors.declarative.witnesses import WITNESSES
from tests.collectors.reading import read_all
from tests.collectors.subjects import DESCRIBED

SUBJECTS = {subject.name: subject for subject in DESCRIBED}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@contextmanager
def serving(name: str) -> Iterator[Any]:
    with SUBJECTS[name].serve() as server:
        yield server


@pytest.mark.parametrize("name", WITNESSES)
async def test_a_client_that_is_not_ours_sees_the_same(name, now, tmp_path: Path):
    with serving(name) as server:
        theirs = WITNESSES[name](server.url)
        theirs = await theirs if isawaitable(theirs) else theirs
        collector = SUBJECTS[name].open(server, Context(now=now, directory=tmp_path, resolve=str))
        reads = await read_all(collector)
        await collector.aclose()

    def facts(credential: Credential) -> Any:
        named = credential.name if credential.name != credential.provider_id else None
        return (
            named,
            credential.created_at,
            credential.last_used_at,
            credential.expires_at,
        )

    ours = {c.provider_id: facts(c) for one in reads.values() for c in one.credentials.values()}
    assert theirs == ours


def test_the_descriptions_name_the_witnesses_there_are():
    described = {
        one.name: plugs.find("auditor.collectors", one.name, Declarative) for one in DESCRIBED
    }
    named = {name: one.description.verified.witness for name, one in described.items()}

    assert set(WITNESSES) == {name for name, witness in named.items() if witness}
    for name in WITNESSES:
        assert version(str(named[name]))
        assert f"{named[name]} (PyPI) reads our fake alike" in described[name].verified
