"""The blocks of the file as frozen values; unknown keys in them are errors."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from auditor.findings.exception_review import SOON
from auditor.findings.grace import Grace
from auditor.findings.owners import OwnerRule
from auditor.policy import PolicySettings
from auditor.schedule import ScheduleOptions
from auditor.serving import WebSettings
from auditor.times import parse_duration


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
    exceptions: (
        Annotated[
            ExceptionSettings,
            BeforeValidator(_as_exceptions, json_schema_input_type=Path | ExceptionSettings),
        ]
        | None
    ) = None
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
