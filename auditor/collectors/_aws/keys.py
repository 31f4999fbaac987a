"""Which access key is which slot of the credential report, told safely or not at all.

The report has no key ids, and its order of slots is not documented. A slot fits a key by status
and time: ``last_rotated`` is when the key was created or, later, its status last changed. Where
two ways of matching are possible and matter, the keys are asked for one by one.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import permutations
from typing import NamedTuple

from auditor.collectors._aws.report import Report, Row, Slot
from auditor.model import Credential, Status


class Key(NamedTuple):
    """One access key as ListAccessKeys, or the last complete collection, knows it."""

    id: str
    status: Status
    created_at: datetime | None
    changed_at: datetime | None = None
    """When its status last changed after that, as the report said."""

    @property
    def signature(self) -> tuple[bool, datetime | None]:
        """What the key's slot says as long as nothing happens to it; see `Slot.signature`."""
        return self.status is Status.ACTIVE, self.changed_at or self.created_at


class Known(NamedTuple):
    """A key with the slot that tells of its use; None where it has to be asked for."""

    key: Key
    slot: Slot | None


def remembered(previous: Iterable[Credential]) -> dict[str, list[Key]]:
    """Return the access keys of the last complete collection by user name."""
    found: dict[str, list[Key]] = {}
    for one in previous:
        if one.type == ACCESS_KEY and not one.principal.is_root:
            key = Key(one.provider_id, one.status, one.created_at, one.status_changed_at)
            found.setdefault(one.principal.name, []).append(key)
    return found


ACCESS_KEY = "Access Key"


def is_unchanged(row: Row, before: Sequence[Key]) -> bool:
    """Whether the slots of *row* are those of the keys that were there *before*."""
    if len(row.slots) != len(before):
        return False
    slots = sorted(slot.signature for slot in row.slots)
    known = [key.signature for key in before]
    if any(at is None for _active, at in known):
        return False
    return slots == sorted((active, at) for active, at in known if at is not None)


def match(keys: Sequence[Key], row: Row | None, report: Report) -> list[Known]:
    """Return every key with its slot; without one where that is not certain.

    Keys that are newer than the report have no slot, and slots of keys deleted since no key.
    """
    slots = row.slots if row is not None else ()
    old = [key for key in keys if key.created_at is None or key.created_at <= report.generated_at]
    ways = _ways(old, slots)
    best = _choose(ways)
    return [Known(key, best.get(key.id)) for key in keys]


def settle(key: Key, used_at: datetime | None, row: Row | None) -> Key:
    """Return *key*, whose use was asked for, with the time of its slot where use tells which.

    Next time it is then recognized without asking.
    """
    slots = [slot for slot in (row.slots if row is not None else ()) if _fits(key, slot)]
    same = {slot.changed_at for slot in slots if slot.used_at == used_at}
    return key._replace(changed_at=same.pop()) if len(same) == 1 else key


Way = dict[str, Slot]


def _ways(keys: Sequence[Key], slots: Sequence[Slot]) -> list[Way]:
    """Return every way to give as many keys as possible a slot each that fits."""
    found: list[Way] = []
    places: list[Slot | None] = [*slots, *[None] * len(keys)]
    if len(keys) > 4:  # AWS allows two; a race has been seen to make more, and those are asked for
        return []
    for order in set(permutations(range(len(places)), len(keys))):
        chosen = [places[index] for index in order]
        way: Way = {}
        for key, slot in zip(keys, chosen, strict=True):
            if slot is None:
                continue
            if not _fits(key, slot):
                break
            way[key.id] = slot
        else:
            if way not in found:
                found.append(way)
    most = max((len(way) for way in found), default=0)
    return [way for way in found if len(way) == most]


def _choose(ways: Sequence[Way]) -> Way:
    """Return what all ways that are equally good have in common.

    Two ways also agree where the slots they exchange tell the same of use.
    """
    if not ways:
        return {}
    agreed = dict(ways[0])
    for way in ways[1:]:
        for key_id, slot in list(agreed.items()):
            other = way.get(key_id)
            if other is None or _use(other) != _use(slot):
                del agreed[key_id]
    return agreed


def _fits(key: Key, slot: Slot) -> bool:
    """Whether *slot* may be that of *key*: same status, and not changed before it was created."""
    if key.created_at is None or (key.status is Status.ACTIVE) != slot.is_active:
        return False
    if key.changed_at is not None:
        return key.changed_at == slot.changed_at
    return key.created_at <= slot.changed_at


def _use(slot: Slot) -> tuple[datetime | None, bool, str, str, bool, datetime]:
    return (
        slot.used_at,
        slot.is_use_told,
        slot.region,
        slot.service,
        slot.is_active,
        slot.changed_at,
    )
