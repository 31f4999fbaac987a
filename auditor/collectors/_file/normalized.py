"""The auditor's own shape of a credential, read fast.

A well-formed record goes from bytes to a `Credential` in one decoding. Whatever this refuses, by
answering None, is read again field by field in `patient`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from auditor.collectors._file import scrub
from auditor.collectors._file.facts import Facts
from auditor.collectors._file.session import LONGEST_ID, Session, named
from auditor.model import (
    Certainty,
    Credential,
    ExpiresState,
    Instant,
    LastUsedState,
    LastUsedSubject,
    Organization,
    PermissionMap,
    PermissionsSubject,
    Principal,
    Privilege,
    Status,
)

_ABSENT = Raw()


class Record(Struct, kw_only=True, gc=False):
    """A record as it should be; null and absent mean the same.

    Parts that many records share stay undecoded here: `_Shared` decodes each spelling once.
    """

    uid: str
    provider: str
    name: str
    type: str
    organization: Raw = _ABSENT
    principal: Raw = _ABSENT
    client_id: str | None = None
    description: str | None = None
    status: Status | None = None
    created_at: Instant | None = None
    rotated_at: Instant | None = None
    observed_at: Instant | None = None
    last_used_at: Instant | None = None
    last_used_state: LastUsedState | None = None
    last_used_window_start: Instant | None = None
    last_used_precision: timedelta | None = None
    last_used_subject: LastUsedSubject | None = None
    data_as_of: Instant | None = None
    expires_at: Instant | None = None
    expires_state: ExpiresState | None = None
    permissions: Raw = _ABSENT
    permissions_subject: PermissionsSubject | None = None
    permissions_certainty: Certainty | None = None
    unused_permissions: Raw = _ABSENT
    privilege: Privilege | None = None
    owner: str | None = None
    tags: dict[str, str] | None = None
    restrictions: dict[str, Any] | None = None
    fingerprint: str | None = None
    key_algorithm: str | None = None
    key_bits: int | None = None
    reviewed_at: Instant | None = None
    url: str | None = None
    raw: dict[str, Any] | None = None


class _Unusual(Exception):
    """A well-typed record that still needs a closer look."""


_decode = msgspec.json.Decoder(Record).decode

Part = TypeVar("Part")


class _Shared(Generic[Part]):
    """Decodes equal JSON texts to one and the same value, for speed and for memory."""

    _MOST = 1_024
    _LONGEST = 4_096

    def __init__(self, kind: Any) -> None:
        self._decode = msgspec.json.Decoder(kind).decode
        self._known: dict[bytes, Part | None] = {b"": None}

    def get(self, raw: Raw) -> Part | None:
        """Return the value of *raw*; raises `msgspec.MsgspecError`."""
        source = bytes(raw)
        if source in self._known:
            return self._known[source]
        found: Part | None = self._decode(source)
        if len(self._known) > self._MOST:
            self._known = {b"": None}
        if len(source) <= self._LONGEST:
            self._known[source] = found
        return found


_organization: _Shared[Organization] = _Shared(Organization | None)
_principal: _Shared[Principal] = _Shared(Principal | None)
_permissions: _Shared[PermissionMap] = _Shared(PermissionMap | None)


class Head(Struct, frozen=True):
    """What a document says once for all its records."""

    data_as_of: datetime
    is_data_as_of_stated: bool = False
    """Whether the content tells it; a record's own `observed_at` beats the file's time only."""
    organization: Organization | None = None
    provider: str | None = None

    def read(self, head: Mapping[str, Any]) -> "Head":
        """Return this with what *head*, the keys beside the records, adds to it."""
        if not head:
            return self
        facts = Facts(head)
        stated = facts.instant("data_as_of") or facts.instant("generated_at")
        return Head(
            data_as_of=stated or self.data_as_of,
            is_data_as_of_stated=stated is not None or self.is_data_as_of_stated,
            organization=named(head.get("organization")) or self.organization,
            provider=facts.text("provider") or self.provider,
        )


HEAD_KEYS = frozenset({"data_as_of", "generated_at", "organization", "provider"})


def from_json(source: bytes, head: Head, session: Session) -> Credential | None:
    """Return the credential of a well-formed JSON record; None for any other."""
    try:
        return _build(_decode(source), head, session)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _Unusual):
        return None


def _build(record: Record, head: Head, session: Session) -> Credential:
    if not (record.uid and record.name and record.provider and record.type):
        raise _Unusual
    if len(record.uid) > LONGEST_ID or not record.uid.startswith(record.provider + ":"):
        raise _Unusual
    stated = _organization.get(record.organization)
    if stated is not None and len(stated.id) > LONGEST_ID:
        raise _Unusual
    organization = session.organization(stated if stated and stated.id else head.organization)
    permissions = _permissions.get(record.permissions)
    latest = session.latest
    created_at = record.created_at and _usual(record.created_at)
    rotated_at = record.rotated_at and _usual(record.rotated_at)
    last_used_at = record.last_used_at and _usual(record.last_used_at)
    if (
        (created_at and created_at > latest)
        or (rotated_at and rotated_at > latest)
        or (last_used_at and last_used_at > latest)
    ):
        raise _Unusual
    expires_at = record.expires_at and _usual(record.expires_at)
    tags = record.tags
    if tags and any(map(scrub.is_secret_key, tags)):
        raise _Unusual
    credential = Credential(
        uid=record.uid,
        provider=record.provider,
        source=session.source,
        organization=organization,
        principal=_principal.get(record.principal) or session.default_principal,
        name=record.name,
        type=record.type,
        status=record.status or Status.ACTIVE,
        created_at=created_at,
        rotated_at=rotated_at,
        observed_at=session.now,
        last_used_at=last_used_at,
        last_used_state=_use(record.last_used_state, last_used_at),
        data_as_of=true_at(
            record.data_as_of and _usual(record.data_as_of),
            record.observed_at and _usual(record.observed_at),
            head,
            session,
            organization,
        ),
        expires_at=expires_at,
        expires_state=_expiry(record.expires_state, expires_at),
        permissions=permissions,
        permissions_subject=permissions_subject(record.permissions_subject, permissions),
        owner=record.owner or None,
        tags=tags or {},
        raw={},  # msgspec's own default is as large as a filled one
    )
    return _more(credential, record) if _says_more(record) else credential


def _says_more(record: Record) -> bool:
    """Tell whether *record* holds a field that most exports lack: all are costly to fill in."""
    return any(
        (
            record.client_id,
            record.description,
            record.last_used_window_start,
            record.last_used_precision is not None,
            record.last_used_subject,
            record.permissions_certainty,
            record.unused_permissions is not _ABSENT,
            record.privilege,
            record.restrictions is not None,
            record.fingerprint,
            record.key_algorithm,
            record.key_bits is not None,
            record.reviewed_at,
            record.url,
            record.raw,
        )
    )


def _more(credential: Credential, record: Record) -> Credential:
    restrictions = record.restrictions
    return replace(
        credential,
        client_id=record.client_id or None,
        description=record.description or None,
        last_used_window_start=record.last_used_window_start
        and _usual(record.last_used_window_start),
        last_used_precision=record.last_used_precision,
        last_used_subject=record.last_used_subject or LastUsedSubject.CREDENTIAL,
        permissions_certainty=record.permissions_certainty or Certainty.STATED,
        unused_permissions=_permissions.get(record.unused_permissions),
        privilege=record.privilege or Privilege.UNKNOWN,
        restrictions=restrictions and scrub.clean(restrictions),
        fingerprint=record.fingerprint or None,
        key_algorithm=record.key_algorithm or None,
        key_bits=record.key_bits,
        reviewed_at=record.reviewed_at and _usual(record.reviewed_at),
        url=record.url or None,
        raw=scrub.clean(record.raw) if record.raw else {},
    )


def _usual(value: datetime) -> datetime:
    if not 1990 <= value.year < 2200:
        raise _Unusual
    return value if value.tzinfo is UTC else value.astimezone(UTC)


def _use(stated: LastUsedState | None, at: datetime | None) -> LastUsedState:
    """A time beats a missing state; a state that contradicts the time needs a closer look."""
    if at is None:
        if stated is LastUsedState.USED:
            raise _Unusual
        return stated or LastUsedState.UNKNOWN
    if stated is None:
        return LastUsedState.USED
    if stated is not LastUsedState.USED:
        raise _Unusual
    return stated


def _expiry(stated: ExpiresState | None, at: datetime | None) -> ExpiresState:
    if at is None:
        if stated is ExpiresState.AT:
            raise _Unusual
        return stated or ExpiresState.UNKNOWN
    if stated not in (None, ExpiresState.AT, ExpiresState.SLIDING):
        raise _Unusual
    return stated or ExpiresState.AT


def permissions_subject(
    stated: PermissionsSubject | None, permissions: PermissionMap | None
) -> PermissionsSubject:
    """Return whose the map is: the credential's unless the exporter says otherwise."""
    if stated is not None:
        return stated
    return PermissionsSubject.UNKNOWN if permissions is None else PermissionsSubject.CREDENTIAL


def true_at(
    stated: datetime | None,
    observed_at: datetime | None,
    head: Head,
    session: Session,
    organization: Organization,
) -> datetime:
    """Return when a record was true: its own word, the file's, its observation, the file's age."""
    claimed = stated or (None if head.is_data_as_of_stated else observed_at) or head.data_as_of
    return claimed if claimed <= session.now else session.not_after_now(claimed, organization)
