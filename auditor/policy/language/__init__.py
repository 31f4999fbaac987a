"""The condition language: a typed subset of CEL that compiles to one Python function.

Text passes through `lexer`, `parser`, `checker` (types, guards, three-valued logic) and `emit`
(Python syntax trees). Nothing a user wrote is ever evaluated as text: names come from the table
in `fields`, everything else is a constant.
"""

from auditor.policy.language.checker import compile_condition
from auditor.policy.language.condition import Condition
from auditor.policy.language.errors import ExpressionError
from auditor.policy.language.values import Parameters, parameter_value

__all__ = [
    "Condition",
    "ExpressionError",
    "Parameters",
    "compile_condition",
    "parameter_value",
]
