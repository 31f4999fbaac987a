"""Constants: parameters of a policy, and durations and times written in an expression."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from auditor.policy.language import types
from auditor.policy.language.types import Kind, Type
from auditor.times import parse_duration, parse_instant

Value = bool | int | float | str | timedelta | datetime | tuple["Value", ...]

_NAMES: dict[str, Type] = {
    "bool": types.BOOL,
    "int": types.INT,
    "float": types.FLOAT,
    "string": types.STRING,
    "duration": types.DURATION,
    "timestamp": types.TIMESTAMP,
}
TYPE_NAMES = (*_NAMES, *(f"list<{name}>" for name in _NAMES))
"""How types are written in a policy file."""


class Constant(Struct, frozen=True):
    """A value that is known when the policy is loaded."""

    type: Type
    value: Value


Parameters = Mapping[str, Constant]

_PLAIN: dict[type, Type] = {bool: types.BOOL, int: types.INT, float: types.FLOAT}


def type_named(name: str) -> Type:
    """Return the type that a policy file calls *name*; raises `ValueError`."""
    if name.startswith("list<") and name.endswith(">"):
        return types.list_of(type_named(name[5:-1]))
    if name not in _NAMES:
        raise ValueError(f"is not a type; write one of {', '.join(TYPE_NAMES)}")
    return _NAMES[name]


def parameter_value(data: Any) -> Constant:
    """Return a parameter with the type its YAML value suggests: ``45d`` is a duration."""
    if isinstance(data, str):
        try:
            return Constant(types.DURATION, parse_duration(data))
        except ValueError:
            return Constant(types.STRING, data)
    if isinstance(data, list):
        return _list_value(data)
    if type(data) not in _PLAIN:
        raise ValueError("must be text, a number, true, false, a duration such as 45d, or a list")
    return Constant(_PLAIN[type(data)], data)


def _list_value(data: list[Any]) -> Constant:
    items = [parameter_value(item) for item in data]
    kinds = {item.type for item in items} or {types.STRING}
    if len(kinds) > 1:
        raise ValueError("holds values of different types")
    return Constant(types.list_of(kinds.pop()), tuple(item.value for item in items))


def convert(data: Any, wanted: Type) -> Constant:
    """Return *data* from a YAML file as a constant of type *wanted*; raises `ValueError`."""
    if wanted.kind is Kind.LIST and wanted.item is not None:
        if not isinstance(data, list):
            raise ValueError(f"must be {wanted}")
        return Constant(wanted, tuple(convert(item, wanted.item).value for item in data))
    match wanted.kind, data:
        case (Kind.DURATION, str()):
            return Constant(wanted, parse_duration(data))
        case (Kind.TIMESTAMP, str()):
            return Constant(wanted, parse_instant(data))
        case (Kind.STRING, str()) | (Kind.BOOL, bool()):
            return Constant(wanted, data)
        case (Kind.INT, int()) | (Kind.FLOAT, float()) if not isinstance(data, bool):
            return Constant(wanted, data)
        case (Kind.FLOAT, int()) if not isinstance(data, bool):
            return Constant(wanted, float(data))
    example = ", such as 45d" if wanted.kind is Kind.DURATION else ""
    raise ValueError(f"must be {wanted}{example}")
