"""A description under test: written as text, read from answers given as data."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from auditor.collectors.declarative import Declarative, Trial, attempt, described

BASE = """\
id: acme
title: Acme
summary: Tokens
documentation: https://docs.acme.example
usage_is_recorded: true
last_use: As a time
least_privileges: [to list tokens]
verified: {against: its documentation, grade: vendor_documentation, checked: 2026-03-01}
base_url: https://api.acme.example/v1
options:
  token: {description: a token, required: true, secret: true}
  teams: {description: the teams to read, many: true}
auth: {headers: {Authorization: "Bearer ${token}"}}
"""

TOKENS = """\
steps:
  - id: tokens
    path: /tokens
    records: tokens
    paginate: {style: cursor, param: cursor, path: next}
    credentials:
      kind: token
      id: id
      type: Access Token
      name: {first: [label, id]}
      created_at: made
      last_used_at: {path: used, when_null: never}
      expires_at: {path: ends, when_null: never}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., type[Declarative]]:
    """Write a description and return its collector."""
    written: list[Path] = []

    def build(steps: str = TOKENS, base: str = BASE) -> type[Declarative]:
        folder = tmp_path / f"description-{len(written)}"
        folder.mkdir()
        path = folder / "acme.yaml"
        path.write_text(base + steps, encoding="utf-8")
        written.append(path)
        return described(path)

    return build


@pytest.fixture
def tried(
    write: Callable[..., type[Declarative]], tmp_path: Path, now: datetime
) -> Callable[..., Any]:
    """Run a description against *answers*: file name to JSON, or to text as ``curl -i`` has it."""

    async def run(answers: dict[str, Any], steps: str = TOKENS, base: str = BASE) -> Trial:
        responses = tmp_path / "responses"
        for name, content in answers.items():
            file = responses / name
            file.parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, str) else json.dumps(content)
            file.write_text(text, encoding="utf-8")
        responses.mkdir(exist_ok=True)
        return await attempt(write(steps, base), responses, now)

    return run
