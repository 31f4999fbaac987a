"""The shapes an expression is parsed into. *start* and *end* count characters of the text."""

from msgspec import Struct


class Node(Struct, frozen=True, kw_only=True):
    """A part of an expression."""

    start: int
    end: int


class Literal(Node, frozen=True, kw_only=True):
    """Text, a number, true, false or null."""

    value: str | int | float | bool | None


class ListLiteral(Node, frozen=True, kw_only=True):
    """``[a, b]``."""

    items: tuple[Node, ...]


class Name(Node, frozen=True, kw_only=True):
    """``credential``, ``parameters``, ``now``, or the variable of a macro."""

    name: str


class Member(Node, frozen=True, kw_only=True):
    """``operand.name``."""

    operand: Node
    name: str


class Index(Node, frozen=True, kw_only=True):
    """``operand[key]``."""

    operand: Node
    key: Node


class Call(Node, frozen=True, kw_only=True):
    """``name(arguments)`` or ``target.name(arguments)``."""

    name: str
    target: Node | None
    arguments: tuple[Node, ...]


class Unary(Node, frozen=True, kw_only=True):
    """``!operand`` or ``-operand``."""

    operator: str
    operand: Node


class Binary(Node, frozen=True, kw_only=True):
    """A comparison, ``in``, ``+`` or ``-``."""

    operator: str
    left: Node
    right: Node


class Logic(Node, frozen=True, kw_only=True):
    """A chain of ``&&`` or of ``||``; flat, so that long chains stay shallow."""

    operator: str
    operands: tuple[Node, ...]


class Conditional(Node, frozen=True, kw_only=True):
    """``condition ? then : otherwise``."""

    condition: Node
    then: Node
    otherwise: Node
