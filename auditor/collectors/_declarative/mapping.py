"""From a provider's record to a credential.

Nothing here trusts a record: a field is taken where the description names it and its value has
the promised type; what cannot be read is unknown and is counted, never guessed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from auditor.collectors._declarative.conditions import choose, meets, same
from auditor.collectors._declarative.fields import (
    CredentialSpec,
    ExpirySpec,
    GrantSpec,
    PrincipalSpec,
    TextSpec,
    TimeSpec,
    UseSpec,
)
from auditor.collectors._declarative.paths import MISSING, select
from auditor.collectors._declarative.templates import Variables, text
from auditor.log import redact
from auditor.model import (
    Credential,
    ExpiresState,
    LastUsedState,
    Organization,
    PermissionMap,
    Principal,
    PrincipalType,
    Privilege,
    Status,
    credential_uid,
)
from auditor.times import parse_instant

_NO_USE = UseSpec(path="none")
_LONGEST_ID = 255
_CLOCKS_APART = timedelta(days=1)
"""A run may last for hours and clocks differ; beyond this a future time is a data problem."""


@dataclass
class Mapper:
    """Turns the records of one organization into credentials."""

    provider: str
    tenant: str
    source: str
    organization: Organization
    now: datetime
    problems: Counter[str] = field(default_factory=Counter)
    _allow_lists: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def credential(
        self, record: dict[str, Any], spec: CredentialSpec, variables: Variables
    ) -> Credential | None:
        """Return the credential; None where the record has no usable id."""
        found = _identity(record, spec.id)
        if found is None:
            return None

        def words(where: TextSpec | None) -> str | None:
            return self._text(record, where, variables)

        return Credential(
            uid=credential_uid(self.provider, self.tenant, spec.kind, found),
            provider=self.provider,
            source=self.source,
            organization=self.organization,
            principal=self._principal(record, spec.principal, variables),
            client_id=words(spec.client_id),
            name=words(spec.name) or found,
            description=words(spec.description),
            type=choose(record, spec.type) or spec.kind.replace("_", " ").title(),
            status=Status(choose(record, spec.status) or Status.UNKNOWN),
            created_at=self._past(record, "created_at", spec.created_at),
            rotated_at=self._past(record, "rotated_at", spec.rotated_at),
            observed_at=self.now,
            data_as_of=self.now,
            **self._states(record, spec),
            permissions=self._permissions(record, spec),
            permissions_subject=spec.permissions_subject,
            permissions_certainty=spec.permissions_certainty,
            privilege=Privilege((spec.privilege and choose(record, spec.privilege)) or "unknown"),
            owner=words(spec.owner),
            tags={name: value for name, where in spec.tags.items() if (value := words(where))},
            restrictions=_restrictions(record, spec.restrictions),
            fingerprint=words(spec.fingerprint),
            url=words(spec.url),
            raw=_allowed(record, self._allow_list(spec)),
        )

    def _allow_list(self, spec: CredentialSpec) -> tuple[str, ...]:
        known = self._allow_lists.get(id(spec))
        if known is None:
            known = self._allow_lists[id(spec)] = allow_list(spec)
        return known

    def _principal(
        self, record: Any, spec: PrincipalSpec | None, variables: Variables
    ) -> Principal:
        if spec is None:
            return Principal(self.organization.id, self.organization.name)
        found = self._text(record, spec.id, variables)
        name = self._text(record, spec.name, variables) or found
        kind = PrincipalType(choose(record, spec.type) or PrincipalType.UNKNOWN)
        status = self._text(record, spec.status, variables)
        return Principal(found or "unknown", name or "unknown", kind, status)

    def _text(self, record: Any, where: TextSpec | None, variables: Variables) -> str | None:
        if where is None:
            return None
        if where.text is not None:
            return redact(text(where.text, variables))
        for path in where.paths:
            value = select(record, path)
            if isinstance(value, str) and value:
                return redact(value)
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
            if value not in (MISSING, None, ""):
                self.problems[f"{path} is not a text"] += 1
        return None

    def _states(self, record: Any, spec: CredentialSpec) -> dict[str, Any]:
        use = spec.last_used_at or _NO_USE
        used_at, used_state = self._use(record, spec)
        expires_at, expires_state = self._expiry(record, spec.expires_at)
        return {
            "last_used_at": used_at,
            "last_used_state": used_state,
            "last_used_precision": use.precision,
            "last_used_subject": use.subject,
            "expires_at": expires_at,
            "expires_state": expires_state,
        }

    def _use(self, record: Any, spec: CredentialSpec) -> tuple[datetime | None, LastUsedState]:
        use = spec.last_used_at
        if use is None:
            return None, LastUsedState.UNKNOWN
        value = _value(record, use)
        if value is MISSING:
            return None, LastUsedState(use.when_missing)
        if value is None:
            return None, LastUsedState(use.when_null)
        instant = self._instant(value, use.path, use.time)
        if instant is None or self._is_ahead(instant, use.path):
            return None, LastUsedState.UNKNOWN
        return instant, LastUsedState.USED

    def _expiry(self, record: Any, spec: ExpirySpec) -> tuple[datetime | None, ExpiresState]:
        if spec.path is None:
            return None, ExpiresState(spec.state or ExpiresState.UNKNOWN)
        value = _value(record, spec)
        if value is MISSING:
            return None, ExpiresState(spec.when_missing)
        if value is None:
            return None, ExpiresState(spec.when_null)
        instant = self._instant(value, spec.path, spec.time)
        return instant, ExpiresState.UNKNOWN if instant is None else ExpiresState.AT

    def _past(self, record: Any, name: str, spec: TimeSpec | None) -> datetime | None:
        if spec is None:
            return None
        value = _value(record, spec)
        if value is MISSING or value is None:
            if name == "created_at":
                self.problems[f"{spec.path} is missing"] += 1
            return None
        instant = self._instant(value, spec.path, spec.time)
        return None if instant is None or self._is_ahead(instant, spec.path) else instant

    def _instant(self, value: Any, path: str, form: str) -> datetime | None:
        try:
            return parse_instant(value, form)
        except ValueError as error:
            self.problems[f"{path} {error}"] += 1
            return None

    def _is_ahead(self, instant: datetime, path: str) -> bool:
        is_ahead = instant > self.now + _CLOCKS_APART
        if is_ahead:
            self.problems[f"{path} lies in the future"] += 1
        return is_ahead

    def _permissions(self, record: Any, spec: CredentialSpec) -> PermissionMap | None:
        grants = spec.permissions
        if grants is None or not meets(record, spec.permissions_when):
            return None
        found: PermissionMap = {}
        for resource, grant in grants.items():
            names = self._granted(record, grant)
            if names is None:
                return None
            if names:
                found[resource] = dict.fromkeys(names, True)
        return found

    def _granted(self, record: Any, grant: GrantSpec) -> tuple[str, ...] | None:
        if grant.path is None:
            return grant.value
        value = select(record, grant.path)
        if value is MISSING:
            return grant.when_missing
        if value is None:
            return grant.when_null
        if isinstance(value, str) and grant.split:
            value = [part for part in value.split(grant.split) if part]
        if isinstance(value, dict):
            value = [name for name, is_granted in value.items() if is_granted is True]
        if value == []:
            return grant.when_empty
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in items):
            self.problems[f"{grant.path} is not a list of names"] += 1
            return None
        return tuple(redact(grant.names.get(str(item), str(item))) for item in items)


def _identity(record: Any, paths: tuple[str, ...]) -> str | None:
    parts = []
    for path in paths:
        value = select(record, path)
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        part = str(value)
        if not part or len(part) > _LONGEST_ID:
            return None
        parts.append(part if len(paths) == 1 else quote(part, safe="@ "))
    return "/".join(parts)


def _value(record: Any, spec: TimeSpec | ExpirySpec) -> Any:
    """Return the value, None also for one that stands for none."""
    value = select(record, spec.path or "")
    return None if any(same(value, none) for none in spec.none) else value


def allow_list(spec: BaseModel) -> tuple[str, ...]:
    """Return every path of a record that *spec* reads: what may enter the raw record."""
    return tuple(dict.fromkeys(path for path in _paths(spec) if not path.startswith("@")))


def _paths(part: Any, *, is_path: bool = False) -> Iterable[str]:
    if isinstance(part, BaseModel):
        for name in type(part).model_fields:
            value = getattr(part, name)
            if name == "when":
                yield from value
            yield from _paths(value, is_path=name in ("path", "first", "id", "keep"))
    elif isinstance(part, Mapping):
        for value in part.values():
            yield from _paths(value, is_path=is_path)
    elif isinstance(part, tuple):
        for value in part:
            yield from _paths(value, is_path=is_path)
    elif is_path and isinstance(part, str):
        yield part


def _restrictions(record: Any, paths: Mapping[str, str]) -> dict[str, Any] | None:
    found = {name: _plain(select(record, path)) for name, path in paths.items()}
    return {name: value for name, value in found.items() if value not in (None, [])} or None


def _allowed(record: Any, paths: tuple[str, ...]) -> dict[str, Any]:
    found = ((path, select(record, path)) for path in paths)
    kept = {path: _plain(value) for path, value in found if value is not MISSING}
    return {path: v for path, v in kept.items() if v is not None or select(record, path) is None}


def _plain(value: Any) -> Any:
    """Return a scalar or a list of scalars without anything shaped like a secret, else None."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value if isinstance(item, str | bool | int | float)]
    return None
