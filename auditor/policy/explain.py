"""Why a policy flags a credential: the facts, the limits, and what mends it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from auditor import wording
from auditor.model import (
    Certainty,
    Credential,
    Evidence,
    LastUsedState,
    LastUsedSubject,
    Remediation,
)
from auditor.policy.controls import framework, framework_keys
from auditor.policy.language.derived import ENDLESS, Derived
from auditor.policy.language.fields import FIELDS, Absence, Field
from auditor.policy.language.types import Kind as FieldKind
from auditor.policy.policy import Explanation, Policy
from auditor.policy.privilege import reasons
from auditor.policy.remedy import Kind, remedy_for
from auditor.policy.rule import Rule
from auditor.policy.template import TAG, Hole, Template, argument, granted_names, in_words

_NAMED_PERMISSIONS = 20

Read = Callable[[Credential, Derived], Any]
Row = Callable[[Credential, Derived, datetime], Evidence]
"""(credential, what is derived from it, now) → one fact of it."""


class Explainer:
    """Explains violations of one rule by credentials of one kind.

    What no credential changes is made once, and all explanations share it.
    """

    def __init__(self, rule: Rule, kind: Kind) -> None:
        policy = rule.source.policy
        remedy = remedy_for(policy, kind)
        self._rule = rule
        self._rows: dict[tuple[Any, ...], tuple[Row, ...]] = {}
        self._title = _Text(rule, rule.source.file.title)
        self._message = _Text(rule, policy.message)
        self._rationale = policy.rationale
        self._summary = _Text(rule, remedy.summary)
        self._commands = [_Text(rule, one, is_command=True) for one in remedy.commands]
        self._url = remedy.url
        self._controls = controls_for(policy, kind.provider)
        self._remediation: Remediation | None = None
        """Where no fact of the credential stands in it."""
        if all(text.said is not None for text in (self._summary, *self._commands)):
            self._remediation = Remediation(
                self._summary.said or "",
                tuple(command.said or "" for command in self._commands),
                self._url,
            )

    def explain(self, credential: Credential, derived: Derived, now: datetime) -> Explanation:
        """Return the explanation of a violation by *credential*."""
        shape = _shape_of(credential)
        rows = self._rows.get(shape)
        if rows is None:
            rows = self._rows[shape] = tuple(_rows(self._rule, _Shape._make(shape)).values())
        return Explanation(
            title=self._title.about(credential, derived),
            message=self._message.about(credential, derived),
            evidence=tuple([row(credential, derived, now) for row in rows]),
            rationale=self._rationale,
            remediation=self._remediation or self._remedy(credential, derived),
            controls=self._controls,
        )

    def _remedy(self, credential: Credential, derived: Derived) -> Remediation:
        return Remediation(
            self._summary.about(credential, derived),
            tuple([command.about(credential, derived) for command in self._commands]),
            self._url,
        )


def controls_for(policy: Policy, provider: str) -> dict[str, tuple[str, ...]]:
    """Return the control ids of the frameworks that speak about credentials of *provider*."""
    return {
        key: tuple(control.id for control in controls)
        for key, controls in policy.controls.items()
        if key not in framework_keys() or framework(key).covers(provider)
    }


class _Text:
    """A text with the limits of *rule* in it; only facts are left to be filled in."""

    def __init__(self, rule: Rule, text: str, *, is_command: bool = False) -> None:
        def find(_root: str, name: str) -> Any:
            return rule.parameters[name].value

        template = Template(text, rule.source.policy.parameters)
        parts = template.with_limits(find, is_command=is_command).parts
        self._say = argument if is_command else in_words
        self._parts: list[str | tuple[Read, Hole]] = [
            part if isinstance(part, str) else (_reader(part[1]), part) for part in parts
        ]
        first = parts[0]
        self.said = first if isinstance(first, str) and len(parts) == 1 else None
        """The text, where nothing is left to be filled in."""

    def about(self, credential: Credential, derived: Derived) -> str:
        """Return the text about *credential*."""
        if self.said is not None:
            return self.said
        say = self._say
        return "".join(
            [
                part if isinstance(part, str) else say(part[0](credential, derived), part[1])
                for part in self._parts
            ]
        )


@cache
def _reader(name: str) -> Read:
    """Return what reads a fact for people: of idleness at least the lower bound."""
    if name == "idle_for":
        return lambda _credential, derived: derived.idle_at_least
    if name.startswith(TAG):
        tag = name.removeprefix(TAG)
        return lambda credential, _derived: credential.tags.get(tag)
    field = FIELDS.get(name)
    if field is not None and field.local is not None:
        derive = attrgetter(field.local)
        return lambda _credential, derived: derive(derived)
    read = attrgetter(name)
    return lambda credential, _derived: read(credential)


class _Shape(NamedTuple):
    """What decides which facts a credential's evidence consists of."""

    is_rotated: bool
    has_end: bool
    last_used_state: LastUsedState
    has_precision: bool
    last_used_subject: LastUsedSubject
    certainty: Certainty


