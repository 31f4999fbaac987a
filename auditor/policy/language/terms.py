"""What the checker knows of a part of an expression, and how terms of any type are joined."""

import json
from collections.abc import Callable, Sequence

from msgspec import Struct

from auditor.policy.language import emit, types
from auditor.policy.language.emit import Code, Emitter, Operand
from auditor.policy.language.fields import Field
from auditor.policy.language.types import UNKNOWN_MEMBER, Kind, Type
from auditor.policy.language.values import Constant

NOTHING: frozenset[str] = frozenset()


class Term(Struct, frozen=True, kw_only=True):
    """A checked part of an expression and the code that computes it.

    A *fact* is the name of something that may be absent and has been found to be there:
    ``credential.owner``, ``credential.tags["env"]``. Where the fact behind ``when_true`` does not
    hold, the term is certainly false (never unknown), so what follows ``&&`` is not evaluated.
    """

    type: Type
    code: Code
    can_be_unknown: bool = False
    place: str | None = None
    """How guards call it."""
    field: Field | None = None
    constant: Constant | None = None
    at_least: Code | None = None
    """A lower bound that is known more often than the value."""
    is_optional: bool = False
    """Whether it may be absent, so that an expression must guard it."""
    container: "Term | None" = None
    """Of an entry: the map it stands in; *key_term* is its key."""
    key_term: "Term | None" = None
    items_can_be_unknown: bool = False
    """Of a list: whether what it holds can be unknown."""
    when_true: frozenset[str] = NOTHING
    when_false: frozenset[str] = NOTHING

    @property
    def operand(self) -> Operand:
        """The term as the emitter takes it."""
        return Operand(self.code, self.can_be_unknown)

    @property
    def key(self) -> str | None:
        """How the term is written as a key inside the name of a fact; None where it varies."""
        if self.constant is not None and isinstance(self.constant.value, str):
            return json.dumps(self.constant.value)
        return self.place


def key_fact(container: Term, key: Term) -> frozenset[str]:
    """Return what is known where *key* is in the map *container*."""
    if container.place is None or key.key is None:
        return NOTHING
    return frozenset({f"{container.place}[{key.key}]"})


def has_key(emitter: Emitter, key: Term, container: Term) -> Term:
    """Return whether *key* is in the map *container*."""
    code = emitter.strict(
        [key.operand, container.operand], lambda values: emit.compare("in", *values)
    )
    return Term(
        type=types.BOOL,
        code=code,
        can_be_unknown=key.can_be_unknown or container.can_be_unknown,
        when_true=key_fact(container, key),
    )


def negated(emitter: Emitter, term: Term) -> Term:
    """Return ``!term``."""
    code = emitter.strict([term.operand], lambda values: emit.negation(values[0]))
    return Term(
        type=types.BOOL,
        code=code,
        can_be_unknown=term.can_be_unknown,
        when_true=term.when_false,
        when_false=term.when_true,
    )


def joined(emitter: Emitter, operator: str, terms: Sequence[Term]) -> Term:
    """Return the terms joined by ``&&`` or ``||``."""
    is_and = operator == "&&"
    code = emitter.junction([term.operand for term in terms], absorbing=not is_and)
    every = [term.when_true if is_and else term.when_false for term in terms]
    common = [term.when_false if is_and else term.when_true for term in terms]
    gained, shared = frozenset().union(*every), common[0].intersection(*common[1:])
    return Term(
        type=types.BOOL,
        code=code,
        can_be_unknown=any(term.can_be_unknown for term in terms),
        when_true=gained if is_and else shared,
        when_false=shared if is_and else gained,
    )


def chosen(emitter: Emitter, condition: Term, then: Term, otherwise: Term) -> Term:
    """Return ``condition ? then : otherwise``; the types are known to agree."""
    code = emitter.strict(
        [condition.operand], lambda values: emit.choose(values[0], then.code, otherwise.code)
    )
    kind = types.FLOAT if types.FLOAT in (then.type, otherwise.type) else then.type
    unknown = (condition, then, otherwise)
    return Term(type=kind, code=code, can_be_unknown=any(one.can_be_unknown for one in unknown))


