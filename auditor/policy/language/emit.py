"""Python syntax trees for checked expressions, in three-valued logic.

In the code a value of None is *unknown*. Names in the code come from here alone; whatever a user
wrote appears as a constant.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import CodeType, FunctionType
from typing import Any

from msgspec import Struct

from auditor.policy.language.fields import ARGUMENTS

Code = ast.expr

NONE = ast.Constant(None)
TRUE = ast.Constant(value=True)
FALSE = ast.Constant(value=False)
_COMPARE: dict[str, type[ast.cmpop]] = {
    "==": ast.Eq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
    "in": ast.In,
}


class Operand(Struct, frozen=True):
    """A piece of code and whether it can yield None."""

    code: Code
    can_be_unknown: bool


def name(identifier: str) -> ast.Name:
    """Return code that reads a name."""
    return ast.Name(identifier, ast.Load())


def attribute(path: str) -> Code:
    """Return code that reads *path* (dotted) of the credential."""
    return _path(f"{ARGUMENTS[0]}.{path}")


def derived(path: str) -> Code:
    """Return code that reads *path* (dotted) of the derived facts."""
    return _path(f"{ARGUMENTS[1]}.{path}")


def compare(operator: str, left: Code, right: Code) -> Code:
    """Return ``left operator right`` for two known values."""
    return ast.Compare(left, [_COMPARE[operator]()], [right])


def choose(condition: Code, then: Code, otherwise: Code) -> Code:
    """Return ``then if condition else otherwise``."""
    return ast.IfExp(condition, then, otherwise)


def is_(code: Code, value: ast.Constant) -> Code:
    """Return ``code is value``."""
    return ast.Compare(code, [ast.Is()], [value])


def is_not_none(code: Code) -> Code:
    """Return ``code is not None``."""
    return ast.Compare(code, [ast.IsNot()], [NONE])


def call(function: Code, *arguments: Code) -> Code:
    """Return a call."""
    return ast.Call(function, list(arguments), [])


def method(target: Code, attribute_name: str, *arguments: Code) -> Code:
    """Return a call of a method; *attribute_name* is one of ours, never the user's."""
    return call(ast.Attribute(target, attribute_name, ast.Load()), *arguments)


def item(container: Code, key: Code) -> Code:
    """Return ``container[key]``."""
    return ast.Subscript(container, key, ast.Load())


def negation(code: Code) -> Code:
    """Return ``not code`` for a known value."""
    return ast.UnaryOp(ast.Not(), code)


def minus(code: Code) -> Code:
    """Return ``-code`` for a known number."""
    return ast.UnaryOp(ast.USub(), code)


def tuple_of(codes: Sequence[Code]) -> Code:
    """Return ``(a, b, …)``."""
    return ast.Tuple(list(codes), ast.Load())


def function_of(variable: str, body: Code) -> Code:
    """Return ``lambda variable: body``."""
    return _lambda((variable,), body)


class Body(Struct, frozen=True):
    """The code of a function of `ARGUMENTS`, what its names are bound to, and what it is called."""

    code: Code
    bindings: Mapping[str, Any]
    label: str

    def compile(self) -> FunctionType:
        """Return the function."""
        return _function(self.code, self.bindings, self.label)


def together(bodies: Sequence[Body], label: str) -> FunctionType:
    """Return one function that returns what each of the *bodies* does, as a tuple."""
    bindings: dict[str, Any] = {}
    for body in bodies:
        bindings |= body.bindings
    return _function(tuple_of([body.code for body in bodies]), bindings, label)


_bound = count()


class Emitter:
    """Hands out temporary names and binds constants for one function.

    A name that is bound is bound once in the process, so that bodies can be put `together`. A
    temporary is written before it is read, so it can be anybody's.
    """

    def __init__(self) -> None:
        self._bindings: dict[str, Any] = {}
        self._temporaries = 0

    def variable(self) -> str:
        """Return a new local name."""
        self._temporaries += 1
        return f"t{self._temporaries}"

    def keep(self, code: Code) -> tuple[Code, Code]:
        """Return code that evaluates *code* and keeps its value, and code that reads it again."""
        variable = self.variable()
        return ast.NamedExpr(ast.Name(variable, ast.Store()), code), name(variable)

    def constant(self, value: Any) -> Code:
        """Return code for a value known now."""
        if isinstance(value, str | bool | int | float):
            return ast.Constant(value)
        return self.bind(value)

    def bind(self, value: Any) -> Code:
        """Return code that reads *value*, a constant or a function of ours."""
        identifier = f"k{next(_bound)}"
        self._bindings[identifier] = value
        return name(identifier)

    def strict(self, operands: Sequence[Operand], build: Callable[[list[Code]], Code]) -> Code:
        """Return what *build* makes of the operands' values, unknown where one is unknown."""
        tests: list[Code] = []
        values: list[Code] = []
        for operand in operands:
            if operand.can_be_unknown:
                kept, again = self.keep(operand.code)
                tests.append(is_(kept, NONE))
                values.append(again)
            else:
                values.append(operand.code)
        built = build(values)
        return choose(_any(tests), NONE, built) if tests else built

    def junction(self, operands: Sequence[Operand], *, absorbing: bool) -> Code:
        """Return ``&&`` (*absorbing* false) or ``||`` (true) of the operands, left to right.

        One absorbing operand decides, whatever the unknown ones are.
        """
        decisive: list[Code] = []
        unknown: list[Code] = []
        for operand in operands:
            if operand.can_be_unknown:
                kept, again = self.keep(operand.code)
                decisive.append(is_(kept, TRUE if absorbing else FALSE))
                unknown.append(is_(again, NONE))
            else:
                decisive.append(operand.code if absorbing else negation(operand.code))
        if not unknown:
            codes = [operand.code for operand in operands]
            return ast.BoolOp(ast.Or() if absorbing else ast.And(), codes)
        neutral = choose(_any(unknown), NONE, FALSE if absorbing else TRUE)
        return choose(_any(decisive), TRUE if absorbing else FALSE, neutral)

    def body(self, code: Code, label: str) -> Body:
        """Return the body of a function of `ARGUMENTS` that returns *code*."""
        return Body(code, self._bindings, label)


def _function(code: Code, bindings: Mapping[str, Any], label: str) -> FunctionType:
    tree = ast.fix_missing_locations(ast.Expression(_lambda(ARGUMENTS, code)))
    module = compile(tree, f"<{label}>", "eval", dont_inherit=True)
    compiled = next(one for one in module.co_consts if isinstance(one, CodeType))
    return FunctionType(compiled, {"__builtins__": {}, **bindings})


def _path(path: str) -> Code:
    first, *others = path.split(".")
    code: Code = name(first)
    for part in others:
        code = ast.Attribute(code, part, ast.Load())
    return code


def _any(tests: list[Code]) -> Code:
    return tests[0] if len(tests) == 1 else ast.BoolOp(ast.Or(), tests)


def _lambda(parameters: Sequence[str], body: Code) -> ast.Lambda:
    arguments = [ast.arg(parameter) for parameter in parameters]
    return ast.Lambda(ast.arguments([], arguments, None, [], [], None, []), body)