def _shape_of(credential: Credential) -> tuple[Any, ...]:
    """Return the fields of the credential's `_Shape`."""
    return (
        credential.rotated_at is not None,
        credential.expires_at is not None,
        credential.last_used_state,
        credential.last_used_precision is not None,
        credential.last_used_subject,
        credential.permissions_certainty,
    )


def _rows(rule: Rule, shape: _Shape) -> dict[str, Row]:
    """Return the facts the condition reads, what the derived ones rest on, and their time."""
    reads = rule.condition.reads
    rows = {field.name: _row(field, rule.condition.limits.get(field.name)) for field in reads}
    for field in reads:
        for name in _supporting(field, shape):
            if name not in rows:
                rows[name] = _reasons_row if name == "permissions" else _row(FIELDS[name])
    rows.setdefault("data_as_of", _row(FIELDS["data_as_of"]))
    return rows


def _row(field: Field, limit: Callable[..., Any] | None = None) -> Row:
    """Return what shows *field*, held against what *limit* returns."""
    name, read, observed = field.name, _reader(field.name), _observed(field)
    if limit is not None:
        return lambda credential, derived, now: Evidence(
            name, observed(read(credential, derived)), _json(limit(credential, derived, now))
        )
    if field.type.kind is FieldKind.ENUM:
        state = cache(lambda value: Evidence(name, _json(value)))
        return lambda credential, derived, _now: state(read(credential, derived))
    return lambda credential, derived, _now: Evidence(name, observed(read(credential, derived)))


def _reasons_row(credential: Credential, _derived: Derived, _now: datetime) -> Evidence:
    """Show the rights that make the credential as privileged as it is; null for unknown ones."""
    named = reasons(credential)
    is_known = bool(named) or credential.permissions is not None
    return Evidence("permissions", named if is_known else None)


def _observed(field: Field) -> Callable[[Any], Any]:
    """Return what makes a value of *field* a JSON value."""
    if field.is_grant:
        return _granted
    if field.absence is Absence.NONE:
        return lambda value: "none" if value is None else _json(value)
    return _json


def _granted(value: Any) -> Any:
    if not isinstance(value, dict | tuple):
        return _json(value)
    names = granted_names(value) if isinstance(value, dict) else list(value)
    more = len(names) - _NAMED_PERMISSIONS
    return names[:_NAMED_PERMISSIONS] + ([f"and {more} more"] if more > 0 else [])


def _json(value: Any) -> Any:
    if value is None or type(value) is str:
        return value
    if isinstance(value, datetime):
        return wording.rfc3339(value)
    if isinstance(value, timedelta):
        return "unlimited" if value == ENDLESS else msgspec.to_builtins(value)
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _supporting(field: Field, shape: _Shape) -> Iterator[str]:
    """Yield the fields that *field* rests on in credentials of that shape."""
    has_rotated = "rotated_at" if shape.is_rotated else "created_at"
    match field.name:
        case "idle_for":
            yield from _idleness(shape)
        case "age":
            yield has_rotated
        case "expires_in":
            yield "expires_at" if shape.has_end else "expires_state"
        case "lifetime":
            yield from (has_rotated, "expires_at")
        case "privilege":
            yield "permissions"
        case "is_permission_outlier":
            yield from ("peer_limit", "peer_median", "peers")
    if field.is_grant and shape.certainty == Certainty.INFERRED:
        yield "permissions_certainty"


def _idleness(shape: _Shape) -> Iterator[str]:
    yield "last_used_state"
    if shape.last_used_state == LastUsedState.USED:
        yield "last_used_at"
        if shape.has_precision:
            yield "last_used_precision"
    elif shape.last_used_state == LastUsedState.NEVER:
        yield "created_at"
    else:
        yield "last_used_window_start"
    if shape.last_used_subject == LastUsedSubject.PRINCIPAL:
        yield "last_used_subject"
