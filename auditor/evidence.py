"""What a collection is made of: the values that pass from a collector to the store.

A collector yields a stream of `Item`; the way the stream ends tells how much was read.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from auditor.model import Credential, Organization


class Unit(Struct, frozen=True):
    """One thing to read in one go: an organization, or a whole source that holds many."""

    key: str
    """Stable within the source; ``*`` for a source that is read as a whole."""
    organization: Organization | None = None
    """None where only reading tells which organizations there are (files)."""


class Page(Struct, frozen=True, tag="page"):
    """Credentials of one organization, in the order received; may be empty."""

    organization: Organization
    credentials: tuple[Credential, ...]
    data_as_of: datetime | None = None
    """When the provider's data were true, where that is not the time of the call."""


class Gap(Struct, frozen=True, tag="gap"):
    """Something that could not be read; the rest of the organization goes on."""

    reason: str
    """A stable word: ``repeated_cursor``, ``access_denied``, ``malformed_record`` …"""
    message: str
    """What, where, what next; no secret, no response body."""
    organization: Organization | None = None
    """None concerns every organization of the unit."""


class Note(Struct, frozen=True, tag="note"):
    """What a reader must know to trust the numbers of an organization; shown with coverage."""

    text: str
    organization: Organization | None = None


class Amendment(Struct, frozen=True, tag="amendment"):
    """A fact known only at the end, applied to credentials already handed over.

    *changes* maps field names of `Credential` to values; *only* restricts it to one uid.
    Later amendments win.
    """

    organization: Organization
    changes: Mapping[str, Any]
    only: str | None = None


Item = Page | Gap | Note | Amendment
