"""What an ACL policy grants: its text, in HCL or JSON, as path → capabilities."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from auditor.model import PermissionMap

Capabilities = dict[str, frozenset[str]]

_WORD = re.compile(
    r"""(?xs)
    (?P<blank> \s+ | \#[^\n]* | //[^\n]* | /\*.*?\*/ )
    | (?P<text> "(?:[^"\\\n]|\\.)*" )
    | (?P<name> [A-Za-z_][\w-]* )
    | (?P<number> -?\d+(?:\.\d+)? )
    | (?P<mark> [{}\[\]=:,] )
    """
)
_OLD_WORDS = {
    "deny": ("deny",),
    "read": ("read", "list"),
    "write": ("create", "read", "update", "delete", "list"),
    "sudo": ("create", "read", "update", "delete", "list", "sudo"),
}
"""What ``policy = "write"`` stood for before there were capabilities."""
_DEEPEST = 8


def read_policy(source: str) -> Capabilities | None:
    """Return the capabilities that *source* names for each path; None where it is not understood.

    A text that is understood in part only is not understood: the rest may grant the most.
    """
    try:
        body = msgspec.json.decode(source)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        try:
            body = _Reader(source).body()
        except (ValueError, IndexError):
            return None
    paths = body.get("path", {}) if isinstance(body, dict) else None
    if not isinstance(paths, dict):
        return None
    found = {path.lstrip("/"): _capabilities(rule) for path, rule in paths.items()}
    known = {path: names for path, names in found.items() if names is not None}
    return known if len(known) == len(found) else None


def merged(policies: Iterable[Capabilities]) -> PermissionMap:
    """Return what *policies* grant together; a path that one of them denies is denied."""
    together: dict[str, set[str]] = {}
    for policy in policies:
        for path, names in policy.items():
            together.setdefault(path, set()).update(names)
    return {
        path: dict.fromkeys(sorted(names - {"deny"}), "deny" not in names)
        for path, names in together.items()
        if names - {"deny"}
    }


def _capabilities(rule: Any) -> frozenset[str] | None:
    if not isinstance(rule, Mapping):
        return None
    names = rule.get("capabilities")
    if names is None:
        old = rule.get("policy")
        return frozenset(_OLD_WORDS.get(old, ())) if isinstance(old, str) else frozenset()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return frozenset(name.lower() for name in names)


class _Reader:
    """The part of HCL that policies are written in; raises `ValueError` or `IndexError`."""

    def __init__(self, source: str) -> None:
        self._words: list[str] = []
        position = 0
        while position < len(source):
            match = _WORD.match(source, position)
            if match is None:
                raise ValueError("not a word of a policy")
            if match["blank"] is None:
                self._words.append(match[0])
            position = match.end()
        self._next = 0

    def body(self) -> dict[str, Any]:
        """Return the whole text."""
        found = self._members(1)
        if self._next != len(self._words):
            raise ValueError("more follows")
        return found

    def _members(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._next < len(self._words) and self._words[self._next] != "}":
            key = _plain(self._take())
            label = _plain(self._take()) if self._words[self._next][0] == '"' else None
            if self._words[self._next] in ("=", ":"):
                self._take()
            value = self._value(depth)
            if self._next < len(self._words) and self._words[self._next] == ",":
                self._take()
            if label is None:
                found[key] = value
            else:
                _put(found.setdefault(key, {}), label, value)
        return found

    def _value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        word = self._take()
        if word == "{":
            value: Any = self._members(depth + 1)
            self._close("}")
            return value
        if word == "[":
            value = []
            while self._words[self._next] != "]":
                value.append(self._value(depth + 1))
                if self._words[self._next] == ",":
                    self._take()
            self._close("]")
            return value
        if word in "}]=:,":
            raise ValueError("not a value")
        return _plain(word)

    def _take(self) -> str:
        self._next += 1
        return self._words[self._next - 1]

    def _close(self, mark: str) -> None:
        if self._take() != mark:
            raise ValueError("not closed")


def _plain(word: str) -> str:
    if word[0] in "{}[]=:,":
        raise ValueError("not a name")
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word[0] == '"' else word


def _put(paths: Any, path: str, rule: Any) -> None:
    """Add *rule*; the same path twice in one policy grants what both grant."""
    if not isinstance(paths, dict):
        raise ValueError("not a set of paths")  # noqa: TRY004 - a text of another shape
    before = paths.get(path)
    if isinstance(before, dict) and isinstance(rule, dict):
        names = [*before.get("capabilities", []), *rule.get("capabilities", [])]
        rule = {**before, **rule, "capabilities": names}
    paths[path] = rule
