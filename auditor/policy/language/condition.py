"""A compiled condition and what it tells about itself."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any

from msgspec import Struct

from auditor.model import Credential
from auditor.policy.language.derived import Derived, blame
from auditor.policy.language.emit import Body, together
from auditor.policy.language.fields import FIELDS, Field
from auditor.policy.language.types import UNKNOWN_MEMBER

Test = Callable[..., bool | None]
"""A compiled condition; its arguments are `auditor.policy.language.fields.ARGUMENTS`."""
Answers = Callable[..., tuple[bool | None, ...]]
"""Several compiled conditions in one, of the same arguments."""

_LOCALS = {name: attrgetter(field.local) for name, field in FIELDS.items() if field.local}
_READERS = {name: attrgetter(name) for name, field in FIELDS.items() if field.local is None}


class Condition(Struct, frozen=True, dict=True):
    """A checked expression; what it compiles to is compiled when it is first asked for."""

    body: Body
    reads: tuple[Field, ...]
    """The fields it mentions, in order."""
    needs: tuple[Field, ...]
    """Those whose being unknown can make the answer unknown."""
    limit_bodies: Mapping[str, Body]

    @cached_property
    def test(self) -> Test:
        """The answer: True, False, or None for *unknown*."""
        return self.body.compile()

    @cached_property
    def limits(self) -> Mapping[str, Callable[..., Any]]:
        """Field → a function (of the same arguments) that returns what it is ordered against."""
        return {name: body.compile() for name, body in self.limit_bodies.items()}

    def evaluate(self, credential: Credential, derived: Derived, now: datetime) -> bool | None:
        """Return the answer for one credential at one instant."""
        return self.test(credential, derived, now)

    def limit(self, field: str, credential: Credential, derived: Derived, now: datetime) -> Any:
        """Return what *field* is ordered against; None where it is not, or that is unknown."""
        found = self.limits.get(field)
        return None if found is None else found(credential, derived, now)

    @property
    def reads_grants(self) -> bool:
        """Whether it rests on rights."""
        return any(field.is_grant for field in self.reads)

    def missing(self, credential: Credential, derived: Derived) -> tuple[str, ...]:
        """Return the names of the fields that are unknown; derived ones by what they lack."""
        found: dict[str, None] = {}
        for field in self.needs:
            value = field_value(field, credential, derived)
            if value is None:
                name = blame(field.name, credential) if field.local else field.name
                found.setdefault(name)
            elif field.type.can_be_unknown and value == UNKNOWN_MEMBER:
                found.setdefault(field.name)
        return tuple(found) or tuple(field.name for field in self.needs)


def compile_together(conditions: Iterable[Condition]) -> Answers:
    """Return what gives the answers of all *conditions* at once, in their order."""
    return together([condition.body for condition in conditions], "policies")


def field_value(field: Field, credential: Credential, derived: Derived) -> Any:
    """Return the value of *field*; None where it is absent or unknown."""
    if field.local is not None:
        return _LOCALS[field.name](derived)
    return _READERS[field.name](credential)
