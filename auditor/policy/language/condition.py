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
        for name, read, is_derived, is_state in self._needed:
            value = read(derived if is_derived else credential)
            if value is None:
                found.setdefault(blame(name, credential) if is_derived else name)
            elif is_state and value == UNKNOWN_MEMBER:
                found.setdefault(name)
        return tuple(found) or tuple(field.name for field in self.needs)

    @cached_property
    def _needed(self) -> tuple[tuple[str, Callable[[Any], Any], bool, bool], ...]:
        """What `needs` says, ready to be asked: most of what cannot be judged lacks the same."""
        return tuple(
            (field.name, _reader(field), field.local is not None, field.type.can_be_unknown)
            for field in self.needs
        )


def compile_together(conditions: Iterable[Condition]) -> Answers:
    """Return what gives the answers of all *conditions* at once, in their order."""
    return together([condition.body for condition in conditions], "policies")


def field_value(field: Field, credential: Credential, derived: Derived) -> Any:
    """Return the value of *field*; None where it is absent or unknown."""
    return _reader(field)(credential if field.local is None else derived)


def _reader(field: Field) -> Callable[[Any], Any]:
    """Return what reads *field* from the credential or, a derived one, from what is derived."""
    return _READERS[field.name] if field.local is None else _LOCALS[field.name]
