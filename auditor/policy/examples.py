"""The examples of a policy file: what the policy must say about a credential.

An example names only the facts that matter. Instants are RFC 3339 or relative to its *now*:
``-45d``, ``+7d``, ``now``. Where it names no *now*, ``observed_at`` is it, and without that a
fixed day. Privilege follows from the permissions unless it is given.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from auditor.model import Credential, Organization, Principal, Verdict
from auditor.policy.evaluate import Entry, PolicySet
from auditor.policy.language.derived import Neighbours
from auditor.policy.language.fields import NEIGHBOURS
from auditor.policy.language.values import Constant, convert, type_named
from auditor.policy.policy import ExampleResult
from auditor.policy.privilege import classify
from auditor.policy.reading import PolicySource, find_files, read
from auditor.policy.rule import make_rule
from auditor.policy.schema import OUTCOMES, ExampleFile
from auditor.times import parse_duration, parse_instant
from auditor.validation import did_you_mean

_NOW = datetime(2026, 3, 1, tzinfo=UTC)
_INSTANTS = frozenset(
    ("created_at", "rotated_at", "observed_at", "last_used_at", "last_used_window_start",
     "data_as_of", "expires_at", "reviewed_at", "status_changed_at")
)  # fmt: skip

_GROUPS = {
    "organization": Organization.__struct_fields__,
    "principal": Principal.__struct_fields__,
}


def run_examples(path: Path) -> list[ExampleResult]:
    """Judge the examples of one policy file, or of every file in a folder.

    Raises `PolicyError` where a file or an example is wrong in itself.
    """
    files = find_files(path) if path.is_dir() else [path]
    return [result for file in files for result in _results(read(file))]


def _results(source: PolicySource) -> list[ExampleResult]:
    return [
        _result(source, position, example) for position, example in enumerate(source.file.examples)
    ]


def _result(source: PolicySource, position: int, example: ExampleFile) -> ExampleResult:
    policies = PolicySet([_entry(source, position, example)])
    now, credential = _credential(source, position, example)
    neighbours = _neighbours(source, position, example)
    verdicts = policies.evaluate(credential, now, neighbours)
    verdict = verdicts[0] if verdicts else None
    actual = "pass" if verdict is None else verdict.outcome.value
    if actual == "violation":
        policies.explain(source.policy.id, credential, now, neighbours)
    return ExampleResult(
        policy_id=source.policy.id,
        name=example.name or f"example {position + 1}",
        expected=example.expect,
        actual=actual,
        problem=_problem(example, verdict, actual),
        line=source.document.locate(("examples", position))[0],
    )


def _problem(example: ExampleFile, verdict: Verdict | None, actual: str) -> str:
    if (None if verdict is None else verdict.outcome) is not OUTCOMES[example.expect]:
        missing = ", ".join(verdict.missing) if verdict is not None else ""
        return f"expected {example.expect}, got {actual}" + (
            f" (unknown: {missing})" if missing else ""
        )
    if verdict is None:
        return ""
    if example.severity is not None and verdict.severity is not example.severity:
        return f"expected severity {example.severity}, got {verdict.severity}"
    if example.missing is not None and set(verdict.missing) != set(example.missing):
        return f"expected unknown {list(example.missing)}, got {list(verdict.missing)}"
    return ""


def _entry(source: PolicySource, position: int, example: ExampleFile) -> Entry:
    constants = source.constants()
    for name, data in example.parameters.items():
        parameter = source.policy.parameters.get(name)
        path = ("examples", position, "parameters", name)
        if parameter is None:
            hint = did_you_mean(name, list(source.policy.parameters))
            raise source.document.fail(path, f"unknown parameter {name!r}{hint}", key=True)
        constants[name] = _constant(source, path, data, parameter.type_name)
    missing = sorted(set(source.policy.parameters) - set(constants))
    if missing:
        raise source.document.fail(
            ("examples", position), f"the parameter {missing[0]!r} has no value; give one here"
        )
    return Entry(source.policy, (), lambda _positions: make_rule(source, constants))


def _constant(
    source: PolicySource, path: tuple[str | int, ...], data: Any, type_name: str
) -> Constant:
    try:
        return convert(data, type_named(type_name))
    except ValueError as error:
        raise source.document.fail(path, str(error)) from None


def _credential(
    source: PolicySource, position: int, example: ExampleFile
) -> tuple[datetime, Credential]:
    """Return the example's now and its credential, the gaps filled with ordinary facts."""
    path = ("examples", position, "credential")
    _refuse_unknown(source, path, example.credential)
    now = _NOW
    for written in (example.credential.get("observed_at"), example.now):
        if written is not None:
            now = _instant(source, path, written, now)
    given = dict(example.credential)
    for name in _INSTANTS & set(given):
        if given[name] is not None:
            given[name] = _instant(source, (*path, name), given[name], now)
    try:
        if given.get("last_used_precision") is not None:
            given["last_used_precision"] = parse_duration(given["last_used_precision"])
        return now, classify(msgspec.convert(_defaults(source, now, given), Credential))
    except ValueError as error:
        raise source.document.fail(path, f"not a credential: {error}") from None


