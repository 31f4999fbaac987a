"""Finding a value in a record: a small path language that tells *missing* from *null*.

``attributes.created-at`` walks into objects; ``policies[].name`` gathers from every entry of a
list or object; ``policies[effect=allow].name`` from those that match. A name with a dot in it
stands in double quotes. ``@step.name`` begins at a record that a step before has read.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

_PART = re.compile(r'(?:"([^"]+)"|([^.\[\]"\s]+))((?:\[[^\]]*\])?)(?:\.|$)')
_FILTER = re.compile(r"\[(?:([\w-]+)=([^\]]+))?\]")


class _Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""What a path gives where the record has no such field: not the same as null."""


@dataclass(frozen=True)
class Each:
    """Every entry of a list, or those whose *key* holds *value*."""

    key: str | None = None
    value: str | None = None

    def matches(self, item: Any) -> bool:
        """Whether *item* is meant."""
        return self.key is None or (
            isinstance(item, dict) and str(item.get(self.key)) == self.value
        )


@lru_cache(maxsize=4096)
def compile_path(path: str) -> tuple[str | Each, ...]:
    """Return the steps of *path*; raises `ValueError` that says what is wrong with it."""
    steps: list[str | Each] = []
    position = 0
    while position < len(path):
        match = _PART.match(path, position)
        if match is None or (match.end() == len(path) and path.endswith(".")):
            raise ValueError(f"the path {path!r} cannot be read from its character {position + 1}")
        steps.append(match[1] or match[2])
        if match[3]:
            chosen = _FILTER.fullmatch(match[3])
            if chosen is None:
                raise ValueError(f"{match[3]} in {path!r} is neither [] nor [name=value]")
            steps.append(Each(chosen[1], chosen[2]))
        position = match.end()
    if not steps:
        raise ValueError("a path is not empty")
    return tuple(steps)


def checked_path(path: str) -> str:
    """Return *path*, or raise `ValueError`: a pydantic validator."""
    last = compile_path(path)[-1]
    if isinstance(last, str) and last.lower().replace("-", "_") in _SECRETS:
        raise ValueError(f"{path} holds secret material, which is never read")
    return path


_SECRETS = frozenset(
    {
        *("token", "access_token", "accesstoken", "refresh_token", "refreshtoken", "password"),
        *("secret", "client_secret", "clientsecret", "secret_key", "secretkey", "api_key"),
        *("apikey", "private_key", "privatekey", "encodedpassword"),
    }
)


def select(value: Any, path: str) -> Any:
    """Return what *path* leads to in *value*; `MISSING` where it leads nowhere.

    A path with ``[]`` gives a list, without what is missing or null.
    """
    return _walk(value, compile_path(path))


def _walk(value: Any, steps: tuple[str | Each, ...]) -> Any:
    for index, step in enumerate(steps):
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return MISSING
            value = value[step]
            continue
        if isinstance(value, dict):
            value = list(value.values())
        if not isinstance(value, list):
            return MISSING
        rest = steps[index + 1 :]
        return [
            found
            for item in value
            if step.matches(item)
            for found in _flat(_walk(item, rest))
            if found is not None and found is not MISSING
        ]
    return value


def _flat(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]
