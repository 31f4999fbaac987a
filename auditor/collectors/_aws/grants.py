"""What policies grant together: allows less denies, within the boundary (IAM policy evaluation).

Only identity policies and boundaries are seen; what a service control policy takes away is not.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from auditor.collectors._aws.documents import Document, Statement, covers, overlaps


class Grant(NamedTuple):
    """One action pattern that is allowed, and through what."""

    action: str
    """``service:action``, wildcards included."""
    is_limited: bool
    """On named resources only, or by a condition that narrows what may be done."""
    conditions: tuple[str, ...]
    excluded: tuple[str, ...]
    """Patterns within it that are not allowed."""
    via: str
    resources: tuple[str, ...] = ()
    """The named resources, where it is limited by them alone."""


class Denial(NamedTuple):
    """What is denied everywhere and always: some patterns, or all but some."""

    actions: tuple[str, ...]
    all_but: tuple[str, ...]


class Effective(NamedTuple):
    """What remains."""

    grants: tuple[Grant, ...]
    is_exact: bool
    """False where a pattern or a condition could only be approximated."""


def effective(
    policies: Sequence[tuple[str, Document]], boundary: Document | None, account: str
) -> Effective:
    """Return what *policies*, each with the way it is attached, grant within *boundary*."""
    allowed, is_exact = _evaluate(policies, account)
    if boundary is None:
        return Effective(tuple(allowed), is_exact)
    limits, is_limit_exact = _evaluate([("boundary", boundary)], account)
    kept: list[Grant] = []
    for grant in allowed:
        for limit in limits:
            met = _intersect(grant, limit)
            if met is not None:
                kept.append(met)
    return Effective(tuple(dict.fromkeys(kept)), is_exact and is_limit_exact)


def _evaluate(policies: Sequence[tuple[str, Document]], account: str) -> tuple[list[Grant], bool]:
    statements = [(via, one) for via, document in policies for one in document.statements]
    denials = [
        Denial(one.actions, one.not_actions)
        for _via, one in statements
        if not one.is_allow and not one.conditions and is_everything(one, account)
    ]
    is_exact = all(
        not one.conditions and (one.is_allow or is_everything(one, account))
        for _via, one in statements
    )
    grants: list[Grant] = []
    for via, one in statements:
        if one.is_allow:
            for grant in _allowed(one, via, account):
                grants += _less(grant, denials)
    return grants, is_exact


def _allowed(one: Statement, via: str, account: str) -> Iterable[Grant]:
    is_limited = one.narrows or not is_everything(one, account)
    resources = one.resources if is_limited and not one.narrows else ()
    if one.not_actions:
        yield Grant("*:*", is_limited, one.conditions, one.not_actions, via, resources)
    for action in one.actions:
        yield Grant(action, is_limited, one.conditions, (), via, resources)


def is_everything(one: Statement, account: str) -> bool:
    """Whether a statement speaks about all resources, or all that IAM has of a kind.

    ``NotResource`` leaves almost everything and counts as all.
    """
    if not one.resources:
        return True
    return any(_is_all(resource, account) for resource in one.resources)


def _is_all(resource: str, account: str) -> bool:
    if resource == "*":
        return True
    parts = resource.split(":", 5)
    if len(parts) != 6:
        return set(resource) <= {"*", ":"}
    _arn, _partition, service, _region, owner, name = parts
    is_own = owner in ("*", "", account)
    if service in ("iam", "*") and is_own:
        return name in ("*", "user/*", "role/*", "group/*", "policy/*")
    return name == "*" and is_own


def _less(grant: Grant, denials: Iterable[Denial]) -> list[Grant]:
    """Take *denials* away from one grant."""
    left = [grant]
    for denial in denials:
        if denial.all_but:
            limits = [
                Grant(one, is_limited=False, conditions=(), excluded=(), via="")
                for one in denial.all_but
            ]
            met = [_intersect(one, limit) for one in left for limit in limits]
            left = [one for one in met if one is not None]
            continue
        for pattern in denial.actions:
            left = [
                one._replace(excluded=(*one.excluded, pattern))
                if overlaps(pattern, one.action)
                else one
                for one in left
                if not covers(pattern, one.action)
            ]
    return left


def _limit(action: str) -> Grant:
    return Grant(action, is_limited=False, conditions=(), excluded=(), via="")


def _intersect(grant: Grant, limit: Grant) -> Grant | None:
    """Return what both allow; where two patterns cross, the grant's own, which is more."""
    if covers(limit.action, grant.action):
        action = grant.action
    elif covers(grant.action, limit.action):
        action = limit.action
    elif overlaps(grant.action, limit.action):
        action = grant.action
    else:
        return None
    excluded = tuple(
        one for one in dict.fromkeys((*grant.excluded, *limit.excluded)) if overlaps(one, action)
    )
    if any(covers(one, action) for one in excluded):
        return None
    return grant._replace(
        action=action,
        is_limited=grant.is_limited or limit.is_limited,
        conditions=tuple(dict.fromkeys((*grant.conditions, *limit.conditions))),
        excluded=excluded,
        resources=() if limit.is_limited else grant.resources,
    )