def _neighbours(source: PolicySource, position: int, example: ExampleFile) -> Neighbours:
    path = ("examples", position, "neighbours")
    _refuse(source, path, example.neighbours, NEIGHBOURS)
    given = dict(example.neighbours)
    length = given.get("siblings_overlap_for")
    try:
        if length is not None:
            given["siblings_overlap_for"] = parse_duration(length)
        return msgspec.convert(given, Neighbours)
    except ValueError as error:
        raise source.document.fail(path, str(error)) from None


def _refuse_unknown(
    source: PolicySource, path: tuple[str | int, ...], given: Mapping[str, Any]
) -> None:
    parts: list[tuple[tuple[str | int, ...], Any, tuple[str, ...]]] = [
        (path, given, Credential.__struct_fields__)
    ]
    for name, known in _GROUPS.items():
        if name in given:
            parts.append(((*path, name), given[name], known))
    for place, data, known in parts:
        _refuse(source, place, data, known)


def _refuse(
    source: PolicySource, place: tuple[str | int, ...], data: Any, known: Collection[str]
) -> None:
    if not isinstance(data, Mapping):
        raise source.document.fail(place, f"{place[-1]} must hold keys and values")
    for name in data:
        if name not in known:
            hint = did_you_mean(name, sorted(known))
            raise source.document.fail((*place, name), f"unknown field {name!r}{hint}", key=True)


def _instant(
    source: PolicySource, path: tuple[str | int, ...], written: Any, now: datetime
) -> datetime:
    if written == "now":
        return now
    try:
        if isinstance(written, str) and written[:1] in ("-", "+"):
            length = parse_duration(written[1:])
            return now - length if written[0] == "-" else now + length
        return parse_instant(written)
    except (ValueError, OverflowError) as error:
        message = f"{error}; write 2026-01-31T00:00:00Z, -45d, +7d or now"
        raise source.document.fail(path, message) from None


def _defaults(source: PolicySource, now: datetime, given: Mapping[str, Any]) -> dict[str, Any]:
    policy = source.policy
    facts: dict[str, Any] = {
        "uid": "example:example:credential:example",
        "provider": next(iter(policy.providers), "example"),
        "source": "example",
        "name": "example",
        "type": next(iter(policy.types), "API Key"),
        "observed_at": now,
        "data_as_of": given.get("observed_at", now),
        "last_used_state": "used" if given.get("last_used_at") else "unknown",
        "expires_state": "at" if given.get("expires_at") else "unknown",
    }
    organization = {"id": "example", "name": "Example"} | dict(given.get("organization", {}))
    principal = {"id": "example", "name": "example"} | dict(given.get("principal", {}))
    return facts | dict(given) | {"organization": organization, "principal": principal}
