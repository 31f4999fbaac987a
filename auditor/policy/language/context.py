"""What is known while one expression is checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from auditor.policy.language.emit import Emitter
from auditor.policy.language.errors import ExpressionError
from auditor.policy.language.fields import Field
from auditor.policy.language.syntax import Node
from auditor.policy.language.terms import Term
from auditor.policy.language.types import Type
from auditor.policy.language.values import Parameters


class Checker(Protocol):
    """The part of the checker that its rules for operators and calls use."""

    context: "Context"

    def visit(self, node: Node) -> Term:
        """Return *node* as a value; what may be absent must have been guarded."""

    def place(self, node: Node) -> Term:
        """Return *node* as something that may be absent, for a guard to ask about."""

    def wanted(self, node: Node, kind: Type, what: str) -> Term:
        """Return *node*, which must be of type *kind*."""


class Context:
    """Guards that hold here, variables of macros, and what has been read so far."""

    def __init__(self, parameters: Parameters) -> None:
        self.emitter = Emitter()
        self.parameters = parameters
        self.facts: frozenset[str] = frozenset()
        self.variables: dict[str, Term] = {}
        self.reads: dict[str, Field] = {}
        """Every field the expression mentions, in order."""
        self.needs: dict[str, Field] = {}
        """Of those, the ones whose being unknown can make the answer unknown."""
        self.limits: dict[str, Term] = {}
        """Field → what it is ordered against."""

    def limit(self, field: Field, term: Term) -> None:
        """Note what *field* is ordered against, unless that can only be computed behind a guard."""
        if term.constant is not None or not (self.facts or self.variables):
            self.limits.setdefault(field.name, term)

    @contextmanager
    def knowing(self, facts: frozenset[str]) -> Iterator[None]:
        """Let *facts* hold for a while."""
        before = self.facts
        self.facts = before | facts
        try:
            yield
        finally:
            self.facts = before

    @contextmanager
    def variable(self, name: str, term: Term) -> Iterator[None]:
        """Let *name* stand for *term* for a while."""
        self.variables[name] = term
        try:
            yield
        finally:
            del self.variables[name]


def fail(node: Node, message: str) -> ExpressionError:
    """Return an error about *node*."""
    return ExpressionError(message, node.start, node.end)
