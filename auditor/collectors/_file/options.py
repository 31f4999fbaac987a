"""The keys of a ``provider: file`` source."""

import codecs
from datetime import UTC, tzinfo
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from auditor.collectors._file.columns import Column, check
from auditor.collectors.interface import SourceOptions
from auditor.model import PrincipalType

Format = Literal["auto", "normalized", "keycard", "aws-credential-report", "csv", "json"]

Moment = Annotated[AwareDatetime, AfterValidator(lambda value: value.astimezone(UTC))]
"""An instant as RFC 3339 with a zone."""


class Named(BaseModel):
    """An organization or principal that the export itself does not name; a text is its id."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: str = Field(min_length=1, max_length=1000)
    name: str = ""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: object) -> object:
        return {"id": data} if isinstance(data, str) else data


class NamedPrincipal(Named):
    """Whom the credentials act as."""

    type: PrincipalType = PrincipalType.UNKNOWN


class FileOptions(SourceOptions):
    """Which files, in which shape, and what they do not say themselves."""

    path: str | tuple[str, ...]
    """Files or patterns (``exports/*.json``, ``**`` for any depth) beside the configuration."""
    format: Format = "auto"
    columns: dict[str, Column] = Field(default_factory=dict)
    """Field → column or JSON path, for ``csv`` and ``json``; see `Column`."""
    records: str | None = None
    """``json``: dotted path of the array that holds the records, where it is not at the top."""
    time_zone: str | None = None
    """The zone of times that are written without one; without it they count as unknown."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: str = "utf-8"
    """Of tables; JSON is always UTF-8."""
    organization: Named | None = None
    """Where a record names none; without it the source's own name stands for one."""
    organization_names: dict[str, str] = Field(default_factory=dict)
    """Names to show for organization ids, such as AWS account numbers."""
    principal: NamedPrincipal | None = None
    """Where a record names none."""
    data_as_of: Moment | None = None
    """When the export was true, where its content does not say; else the file's own time."""
    permissions_subject: Literal["auto", "credential", "caller"] = "auto"
    """Keycard lists: whose rights the ``permissions`` are."""
    usage_tracked_since: Moment | None = None
    """Keycard lists: since when use is recorded; older keys without use are *not in window*."""
    include_passwords: bool = False
    """AWS credential reports: console passwords as well as keys and certificates."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """The paths as configured."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def zone(self) -> tzinfo | None:
        """The zone of naive times."""
        return ZoneInfo(self.time_zone) if self.time_zone else None

    @field_validator("path")
    @classmethod
    def _some_path(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not value or not all([value] if isinstance(value, str) else value):
            raise ValueError("name at least one file or pattern")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("there is no such time zone; write one as Europe/Berlin") from None
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            name = codecs.lookup(value).name
        except LookupError:
            raise ValueError("there is no such encoding; write utf-8 or cp1252") from None
        if name.startswith(("utf-16", "utf-32", "utf-7")) or "\n".encode(name) != b"\n":
            raise ValueError("is not read; save the file as UTF-8")
        return value

    @model_validator(mode="after")
    def _columns_fit(self) -> "FileOptions":
        check(self.columns)
        if self.columns and self.format not in ("auto", "csv", "json"):
            raise ValueError(f"`columns` goes with format csv or json, not {self.format}")
        if self.format == "json" and not self.columns:
            raise ValueError("format json needs `columns`; our own shape is format normalized")
        return self
