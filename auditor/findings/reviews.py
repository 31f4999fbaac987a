"""Reviews: dated decisions by which owners confirm that a credential is still needed.

    reviews:
      - match: {owner: platform@example.com, provider: aws}
        reviewer: jane@example.com
        reviewed: 2026-02-14
        ticket: REV-7

A review covers what stood on its day: a credential that was created or rotated later, or whose
rights are another matter, is confirmed by the next one. Like exceptions, the file is reviewed in
git.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated

from msgspec.structs import replace
from pydantic import BaseModel, BeforeValidator, ConfigDict

from auditor.findings.exceptions import Day, Text
from auditor.model import Credential
from auditor.policy.match import Match
from auditor.yamlfile import Document, load


class Review(BaseModel):
    """One decision: what `match` covers is still needed, with the rights it has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: Match
    reviewer: Text
    reviewed: Day
    ticket: Text | None = None

    @property
    def at(self) -> datetime:
        """The beginning of its day, in UTC."""
        return datetime.combine(self.reviewed, time(), UTC)

    def covers(self, credential: Credential) -> bool:
        """Whether it confirms *credential*: it matches, and existed on that day."""
        born = credential.rotated_at or credential.created_at
        is_younger = born is not None and born.astimezone(UTC).date() > self.reviewed
        is_future = self.reviewed > credential.observed_at.astimezone(UTC).date()
        return not (is_younger or is_future) and self.match.matches(credential)


class ReviewFile(BaseModel):
    """The file as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reviews: Annotated[
        tuple[Review, ...], BeforeValidator(lambda value: () if value is None else value)
    ] = ()


class Reviews:
    """All decisions of a file."""

    def __init__(self, entries: Iterable[Review] = ()) -> None:
        self.entries = tuple(entries)
        self._newest_first = sorted(self.entries, key=lambda one: one.reviewed, reverse=True)

    @classmethod
    def load(cls, path: Path) -> "Reviews":
        """Read and check the file; raises `ConfigError` with file, line and column."""
        return cls.read(load(path))

    @classmethod
    def read(cls, document: Document) -> "Reviews":
        """Check a file that was parsed already; like `load`."""
        entries = () if document.data is None else document.validate(ReviewFile).reviews
        for index, entry in enumerate(entries):
            if entry.match.is_empty:
                raise document.fail(
                    ("reviews", index, "match"),
                    "`match` would confirm every credential unseen; name an owner, a principal "
                    "or a uid",
                )
        return cls(entries)

    def newest(self, credential: Credential) -> Review | None:
        """Return the newest decision that confirms *credential*."""
        return next((one for one in self._newest_first if one.covers(credential)), None)

    def mark(self, credential: Credential) -> Credential:
        """Return *credential* with the time of its newest review, the provider's included.

        Where there is none, whoever created it or replaced its secret has confirmed it by that.
        """
        born = credential.rotated_at or credential.created_at
        found = self.newest(credential)
        confirmed = (credential.reviewed_at, None if found is None else found.at)
        reviewed_at = max((at for at in confirmed if at is not None), default=born)
        if reviewed_at == credential.reviewed_at:
            return credential
        return replace(credential, reviewed_at=reviewed_at)
