"""Reads and checks the file: layout first, then every entry by its plug, then names that point."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from auditor import plugs
from auditor.collectors.interface import Collector
from auditor.config.entries import DESCRIPTION_ENDINGS, ChannelConfig, SourceConfig
from auditor.config.layout import Layout
from auditor.delivery.interface import Channel
from auditor.errors import ConfigError
from auditor.reports.interface import ReportFormat
from auditor.secrets import resolve_url
from auditor.validation import KeyPath
from auditor.yamlfile import Document, load, parse

T = TypeVar("T")


@dataclass(frozen=True)
class Config:
    """A checked configuration."""

    path: Path
    document: Document
    layout: Layout
    sources: tuple[SourceConfig, ...]
    deliveries: tuple[ChannelConfig, ...]

    @property
    def directory(self) -> Path:
        """The folder where relative paths start."""
        return self.path.parent

    @cached_property
    def database_url(self) -> str:
        """Where the store is, references resolved; raises `ConfigError`."""
        url = resolve_url(self.layout.database.url, self.directory, "database.url")
        return _anchor(url, self.directory)

    @property
    def is_on_sqlite(self) -> bool:
        """Whether the database is a file of this machine."""
        return self.database_url.startswith("sqlite")

    @property
    def report_directory(self) -> Path:
        """Where reports go unless ``--output`` says otherwise."""
        return self.directory / self.layout.reports.directory

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works and should not stay as it is."""
        return tuple(
            f"{where} holds a secret in plain text; write ${{env:NAME}} or ${{file:PATH}} instead"
            for entry in (*self.sources, *self.deliveries)
            for where in entry.literals()
        )

    def select(self, names: Iterable[str]) -> tuple[SourceConfig, ...]:
        """Return the named sources, or all for no name; raises `ConfigError`."""
        wanted = list(names)
        known = [source.name for source in self.sources]
        for name in wanted:
            if name not in known:
                raise ConfigError(plugs.unknown("source", name, known))
        return tuple(s for s in self.sources if not wanted or s.name in wanted)


def load_config(path: Path, text: str | None = None) -> Config:
    """Read and check the configuration; raises `ConfigError`.

    With *text* that is taken for what the file says.
    """
    document = load(path) if text is None else parse(text, str(path))
    layout = document.validate(Layout)
    sources = tuple(_source(document, ("sources", i)) for i in range(len(layout.sources)))
    deliveries = tuple(_channel(document, ("deliveries", i)) for i in range(len(layout.deliveries)))
    for block in ("sources", "deliveries", "schedules"):
        _check_names(document, block)
    _check_references(document, layout)
    _check_formats(document, layout)
    return Config(
        path=path.resolve(),
        document=document,
        layout=layout,
        sources=sources,
        deliveries=deliveries,
    )


def _source(document: Document, place: KeyPath) -> SourceConfig:
    provider = document.at((*place, "provider"))
    if isinstance(provider, str) and provider.endswith(DESCRIPTION_ENDINGS):
        path = Path(document.name).resolve().parent / provider
        collector: type[Collector] = plugs.described("auditor.collectors", path, Collector)
    else:
        collector = _plug(document, place, "auditor.collectors", "provider", Collector)
    source = SourceConfig(document, place, collector.Options, collector)
    source.check()
    return source


def _channel(document: Document, place: KeyPath) -> ChannelConfig:
    channel: type[Channel] = _plug(document, place, "auditor.delivery", "channel", Channel)
    delivery = ChannelConfig(document, place, channel.Options, channel)
    delivery.check()
    return delivery


def _plug(document: Document, place: KeyPath, package: str, key: str, base: type[T]) -> type[T]:
    name = document.at((*place, key))
    if not isinstance(name, str):
        known = ", ".join(plugs.names(package))
        raise document.fail(place, f"{key!r} is missing; name one of: {known}")
    try:
        return plugs.find(package, name, base)
    except ConfigError as error:
        raise document.fail((*place, key), str(error)) from None


def _check_names(document: Document, block: str) -> None:
    seen: set[str] = set()
    for index, entry in enumerate(document.at((block,)) or ()):
        name = entry.get("name")
        if name in seen:
            raise document.fail((block, index, "name"), f"the name {name!r} is taken; use another")
        seen.add(name)


def _check_references(document: Document, layout: Layout) -> None:
    """Names that point at other blocks must be found there."""
    known = {
        "sources": [entry.get("name") for entry in layout.sources],
        "deliveries": [entry.get("name") for entry in layout.deliveries],
    }
    for index, schedule in enumerate(document.at(("schedules",)) or ()):
        for block, names in known.items():
            for at, name in enumerate(schedule.get(block) or ()):
                if name not in names:
                    message = plugs.unknown(_SINGULAR[block], str(name), [str(n) for n in names])
                    raise document.fail(("schedules", index, block, at), message)
    for index, gap in enumerate(layout.known_gaps):
        if gap.source not in known["sources"]:
            message = plugs.unknown("source", gap.source, [str(n) for n in known["sources"]])
            raise document.fail(("known_gaps", index, "source"), message)


_SINGULAR = {"sources": "source", "deliveries": "delivery"}


def _check_formats(document: Document, layout: Layout) -> None:
    for index, name in enumerate(layout.reports.formats):
        try:
            plugs.find("auditor.reports", name, ReportFormat)
        except ConfigError as error:
            raise document.fail(("reports", "formats", index), str(error)) from None
    for name, options in layout.reports.options.items():
        place = ("reports", "options", name)
        try:
            kind = plugs.find("auditor.reports", name, ReportFormat)
        except ConfigError as error:
            raise document.fail(place, str(error), key=True) from None
        try:
            kind.Options.model_validate(options)
        except ValidationError as error:
            raise document.invalid(error, kind.Options, place) from None


def _anchor(url: str, directory: Path) -> str:
    """Let a relative SQLite path start at the configuration's folder."""
    scheme, separator, rest = url.partition(":///")
    if not separator or not scheme.startswith("sqlite") or not rest or rest.startswith((":", "/")):
        return url
    return f"{scheme}:///{directory / rest}"
