"""Titles, messages and commands with facts in them.

A template is text with ``{{ credential.<field> }}`` and ``{{ parameters.<name> }}``: no logic, so
nothing in a policy file can run, loop or reach beyond these names. Every name is checked when the
file is loaded.
"""

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from datetime import datetime, timedelta
from enum import Enum
from itertools import groupby
from typing import Any

from auditor import wording
from auditor.policy.language.derived import ENDLESS
from auditor.policy.language.fields import FIELDS, Absence
from auditor.validation import did_you_mean

_HOLE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_NAME = re.compile(r"(credential|parameters)\.([a-z_.]+|tags\.[A-Za-z0-9_.-]+)\Z")
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAMED_PERMISSIONS = 10
FACTS = frozenset({*FIELDS, "provider_id"})
"""What a template can read of a credential."""

TAG = "tags."
"""Before the name of a tag, of which nobody knows which there are."""

Hole = tuple[str, str]
"""``credential`` or ``parameters``, and a name."""
Part = str | Hole
Lookup = Callable[[str, str], Any]
"""(``credential`` or ``parameters``, name) → value."""


class TemplateError(ValueError):
    """A template is wrong; *start* is the offset of the mistake."""

    def __init__(self, message: str, start: int) -> None:
        super().__init__(message)
        self.start = start


class Template:
    """A checked template."""

    def __init__(
        self, text: str, parameters: Collection[str], facts: Collection[str] = FACTS
    ) -> None:
        self.parts: list[Part] = []
        """Texts and holes, in turn."""
        end = 0
        for hole in _HOLE.finditer(text):
            self.parts.append(_plain(text, end, hole.start()))
            self.parts.append(_checked(hole, parameters, facts))
            end = hole.end()
        self.parts.append(_plain(text, end, len(text)))

    def render(self, lookup: Lookup) -> str:
        """Return the text with its facts in words."""
        return _joined(self.parts, lookup, in_words)

    def with_limits(self, lookup: Lookup, *, is_command: bool = False) -> "Template":
        """Return this template with its ``parameters`` filled in for good."""
        say = argument if is_command else in_words
        filled = copy(self)
        filled.parts = []
        for is_known, group in groupby(self.parts, _is_known):
            parts = list(group)
            filled.parts += [_joined(parts, lookup, say)] if is_known else parts
        return filled

    def check_command(self) -> None:
        """Raise `TemplateError` where a fact stands inside quotes, which would undo its own."""
        before = ""
        for part in self.parts:
            if isinstance(part, str):
                before += part
            elif before.count("'") % 2 or before.count('"') % 2:
                raise TemplateError(
                    f"{{{{ {'.'.join(part)} }}}} stands inside quotes; values are quoted already",
                    0,
                )


def _is_known(part: Part) -> bool:
    return isinstance(part, str) or part[0] == "parameters"


def _joined(parts: Iterable[Part], lookup: Lookup, say: Callable[[Any, Hole], str]) -> str:
    return "".join([part if isinstance(part, str) else say(lookup(*part), part) for part in parts])


def _plain(text: str, start: int, end: int) -> str:
    part = text[start:end]
    for mark in ("{{", "}}", "{%"):
        if mark in part:
            raise TemplateError(
                f"'{mark}' is not part of {{{{ credential.<field> }}}} or "
                "{{ parameters.<name> }}, which is all a template can hold",
                start + part.index(mark),
            )
    return part


def _checked(hole: re.Match[str], parameters: Collection[str], facts: Collection[str]) -> Hole:
    match = _NAME.match(hole[1])
    if match is None:
        raise TemplateError(
            f"{hole[1]!r} is neither credential.<field> nor parameters.<name>", hole.start(1)
        )
    root, name = match[1], match[2]
    known = parameters if root == "parameters" else facts
    is_tag = root == "credential" and name.startswith(TAG) and "tags" in facts
    if name not in known and not is_tag:
        if not known and root == "credential":
            raise TemplateError(f"{hole[1]} cannot be used here; use parameters", hole.start(1))
        hint = did_you_mean(name, list(known)) or f"; known: {', '.join(sorted(known)) or 'none'}"
        raise TemplateError(f"unknown {hole[1]}{hint}", hole.start(1))
    return root, name


def in_words(value: Any, name: Hole = ("", "")) -> str:
    """Return a fact or a limit as people say it."""
    match value:
        case None:
            field = FIELDS.get(name[1])
            said = "none" if field and field.absence is Absence.NONE else "unknown"
        case timedelta():
            said = "unlimited" if value == ENDLESS else wording.duration(value)
        case datetime():
            said = wording.instant(value)
        case Enum():
            said = wording.label(str(value.value))
        case str():
            said = wording.shown(value)
        case Mapping():
            said = _map_in_words(value)
        case _:
            said = wording.shown(wording.fact(value))
    return said


def granted_names(permissions: Mapping[str, Any]) -> list[str]:
    """Return what a permission map grants, as sorted ``resource:permission``."""
    return sorted(
        f"{resource}:{permission}"
        for resource, names in permissions.items()
        if isinstance(names, Mapping)
        for permission, is_granted in names.items()
        if is_granted is True
    )


def _map_in_words(value: Mapping[str, Any]) -> str:
    if any(isinstance(one, Mapping) for one in value.values()):
        names = granted_names(value)
        shown = [wording.shown(name) for name in names[:_NAMED_PERMISSIONS]]
        more = len(names) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "") or "none"
    return wording.shown(wording.fact(value))


def argument(value: Any, name: Hole) -> str:
    """Return a fact or a limit quoted as one argument of a shell; ``<name>`` where unknown."""
    if value is None:
        return shlex.quote(f"<{name[1]}>")
    text = wording.rfc3339(value) if isinstance(value, datetime) else str(value)
    return shlex.quote(_CONTROL_CHARACTERS.sub("?", wording.clean(text)))
