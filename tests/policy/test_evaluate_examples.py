"""The examples inside policy files are judged, and what is wrong in them is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.errors import PolicyError
from auditor.policy import run_examples

Write = Callable[..., Path]


@pytest.mark.parametrize(
    "example",
    [
        "{credential: {last_used_at: -45d}, expect: violation}",
        "{credential: {last_used_at: -44d}, expect: pass}",
        "{credential: {last_used_at: now}, expect: pass}",
        "{credential: {last_used_at: +1d}, expect: pass}",
        "{credential: {}, expect: not_evaluable, missing: [last_used_at]}",
        "{credential: {last_used_at: -50d, status: revoked}, expect: pass}",
        "{credential: {last_used_at: -50d, privilege: admin}, expect: violation, severity: high}",
        (
            "{credential: {last_used_at: -50d, permissions: {'*': {'*': true}}, "
            "permissions_subject: credential}, expect: violation, severity: high}"
        ),
        "{credential: {last_used_at: -50d}, parameters: {idle_for: 60d}, expect: pass}",
        (
            "{credential: {last_used_at: '2025-12-01T00:00:00Z'}, now: '2026-01-01T00:00:00Z', "
            "expect: pass}"
        ),
        (
            "{credential: {last_used_at: '2025-12-01T00:00:00Z', observed_at: "
            "'2026-02-01T00:00:00Z'}, expect: violation}"
        ),
        "{credential: {last_used_at: -50d, data_as_of: -6d}, expect: pass}",
        "{credential: {last_used_at: -45d, last_used_precision: 1d}, expect: pass}",
        "{credential: {last_used_at: null}, expect: not_evaluable}",
    ],
)
def test_examples_name_only_what_matters(write_policy: Write, example: str) -> None:
    (result,) = run_examples(write_policy(examples=f"[{example}]"))
    assert result.problem == ""
    assert result.is_ok
    assert result.name == "example 1"
    assert result.line == 10


def test_rights_of_the_caller_are_not_judged(write_policy: Write) -> None:
    path = write_policy(
        when='credential.privilege == "admin"',
        examples="[{credential: {permissions_subject: caller}, expect: not_judged}]",
    )
    (result,) = run_examples(path)
    assert result.is_ok


@pytest.mark.parametrize(
    ("example", "problem"),
    [
        ("{credential: {last_used_at: -45d}, expect: pass}", "expected pass, got violation"),
        ("{credential: {last_used_at: -1d}, expect: violation}", "expected violation, got pass"),
        ("{credential: {}, expect: violation}",
         "expected violation, got not_evaluable (unknown: last_used_at)"),
        ("{credential: {last_used_at: -45d}, expect: violation, severity: high}",
         "expected severity high, got medium"),
        ("{credential: {}, expect: not_evaluable, missing: [created_at]}",
         "expected unknown ['created_at'], got ['last_used_at']"),
    ],
)  # fmt: skip
def test_an_example_that_does_not_hold_says_how(
    write_policy: Write, example: str, problem: str
) -> None:
    (result,) = run_examples(write_policy(examples=f"[{example}]"))
    assert result.problem == problem
    assert not result.is_ok


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ("{credential: {last_usd_at: -45d}, expect: pass}",
         "10:26: unknown field 'last_usd_at'; did you mean 'last_used_at'?"),
        ("{credential: {principal: {typ: user}}, expect: pass}",
         "unknown field 'typ'; did you mean 'type'?"),
        ("{credential: {principal: bob}, expect: pass}", "principal must hold keys and values"),
        ("{credential: {last_used_at: soon}, expect: pass}", "write 2026-01-31T00:00:00Z, -45d"),
        ("{credential: {last_used_at: -soon}, expect: pass}", "is not a duration"),
        ("{credential: {last_used_at: -9999999d}, expect: pass}", "write 2026-01-31T00:00:00Z"),
        ("{credential: {last_used_precision: soon}, expect: pass}", "is not a duration"),
        ("{credential: {}, now: never, expect: pass}", "write 2026-01-31T00:00:00Z"),
        ("{credential: {status: dead}, expect: pass}", "not a credential: Invalid enum value"),
        ("{credential: {}, parameters: {idle: 1d}, expect: pass}", "unknown parameter 'idle'"),
        ("{credential: {}, parameters: {idle_for: 1}, expect: pass}", "must be a duration"),
    ],
)  # fmt: skip
def test_an_example_that_is_wrong_in_itself_is_an_error_with_its_place(
    write_policy: Write, example: str, message: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        run_examples(write_policy(examples=f"[{example}]"))
    assert "resting.yaml:10:" in str(caught.value)
    assert message in str(caught.value)


def test_a_parameter_without_a_value_needs_one_in_the_example(write_policy: Write) -> None:
    path = write_policy(
        parameters="{idle_for: {type: duration}}",
        examples="[{credential: {}, expect: not_evaluable}]",
    )
    with pytest.raises(PolicyError, match="the parameter 'idle_for' has no value; give one here"):
        run_examples(path)


def test_a_folder_is_judged_file_by_file(write_policy: Write) -> None:
    example = "[{name: rests, credential: {last_used_at: -45d}, expect: violation}]"
    write_policy("one", examples=example)
    folder = write_policy("two", examples=example).parent
    results = run_examples(folder)
    assert [(result.policy_id, result.name) for result in results] == [
        ("one", "rests"),
        ("two", "rests"),
    ]
