"""The functions, methods and macros of the condition language."""

from collections.abc import Callable

from auditor.policy.language import emit, runtime, terms, types
from auditor.policy.language.context import Checker, fail
from auditor.policy.language.fields import Absence
from auditor.policy.language.pattern import Pattern, PatternError
from auditor.policy.language.syntax import Call, Index, Literal, Member, Name, Node
from auditor.policy.language.terms import Term
from auditor.policy.language.types import Kind, Type
from auditor.policy.language.values import Constant
from auditor.times import parse_duration, parse_instant
from auditor.validation import did_you_mean

Rule = Callable[[Checker, Call], Term]

MAX_LOOPS = 3

_UNSUPPORTED = frozenset(
    ("map", "filter", "exists_one", "int", "uint", "double", "string", "bytes", "bool", "dyn",
     "type", "split", "join", "replace", "substring", "getFullYear", "getDate", "getHours")
)  # fmt: skip
_STRING_TESTS = {"startsWith": "startswith", "endsWith": "endswith"}


def call(checker: Checker, node: Call) -> Term:
    """Return a call of a function, a method or a macro."""
    known = _METHODS if node.target is not None else _FUNCTIONS
    rule = known.get(node.name)
    if rule is None:
        raise _unknown(node)
    return rule(checker, node)


def _unknown(node: Call) -> Exception:
    if node.target is not None and node.name in _FUNCTIONS and node.name != "size":
        return fail(node, f"write {node.name}(…), not ….{node.name}()")
    if node.target is None and node.name in _METHODS:
        return fail(node, f"write ….{node.name}(…): it belongs behind a value and a dot")
    known = sorted(_METHODS if node.target is not None else _FUNCTIONS)
    if node.name in _UNSUPPORTED:
        return fail(node, f"{node.name}() is not supported; known: {', '.join(known)}")
    hint = did_you_mean(node.name, known)
    return fail(node, f"unknown function {node.name}(){hint}; known: {', '.join(known)}")


def _arguments(node: Call, *names: str) -> tuple[Node, ...]:
    if len(node.arguments) != len(names):
        wanted = ", ".join(names)
        raise fail(node, f"{node.name}({wanted}) takes {len(names)}, not {len(node.arguments)}")
    return node.arguments


def _target(node: Call) -> Node:
    if node.target is None:  # pragma: no cover - the tables keep functions and methods apart
        raise fail(node, f"{node.name}() belongs behind a value and a dot")
    return node.target


def _literal(node: Node, what: str) -> str:
    if not isinstance(node, Literal) or not isinstance(node.value, str):
        raise fail(node, f"{what} must be written in quotes")
    return node.value


def _duration(checker: Checker, node: Call) -> Term:
    (argument,) = _arguments(node, "'45d'")
    text = _literal(argument, "a duration").strip()
    try:
        length = parse_duration(text.removeprefix("-"))
    except ValueError as error:
        raise fail(argument, str(error)) from None
    return _constant(checker, Constant(types.DURATION, -length if text[:1] == "-" else length))


def _timestamp(checker: Checker, node: Call) -> Term:
    (argument,) = _arguments(node, "'2026-01-31T00:00:00Z'")
    text = _literal(argument, "a time")
    try:
        return _constant(checker, Constant(types.TIMESTAMP, parse_instant(text)))
    except ValueError as error:
        raise fail(argument, f"{text!r} {error}; write 2026-01-31T00:00:00Z") from None


def _constant(checker: Checker, value: Constant) -> Term:
    code = checker.context.emitter.constant(value.value)
    return Term(type=value.type, code=code, constant=value)


def _size(checker: Checker, node: Call) -> Term:
    if node.target is not None:
        _arguments(node)
        argument = node.target
    else:
        (argument,) = _arguments(node, "value")
    term = checker.visit(argument)
    if term.type.kind not in (Kind.STRING, Kind.LIST, Kind.MAP):
        raise fail(argument, f"size() counts text, a list or a map, not {term.type}")
    return _applied(checker, len, types.INT, term)


def _applied(checker: Checker, function: Callable[..., object], kind: Type, *given: Term) -> Term:
    emitter = checker.context.emitter
    code = emitter.strict(
        [term.operand for term in given],
        lambda values: emit.call(emitter.bind(function), *values),
    )
    return Term(type=kind, code=code, can_be_unknown=any(term.can_be_unknown for term in given))


