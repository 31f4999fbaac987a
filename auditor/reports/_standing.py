"""The shapes in which the JSON report tells how controls stand and which exceptions end."""

from collections.abc import Iterable

from msgspec import Struct

from auditor.findings.compliance import ControlRow, FrameworkRow
from auditor.findings.view import EndingException


class MappingEntry(Struct, frozen=True, kw_only=True):
    """A policy that maps to a control; that is no statement that anybody complies."""

    policy_id: str
    certainty: str


class ControlEntry(Struct, frozen=True, kw_only=True):
    """A control; the four counts are credentials and add up to ``credentials``."""

    id: str
    title: str | None
    maps_from: tuple[MappingEntry, ...]
    credentials: int
    passed: int
    failed: int
    excepted: int
    not_evaluable: int


class FrameworkEntry(Struct, frozen=True, kw_only=True):
    """One standard in one version, with the controls that an active policy maps to."""

    key: str
    title: str
    version: str
    controls: tuple[ControlEntry, ...]


class EndingEntry(Struct, frozen=True, kw_only=True):
    """An exception about to end; what it covers opens again unless somebody acts."""

    covers: str
    reason: str
    approver: str
    expires: str
    ticket: str | None


def framework_entry(row: FrameworkRow) -> FrameworkEntry:
    """Return the report's shape of *row*."""
    return FrameworkEntry(
        key=row.key,
        title=row.title,
        version=row.version,
        controls=tuple(_control_entry(control) for control in row.controls),
    )


def ending_entries(ending: Iterable[EndingException]) -> tuple[EndingEntry, ...]:
    """Return the report's shape of *ending*."""
    return tuple(
        EndingEntry(
            covers=one.covers,
            reason=one.note.reason,
            approver=one.note.approver,
            expires=one.note.expires,
            ticket=one.note.ticket,
        )
        for one in ending
    )


def _control_entry(row: ControlRow) -> ControlEntry:
    return ControlEntry(
        id=row.id,
        title=row.title,
        maps_from=tuple(
            MappingEntry(policy_id=one.policy_id, certainty=one.certainty) for one in row.policies
        ),
        credentials=row.credentials,
        passed=row.passed,
        failed=row.failed,
        excepted=row.excepted,
        not_evaluable=row.not_evaluable,
    )
