"""Sources and channels: entries whose keys their plugs define, and whose secrets stay references.

References are resolved when a source or channel opens (`auditor.secrets`), not before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from auditor.collectors.interface import Collector, Context
from auditor.delivery.interface import Channel
from auditor.secrets import has_reference, is_secret_field, resolve, resolve_all
from auditor.validation import KeyPath
from auditor.yamlfile import Document

DESCRIPTION_ENDINGS = (".yaml", ".yml")
"""A provider that ends so is the path of a user's own description."""


@dataclass(frozen=True)
class Entry:
    """One entry under ``sources:`` or ``deliveries:``; its references are not resolved yet."""

    document: Document
    place: KeyPath
    options_type: type[BaseModel]

    @property
    def raw(self) -> dict[str, Any]:
        """The entry as it stands in the file."""
        return dict(self.document.at(self.place))

    @property
    def name(self) -> str:
        """The configured instance."""
        return str(self.raw["name"])

    @property
    def directory(self) -> Path:
        """Where its relative paths start."""
        return Path(self.document.name).resolve().parent

    def options(self) -> Any:
        """Resolve the references and return the checked options; raises `ConfigError`."""
        where = f"{self.place[0]}[{self.place[1]}]"
        resolved = resolve_all(self.raw, self.directory, where)
        try:
            return self.options_type.model_validate(resolved)
        except ValidationError as error:
            raise self.document.invalid(error, self.options_type, self.place) from None

    def check(self) -> None:
        """Check what can be checked while references stay what they are; raises `ConfigError`."""
        try:
            self.options_type.model_validate(self.raw)
        except ValidationError as error:
            if not any(has_reference(value) for value in _texts(self.raw)):
                raise self.document.invalid(error, self.options_type, self.place) from None
            unresolved = [
                item
                for item in error.errors(include_url=False)
                if not any(map(has_reference, _texts(self.document.at(self.place + item["loc"]))))
            ]
            if unresolved:
                raise self.document.invalid(error, self.options_type, self.place) from None

    def resolve(self, text: str) -> str:
        """Resolve the references in a *text* that a plug met in a file the entry names."""
        return resolve(text, self.directory, self.name)

    def literals(self) -> Iterator[str]:
        """Yield the secret fields that hold a literal instead of a reference."""
        for key, value in self.raw.items():
            if is_secret_field(key) and isinstance(value, str) and not has_reference(value):
                line, _column = self.document.locate((*self.place, key))
                yield f"{self.document.name}:{line}: {key}"


@dataclass(frozen=True)
class SourceConfig(Entry):
    """One entry under ``sources:``."""

    collector: type[Collector]

    @property
    def provider(self) -> str:
        """The kind of system."""
        named = str(self.raw["provider"])
        return Path(named).stem if named.endswith(DESCRIPTION_ENDINGS) else named

    @property
    def is_file(self) -> bool:
        """Whether it reads exports, to which ``as_of`` applies, instead of a live system."""
        return self.provider == "file"

    def open(self, context: Context) -> Collector:
        """Return its collector; raises `ConfigError` for a reference that leads nowhere."""
        return self.collector(self.options(), context)


@dataclass(frozen=True)
class ChannelConfig(Entry):
    """One entry under ``deliveries:``."""

    channel: type[Channel]

    def open(self, **lent: Any) -> Channel:
        """Return its channel; raises `ConfigError` for a reference that leads nowhere."""
        return self.channel(self.options(), self.resolve, **lent)


def _texts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    else:
        yield value