def _has(checker: Checker, node: Call) -> Term:
    (argument,) = _arguments(node, "field")
    if not isinstance(argument, Member | Index):
        raise fail(argument, "has() asks about a field or an entry of a map")
    term = checker.place(argument)
    if term.container is not None and term.key_term is not None:
        return terms.has_key(checker.context.emitter, term.key_term, term.container)
    if term.type.kind is Kind.ENUM:
        raise fail(node, f"a state is always there; compare {term.place} with 'unknown'")
    if term.field is None or term.field.absence is Absence.NEVER:
        raise fail(node, f"{term.place} is always there; remove has()")
    return Term(
        type=types.BOOL,
        code=emit.is_not_none(term.code),
        when_true=frozenset({str(term.place)}) if term.is_optional else terms.NOTHING,
    )


def _granted(checker: Checker, node: Call) -> Term:
    permissions, resource, permission = _arguments(node, "permissions", "resource", "permission")
    return _applied(
        checker,
        runtime.granted,
        types.BOOL,
        checker.wanted(permissions, types.PERMISSIONS, "the first argument of granted()"),
        checker.wanted(resource, types.STRING, "the resource type"),
        checker.wanted(permission, types.STRING, "the permission"),
    )


def _granted_count(checker: Checker, node: Call) -> Term:
    (permissions,) = _arguments(node, "permissions")
    term = checker.wanted(permissions, types.PERMISSIONS, "the argument of granted_count()")
    return _applied(checker, runtime.granted_count, types.INT, term)


def _string_test(checker: Checker, node: Call) -> Term:
    (argument,) = _arguments(node, "text")
    text = checker.wanted(_target(node), types.STRING, f"what stands before .{node.name}()")
    part = checker.wanted(argument, types.STRING, f"the argument of {node.name}()")

    def build(values: list[emit.Code]) -> emit.Code:
        if node.name == "contains":
            return emit.compare("in", values[1], values[0])
        return emit.method(values[0], _STRING_TESTS[node.name], values[1])

    code = checker.context.emitter.strict([text.operand, part.operand], build)
    return Term(
        type=types.BOOL, code=code, can_be_unknown=text.can_be_unknown or part.can_be_unknown
    )


def _matches(checker: Checker, node: Call) -> Term:
    (argument,) = _arguments(node, "'pattern'")
    text = checker.wanted(_target(node), types.STRING, "what stands before .matches()")
    try:
        pattern = Pattern(_literal(argument, "a pattern"))
    except PatternError as error:
        raise fail(argument, str(error)) from None
    return _applied(checker, pattern.search, types.BOOL, text)


def _lower(checker: Checker, node: Call) -> Term:
    _arguments(node)
    text = checker.wanted(_target(node), types.STRING, "what stands before .lowerAscii()")
    return _applied(checker, runtime.lower_ascii, types.STRING, text)


def _macro(checker: Checker, node: Call) -> Term:
    variable, body = _arguments(node, "name", "condition")
    if not isinstance(variable, Name):
        raise fail(variable, f"the first argument of {node.name}() is a new name")
    context = checker.context
    if variable.name in ("credential", "parameters", "now") or variable.name in context.variables:
        raise fail(variable, f"the name {variable.name!r} is taken; choose another")
    if len(context.variables) >= MAX_LOOPS:
        raise fail(node, f"loops nested deeper than {MAX_LOOPS} levels; split the policy")
    items = checker.visit(_target(node))
    item = types.STRING if items.type.kind is Kind.MAP else items.type.item
    if items.type.kind not in (Kind.LIST, Kind.MAP) or item is None:
        raise fail(_target(node), f"{node.name}() goes through a list or a map, not {items.type}")
    local = context.emitter.variable()
    one = Term(
        type=item, code=emit.name(local), can_be_unknown=items.items_can_be_unknown,
        place=variable.name,
    )  # fmt: skip
    facts = terms.key_fact(items, one) if items.type.kind is Kind.MAP else terms.NOTHING
    with context.variable(variable.name, one), context.knowing(facts):
        test = checker.wanted(body, types.BOOL, f"the condition of {node.name}()")
    function = context.emitter.bind(runtime.exists if node.name == "exists" else runtime.all_)
    code = context.emitter.strict(
        [items.operand],
        lambda values: emit.call(function, values[0], emit.function_of(local, test.code)),
    )
    unknown = items.can_be_unknown or test.can_be_unknown
    return Term(type=types.BOOL, code=code, can_be_unknown=unknown)


_FUNCTIONS: dict[str, Rule] = {
    "duration": _duration,
    "timestamp": _timestamp,
    "size": _size,
    "has": _has,
    "granted": _granted,
    "granted_count": _granted_count,
}
_METHODS: dict[str, Rule] = {
    "size": _size,
    "startsWith": _string_test,
    "endsWith": _string_test,
    "contains": _string_test,
    "matches": _matches,
    "lowerAscii": _lower,
    "exists": _macro,
    "all": _macro,
}
FUNCTION_NAMES = tuple(sorted(_FUNCTIONS))
METHOD_NAMES = tuple(sorted(_METHODS))
