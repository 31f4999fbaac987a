"""The permission map of a user, and the ways by which it reaches administration.

The map is service → action, wildcards as written; actions on named resources stand under
``<service> (limited)``. What cannot be said by a pattern is said in words (``* except iam:*``),
and then the actions that matter to the privilege rules are listed beside it one by one.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from auditor.collectors._aws.authorization import Identities, User
from auditor.collectors._aws.documents import Document, covers, overlaps
from auditor.collectors._aws.grants import Grant, effective
from auditor.model import PermissionMap, Privilege
from auditor.policy.privilege import Rules, rules_for

_MOST_PATHS = 10
_MOST_CONDITIONAL = 20
_LIMITED = " (limited)"
_OWN_USER = frozenset({"iam:attachuserpolicy", "iam:putuserpolicy"})
_OWN_GROUP = frozenset({"iam:attachgrouppolicy", "iam:putgrouppolicy"})
_OWN_POLICY = frozenset({"iam:createpolicyversion", "iam:setdefaultpolicyversion"})


class Rights(NamedTuple):
    """What a user may do."""

    permissions: PermissionMap | None
    """None where a policy that counts could not be read."""
    paths: tuple[str, ...] = ()
    """How it reaches administration, one sentence each."""
    is_exact: bool = True
    conditional: tuple[str, ...] = ()
    """Actions that are granted under conditions, with the keys of these."""
    conditions: tuple[str, ...] = ()
    """The keys without which nothing at all is granted."""
    boundary: str | None = None


UNKNOWN = Rights(None)
ROOT = Rights({"*": {"*": True}}, ("the root user may do everything",))


class Permissions:
    """Reads the rights of the users of one account; equal sets of policies are read once."""

    def __init__(self, identities: Identities, account: str) -> None:
        self._identities = identities
        self._account = account
        self._known: dict[object, Rights] = {}

    def of(self, name: str) -> Rights:
        """Return the rights of a user; unknown where not everything that counts was read."""
        user = self._identities.users.get(name)
        if user is None:
            return UNKNOWN
        key = (user.attached, user.inline, user.groups, user.boundary)
        rights = self._known.get(key)
        if rights is None:
            rights = self._known[key] = self._read(user, with_own=False)
        if rights.permissions is not None and _may_touch_itself(rights):
            return self._read(user, with_own=True)
        return rights

    def _read(self, user: User, *, with_own: bool) -> Rights:
        policies: list[tuple[str, Document]] = []
        for via, document in self._attached(user):
            if document is None:
                return UNKNOWN
            policies.append((via, document))
        boundary = None
        if user.boundary is not None:
            boundary = self._identities.policies.get(user.boundary)
            if boundary is None:
                return UNKNOWN
        found = effective(policies, boundary, self._account)
        grants = [self._own(grant, user) for grant in found.grants] if with_own else found.grants
        return _rights(grants, is_exact=found.is_exact, boundary=user.boundary)

    def _attached(self, user: User) -> Iterator[tuple[str, Document | None]]:
        """Yield every policy of a user and of its groups, with the way it is attached."""
        for inline in user.inline:
            yield f"inline policy {inline.name} of the user", inline.document
        for arn in user.attached:
            yield f"{_kind(arn)} attached to the user", self._identities.policies.get(arn)
        for name in user.groups:
            group = self._identities.groups.get(name)
            if group is None:
                yield f"group {name}", None
                continue
            for inline in group.inline:
                yield f"inline policy {inline.name} of the group {name}", inline.document
            for arn in group.attached:
                via = f"{_kind(arn)} attached to the group {name}"
                yield via, self._identities.policies.get(arn)

    def _own(self, grant: Grant, user: User) -> Grant:
        """Lift the limit of a grant by which a user can change its own rights."""
        if not grant.is_limited or not grant.resources:
            return grant
        targets = {
            _OWN_USER: [user.arn],
            _OWN_GROUP: [g.arn for n in user.groups if (g := self._identities.groups.get(n))],
            _OWN_POLICY: [arn for arn in self._policies_of(user) if f":{self._account}:" in arn],
        }
        for actions, arns in targets.items():
            if any(overlaps(grant.action, action) for action in actions) and any(
                covers(resource.replace("${aws:username}", user.name), arn)
                for resource in grant.resources
                for arn in arns
            ):
                raised = next(a for a in sorted(actions) if overlaps(grant.action, a))
                return grant._replace(action=_spelled(raised), is_limited=False)
        return grant

    def _policies_of(self, user: User) -> Iterator[str]:
        yield from user.attached
        for name in user.groups:
            group = self._identities.groups.get(name)
            yield from group.attached if group is not None else ()


def _kind(arn: str) -> str:
    owner = "AWS" if ":aws:policy/" in arn else "customer"
    return f"{owner} policy {arn.rpartition('/')[2]}"


def _may_touch_itself(rights: Rights) -> bool:
    limited = (rights.permissions or {}).get(f"iam{_LIMITED}", {})
    own = _OWN_USER | _OWN_GROUP | _OWN_POLICY
    return any(overlaps(f"iam:{action}", one) for action in limited for one in own)


def _rights(grants: Iterable[Grant], *, is_exact: bool, boundary: str | None) -> Rights:
    listed = list(grants)
    permissions: PermissionMap = {}
    ways: dict[tuple[str, str], Grant] = {}
    for grant in listed:
        for resource, permission in _entries(grant):
            permissions.setdefault(resource, {})[permission] = True
            ways.setdefault((resource, permission), grant)
    conditional = sorted(
        {f"{g.action} if {', '.join(g.conditions)}" for g in listed if g.conditions}
    )
    return Rights(
        {name: dict(sorted(permissions[name].items())) for name in sorted(permissions)},
        tuple(_paths(ways)),
        is_exact,
        tuple(conditional[:_MOST_CONDITIONAL]),
        _shared_conditions(listed),
        boundary,
    )


def _shared_conditions(grants: list[Grant]) -> tuple[str, ...]:
    """Return the condition keys that every single grant has."""
    shared = set(grants[0].conditions) if grants else set()
    for grant in grants:
        shared &= set(grant.conditions)
    return tuple(sorted(shared))


def _entries(grant: Grant) -> Iterator[tuple[str, str]]:
    """Yield the entries of the map for one grant."""
    service, _, action = grant.action.partition(":")
    service = service.lower()
    suffix = _LIMITED if grant.is_limited else ""
    if not grant.excluded:
        yield f"{service}{suffix}", action
        return
    without = ", ".join(sorted({one.lower() for one in grant.excluded}))
    yield f"{service}{suffix}", f"{action} except {without}"
    if not grant.is_limited:
        for of, one in _sensitive():
            name = f"{of}:{one}"
            if covers(grant.action, name) and not any(overlaps(e, name) for e in grant.excluded):
                yield of, one


@lru_cache(maxsize=1)
def _sensitive() -> tuple[tuple[str, str], ...]:
    """Return the actions that the privilege rules know as administration or as a part of it."""
    rules: Rules = rules_for("aws")
    named = [
        (service, action)
        for table in (rules.admin, *rules.together)
        for service, actions in table.items()
        for action in actions
    ]
    return tuple(dict.fromkeys((s, a.replace("\\*", "*")) for s, a in named if "*" not in s))


def _spelled(lowered: str) -> str:
    """Return an action as IAM spells it."""
    return next((f"{s}:{a}" for s, a in _sensitive() if f"{s}:{a}".lower() == lowered), lowered)


def _paths(ways: dict[tuple[str, str], Grant]) -> Iterator[str]:
    """Yield how administration is reached: by one action, or by several together."""
    rules = rules_for("aws")
    sentences: dict[str, list[str]] = {}
    for (resource, permission), grant in ways.items():
        if rules.level(resource, permission) is Privilege.ADMIN:
            sentences.setdefault(_way(grant), []).append(f"{resource}:{permission}")
    paths = [f"{way}: {', '.join(sorted(actions)[:4])}" for way, actions in sentences.items()]
    named = {f"{resource}:{permission}": grant for (resource, permission), grant in ways.items()}
    for group in rules.reached_together(list(ways)):
        if any(rules.level(*name.split(":", 1)) is Privilege.ADMIN for name in group):
            continue  # administration by itself, as said above
        through = dict.fromkeys(_way(named[name]) for name in group)
        paths.append(f"{' and '.join(through)}: {' with '.join(group)}")
    yield from sorted(paths)[:_MOST_PATHS]


def _way(grant: Grant) -> str:
    return f"{grant.via} (if {', '.join(grant.conditions)})" if grant.conditions else grant.via
