"""The configuration: one YAML file in, frozen values out, every mistake with line and column.

Relative paths start at the file's own folder. References to secrets stay references until a
source or channel opens (`auditor.secrets`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from auditor import plugs
from auditor.collectors.interface import Collector, Context
from auditor.delivery.interface import Channel
from auditor.errors import ConfigError
from auditor.findings.exception_review import SOON
from auditor.findings.grace import Grace
from auditor.findings.owners import OwnerRule
from auditor.policy import PolicySettings
from auditor.reports.interface import ReportFormat
from auditor.schedule import ScheduleOptions
from auditor.secrets import (
    has_reference,
    is_secret_field,
    resolve,
    resolve_all,
    resolve_url,
)
from auditor.serving import WebSettings
from auditor.times import parse_duration
from auditor.validation import KeyPath
from auditor.yamlfile import Document, load, parse

T = TypeVar("T")

DESCRIPTION_ENDINGS = (".yaml", ".yml")
"""A provider that ends so is the path of a user's own description."""


class Strict(BaseModel):
    """A block of the file: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Database(Strict):
    """Where snapshots and findings are kept."""

    url: str = "sqlite:///auditor.db"
    """``sqlite:///path`` (relative to the file) or ``postgresql+psycopg://…``.

    References may stand in it; those that are a part of it are percent-encoded.
    """


def _as_duration(value: Any) -> Any:
    return None if value is None else parse_duration(value)


class Reports(Strict):
    """Which reports a run writes, and where."""

    directory: Path = Path("reports")
    formats: tuple[str, ...] = ("html", "json")
    options: dict[str, dict[str, Any]] = {}
    """Format → what it can be told, such as ``{ocsf: {class: detection}}``."""


class Retention(Strict):
    """How long the daemon keeps what it once found."""

    keep: Annotated[
        timedelta | None, BeforeValidator(_as_duration, json_schema_input_type=str | None)
    ] = timedelta(days=400)
    """Older runs are forgotten once a day; what open findings rest on stays. null: never."""


Span = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    Field(gt=timedelta(0), le=timedelta(hours=1)),
]


class DaemonSettings(Strict):
    """How `auditor daemon` keeps time."""

    tick: Span = timedelta(seconds=15)
    """How often it looks for what is due."""
    lease: Span = timedelta(seconds=60)
    """How long a leader that fell silent still leads (PostgreSQL); several ticks."""
    grace: Span = timedelta(seconds=30)
    """How long running work may take after SIGTERM."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.lease < 3 * self.tick:
            raise ValueError("lease must be at least three ticks, or a leader loses it by chance")
        return self


class KnownGap(Strict):
    """A gap in coverage that is accepted until a date and does not count as incomplete."""

    source: str
    organization: str | None = None
    """An organization's id; without it the whole source."""
    reason: str = Field(min_length=1)
    expires: date


class ExceptionSettings(Strict):
    """Where exceptions are kept, how long one may last, and when its end is announced."""

    path: Path
    max_days: int | None = Field(default=None, gt=0)
    notice: Annotated[
        timedelta,
        BeforeValidator(parse_duration, json_schema_input_type=str),
        Field(ge=timedelta(days=1), le=timedelta(days=366)),
    ] = SOON
    """How long before its last day."""


def _as_exceptions(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


class Layout(Strict):
    """The file as a whole; sources and deliveries are read more closely by their plugs."""

    as_of: Annotated[AwareDatetime, AfterValidator(_utc)] | None = None
    """The instant file sources are judged at, instead of the clock."""
    database: Database = Database()
    sources: tuple[dict[str, Any], ...] = Field(min_length=1)
    policies: PolicySettings = PolicySettings()
    exceptions: Annotated[ExceptionSettings, BeforeValidator(_as_exceptions)] | None = None
    grace: Grace | None = None
    owners: tuple[OwnerRule, ...] = ()
    directory: Path | None = None
    """A file of people: who is here and who has left."""
    reviews: Path | None = None
    """A file of decisions by which owners confirm credentials."""
    known_gaps: tuple[KnownGap, ...] = ()
    reports: Reports = Reports()
    retention: Retention = Retention()
    deliveries: tuple[dict[str, Any], ...] = ()
    schedules: tuple[ScheduleOptions, ...] = ()
    daemon: DaemonSettings = DaemonSettings()
    web: WebSettings | None = None


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


def _texts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    else:
        yield value
