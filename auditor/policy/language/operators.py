"""Which operators take which types, and what they mean."""

from auditor.policy.language import emit, runtime, terms, types
from auditor.policy.language.context import Checker, fail
from auditor.policy.language.emit import Operand
from auditor.policy.language.syntax import Binary, ListLiteral, Literal, Node
from auditor.policy.language.terms import Term
from auditor.policy.language.types import UNKNOWN_MEMBER, Kind, Type
from auditor.policy.language.values import Constant
from auditor.validation import did_you_mean

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_ORDERED = (Kind.INT, Kind.FLOAT, Kind.STRING, Kind.DURATION, Kind.TIMESTAMP)
_SUMS: dict[tuple[str, Kind, Kind], Type] = {
    ("+", Kind.INT, Kind.INT): types.INT,
    ("-", Kind.INT, Kind.INT): types.INT,
    ("+", Kind.DURATION, Kind.DURATION): types.DURATION,
    ("-", Kind.DURATION, Kind.DURATION): types.DURATION,
    ("+", Kind.TIMESTAMP, Kind.DURATION): types.TIMESTAMP,
    ("+", Kind.DURATION, Kind.TIMESTAMP): types.TIMESTAMP,
    ("-", Kind.TIMESTAMP, Kind.DURATION): types.TIMESTAMP,
    ("-", Kind.TIMESTAMP, Kind.TIMESTAMP): types.DURATION,
}


def binary(checker: Checker, node: Binary) -> Term:
    """Return a comparison, a membership test, a sum or a difference."""
    if node.operator in "+-":
        return _sum(checker, node)
    if node.operator == "in":
        return _membership(checker, node)
    if node.operator in ("==", "!="):
        return _equality(checker, node)
    return _order(checker, node)


def _sum(checker: Checker, node: Binary) -> Term:
    left, right = checker.visit(node.left), checker.visit(node.right)
    kind = _SUMS.get((node.operator, left.type.kind, right.type.kind))
    if kind is None:
        raise fail(node, f"'{node.operator}' does not join {left.type} and {right.type}")
    emitter = checker.context.emitter
    join = runtime.plus if node.operator == "+" else runtime.minus
    if left.constant is not None and right.constant is not None:
        value = join(left.constant.value, right.constant.value)
        if value is not None:
            return Term(type=kind, code=emitter.constant(value), constant=Constant(kind, value))
    function = emitter.bind(join)
    code = emitter.strict(
        [left.operand, right.operand], lambda values: emit.call(function, *values)
    )
    return Term(type=kind, code=code, can_be_unknown=True)


def _order(checker: Checker, node: Binary) -> Term:
    left, right = checker.visit(node.left), checker.visit(node.right)
    if Kind.ENUM in (left.type.kind, right.type.kind):
        raise fail(node, "a state has no order; compare it with '==', '!=' or 'in'")
    if left.type.kind not in _ORDERED or not terms.agree(left.type, right.type):
        raise fail(node, _mismatch(node.operator, left.type, right.type))
    operator = node.operator
    if left.field is None or left.constant is not None:
        left, right, operator = right, left, _FLIPPED[operator]
    if left.field is not None:
        checker.context.limit(left.field, right)
    return _compared(checker, operator, left, right)


def _compared(checker: Checker, operator: str, left: Term, right: Term) -> Term:
    if left.at_least is None and right.at_least is not None:
        left, right, operator = right, left, _FLIPPED[operator]
    if left.at_least is not None and right.at_least is None:
        return terms.at_least_compared(checker.context.emitter, operator, left, right)
    return terms.compared(checker.context.emitter, operator, left, right)


def _equality(checker: Checker, node: Binary) -> Term:
    for one, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(other, Literal) and other.value is None:
            return _is_null(checker, node, one)
    left, right = _sides(checker, node.left, node.right)
    if left.type.kind is Kind.ENUM or right.type.kind is Kind.ENUM:
        return _state_equality(checker, node, left, right)
    if left.type.kind in (Kind.LIST, Kind.MAP) or not terms.agree(left.type, right.type):
        raise fail(node, _mismatch(node.operator, left.type, right.type))
    if Kind.ANY in (left.type.kind, right.type.kind):
        emitter = checker.context.emitter
        return terms.compared(emitter, node.operator, left, right, emitter.bind(runtime.same))
    return _compared(checker, node.operator, left, right)


def _sides(checker: Checker, left: Node, right: Node) -> tuple[Term, Term]:
    """Visit both sides; to ask whether a state is unknown does not need the state to be known."""
    asks = [isinstance(one, Literal) and one.value == UNKNOWN_MEMBER for one in (left, right)]
    first = checker.place(left) if asks[1] else checker.visit(left)
    second = checker.place(right) if asks[0] else checker.visit(right)
    return first, second


def _is_null(checker: Checker, node: Binary, operand: Node) -> Term:
    term = checker.place(operand)
    if term.field is None or not term.is_optional:
        hint = "has(…) tells whether it is known" if term.field and term.can_be_unknown else ""
        raise fail(node, f"only a field that may be absent can be null; {hint or 'remove this'}")
    fact = frozenset({str(term.place)})
    return Term(
        type=types.BOOL,
        code=emit.is_(term.code, emit.NONE)
        if node.operator == "=="
        else emit.is_not_none(term.code),
        when_true=fact if node.operator == "!=" else terms.NOTHING,
        when_false=fact if node.operator == "==" else terms.NOTHING,
    )


