"""Policy documents: from the JSON of IAM to statements with everything in its place."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

_CONTEXT = frozenset(
    {
        "aws:calledvia",
        "aws:calledviafirst",
        "aws:calledvialast",
        "aws:currenttime",
        "aws:epochtime",
        "aws:multifactorauthage",
        "aws:multifactorauthpresent",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principaltype",
        "aws:referer",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:sourceip",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:tokenissuetime",
        "aws:useragent",
        "aws:userid",
        "aws:username",
        "aws:viaawsservice",
        "aws:vpcsourceip",
    }
)
"""Condition keys about who asks, from where and when. Any other key narrows what may be done."""


class Statement(NamedTuple):
    """One statement. Actions are ``service:action`` patterns, lists may be empty."""

    is_allow: bool
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    """Empty where ``NotResource`` is used, which leaves almost everything."""
    conditions: tuple[str, ...]
    """The keys of its conditions, lower case."""

    @property
    def narrows(self) -> bool:
        """Whether a condition limits what may be done, not only who, where and when."""
        return not all(
            key in _CONTEXT or key.startswith("aws:principaltag/") for key in self.conditions
        )


class Document(NamedTuple):
    """A policy that could be read."""

    statements: tuple[Statement, ...]


def parse(text: str) -> Document | None:
    """Return a document as IAM writes it, percent-encoded JSON; None where it is damaged."""
    return _parse(text)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Document | None:
    try:
        found = msgspec.json.decode(unquote(text) if "%" in text[:8] else text)
        statements = found["Statement"]
        listed = statements if isinstance(statements, list) else [statements]
        return Document(tuple(_statement(one) for one in listed))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _statement(record: Mapping[str, Any]) -> Statement:
    effect = record["Effect"]
    if effect not in ("Allow", "Deny"):
        raise ValueError("an effect nobody knows")
    actions, not_actions = _texts(record, "Action"), _texts(record, "NotAction")
    if bool(actions) == bool(not_actions):
        raise ValueError("neither Action nor NotAction, or both")
    condition = record.get("Condition") or {}
    return Statement(
        effect == "Allow",
        tuple(action if ":" in action else f"{action}:*" for action in actions),
        tuple(action if ":" in action else f"{action}:*" for action in not_actions),
        _texts(record, "Resource"),
        tuple(sorted({key.lower() for test in condition.values() for key in test})),
    )


def _texts(record: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = record.get(name)
    if value is None:
        return ()
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) and one for one in listed):
        raise ValueError(f"{name} is not a list of texts")
    return tuple(listed)


@lru_cache(maxsize=8192)
def _compiled(pattern: str) -> re.Pattern[str]:
    # "?" stands for one character and so never covers a "*" of the other pattern.
    parts = {"*": ".*", "?": "[^*]"}
    return re.compile("".join(parts.get(c) or re.escape(c) for c in pattern.lower()), re.DOTALL)


@lru_cache(maxsize=65536)
def covers(pattern: str, other: str) -> bool:
    """Whether everything that *other* stands for is meant by *pattern*; case does not count."""
    if pattern in ("*", "*:*", other):
        return True
    return _compiled(pattern).fullmatch(other.lower()) is not None


@lru_cache(maxsize=65536)
def overlaps(one: str, other: str) -> bool:
    """Whether some name is meant by both patterns."""
    return _meet(one.lower(), other.lower())


def _meet(one: str, other: str) -> bool:
    """Walk both patterns side by side, keeping every pair of places they may have reached."""
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        i, j = todo.pop()
        if (i, j) in seen:
            continue
        seen.add((i, j))
        if i == len(one) and j == len(other):
            return True
        a, b = one[i : i + 1], other[j : j + 1]
        if a == "*":
            todo += [(i + 1, j)] + ([(i, j + 1)] if b else [])
        if b == "*":
            todo += [(i, j + 1)] + ([(i + 1, j)] if a else [])
        if a and b and "*" not in (a, b) and (a == b or "?" in (a, b)):
            todo.append((i + 1, j + 1))
    return False
