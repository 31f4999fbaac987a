"""From a tree to a checked condition: names, types, guards and three-valued logic."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from auditor.policy.language import emit, terms, types
from auditor.policy.language.condition import Condition
from auditor.policy.language.context import Context, fail
from auditor.policy.language.emit import Code
from auditor.policy.language.errors import ExpressionError
from auditor.policy.language.fields import FIELDS, OBJECTS, REFUSED, Absence, Field
from auditor.policy.language.functions import call
from auditor.policy.language.operators import binary
from auditor.policy.language.parser import parse
from auditor.policy.language.syntax import (
    Binary,
    Call,
    Conditional,
    Index,
    ListLiteral,
    Literal,
    Logic,
    Member,
    Name,
    Node,
    Unary,
)
from auditor.policy.language.terms import Term
from auditor.policy.language.types import Kind, Type
from auditor.policy.language.values import Constant, Parameters
from auditor.validation import did_you_mean

_ROOTS = ("credential", "parameters", "now")
_LITERALS: dict[type, Type] = {
    bool: types.BOOL,
    int: types.INT,
    float: types.FLOAT,
    str: types.STRING,
}


def compile_condition(text: str, parameters: Parameters, label: str) -> Condition:
    """Check and compile *text*; raises `ExpressionError`. *label* names it in tracebacks."""
    checker = _Checker(parameters)
    node = parse(text)
    term = checker.wanted(node, types.BOOL, "a condition")
    context = checker.context
    return Condition(
        body=context.emitter.body(term.code, label),
        reads=tuple(context.reads.values()),
        needs=tuple(context.needs.values()),
        limit_bodies={
            name: context.emitter.body(limit.code, label) for name, limit in context.limits.items()
        },
    )


class _Checker:
    """Visits a tree once; see `auditor.policy.language.context.Checker`."""

    def __init__(self, parameters: Parameters) -> None:
        self.context = Context(parameters)

    def wanted(self, node: Node, kind: Type, what: str) -> Term:
        """Return *node*, which must be of type *kind*."""
        term = self.visit(node)
        if term.type != kind:
            hint = "; compare it with '=='" if term.type.kind is Kind.ENUM else ""
            raise fail(node, f"{what} must be {_described(kind)}, not {term.type}{hint}")
        return term

    def visit(self, node: Node) -> Term:
        """Return *node* as a value; what may be absent must have been guarded."""
        rules: dict[type[Node], Callable[[Any], Term]] = {
            Name: self._guarded,
            Member: self._guarded,
            Index: self._guarded,
            Literal: self._literal,
            ListLiteral: self._list,
            Logic: self._logic,
            Unary: self._unary,
            Binary: partial(binary, self),
            Conditional: self._conditional,
            Call: partial(call, self),
        }
        return rules[type(node)](node)

    def place(self, node: Node) -> Term:
        """Return *node* as something that may be absent, for a guard to ask about."""
        match node:
            case Name():
                return self._name(node)
            case Member():
                return self._member(node)
            case Index():
                return self._entry(node, self.visit(node.operand), self.visit(node.key))
        return self.visit(node)

    def _guarded(self, node: Node) -> Term:
        term = self.place(node)
        if term.is_optional and term.place not in self.context.facts:
            raise fail(node, _unguarded(term))
        field = term.field
        if field is not None and (field.absence is Absence.UNKNOWN or field.type.can_be_unknown):
            self.context.needs.setdefault(field.name, field)
        return term

    def _literal(self, node: Literal) -> Term:
        if node.value is None:
            raise fail(node, "null can only be compared with '==' or '!='")
        kind = _LITERALS[type(node.value)]
        code = self.context.emitter.constant(node.value)
        return Term(type=kind, code=code, constant=Constant(kind, node.value))

    def _list(self, node: ListLiteral) -> Term:
        items = [self.visit(item) for item in node.items]
        if not items:
            raise fail(node, "an empty list holds nothing; remove it")
        for written, item in zip(node.items, items, strict=True):
            if item.type != items[0].type:
                raise fail(written, f"a list holds one type: {items[0].type}, not {item.type}")
        return Term(
            type=types.list_of(items[0].type),
            code=emit.tuple_of([item.code for item in items]),
            items_can_be_unknown=any(item.can_be_unknown for item in items),
        )

    def _logic(self, node: Logic) -> Term:
        """Join operands; each may rely on what those before it have made sure of."""
        is_and = node.operator == "&&"
        found: list[Term] = []
        facts = terms.NOTHING
        for operand in node.operands:
            with self.context.knowing(facts):
                found.append(self.wanted(operand, types.BOOL, f"what '{node.operator}' joins"))
            facts |= found[-1].when_true if is_and else found[-1].when_false
        return terms.joined(self.context.emitter, node.operator, found)

    def _unary(self, node: Unary) -> Term:
        emitter = self.context.emitter
        if node.operator == "!":
            term = self.wanted(node.operand, types.BOOL, "what follows '!'")
            return terms.negated(emitter, term)
        term = self.visit(node.operand)
        if not term.type.is_number:
            hint = "; write duration('-5d')" if term.type.kind is Kind.DURATION else ""
            raise fail(node, f"'-' takes a number, not {term.type}{hint}")
        if term.constant is not None and isinstance(term.constant.value, int | float):
            value = -term.constant.value
            return Term(
                type=term.type, code=emitter.constant(value), constant=Constant(term.type, value)
            )
        code = emitter.strict([term.operand], lambda values: emit.minus(values[0]))
        return Term(type=term.type, code=code, can_be_unknown=term.can_be_unknown)

    def _conditional(self, node: Conditional) -> Term:
        condition = self.wanted(node.condition, types.BOOL, "what stands before '?'")
        with self.context.knowing(condition.when_true):
            then = self.visit(node.then)
        with self.context.knowing(condition.when_false):
            otherwise = self.visit(node.otherwise)
        if then.type != otherwise.type and not (then.type.is_number and otherwise.type.is_number):
            raise fail(node, f"'?' chooses between {then.type} and {otherwise.type}")
        return terms.chosen(self.context.emitter, condition, then, otherwise)

    def _name(self, node: Name) -> Term:
        if node.name in self.context.variables:
            return self.context.variables[node.name]
        if node.name == "now":
            return Term(type=types.TIMESTAMP, code=emit.name("now"), place="now")
        if node.name in _ROOTS:
            raise fail(node, f"{node.name!r} is a group; write {node.name}.<name>")
        if node.name in FIELDS or node.name in OBJECTS:
            raise fail(node, f"unknown name {node.name!r}; did you mean credential.{node.name}?")
        known = [*_ROOTS, *self.context.variables]
        hint = did_you_mean(node.name, known) or f"; known: {', '.join(known)}"
        raise fail(node, f"unknown name {node.name!r}{hint}")

    def _member(self, node: Member) -> Term:
        path = _dotted(node)
        root = path.partition(".")[0]
        if path and root not in self.context.variables:
            if root == "parameters":
                return self._parameter(node, path.partition(".")[2])
            if root == "credential":
                name = path.partition(".")[2]
                if name in FIELDS:
                    return self._field(FIELDS[name])
                if name in OBJECTS:
                    known = [one for one in FIELDS if one.startswith(f"{name}.")]
                    raise fail(node, f"credential.{name} is a group; name one of {_list(known)}")
                if (first := name.partition(".")[0]) in REFUSED:
                    raise fail(node, REFUSED[first])
                if not self._is_value(node.operand):
                    raise self._unknown_field(node, name)
        operand = self.visit(node.operand)
        if operand.type.kind is not Kind.MAP:
            raise self._last(node, f"{operand.type} has no field {node.name!r}")
        kind = types.STRING
        key = Term(
            type=kind,
            code=self.context.emitter.constant(node.name),
            constant=Constant(kind, node.name),
        )
        return self._entry(node, operand, key)

    def _is_value(self, node: Node) -> bool:
        """Whether *node* is a field rather than a group of fields or nothing known."""
        name = _dotted(node).partition(".")[2]
        return any(f"{name}.".startswith(f"{one}.") for one in FIELDS)

    def _parameter(self, node: Member, name: str) -> Term:
        constant = self.context.parameters.get(name)
        if constant is None:
            known = sorted(self.context.parameters)
            hint = did_you_mean(name, known) or f"; known: {', '.join(known) or 'none'}"
            raise self._last(node, f"unknown parameter {name!r}{hint}")
        code = self.context.emitter.constant(constant.value)
        return Term(type=constant.type, code=code, constant=constant, place=f"parameters.{name}")

    def _field(self, field: Field) -> Term:
        self.context.reads.setdefault(field.name, field)
        bound: Code | None = emit.derived("idle_at_least") if field.name == "idle_for" else None
        return Term(
            type=field.type,
            code=emit.derived(field.local) if field.local else emit.attribute(field.name),
            can_be_unknown=field.absence is Absence.UNKNOWN,
            place=f"credential.{field.name}",
            field=field,
            at_least=bound,
            is_optional=field.absence is Absence.NONE,
        )

    def _entry(self, node: Node, container: Term, key: Term) -> Term:
        """Return the entry of a map; whether it is there is for a guard to say."""
        if container.type.kind is not Kind.MAP or container.type.item is None:
            hint = "; use 'in' or .exists()" if container.type.kind is Kind.LIST else ""
            raise fail(node, f"{container.type} has no entries{hint}")
        if key.type != types.STRING:
            raise fail(node, f"the key of a map is text, not {key.type}")
        facts = terms.key_fact(container, key)
        if not facts:
            raise fail(node, "a key is text in quotes, a field, or the variable of a macro")
        code = self.context.emitter.strict(
            [container.operand, key.operand], lambda values: emit.item(*values)
        )
        item = container.type.item
        unknown = container.can_be_unknown or key.can_be_unknown or item.kind is Kind.ANY
        return Term(
            type=item,
            code=code,
            can_be_unknown=unknown,
            place=next(iter(facts)),
            is_optional=True,
            container=container,
            key_term=key,
        )

    def _unknown_field(self, node: Member, name: str) -> ExpressionError:
        close = did_you_mean(name, [*FIELDS, *OBJECTS]).replace("'", "", 1)
        hint = close.replace("mean ", "mean credential.").replace("'", "") if close else ""
        return self._last(node, f"unknown field credential.{name}{hint}")

    @staticmethod
    def _last(node: Member, message: str) -> ExpressionError:
        return ExpressionError(message, node.end - len(node.name), node.end)


def _dotted(node: Node) -> str:
    """Return ``a.b.c`` where *node* is nothing else, and nothing otherwise."""
    parts: list[str] = []
    while isinstance(node, Member):
        parts.append(node.name)
        node = node.operand
    if not isinstance(node, Name):
        return ""
    return ".".join([node.name, *reversed(parts)])


def _described(kind: Type) -> str:
    return "a permission map" if kind == types.PERMISSIONS else str(kind)


def _list(names: Iterator[str] | list[str]) -> str:
    return ", ".join(f"credential.{name}" for name in names)


def _unguarded(term: Term) -> str:
    if term.container is not None and term.key_term is not None:
        entry = f"{term.key_term.key} in {term.container.place}"
        return f"this entry may be absent; guard it: {entry} && …"
    return f"{term.place} may be null; guard it: {term.place} != null && …"