def _state_equality(checker: Checker, node: Binary, left: Term, right: Term) -> Term:
    emitter = checker.context.emitter
    if left.type == right.type:
        return terms.states_compared(emitter, node.operator, left, right)
    other_node = node.right
    if left.type.kind is not Kind.ENUM:
        left, right, other_node = right, left, node.left
    if right.constant is None or right.type.kind is not Kind.STRING:
        raise fail(node, f"compare it with one of {', '.join(left.type.members)}")
    member = str(right.constant.value)
    _check_member(other_node, left.type, member)
    return terms.state_is(
        emitter,
        left,
        emitter.constant(member),
        negate=node.operator == "!=",
        is_unknown=member == UNKNOWN_MEMBER,
    )


def _check_member(node: Node, kind: Type, member: str) -> None:
    if member not in kind.members:
        hint = did_you_mean(member, kind.members)
        raise fail(node, f"{member!r} is not one of {', '.join(kind.members)}{hint}")


def _mismatch(operator: str, left: Type, right: Type) -> str:
    hint = ""
    if {left.kind, right.kind} == {Kind.DURATION, Kind.STRING}:
        hint = "; write duration('45d')"
    elif {left.kind, right.kind} == {Kind.TIMESTAMP, Kind.STRING}:
        hint = "; write timestamp('2026-01-31T00:00:00Z')"
    elif left == right:
        return f"'{operator}' does not compare {left}"
    return f"'{operator}' does not compare {left} with {right}{hint}"


def _membership(checker: Checker, node: Binary) -> Term:
    if isinstance(node.right, ListLiteral):
        return _in_literal(checker, node, node.right)
    right = checker.visit(node.right)
    if right.type.kind is Kind.MAP:
        return _has_key(checker, node, right)
    if right.type.kind is not Kind.LIST or right.type.item is None:
        raise fail(node.right, f"'in' looks into a list or a map, not into {right.type}")
    left = checker.visit(node.left)
    if left.type.kind is Kind.ENUM and right.constant is not None:
        return _state_in(checker, node, left, right.constant)
    if not terms.agree(left.type, right.type.item):
        raise fail(node, f"{left.type} cannot be in {right.type}")
    return _contained(checker, left, right)


def _contained(checker: Checker, left: Term, right: Term) -> Term:
    code = checker.context.emitter.strict(
        [left.operand, right.operand], lambda values: emit.compare("in", *values)
    )
    return Term(
        type=types.BOOL, code=code, can_be_unknown=left.can_be_unknown or right.can_be_unknown
    )


def _state_in(checker: Checker, node: Binary, left: Term, members: Constant) -> Term:
    values = members.value if isinstance(members.value, tuple) else ()
    for member in values:
        _check_member(node.right, left.type, str(member))
    emitter = checker.context.emitter
    has_unknown = UNKNOWN_MEMBER in values
    return terms.state_in(emitter, left, emitter.bind(values), has_unknown=has_unknown)


def _has_key(checker: Checker, node: Binary, container: Term) -> Term:
    key = checker.wanted(node.left, types.STRING, "a key")
    return terms.has_key(checker.context.emitter, key, container)


def _in_literal(checker: Checker, node: Binary, right: ListLiteral) -> Term:
    """Return ``x in [a, b]`` as ``x == a || x == b``, which is right where some are unknown."""
    emitter = checker.context.emitter
    if not right.items:
        checker.visit(node.left)
        return Term(type=types.BOOL, code=emit.FALSE)
    known = [item.value for item in right.items if isinstance(item, Literal)]
    left = checker.place(node.left) if UNKNOWN_MEMBER in known else checker.visit(node.left)
    if len(known) == len(right.items) and left.type.kind in (Kind.ENUM, Kind.STRING, Kind.INT):
        return _in_constants(checker, node, left, right)
    kept, again = emitter.keep(left.code)
    tests = []
    for position, item in enumerate(right.items):
        value = checker.visit(item)
        if left.type.kind in (Kind.LIST, Kind.MAP) or not terms.agree(left.type, value.type):
            raise fail(item, _mismatch("==", left.type, value.type))
        # The first test must evaluate the left side, so that the others can read it again.
        same = Term(type=left.type, code=again if position else kept, can_be_unknown=True)
        tests.append(_compared(checker, "==", same, value))
    return terms.joined(emitter, "||", tests) if len(tests) > 1 else tests[0]


def _in_constants(checker: Checker, node: Binary, left: Term, right: ListLiteral) -> Term:
    items = [checker.visit(item) for item in right.items]
    values = tuple(item.constant.value for item in items if item.constant is not None)
    if left.type.kind is Kind.ENUM:
        for item, term in zip(right.items, items, strict=True):
            if term.type.kind is not Kind.STRING:
                raise fail(item, _mismatch("==", left.type, term.type))
            _check_member(item, left.type, str(term.constant and term.constant.value))
        return _state_in(checker, node, left, Constant(types.list_of(types.STRING), values))
    for item, term in zip(right.items, items, strict=True):
        if not terms.agree(left.type, term.type):
            raise fail(item, _mismatch("==", left.type, term.type))
    members = checker.context.emitter.bind(frozenset(values))
    code = checker.context.emitter.strict(
        [Operand(left.code, left.can_be_unknown)],
        lambda found: emit.compare("in", found[0], members),
    )
    return Term(type=types.BOOL, code=code, can_be_unknown=left.can_be_unknown)