def compared(
    emitter: Emitter, operator: str, left: Term, right: Term, compare: Code | None = None
) -> Term:
    """Return a comparison of two terms whose types are known to agree.

    *compare* is a function to use instead of the operator.
    """

    def build(values: list[Code]) -> Code:
        if compare is None:
            return emit.compare(operator, values[0], values[1])
        equal = emit.call(compare, values[0], values[1])
        return equal if operator == "==" else emit.negation(equal)

    code = emitter.strict([left.operand, right.operand], build)
    return Term(
        type=types.BOOL, code=code, can_be_unknown=left.can_be_unknown or right.can_be_unknown
    )


def at_least_compared(emitter: Emitter, operator: str, left: Term, right: Term) -> Term:
    """Return a comparison whose left side is known exactly or as a lower bound.

    Being long enough is certain from the bound alone; being short is certain only exactly.
    """
    bound, exact = left.at_least or left.code, emit.is_not_none(left.code)

    def build(values: list[Code]) -> Code:
        low, limit = values
        if operator in (">=", ">"):
            reached = emit.compare(operator, low, limit)
            return emit.choose(reached, emit.TRUE, emit.choose(exact, emit.FALSE, emit.NONE))
        if operator in ("<", "<="):
            reached = emit.compare(">=" if operator == "<" else ">", low, limit)
            return emit.choose(reached, emit.FALSE, emit.choose(exact, emit.TRUE, emit.NONE))
        beyond = emit.choose(emit.compare(">", low, limit), _constant(operator == "!="), emit.NONE)
        return emit.choose(exact, emit.compare(operator, low, limit), beyond)

    code = emitter.strict([Operand(bound, can_be_unknown=True), right.operand], build)
    return Term(type=types.BOOL, code=code, can_be_unknown=True)


def _constant(value: bool) -> Code:  # noqa: FBT001
    """Return the constant true or false."""
    return emit.TRUE if value else emit.FALSE


def state_is(emitter: Emitter, term: Term, member: Code, *, negate: bool, is_unknown: bool) -> Term:
    """Return whether a state is (or, with *negate*, is not) *member*.

    A state that is unknown is neither like nor unlike another, unless the question is whether it
    is unknown.
    """
    operator = "!=" if negate else "=="
    if is_unknown or not term.type.can_be_unknown:
        code = emitter.strict(
            [term.operand], lambda values: emit.compare(operator, values[0], member)
        )
        return Term(type=types.BOOL, code=code, can_be_unknown=term.can_be_unknown)
    return _unless_unknown(
        emitter, term, lambda value: emit.compare("==", value, member), negate=negate
    )


def state_in(emitter: Emitter, term: Term, members: Code, *, has_unknown: bool) -> Term:
    """Return whether a state is among *members*."""
    if has_unknown or not term.type.can_be_unknown:
        code = emitter.strict([term.operand], lambda values: emit.compare("in", values[0], members))
        return Term(type=types.BOOL, code=code, can_be_unknown=term.can_be_unknown)
    return _unless_unknown(emitter, term, lambda value: emit.compare("in", value, members))


def states_compared(emitter: Emitter, operator: str, left: Term, right: Term) -> Term:
    """Return whether two states of the same kind are equal; unknown where one is."""

    def known(term: Term) -> Operand:
        kept, again = emitter.keep(term.code)
        unknown = emit.compare("==", kept, emitter.constant(UNKNOWN_MEMBER))
        return Operand(emit.choose(unknown, emit.NONE, again), can_be_unknown=True)

    code = emitter.strict(
        [known(left), known(right)], lambda values: emit.compare(operator, values[0], values[1])
    )
    return Term(type=types.BOOL, code=code, can_be_unknown=True)


def _unless_unknown(
    emitter: Emitter,
    term: Term,
    test: Callable[[Code], Code],
    *,
    negate: bool = False,
) -> Term:
    kept, again = emitter.keep(term.code)
    unknown = emit.compare("==", again, emitter.constant(UNKNOWN_MEMBER))
    if term.can_be_unknown:
        unknown = emit.compare("in", again, emitter.bind((None, UNKNOWN_MEMBER)))
    code = emit.choose(
        test(kept), _constant(not negate), emit.choose(unknown, emit.NONE, _constant(negate))
    )
    return Term(type=types.BOOL, code=code, can_be_unknown=True)


def agree(left: Type, right: Type) -> bool:
    """Whether values of the two types can be compared for equality."""
    if left.kind is Kind.ANY or right.kind is Kind.ANY:
        return Kind.LIST not in (left.kind, right.kind) and Kind.MAP not in (left.kind, right.kind)
    return left == right or (left.is_number and right.is_number)
