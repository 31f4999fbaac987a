"""``${name}`` and ``${step.field}`` in the texts of a description."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from auditor.client import segment
from auditor.collectors._declarative.paths import MISSING, select
from auditor.errors import UnexpectedResponse

_VARIABLE = re.compile(r"\$\{([^}]*)\}")

Variables = Mapping[str, Any]
"""Options by name, ``organization``, ``host``, and the records of the steps above by step id."""


def variables_in(text: str) -> Iterator[str]:
    """Yield the names that *text* refers to, in order."""
    for match in _VARIABLE.finditer(text):
        yield match[1].strip()


def path_text(template: str, variables: Variables) -> str:
    """Return *template* for a URL path: each value becomes part of one encoded segment.

    Raises `UnexpectedResponse` for a value that would change the path.
    """
    return _replace(template, variables, segment)


def text(template: str, variables: Variables) -> str:
    """Return *template* with its variables as they are."""
    return _replace(template, variables, str)


def filled(value: Any, variables: Variables) -> Any:
    """Return *value*, a JSON document, with the variables in its texts replaced.

    A text that is nothing but one variable becomes that variable's value; keys whose variable has
    no value are left out.
    """
    if isinstance(value, str):
        whole = _VARIABLE.fullmatch(value)
        return _lookup(whole[1].strip(), variables) if whole else text(value, variables)
    if isinstance(value, list | tuple):
        return [filled(item, variables) for item in value]
    if isinstance(value, Mapping):
        made = {key: filled(item, variables) for key, item in value.items()}
        return {key: item for key, item in made.items() if item is not None or value[key] is None}
    return value


def _replace(template: str, variables: Variables, encode: Callable[[str], str]) -> str:
    def one(match: re.Match[str]) -> str:
        name = match[1].strip()
        value = _lookup(name, variables)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise UnexpectedResponse(
                f"A record has no usable {name}, which is needed to ask further; it is skipped"
            )
        return encode(str(value))

    return _VARIABLE.sub(one, template)


def _lookup(name: str, variables: Variables) -> Any:
    head, _, rest = name.partition(".")
    value = variables.get(head)
    if rest:
        found = select(value, rest)
        return None if found is MISSING else found
    return value
