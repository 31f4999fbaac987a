"""What a run's whole inventory says about each credential, gathered before anything is judged.

Nothing is read where no active policy and no grace period asks. What is kept are numbers per
principal, fingerprint and group of peers, and the permissions won by the few credentials that won
any; never the credentials themselves.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import convert
from msgspec.structs import replace

from auditor.findings.crowd import Crowd, Growth, permission_growth
from auditor.findings.diff import paired
from auditor.model import (
    Coverage,
    CoverageStatus,
    Credential,
    FindingState,
    FindingStatus,
    PermissionMap,
    Privilege,
)
from auditor.policy import ALONE, NEIGHBOURS, Neighbours, PolicySet
from auditor.store import Store, TimelineEntry

Scope = tuple[str, str]
"""Source and organization id."""
Explore = Callable[[Credential, Iterable[FindingState]], Neighbours]
"""(credential, its findings) → what its neighbours tell."""

GROWTH = frozenset({"gained_permissions", "has_gained_admin"})
SIBLINGS = frozenset({"active_siblings", "siblings_overlap_for"})
SECRETS = frozenset({"sharing_principals", "is_shared_across_production"})
PEERS = frozenset({"is_permission_outlier", "peers", "peer_median", "peer_limit"})
_RUNS_AT_ONCE = 20


class Neighbourhood:
    """Answers for each credential of one run.

    *sources* are the configured ones, others are no neighbours any more; a judged run knows its
    own. A fact about a
    credential whose organization this run has not read whole is unknown.
    """

    def __init__(
        self,
        store: Store,
        run_id: int,
        policies: PolicySet,
        *,
        now: datetime,
        sources: frozenset[str] | None = None,
        needs_siblings: bool = False,
    ) -> None:
        reads = {policy.id: policies.reads(policy.id) & NEIGHBOURS for policy in policies.policies}
        asked = frozenset[str]().union(*reads.values())
        self.is_asked = bool(asked)
        # A message may tell what its condition does not read: whole groups are known.
        groups = (group for group in (SIBLINGS, SECRETS, PEERS) if group & asked)
        self._asked = frozenset[str]().union(*groups)
        self._now = now
        self._sources = sources
        self._runs = _Past(store, run_id)
        self._growing = frozenset(name for name, facts in reads.items() if facts & GROWTH)
        self._crowd = _crowd_for(asked, needs_siblings=needs_siblings)
        self._won: dict[str, Growth] = {}
        self._whole: frozenset[Scope] = frozenset()

    def gather(self, coverage: Iterable[Coverage]) -> None:
        """Read the inventory of the run, which covers *coverage*, as often as it takes: once."""
        self._whole = _whole(coverage)
        if self._crowd is not None:
            for credential in self._inventory():
                self._crowd.add(credential)
        if self._growing:
            self._compare()

    def explore(self, credential: Credential, states: Iterable[FindingState]) -> Neighbours:
        """Return what is known of *credential*, given its findings *states*."""
        if not self.is_asked or _scope(credential) not in self._whole:
            return ALONE
        facts: dict[str, Any] = {}
        if self._crowd is not None:
            found = _crowd_facts(self._crowd, credential, self._now)
            facts |= {name: fact for name, fact in found.items() if name in self._asked}
        if self._growing:
            facts |= self._growth_facts(credential, states)
        return Neighbours(**facts)

    def newest_sibling(self, credential: Credential) -> datetime | None:
        """Return when the newest active credential of the same principal and type was created."""
        return None if self._crowd is None else self._crowd.newest_sibling(credential)

    def _inventory(self) -> Iterator[Credential]:
        found = self._runs.credentials(self._runs.id)
        if self._sources is None:
            return found
        sources = self._sources
        return (credential for credential in found if credential.source in sources)

    def _compare(self) -> None:
        """Note who won permissions since the complete reading before this one."""
        earlier: dict[int, set[Scope]] = {}
        for scope in self._whole:
            run_id = self._runs.complete_before(self._runs.id, scope)
            if run_id is not None:
                earlier.setdefault(run_id, set()).add(scope)
        for run_id, scopes in earlier.items():
            before = self._runs.credentials(run_id)
            for old, new in paired(before, self._inventory(), lambda one: one.uid):
                if old is None or new is None or _scope(new) not in scopes:
                    continue
                growth = permission_growth(old, new)
                if growth is not None:
                    self._won[new.uid] = growth

    def _growth_facts(
        self, credential: Credential, states: Iterable[FindingState]
    ) -> dict[str, Any]:
        if credential.permissions is None:
            return {}
        live = [
            state
            for state in states
            if state.policy_id in self._growing and state.status is not FindingStatus.RESOLVED
        ]
        growth = self._won.get(credential.uid)
        opened = self._runs.opening_of(live) if live else None
        if opened is not None:
            # Whoever was told of a growth is told until it is taken back: it is measured from
            # the reading before the finding on.
            before = self._runs.before(credential, opened)
            if before is None or before.permissions is None:
                return {}
            growth = permission_growth(before, credential)
        if growth is None:
            return {"gained_permissions": (), "has_gained_admin": False}
        return {"gained_permissions": growth.won, "has_gained_admin": growth.reaches_admin}


class _Past:
    """What stood before one run, and at it."""

    def __init__(self, store: Store, run_id: int) -> None:
        self._store = store
        self._scopes: dict[int, frozenset[Scope]] = {}
        self.id = run_id

    def credentials(self, run_id: int) -> Iterator[Credential]:
        """Yield the inventory of a run, by uid."""
        return self._store.credentials(run_id)

    def complete_before(self, run_id: int, scope: Scope) -> int | None:
        """Return the newest judged run before *run_id* that has read *scope* whole, if any."""
        until = run_id - 1
        while until > 0:
            records = self._store.runs(limit=_RUNS_AT_ONCE, until=until)
            for record in records:
                if record.is_judged and scope in self._complete(record.id):
                    return record.id
            if not records:
                break
            until = records[-1].id - 1
        return None

    def _complete(self, run_id: int) -> frozenset[Scope]:
        if run_id not in self._scopes:
            self._scopes[run_id] = _whole(self._store.coverage(run_id))
        return self._scopes[run_id]

    def opening_of(self, live: Sequence[FindingState]) -> int | None:
        """Return the run in which the present life of the oldest of these findings began.

        None where that is this run, whose events may not be written yet.
        """
        opened: list[int] = []
        for state in live:
            begun, was_live = None, False
            for event in self._store.events(state.id):
                is_live = event.state.status is not FindingStatus.RESOLVED
                if event.run_id < self.id and is_live and not was_live:
                    begun = event.run_id
                elif event.run_id < self.id and not is_live:
                    begun = None
                was_live = is_live
            opened += [] if begun is None else [begun]
        return min(opened, default=None)

    def before(self, credential: Credential, run_id: int) -> Credential | None:
        """Return *credential* with the rights it had in the complete reading before a run.

        None where no such reading is kept.
        """
        last = self.complete_before(run_id, _scope(credential))
        if last is None:
            return None
        changes = [
            entry
            for entry in self._store.timeline(credential.uid)
            if entry.kind == "changed"
            and entry.source == credential.source
            and last < entry.run_id <= self.id
        ]
        permissions: PermissionMap | None = _first(changes, "permissions", credential.permissions)
        privilege = _first(changes, "privilege", credential.privilege) or Privilege.UNKNOWN
        return replace(credential, permissions=permissions, privilege=convert(privilege, Privilege))


def _first(changes: Iterable[TimelineEntry], name: str, unchanged: Any) -> Any:
    """Return what a fact was before the first of *changes* that is about it."""
    for entry in changes:
        if name in entry.changes:
            return entry.changes[name][0]
    return unchanged


def _crowd_for(asked: frozenset[str], *, needs_siblings: bool) -> Crowd | None:
    """Return a crowd that keeps what is asked for, None where nothing is."""
    siblings = needs_siblings or bool(asked & SIBLINGS)
    secrets, peers = bool(asked & SECRETS), bool(asked & PEERS)
    if not (siblings or secrets or peers):
        return None
    return Crowd(siblings=siblings, secrets=secrets, peers=peers)


def _crowd_facts(crowd: Crowd, credential: Credential, now: datetime) -> dict[str, Any]:
    siblings, sharing = crowd.siblings(credential, now), crowd.sharing(credential)
    facts: dict[str, Any] = {
        "active_siblings": siblings.active,
        "siblings_overlap_for": siblings.overlap_for,
    }
    if sharing is not None:
        facts["sharing_principals"] = sharing.principals
        facts["is_shared_across_production"] = sharing.is_across_production
    if credential.permissions is not None:
        facts["is_permission_outlier"] = crowd.outlier(credential) is not None
        peers = crowd.peers(credential)
        if peers is not None:
            facts["peers"] = peers.peers
            facts["peer_median"] = peers.median
            facts["peer_limit"] = peers.limit
    return facts


def _whole(coverage: Iterable[Coverage]) -> frozenset[Scope]:
    return frozenset(
        (part.source, part.organization.id)
        for part in coverage
        if part.status is CoverageStatus.COMPLETE and part.organization is not None
    )


def _scope(credential: Credential) -> Scope:
    return credential.source, credential.organization.id
