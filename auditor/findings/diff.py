"""What changed between two runs: credentials and findings, as streams ordered alike."""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from itertools import groupby
from typing import Any, TypeVar

from msgspec import Struct, to_builtins

from auditor.model import (
    Credential,
    FindingState,
    FindingStatus,
    PermissionMap,
    PermissionsSubject,
    Privilege,
    Resolution,
)

NAMED_PERMISSIONS = 20
"""How many permissions a step names; its count is exact."""
RANK = {Privilege.NONE: 0, Privilege.READ: 1, Privilege.WRITE: 2, Privilege.ADMIN: 3}
"""*unknown* has no rank: coming to be known is no growth."""

Item = TypeVar("Item")


class Step(StrEnum):
    """One way in which a credential changed."""

    ADDED = "added"
    REMOVED = "removed"
    OUT_OF_SCOPE = "out_of_scope"
    """No configured source reads it any more; whether it exists is not known."""
    ROTATED = "rotated"
    REOWNED = "reowned"
    RENAMED = "renamed"
    STATUS_CHANGED = "status_changed"
    EXPIRY_CHANGED = "expiry_changed"
    PERMISSIONS_GREW = "permissions_grew"
    PERMISSIONS_SHRANK = "permissions_shrank"
    PRIVILEGE_RAISED = "privilege_raised"
    PRIVILEGE_LOWERED = "privilege_lowered"


class Turn(StrEnum):
    """One way in which a finding changed."""

    OPENED = "opened"
    REOPENED = "reopened"
    SUPPRESSED = "suppressed"
    RESOLVED = "resolved"


class Delta(Struct, frozen=True):
    """One fact before and after; JSON values. For permissions, those lost and those won."""

    step: Step
    before: Any = None
    after: Any = None
    count: int | None = None
    """How many permissions, where not all are named."""


class CredentialDiff(Struct, frozen=True):
    """A credential that changed; *credential* is its newest known state."""

    credential: Credential
    deltas: tuple[Delta, ...]


class FindingDiff(Struct, frozen=True):
    """A finding that stands otherwise than before; *state* is its newest."""

    turn: Turn
    state: FindingState
    resolution: Resolution | None = None


def diff_credentials(
    before: Iterable[Credential], after: Iterable[Credential]
) -> Iterator[CredentialDiff]:
    """Yield what changed; both inputs are ordered by uid, and so is the output."""
    for old, new in paired(before, after, lambda credential: credential.uid):
        found = diff_credential(old, new)
        if found is not None:
            yield found


def diff_credential(old: Credential | None, new: Credential | None) -> CredentialDiff | None:
    """Return what changed of one credential; None on a side means that it was not there."""
    if old is None:
        return None if new is None else CredentialDiff(new, (Delta(Step.ADDED),))
    if new is None:
        return CredentialDiff(old, (Delta(Step.REMOVED),))
    deltas = tuple(_deltas(old, new))
    return CredentialDiff(new, deltas) if deltas else None


def diff_findings(
    before: Iterable[FindingState], after: Iterable[FindingState]
) -> Iterator[FindingDiff]:
    """Yield findings that stand otherwise; both inputs are ordered by credential uid.

    Each input holds what was live in its run; those that ended in it may be there too. What
    opened and ended in between is nowhere. Where a finding ended between the two runs and not in
    the later one, its state is the earlier one and the resolution None.
    """
    for old, new in paired(_by_credential(before), _by_credential(after), lambda one: one[0]):
        was = {} if old is None else {s.id: s for s in old[1] if _is_live(s)}
        is_now = {} if new is None else {s.id: s for s in new[1]}
        for identity in sorted(was.keys() | is_now.keys()):
            turned = _turned(was.get(identity), is_now.get(identity))
            if turned is not None:
                yield turned


def granted_pairs(permissions: PermissionMap) -> frozenset[tuple[str, str]]:
    """Return what is granted, as (resource, permission)."""
    return frozenset(
        (resource, permission)
        for resource, actions in permissions.items()
        for permission, is_granted in actions.items()
        if is_granted
    )


def _turned(old: FindingState | None, new: FindingState | None) -> FindingDiff | None:
    if new is None or not _is_live(new):
        if old is None:
            return None
        return FindingDiff(Turn.RESOLVED, new or old, new.resolution if new else None)
    if old is not None and old.status is new.status:
        return None
    if new.status is FindingStatus.SUPPRESSED:
        return FindingDiff(Turn.SUPPRESSED, new)
    is_first_life = old is None and new.opened_at is None
    return FindingDiff(Turn.OPENED if is_first_life else Turn.REOPENED, new)


def _is_live(state: FindingState) -> bool:
    return state.status is not FindingStatus.RESOLVED


def _by_credential(
    states: Iterable[FindingState],
) -> Iterator[tuple[str, list[FindingState]]]:
    for uid, found in groupby(states, key=lambda state: state.credential_uid):
        yield uid, list(found)


def _deltas(old: Credential, new: Credential) -> Iterator[Delta]:
    plain: tuple[tuple[Step, str], ...] = (
        (Step.ROTATED, "rotated_at"),
        (Step.REOWNED, "owner"),
        (Step.RENAMED, "name"),
        (Step.STATUS_CHANGED, "status"),
        (Step.EXPIRY_CHANGED, "expires_at"),
    )
    for step, name in plain:
        was, is_now = getattr(old, name), getattr(new, name)
        if was != is_now and not (step is Step.ROTATED and is_now is None):
            yield Delta(step, to_builtins(was), to_builtins(is_now))
    yield from _permission_deltas(old, new)
    raised = RANK.get(new.privilege, -1) - RANK.get(old.privilege, -1)
    if raised and Privilege.UNKNOWN not in (old.privilege, new.privilege):
        step = Step.PRIVILEGE_RAISED if raised > 0 else Step.PRIVILEGE_LOWERED
        yield Delta(step, old.privilege.value, new.privilege.value)


def _permission_deltas(old: Credential, new: Credential) -> Iterator[Delta]:
    if old.permissions is None or new.permissions is None:
        return
    if PermissionsSubject.CALLER in (old.permissions_subject, new.permissions_subject):
        return
    was, is_now = granted_pairs(old.permissions), granted_pairs(new.permissions)
    if won := is_now - was:
        yield Delta(Step.PERMISSIONS_GREW, None, _named(won), len(won))
    if lost := was - is_now:
        yield Delta(Step.PERMISSIONS_SHRANK, _named(lost), None, len(lost))


def _named(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{resource}:{permission}" for resource, permission in sorted(pairs)][
        :NAMED_PERMISSIONS
    ]


def paired(
    before: Iterable[Item], after: Iterable[Item], key: Callable[[Item], str]
) -> Iterator[tuple[Item | None, Item | None]]:
    """Yield what has the same key on both sides together; holds one item of each side."""
    left, right = iter(before), iter(after)
    old, new = next(left, None), next(right, None)
    while old is not None or new is not None:
        if new is None or (old is not None and key(old) < key(new)):
            yield old, None
            old = next(left, None)
        elif old is None or key(new) < key(old):
            yield None, new
            new = next(right, None)
        else:
            yield old, new
            old, new = next(left, None), next(right, None)
