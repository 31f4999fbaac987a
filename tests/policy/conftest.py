from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from auditor.model import Credential
from auditor.policy.language import Condition, compile_condition, parameter_value
from auditor.policy.language.derived import derive

PARAMETERS: dict[str, Any] = {
    "idle_for": "45d",
    "teams": ["platform", "data"],
    "states": ["active", "inactive"],
    "bits": 2048,
    "ratio": 0.5,
    "is_strict": True,
    "word": "active",
}

Answer = Callable[..., bool | None]


@pytest.fixture
def compiled() -> Callable[[str], Condition]:
    """Compile an expression with a parameter of every type."""

    def build(text: str) -> Condition:
        constants = {name: parameter_value(value) for name, value in PARAMETERS.items()}
        return compile_condition(text, constants, "test")

    return build


@pytest.fixture
def answer(
    credential: Callable[..., Credential], compiled: Callable[[str], Condition], now: datetime
) -> Answer:
    """Evaluate an expression for an ordinary credential with some facts changed."""

    def evaluate(text: str, **changes: Any) -> bool | None:
        subject = credential(**changes)
        return compiled(text).evaluate(subject, derive(subject, now), now)

    return evaluate


@pytest.fixture
def missing(
    credential: Callable[..., Credential], compiled: Callable[[str], Condition], now: datetime
) -> Callable[..., tuple[str, ...]]:
    """Return what makes an expression not evaluable."""

    def evaluate(text: str, **changes: Any) -> tuple[str, ...]:
        subject, condition = credential(**changes), compiled(text)
        derived = derive(subject, now)
        assert condition.evaluate(subject, derived, now) is None
        return condition.missing(subject, derived)

    return evaluate


POLICY = """\
id: {id}
title: Not used for {{{{ parameters.idle_for }}}}
severity: medium
category: dormant
parameters: {{idle_for: 45d}}
when: credential.status == "active" && credential.idle_for >= parameters.idle_for
message: "{{{{ credential.name }}}} rests since {{{{ credential.last_used_at }}}}."
rationale: Nobody watches it.
remediation: {{summary: Delete it.}}
"""


@pytest.fixture
def write_policy(tmp_path: Path) -> Callable[..., Path]:
    """Write a policy file into ``policies``; changes replace or add top-level blocks of YAML."""

    def write(identity: str = "resting", folder: str = "policies", **changes: str) -> Path:
        blocks = dict(line.split(":", 1) for line in POLICY.format(id=identity).splitlines())
        blocks.update({key: f" {value}" for key, value in changes.items()})
        text = "".join(f"{key}:{value}\n" for key, value in blocks.items() if value != " ")
        path = tmp_path / folder / f"{identity}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write
