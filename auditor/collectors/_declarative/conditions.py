"""Whether a record meets a condition, and which of our words a choice gives for it."""

from collections.abc import Mapping
from typing import Any

from auditor.collectors._declarative.fields import ChoiceSpec, Holds
from auditor.collectors._declarative.paths import MISSING, select


def meets(record: Any, when: Mapping[str, Any]) -> bool:
    """Whether *record* holds what every path of *when* expects."""
    return all(_holds(select(record, path), expected) for path, expected in when.items())


def choose(record: Any, choice: ChoiceSpec) -> str | None:
    """Return the word that *choice* gives for *record*; None where nothing decides."""
    for case in choice.cases:
        if meets(record, case.when):
            return case.then
    if choice.path is not None:
        value = select(record, choice.path)
        if isinstance(value, str | int) and not isinstance(value, bool):
            found = choice.values.get(str(value))
            if found is not None:
                return found
    return choice.otherwise


def same(value: Any, expected: Any) -> bool:
    """Equality in which ``true`` is not 1."""
    return isinstance(value, bool) is isinstance(expected, bool) and bool(value == expected)


def _holds(value: Any, expected: Any) -> bool:
    if not isinstance(expected, Holds):
        return same(value, expected)
    is_empty = value is MISSING or value is None or value in ("", [], {})
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return all(
        (
            expected.is_missing in (None, value is MISSING),
            expected.is_empty in (None, is_empty),
            expected.any_of is None or any(same(value, one) for one in expected.any_of),
            expected.contains is None or _contains(value, expected.contains),
            expected.contains_any is None
            or any(_contains(value, x) for x in expected.contains_any),
            expected.at_least is None or (is_number and value >= expected.at_least),
        )
    )


def _contains(value: Any, one: Any) -> bool:
    if isinstance(value, list):
        return any(same(item, one) for item in value)
    return isinstance(value, str) and isinstance(one, str) and one in value
