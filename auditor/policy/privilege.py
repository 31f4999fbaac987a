"""How strong a credential is: admin, write, read or none, by rules held as data.

``privileges/<provider>.yaml`` holds the rules of one provider, ``privileges/default.yaml`` those
for every other. A permission is *read* where a rule says so and *write* otherwise, so a verb that
nobody knows is never taken for a harmless one. False entries do not count. The strongest
permission decides, so more permissions never make a weaker credential.

A provider's permission may itself be a pattern (``s3: Get*`` at AWS): it is *read* where a rule
covers all of it, and *admin* where it covers an action that is.
"""

import re
from collections.abc import Callable, Iterator
from copy import copy
from functools import cached_property, lru_cache
from pathlib import Path

import msgspec
from msgspec.structs import force_setattr
from pydantic import BaseModel, ConfigDict, Field

from auditor.model import Credential, PermissionMap, PermissionsSubject, Privilege
from auditor.policy.match import compile_glob
from auditor.yamlfile import load

_FOLDER = Path(__file__).parent / "privileges"
_RANK = {
    level: rank
    for rank, level in enumerate(
        (Privilege.NONE, Privilege.READ, Privilege.WRITE, Privilege.ADMIN),
    )
}
# Named here, because to look a member up in its class costs more than to compare it.
_UNKNOWN, _CALLER = Privilege.UNKNOWN, PermissionsSubject.CALLER
_NAMED_AT_MOST = 10
_CACHED_UP_TO = 8192  # bytes of an encoded map; larger ones are rare and would fill the memory

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(PermissionMap).decode

Pair = tuple[str, str]


def classify(credential: Credential) -> Credential:
    """Return *credential* with its privilege, which stays as it is where the provider stated it.

    *unknown* where the permissions are unknown or describe the auditor's own rights.
    """
    permissions = credential.permissions
    if (
        permissions is None
        or credential.privilege is not _UNKNOWN
        or credential.permissions_subject is _CALLER
    ):
        return credential
    encoded = _encode(permissions)
    judge = _remembered_privilege if len(encoded) <= _CACHED_UP_TO else _privilege
    classified = copy(credential)
    force_setattr(classified, "privilege", judge(credential.provider, encoded))
    return classified


def reasons(credential: Credential) -> list[str]:
    """Return the permissions behind the privilege as ``resource:permission``, the first ten.

    Where the collector knows by which policies they come, it is those.
    Where only several together reach it, they are one entry. Empty where the privilege does not
    come from permissions that rules explain.
    """
    if credential.privilege_path:
        return list(credential.privilege_path)
    if credential.permissions is None:
        return []
    rules = rules_for(credential.provider)
    granted = list(_granted(credential.permissions))
    named = [
        f"{resource}:{permission}"
        for resource, permission in granted
        if rules.level(resource, permission) is credential.privilege
    ]
    if credential.privilege is Privilege.ADMIN:
        named += [" with ".join(group) for group in rules.reached_together(granted)]
    named = sorted(set(named))
    more = len(named) - _NAMED_AT_MOST
    return [*named[:_NAMED_AT_MOST], f"and {more} more"] if more > 0 else named


def _granted(permissions: PermissionMap) -> Iterator[Pair]:
    for resource, actions in permissions.items():
        for permission, is_granted in actions.items():
            if is_granted:
                yield resource, permission


def _privilege(provider: str, encoded: bytes) -> Privilege:
    granted = list(_granted(_decode(encoded)))
    rules = rules_for(provider)
    strongest = Privilege.NONE
    for resource, permission in granted:
        level = rules.level(resource, permission)
        if level is Privilege.ADMIN:
            return level
        if _RANK[level] > _RANK[strongest]:
            strongest = level
    return Privilege.ADMIN if next(rules.reached_together(granted), None) else strongest


_remembered_privilege = lru_cache(maxsize=1024)(_privilege)


class Pattern:
    """A glob over names, upper and lower case alike, that meets the globs a provider grants."""

    def __init__(self, text: str) -> None:
        self.text = text.lower()
        self._covers = compile_glob(self.text)
        self._plain = re.sub(r"\\(.)", r"\1", self.text)

    def covers(self, name: str) -> bool:
        """Whether all that *name* stands for is meant; *name* is in lower case."""
        return bool(self._covers(name))

    def meets(self, name: str) -> bool:
        """Whether part of what *name* stands for is meant; *name* is in lower case."""
        return self.covers(name) or ("*" in name and bool(compile_glob(name)(self._plain)))


