"""Why a policy flags a credential: the facts, the limits, and what mends it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import Enum
from functools import cache, partial
from operator import attrgetter
from typing import Any

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
from auditor.policy.language.condition import field_value
from auditor.policy.language.derived import ENDLESS, Derived
from auditor.policy.language.fields import FIELDS, Absence, Field
from auditor.policy.policy import Explanation, Policy
from auditor.policy.privilege import reasons
from auditor.policy.remedy import Kind, remedy_for
from auditor.policy.rule import Rule
from auditor.policy.template import TAG, Template, granted_names

_NAMED_PERMISSIONS = 20


class Explainer:
    """Explains violations of one rule by credentials of one kind; texts are read once."""

    def __init__(self, rule: Rule, kind: Kind) -> None:
        policy = rule.source.policy
        remedy = remedy_for(policy, kind)
        self._rule = rule
        self._title = _template(rule, rule.source.file.title)
        self._message = _template(rule, policy.message)
        self._summary = _template(rule, remedy.summary)
        self._commands = [_template(rule, one, is_command=True) for one in remedy.commands]
        self._url = remedy.url
        self._controls = controls_for(policy, kind.provider)

    def explain(self, credential: Credential, derived: Derived, now: datetime) -> Explanation:
        """Return the explanation of a violation by *credential*."""

        def find(_root: str, name: str) -> Any:
            return _reader(name)(credential, derived)

        commands = tuple([command.render_command(find) for command in self._commands])
        return Explanation(
            title=self._title.render(find),
            message=self._message.render(find),
            evidence=tuple(_evidence(self._rule, credential, derived, now)),
            rationale=self._rule.source.policy.rationale,
            remediation=Remediation(self._summary.render(find), commands, self._url),
            controls=self._controls,
        )


def controls_for(policy: Policy, provider: str) -> dict[str, tuple[str, ...]]:
    """Return the control ids of the frameworks that speak about credentials of *provider*."""
    return {
        key: tuple(control.id for control in controls)
        for key, controls in policy.controls.items()
        if key not in framework_keys() or framework(key).covers(provider)
    }


def _template(rule: Rule, text: str, *, is_command: bool = False) -> Template:
    """Return *text* with the limits of *rule* in it; only facts are left to be filled in."""

    def find(_root: str, name: str) -> Any:
        return rule.parameters[name].value

    template = Template(text, rule.source.policy.parameters)
    return template.with_limits(find, is_command=is_command)


@cache
def _reader(name: str) -> Callable[[Credential, Derived], Any]:
    """Return what reads a fact for people: of idleness at least the lower bound."""
    if name == "idle_for":
        return lambda _credential, derived: derived.idle_at_least
    if name.startswith(TAG):
        tag = name.removeprefix(TAG)
        return lambda credential, _derived: credential.tags.get(tag)
    field = FIELDS.get(name)
    if field is not None:
        return partial(field_value, field)
    read = attrgetter(name)
    return lambda credential, _derived: read(credential)


def _evidence(
    rule: Rule, credential: Credential, derived: Derived, now: datetime
) -> Iterator[Evidence]:
    """Yield the facts the condition reads, what the derived ones rest on, and their time."""
    shown: set[str] = set()
    for field in rule.condition.reads:
        limit = rule.condition.limit(field.name, credential, derived, now)
        yield Evidence(field.name, _observed(field, credential, derived), _json(limit))
        shown.add(field.name)
    for field in rule.condition.reads:
        if not (field.is_grant or field.name in _SUPPORTED):
            continue
        for name in _supporting(field, credential):
            if name not in shown:
                shown.add(name)
                observed = (
                    reasons(credential)
                    if name == "permissions"
                    else _observed(FIELDS[name], credential, derived)
                )
                yield Evidence(name, observed)
    if "data_as_of" not in shown:
        yield Evidence("data_as_of", _json(credential.data_as_of))


def _observed(field: Field, credential: Credential, derived: Derived) -> Any:
    """Return a field as a JSON value."""
    value = _reader(field.name)(credential, derived)
    if value is None and field.absence is Absence.NONE:
        return "none"
    if field.is_grant and isinstance(value, dict | tuple):
        names = granted_names(value) if isinstance(value, dict) else list(value)
        more = len(names) - _NAMED_PERMISSIONS
        return names[:_NAMED_PERMISSIONS] + ([f"and {more} more"] if more > 0 else [])
    return _json(value)


def _json(value: Any) -> Any:
    if value is None or type(value) is str:
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return wording.rfc3339(value)
    if isinstance(value, timedelta):
        return "unlimited" if value == ENDLESS else msgspec.to_builtins(value)
    return list(value) if isinstance(value, tuple) else value


_SUPPORTED = frozenset(
    {"idle_for", "age", "expires_in", "lifetime", "privilege", "is_permission_outlier"}
)
"""Fields that rest on others, besides those about rights."""


def _supporting(field: Field, credential: Credential) -> Iterator[str]:
    """Yield the fields that *field* rests on for this credential."""
    has_rotated = "created_at" if credential.rotated_at is None else "rotated_at"
    match field.name:
        case "idle_for":
            yield from _idleness(credential)
        case "age":
            yield has_rotated
        case "expires_in":
            yield "expires_at" if credential.expires_at is not None else "expires_state"
        case "lifetime":
            yield from (has_rotated, "expires_at")
        case "privilege":
            yield "permissions"
        case "is_permission_outlier":
            yield from ("peer_limit", "peer_median", "peers")
    if field.is_grant and credential.permissions_certainty == Certainty.INFERRED:
        yield "permissions_certainty"


def _idleness(credential: Credential) -> Iterator[str]:
    yield "last_used_state"
    if credential.last_used_state == LastUsedState.USED:
        yield "last_used_at"
        if credential.last_used_precision is not None:
            yield "last_used_precision"
    elif credential.last_used_state == LastUsedState.NEVER:
        yield "created_at"
    else:
        yield "last_used_window_start"
    if credential.last_used_subject == LastUsedSubject.PRINCIPAL:
        yield "last_used_subject"
