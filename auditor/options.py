"""What the options of sources and channels have in common: strict, frozen, and self-describing."""

import ast
from collections.abc import Iterator
from inspect import cleandoc, getsource
from itertools import pairwise
from textwrap import dedent
from typing import Any

from pydantic import BaseModel, ConfigDict


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Add to *schema* what stands below the fields of *model*.

    pydantic's own switch for it (``use_attribute_docstrings``) reads the source of each model as
    it is imported, which takes longer than all the rest of the model and serves no audit.
    """
    keys = {name: field.alias or name for name, field in model.model_fields.items()}
    for kind in model.__mro__:
        for name, text in _documented(kind):
            if name in keys:
                schema["properties"][keys[name]].setdefault("description", text)


def _documented(kind: type) -> Iterator[tuple[str, str]]:
    """Yield the name of each attribute of *kind* that a text stands below, and the text."""
    try:
        tree = ast.parse(dedent(getsource(kind)))
    except (OSError, TypeError, SyntaxError):  # built at run time: it brings its descriptions
        return
    for definition in tree.body:
        for pair in pairwise(getattr(definition, "body", ())):
            match pair:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    yield name, cleandoc(text)


OPTIONS = ConfigDict(
    extra="forbid", frozen=True, hide_input_in_errors=True, json_schema_extra=_describe
)
"""How the options of plugs are read: unknown keys are errors, and errors quote no values."""