def _first(granted: list[Pair], resource: Pattern, permission: Pattern) -> str:
    """Return the name of the first grant that both patterns meet, or an empty text."""
    for of, one in granted:
        if resource.meets(of.lower()) and permission.meets(one.lower()):
            return f"{of}:{one}"
    return ""


class Table:
    """Resource patterns with permission patterns: one level of a provider's rules."""

    def __init__(self, rules: dict[str, tuple[str, ...]]) -> None:
        self._rows = [
            (Pattern(resource), [Pattern(permission) for permission in permissions])
            for resource, permissions in rules.items()
        ]

    def covers(self, resource: str, permission: str) -> bool:
        """Whether one rule means all of what is granted."""
        return self._any(Pattern.covers, resource, permission)

    def meets(self, resource: str, permission: str) -> bool:
        """Whether one rule means part of what is granted."""
        return self._any(Pattern.meets, resource, permission)

    def _any(self, test: Callable[[Pattern, str], bool], resource: str, permission: str) -> bool:
        return any(
            test(of, resource) and any(test(one, permission) for one in permissions)
            for of, permissions in self._rows
        )


Permissions = dict[str, tuple[str, ...]]


class Rules(BaseModel):
    r"""The privilege rules of one provider, as its file holds them.

    Names are globs without regard to case; ``\*`` is the provider's own wildcard. *admin* is
    tried first, then *write*, then *read*; what none of them knows is a write.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: str = Field(description="what a resource and a permission are in this provider's map")
    admin: Permissions = {}
    write: Permissions = {}
    read: Permissions = {}
    write_is_admin: tuple[str, ...] = Field(
        (), description="resources on which every permission that is not read is admin"
    )
    together: tuple[Permissions, ...] = Field(
        (), description="permissions that reach admin where all of a group are granted"
    )

    @cached_property
    def _tables(self) -> tuple[Table, Table, Table]:
        return Table(self.admin), Table(self.write), Table(self.read)

    @cached_property
    def _guarded(self) -> tuple[Pattern, ...]:
        return tuple(Pattern(resource) for resource in self.write_is_admin)

    @cached_property
    def _groups(self) -> tuple[tuple[tuple[Pattern, Pattern], ...], ...]:
        return tuple(
            tuple(
                (Pattern(resource), Pattern(permission))
                for resource, permissions in group.items()
                for permission in permissions
            )
            for group in self.together
        )

    @cached_property
    def _remembered_level(self) -> Callable[[str, str], Privilege]:
        return lru_cache(maxsize=8192)(self._level)

    def level(self, resource: str, permission: str) -> Privilege:
        """Return what one granted permission amounts to."""
        return self._remembered_level(resource.lower(), permission.lower())

    def _level(self, resource: str, permission: str) -> Privilege:
        admin, write, read = self._tables
        if admin.meets(resource, permission):
            return Privilege.ADMIN
        if read.covers(resource, permission) and not write.meets(resource, permission):
            return Privilege.READ
        guarded = any(pattern.meets(resource) for pattern in self._guarded)
        return Privilege.ADMIN if guarded else Privilege.WRITE

    def reached_together(self, granted: list[Pair]) -> Iterator[tuple[str, ...]]:
        """Yield each group that is granted whole, as ``resource:permission`` names."""
        candidates = (
            [pair for pair in granted if self.level(*pair) is not Privilege.READ]
            if self._groups
            else []
        )
        for group in self._groups:
            found = [_first(candidates, resource, permission) for resource, permission in group]
            if all(found):
                yield tuple(dict.fromkeys(found))


@lru_cache(maxsize=1)
def providers_with_rules() -> frozenset[str]:
    """Return the providers that have rules of their own."""
    return frozenset(path.stem for path in _FOLDER.glob("*.yaml")) - {"default"}


@lru_cache(maxsize=64)
def rules_for(provider: str) -> Rules:
    """Return the rules of *provider*, or those for everybody else."""
    name = provider if provider in providers_with_rules() else "default"
    return load(_FOLDER / f"{name}.yaml").validate(Rules)
