"""Facts that follow from several fields: ages, idleness, remaining life."""

from datetime import datetime, timedelta

from msgspec import Struct

from auditor.model import Credential, ExpiresState, LastUsedState
from auditor.policy.language.fields import NEIGHBOURS

ENDLESS = timedelta.max
"""The remaining life and the lifetime of what never expires: longer than every limit."""

_ZERO = timedelta(0)
_USED, _NEVER, _NOT_IN_WINDOW = (
    LastUsedState.USED,
    LastUsedState.NEVER,
    LastUsedState.NOT_IN_WINDOW,
)
_ENDLESS_STATES = frozenset({ExpiresState.NEVER, ExpiresState.UNSUPPORTED})


class Neighbours(Struct, frozen=True, kw_only=True):
    """Facts about one credential that follow from others; None is unknown.

    They come from the caller, who knows the whole inventory, and are unknown where that was not
    read whole.
    """

    active_siblings: int | None = None
    """Active credentials of the same principal and type, itself counted."""
    siblings_overlap_for: timedelta | None = None
    """How long there have been two or more of them."""
    sharing_principals: int | None = None
    """Principals that hold the same secret, told by its fingerprint."""
    is_shared_across_production: bool | None = None
    """Whether both production and other credentials hold that secret."""
    peers: int | None = None
    """Credentials of the same provider, organization and type, where there are enough."""
    peer_median: int | None = None
    """Half of the peers have so many permissions or fewer."""
    peer_limit: int | None = None
    """The largest number of permissions that does not stand out among them."""
    is_permission_outlier: bool | None = None
    """Whether it has more than that; false where there are too few peers."""
    gained_permissions: tuple[str, ...] | None = None
    """``resource:permission`` that an earlier complete reading did not show, sorted."""
    has_gained_admin: bool | None = None
    """Whether they made it an administrator's."""


ALONE = Neighbours()
"""What is known where nobody has looked at the neighbours: nothing."""


class Derived(Struct, frozen=True):
    """The derived fields of one credential at one instant; None is unknown."""

    age: timedelta | None
    """Of the secret: since it was rotated or, where it never was, created."""
    idle_for: timedelta | None
    """Without use up to ``data_as_of``; None also where only a lower bound is known."""
    idle_at_least: timedelta | None
    """The lower bound of ``idle_for``, which is ``idle_for`` itself where that is known."""
    expires_in: timedelta | None
    """Negative once expired; `ENDLESS` where the credential cannot or does not expire."""
    lifetime: timedelta | None
    """From ``rotated_at`` or ``created_at`` to ``expires_at``; `ENDLESS` likewise."""
    neighbours: Neighbours = ALONE


def derive(credential: Credential, now: datetime, neighbours: Neighbours = ALONE) -> Derived:
    """Return the derived fields of *credential*.

    Instants that lie in the future (clocks differ) count as *now*, so no age is negative.
    """
    born = credential.rotated_at or credential.created_at
    age = None if born is None else _length(born, credential.observed_at)
    expires_at = credential.expires_at
    expires_in = lifetime = None
    if expires_at is not None:
        expires_in = expires_at - now
        if born is not None:
            lifetime = _length(born, expires_at)
    elif credential.expires_state in _ENDLESS_STATES:
        expires_in = lifetime = ENDLESS
    since = _idle_since(credential)
    idle_at_least = None if since is None else _length(since, credential.data_as_of)
    is_bound = credential.last_used_state == _NOT_IN_WINDOW
    idle_for = None if is_bound else idle_at_least
    return Derived(age, idle_for, idle_at_least, expires_in, lifetime, neighbours)


def _length(since: datetime, until: datetime) -> timedelta:
    return until - since if until > since else _ZERO


def _idle_since(credential: Credential) -> datetime | None:
    """Return since when it has been idle at least."""
    state = credential.last_used_state
    if state == _USED:
        since = credential.last_used_at
        if since is not None and credential.last_used_precision is not None:
            # The provider may not have recorded, or may have rounded away, this much.
            return _later(since, credential.last_used_precision)
        return since
    if state == _NEVER:
        return credential.created_at
    if state == _NOT_IN_WINDOW:
        since, born = credential.last_used_window_start, credential.created_at
        return born if since is not None and born is not None and born > since else since
    return None


def _later(instant: datetime, by: timedelta) -> datetime:
    try:
        return instant + by
    except OverflowError:
        return datetime.max.replace(tzinfo=instant.tzinfo)


def blame(field: str, credential: Credential) -> str:
    """Return the field whose absence makes the derived *field* unknown."""
    if field in NEIGHBOURS:
        return field
    if field == "idle_for":
        return _blame_idleness(credential)
    if field == "expires_in" or (field == "lifetime" and credential.expires_at is None):
        return "expires_at"
    return "created_at"


def _blame_idleness(credential: Credential) -> str:
    match credential.last_used_state:
        case LastUsedState.NEVER:
            return "created_at"
        case LastUsedState.NOT_IN_WINDOW if credential.last_used_window_start is None:
            return "last_used_window_start"
        case _:
            return "last_used_at"
