"""Commands that differ only in what they are about, told once with slots for the values.

A page of ten thousand findings has no room for as many copies of three commands. There a guide
tells them once, with a slot such as *Id* in angle quotes where a value belongs; the values stand
in every finding. A finding whose commands cannot be rebuilt exactly that way keeps its own.
"""

import re
import shlex
from collections.abc import Mapping
from functools import lru_cache

_SLOT = re.compile("\u2039([A-Z][a-z ]+)\u203a")
_SHORTEST = 3
"""Shorter values occur in a command by chance."""


def with_slots(commands: str, values: Mapping[str, str]) -> str:
    """Return *commands* with the shell words of *values* replaced by the names of their slots."""
    ordered = sorted(values.items(), key=lambda item: -len(item[1]))
    for name, value in ordered:
        if len(value) >= _SHORTEST:
            commands = commands.replace(shlex.quote(value), f"\u2039{name}\u203a")
    return commands


@lru_cache(maxsize=256)
def slots(pattern: str) -> tuple[str, ...]:
    """Return the names of the slots in *pattern*."""
    return tuple(dict.fromkeys(_SLOT.findall(pattern)))


def filled(pattern: str, values: Mapping[str, str]) -> str:
    """Return *pattern* with every slot filled, as the page's script does it."""
    parts = list(_parts(pattern))
    parts[1::2] = [shlex.quote(values.get(name, f"\u2039{name}\u203a")) for name in parts[1::2]]
    return "".join(parts)


@lru_cache(maxsize=256)
def _parts(pattern: str) -> tuple[str, ...]:
    """Text and the names of slots, in turn; ten thousand findings share a few patterns."""
    return tuple(_SLOT.split(pattern))
