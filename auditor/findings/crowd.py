"""Facts about a credential that only its neighbours tell: siblings, sharing, outliers, growth.

A `Crowd` reads the inventory once and keeps numbers per principal, fingerprint and group of
peers; then it answers for each credential. Such facts are unknown on a partial collection, because
the neighbours that are missing would change them: the caller asks only where everything was read.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import blake2b

from msgspec import Struct

from auditor.findings.diff import granted_pairs
from auditor.findings.risk import is_production
from auditor.model import Credential, PermissionsSubject, Privilege, Status

PEERS_AT_LEAST = 20
"""Fewer peers make no crowd to stand out of."""
DEVIATIONS = 5.0
"""An outlier is that many robust standard deviations above the median …"""
TIMES = 2.0
"""… and has at least that many times as many permissions."""
MAD_TO_SIGMA = 1.4826
"""The median absolute deviation of a normal distribution, times this, is its deviation."""


class Siblings(Struct, frozen=True):
    """The active credentials of the same principal and type."""

    active: int
    """Counting the credential itself."""
    overlap_for: timedelta | None
    """How long there have been two or more; None where a creation time is unknown."""


class Sharing(Struct, frozen=True):
    """How far the same secret, told by its fingerprint, is spread."""

    principals: int
    is_across_production: bool
    """Whether both production and other credentials have it."""


class Outlier(Struct, frozen=True):
    """Far more permissions than its peers, and what that was held against."""

    granted: int
    median: int
    limit: int
    peers: int

    def __str__(self) -> str:
        return (
            f"It has {self.granted:,} permissions; half of its {self.peers:,} peers have "
            f"{self.median:,} or fewer, and more than {self.limit:,} stands out."
        )


class Growth(Struct, frozen=True):
    """Permissions that the previous complete snapshot did not have."""

    won: tuple[str, ...]
    """``resource:permission``, sorted."""
    reaches_admin: bool


class Crowd:
    """What an inventory says about each of its credentials; holds numbers, no credentials.

    What nobody asks for need not be kept: *siblings* per principal, *secrets* per fingerprint,
    *peers* per provider, organization and type.
    """

    def __init__(self, *, siblings: bool = True, secrets: bool = True, peers: bool = True) -> None:
        self._has_siblings, self._has_secrets, self._has_peers = siblings, secrets, peers
        self._created: dict[bytes, _Births] = {}
        self._fingerprints: dict[bytes, _Spread] = {}
        self._sizes: dict[tuple[str, str, str], Counter[int]] = {}
        self._limits: dict[tuple[str, str, str], Peers | None] = {}

    def add(self, credential: Credential) -> None:
        """Take a credential into account; all are added before anything is asked."""
        if self._has_siblings and credential.status is Status.ACTIVE:
            births = self._created.setdefault(_family(credential), _Births())
            births.add(credential.created_at)
        if self._has_secrets and credential.fingerprint:
            spread = self._fingerprints.setdefault(_digest(credential.fingerprint), _Spread())
            spread.add(credential)
        granted = _granted(credential) if self._has_peers else None
        if granted is not None:
            self._sizes.setdefault(_peers(credential), Counter())[granted] += 1

    def siblings(self, credential: Credential, now: datetime) -> Siblings:
        """Return how many active credentials its principal has, and since when."""
        births = self._created.get(_family(credential))
        if births is None:
            return Siblings(0, timedelta(0))
        return Siblings(births.number, births.overlap(now))

    def newest_sibling(self, credential: Credential) -> datetime | None:
        """Return when the newest active credential of its principal and type was created."""
        births = self._created.get(_family(credential))
        return births.last if births is not None else None

    def sharing(self, credential: Credential) -> Sharing | None:
        """Return how far its secret is spread; None without a fingerprint that was added."""
        if not credential.fingerprint:
            return None
        spread = self._fingerprints.get(_digest(credential.fingerprint))
        if spread is None:
            return None
        return Sharing(spread.principals, spread.production and spread.other)

    def peers(self, credential: Credential) -> "Peers | None":
        """Return what is ordinary among its peers; None where they are too few."""
        return self._distribution(_peers(credential))

    def outlier(self, credential: Credential) -> Outlier | None:
        """Return by how much its permissions stand out among its peers; None where they do not.

        Peers have the same provider, organization and type. Median and median absolute deviation
        are robust: half of the crowd would have to be over-permissioned to hide an outlier.
        """
        granted = _granted(credential)
        if granted is None:
            return None
        crowd = self._distribution(_peers(credential))
        if crowd is None or granted <= crowd.limit:
            return None
        return Outlier(granted, crowd.median, crowd.limit, crowd.peers)

    def _distribution(self, group: tuple[str, str, str]) -> "Peers | None":
        if group not in self._limits:
            sizes = self._sizes.get(group, Counter())
            enough = sizes.total() >= PEERS_AT_LEAST
            self._limits[group] = Peers.of(sizes) if enough else None
        return self._limits[group]


def permission_growth(previous: Credential, credential: Credential) -> Growth | None:
    """Return what *credential* was granted since *previous*; None where nothing or unknown."""
    if _granted(previous) is None or _granted(credential) is None:
        return None
    won = granted_pairs(credential.permissions or {}) - granted_pairs(previous.permissions or {})
    if not won:
        return None
    reaches_admin = (
        credential.privilege is Privilege.ADMIN and previous.privilege is not Privilege.ADMIN
    )
    return Growth(tuple(sorted(f"{one}:{other}" for one, other in won)), reaches_admin)


class _Births:
    """How many there are, and when the two oldest were created."""

    __slots__ = ("first", "last", "number", "second", "unknown")

    def __init__(self) -> None:
        self.number = 0
        self.unknown = False
        self.first: datetime | None = None
        self.second: datetime | None = None
        self.last: datetime | None = None

    def add(self, created_at: datetime | None) -> None:
        self.number += 1
        if created_at is None:
            self.unknown = True
            return
        self.last = created_at if self.last is None else max(self.last, created_at)
        if self.first is None or created_at < self.first:
            self.first, self.second = created_at, self.first
        elif self.second is None or created_at < self.second:
            self.second = created_at

    def overlap(self, now: datetime) -> timedelta | None:
        if self.number < 2:
            return timedelta(0)
        if self.unknown or self.second is None:
            return None
        return max(now - self.second, timedelta(0))


class _Spread:
    """Who has a secret. Most secrets have one holder, so a second one is what costs memory."""

    __slots__ = ("first", "more", "other", "production")

    def __init__(self) -> None:
        self.first: bytes | None = None
        self.more: set[bytes] | None = None
        self.production = self.other = False

    @property
    def principals(self) -> int:
        """How many hold it."""
        return 1 + len(self.more or ())

    def add(self, credential: Credential) -> None:
        principal = (
            credential.provider,
            credential.organization.id,
            credential.principal.id,
        )
        holder = _digest("\0".join(principal))
        if self.first is None:
            self.first = holder
        elif holder != self.first:
            self.more = (self.more or set()) | {holder}
        if is_production(credential):
            self.production = True
        elif credential.tags:
            self.other = True


class Peers(Struct, frozen=True):
    """What is ordinary in a group of peers."""

    peers: int
    median: int
    limit: int
    """The largest number that does not stand out."""

    @classmethod
    def of(cls, sizes: Mapping[int, int]) -> "Peers":
        """Return what is ordinary in a crowd of these sizes."""
        median = _median(sizes)
        distances: Counter[int] = Counter()
        for size, number in sizes.items():
            distances[abs(size - median)] += number
        # A crowd of twins has no deviation; one permission more is still no outlier.
        spread = max(MAD_TO_SIGMA * _median(distances), 1.0)
        limit = max(median + DEVIATIONS * spread, median * TIMES)
        return cls(sum(sizes.values()), median, int(limit))


def _median(sizes: Mapping[int, int]) -> int:
    """Return the lower median of a histogram."""
    half = (sum(sizes.values()) + 1) // 2
    for size in sorted(sizes):
        half -= sizes[size]
        if half <= 0:
            return size
    return 0


def _granted(credential: Credential) -> int | None:
    """Return how many permissions it is granted; None where they are unknown or not its own."""
    if credential.permissions is None:
        return None
    if credential.permissions_subject is PermissionsSubject.CALLER:
        return None
    return sum(sum(actions.values()) for actions in credential.permissions.values())


def _peers(credential: Credential) -> tuple[str, str, str]:
    return (credential.provider, credential.organization.id, credential.type)


def _family(credential: Credential) -> bytes:
    return _digest("\0".join((*_peers(credential), credential.principal.id)))


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
