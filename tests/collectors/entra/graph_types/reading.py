"""Microsoft's published TypeScript types of Graph, read as what an answer may hold."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGES = {
    "v1.0": "@microsoft/microsoft-graph-types",
    "beta": "@microsoft/microsoft-graph-types-beta",
}
"""By version of the API: the npm package that the excerpt here is from."""

_INTERFACE = re.compile(
    r"^export interface (\w+)(?: extends (\w+))? \{\n(.*?)^\}", re.MULTILINE | re.DOTALL
)
_FIELD = re.compile(r"^    (\w+)\?: (.+);$", re.MULTILINE)
_LITERALS = re.compile(r"^export type (\w+) =(.*?);", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"/\*\*.*?\*/|^ *//.*?$", re.MULTILINE | re.DOTALL)
_PLAIN: dict[str, type] = {"string": str, "boolean": bool, "number": int}


class Types:
    """The interfaces and the unions of literals in *text*."""

    def __init__(self, text: str) -> None:
        bare = _COMMENT.sub("", text)
        self._parents = {name: parent for name, parent, _ in _INTERFACE.findall(bare)}
        self._own = {name: dict(_FIELD.findall(body)) for name, _, body in _INTERFACE.findall(bare)}
        self.literals = {
            name: frozenset(re.findall(r'"([^"]*)"', found))
            for name, found in _LITERALS.findall(bare)
        }

    @property
    def names(self) -> list[str]:
        return list(self._own)

    def fields(self, name: str) -> dict[str, str]:
        """Return field → type, as it is written."""
        parent = self._parents[name]
        return (self.fields(parent) if parent else {}) | self._own[name]

    def faults(self, value: Any, stated: str, where: str = "") -> Iterator[str]:
        """Yield what about *value* is not as its type is *stated*."""
        where = where or stated
        nullable = re.fullmatch(r"NullableOption<(.*)>", stated)
        stated = nullable[1] if nullable else stated
        if value is None:
            yield from () if nullable else (f"{where} is null",)
        elif stated.endswith("[]"):
            if not isinstance(value, list):
                yield f"{where} is no list"
                return
            for one in value:
                yield from self.faults(one, stated.removesuffix("[]"), where)
        elif stated in _PLAIN:
            if type(value) is not _PLAIN[stated]:
                yield f"{where} is no {stated}"
        elif stated in self.literals:
            yield from () if value in self.literals[stated] else (f"{where} is {value!r}",)
        elif stated in self._own:
            yield from self._faults_of_object(value, stated)
        else:
            yield f"{where} is a {stated}, which the excerpt lacks"

    def _faults_of_object(self, value: Any, name: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{name} is no object"
            return
        known = self.fields(name)
        for key, one in value.items():
            if key in known:
                yield from self.faults(one, known[key], f"{name}.{key}")
            else:
                yield f"{name}.{key} is not described"


def excerpt(version: str) -> Types:
    """Return what is kept here of a version of the API."""
    return Types((HERE / f"{version}.d.ts").read_text(encoding="utf-8"))


def release(version: str) -> str:
    """Return the release of the package that the excerpt says it is from."""
    first = (HERE / f"{version}.d.ts").read_text(encoding="utf-8").partition("\n")[0]
    return first.split(" ")[3]


def published(version: str, modules: Path) -> tuple[str, Types] | None:
    """Return release and types of the package in *modules*; None where it is not installed."""
    folder = modules / PACKAGES[version]
    if not folder.is_dir():
        return None
    text = (folder / "microsoft-graph.d.ts").read_text(encoding="utf-8")
    return json.loads((folder / "package.json").read_text())["version"], Types(text)
