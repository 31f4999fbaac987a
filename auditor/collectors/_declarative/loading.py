"""Reading a description: strict, every mistake with line and column."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from auditor.collectors._declarative.schema import Description, Step
from auditor.collectors._declarative.templates import variables_in
from auditor.validation import KeyPath, did_you_mean
from auditor.yamlfile import Document, load

_ALWAYS = frozenset({"organization", "host"})


def load_description(path: Path) -> Description:
    """Return the description in the file at *path*; raises `ConfigError`."""
    document = load(path)
    description = document.validate(Description)
    if description.id != path.stem:
        raise document.fail(
            ("id",), f"the id {description.id!r} must be the name of the file, {path.stem!r}"
        )
    _Check(document, description).run()
    return description


class _Check:
    """What one block of the file says about another."""

    def __init__(self, document: Document, description: Description) -> None:
        self._document = document
        self._description = description
        self._steps = {step.id: step for step in description.steps}

    def run(self) -> None:
        """Raise `ConfigError` for the first name that leads nowhere."""
        options = set(self._description.options)
        for key in ("auth", "headers"):
            self._variables((key,), options)
        for key in ("tenant", "organization"):
            self._variables((key,), options | _ALWAYS)
        units = self._description.units
        self._known(("units", "option"), units.option, options, "option")
        self._known(("units", "list"), units.list, set(self._steps), "step")
        if len(self._steps) < len(self._description.steps):
            raise self._document.fail(("steps",), "two steps have the same id")
        for index, step in enumerate(self._description.steps):
            self._step(("steps", index), step, options)
        if not any(step.credentials for step in self._description.steps):
            raise self._document.fail(("steps",), "no step has credentials")

    def _step(self, place: KeyPath, step: Step, options: set[str]) -> None:
        before = set()
        for other in self._description.steps:
            if other is step:
                break
            before.add(other.id)
        self._known((*place, "each"), step.each, before, "step before this one")
        for key in ("if_option", "unless_option"):
            self._known((*place, key), getattr(step, key), options, "option")
        for name, join in step.join.items():
            self._known((*place, "join", name, "step"), join.step, set(self._steps), "step")
        above = set(self._above(step))
        for key in self._document.at(place):
            if key != "retrieve":
                self._variables((*place, key), options | _ALWAYS | above)
        self._retrieve((*place, "retrieve"), step, options)
        self._records((*place, "credentials"), above | set(step.join) | {"outer"})
        self._records((*place, "join"), above | {"outer"})

    def _retrieve(self, place: KeyPath, step: Step, options: set[str]) -> None:
        if step.retrieve is None:
            return
        spec = step.credentials
        if spec is None or len(spec.id) != 1 or spec.id[0].startswith("@"):
            raise self._document.fail(
                place, "reads one credential, so the step needs credentials with an id of their own"
            )
        self._variables(place, options | _ALWAYS | {"id", "principal", "tags"})
        for name in variables_in(step.retrieve.path):
            head, _, rest = name.partition(".")
            if (head == "principal" and rest != "id") or (head == "tags" and rest not in spec.tags):
                raise self._document.fail((*place, "path"), f"${{{name}}} leads nowhere")

    def _above(self, step: Step) -> Iterator[str]:
        while step.each is not None:
            yield step.each
            step = self._steps[step.each]

    def _known(self, place: KeyPath, name: str | None, known: set[str], what: str) -> None:
        if name is not None and name not in known:
            hint = did_you_mean(name, sorted(known))
            raise self._document.fail(place, f"there is no {what} {name!r}{hint}")

    def _variables(self, place: KeyPath, known: set[str]) -> None:
        """Check every ``${…}`` below *place*."""
        for path, text in _texts(self._document.at(place), place):
            for name in variables_in(text):
                head = name.partition(".")[0]
                if head not in known:
                    hint = did_you_mean(head, sorted(known))
                    raise self._document.fail(path, f"${{{name}}} leads nowhere{hint}")

    def _records(self, place: KeyPath, known: set[str]) -> None:
        """Check every ``@name.…`` below *place*."""
        for path, text in _texts(self._document.at(place), place):
            if text.startswith("@") and (head := text[1:].partition(".")[0]) not in known:
                hint = did_you_mean(head, sorted(known))
                raise self._document.fail(path, f"@{head} leads nowhere{hint}")


def _texts(value: Any, place: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*place, key), str(key)
            yield from _texts(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*place, index))


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a description, for editors."""
    schema: dict[str, Any] = json.loads(json.dumps(Description.model_json_schema()))
    return schema
