"""What compiled conditions call. None is *unknown* throughout."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from auditor.model import PermissionMap
from auditor.policy.language.derived import ENDLESS

EVERYTHING = "*"
"""A granted ``*`` covers every permission of its resource type, or every resource type."""

_INT64 = 2**63
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def plus(left: Any, right: Any) -> Any:
    """Return the sum; unknown where it cannot be represented."""
    if ENDLESS in (left, right):
        is_length = isinstance(left, timedelta) and isinstance(right, timedelta)
        return ENDLESS if is_length else None
    try:
        return _bounded(left + right)
    except OverflowError:
        return None


def minus(left: Any, right: Any) -> Any:
    """Return the difference; unknown where it cannot be represented."""
    if ENDLESS in (left, right):
        return ENDLESS if left == ENDLESS != right else None
    try:
        return _bounded(left - right)
    except OverflowError:
        return None


def _bounded(value: Any) -> Any:
    return value if not isinstance(value, int) or -_INT64 <= value < _INT64 else None


def exists(items: Iterable[Any], test: Callable[[Any], bool | None]) -> bool | None:
    """Whether *test* holds for one of *items*."""
    answer: bool | None = False
    for item in items:
        found = test(item)
        if found is True:
            return True
        if found is None:
            answer = None
    return answer


def all_(items: Iterable[Any], test: Callable[[Any], bool | None]) -> bool | None:
    """Whether *test* holds for all of *items*."""
    answer: bool | None = True
    for item in items:
        found = test(item)
        if found is False:
            return False
        if found is None:
            answer = None
    return answer


def granted(permissions: PermissionMap, resource: str, permission: str) -> bool:
    """Whether *permission* on *resource* is granted, by name or by a granted ``*``."""
    for kind in (resource, EVERYTHING):
        names = permissions.get(kind)
        if names and (names.get(permission) is True or names.get(EVERYTHING) is True):
            return True
    return False


def granted_count(permissions: PermissionMap) -> int:
    """Return the number of permissions granted; false entries do not count."""
    return sum(one is True for names in permissions.values() for one in names.values())


def lower_ascii(text: str) -> str:
    """Return *text* with A-Z in lower case and everything else as it is."""
    return text.translate(_LOWER)


def same(left: Any, right: Any) -> bool:
    """Whether two values of any type are equal; a number never equals true or false."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return bool(left == right)
