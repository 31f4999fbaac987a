"""The auditor's own shape of a credential, read field by field.

For every record that is not well-formed, and for what the other readings translate into this
shape. A field that cannot be used becomes unknown, a record without an identity is lost, and both
are said.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from auditor.collectors._file.facts import Facts
from auditor.collectors._file.normalized import Head, permissions_subject, true_at
from auditor.collectors._file.session import LONGEST_ID, Event, Problem, Session, named
from auditor.model import (
    Certainty,
    Credential,
    ExpiresState,
    LastUsedState,
    LastUsedSubject,
    Organization,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Privilege,
    Status,
    credential_uid,
    decode_uid_part,
)


def read(
    value: Any, line: int, head: Head, session: Session, problems: Sequence[str] = ()
) -> Iterator[Event]:
    """Yield what can be made of any JSON value: problems, and a credential where it has an id.

    *problems* were met before, while the record was translated into this shape.
    """
    if not isinstance(value, Mapping):
        yield Problem(
            "malformed_record",
            line,
            "this is no record; write one JSON object per credential",
            head.organization and session.organization(head.organization),
        )
        return
    facts = Facts(value, session.zone)
    organization = _organization(facts, value, head, session)
    credential = _build(facts, organization, head, session)
    if facts.secrets:
        session.secrets[organization.id] += facts.secrets
    if facts.foreign:
        session.foreign[organization.id] += facts.foreign
    session.future.update((organization.id, field) for field in facts.from_future)
    if credential is None:
        reason = _loss(facts)
        yield Problem(
            "malformed_record",
            line,
            f"this record is lost: {reason}; every credential needs a `uid` "
            "(provider:tenant:kind:id), or an `id` that is unique in its organization",
            organization,
        )
        return
    yield from (
        Problem("malformed_field", line, f"{problem}; read as unknown", organization)
        for problem in (*problems, *facts.problems)
    )
    yield credential


def _loss(facts: Facts) -> str:
    """Return why a record has no identity."""
    if facts.secrets:
        return "its uid is shaped like a secret"
    if facts.foreign:
        return "its uid or id holds bytes that are no UTF-8 (export it as UTF-8)"
    return "no usable uid or id"


def _organization(
    facts: Facts, value: Mapping[str, Any], head: Head, session: Session
) -> Organization:
    if value.get("organization") is None:
        return session.organization(head.organization)
    part = facts.part("organization")
    found = named({"id": part.text("id"), "name": part.text("name")})
    if found is None:
        part.problem("id", f"is missing or longer than {LONGEST_ID:,} characters")
    facts.absorb(part, "organization")
    return session.organization(found or head.organization)


def _principal(facts: Facts, session: Session) -> Principal:
    part = facts.part("principal")
    identity = part.text("id")
    name = part.text("name")
    kind = part.choice("type", PrincipalType)
    status, is_root, has_mfa = part.text("status"), part.flag("is_root"), part.flag("has_mfa")
    facts.absorb(part, "principal")
    default = session.default_principal
    if identity is None and name is None:
        identity, name = default.id, default.name
        kind = kind or default.type
    return Principal(
        id=identity or name or default.id,
        name=name or identity or default.name,
        type=kind or PrincipalType.UNKNOWN,
        status=status,
        is_root=is_root,
        has_mfa=has_mfa,
    )


def _identity(facts: Facts, organization: Organization, head: Head) -> tuple[str, str, str] | None:
    """Return uid, provider and the provider's own id."""
    uid, own_id, provider = facts.text("uid"), facts.text("id"), facts.text("provider")
    if len(uid or own_id or "") > LONGEST_ID:
        facts.problem("uid", f"is longer than {LONGEST_ID:,} characters")
        return None
    if uid is None:
        if own_id is None:
            return None
        provider = provider or head.provider or "file"
        kind = facts.text("kind") or "credential"
        return credential_uid(provider, organization.id, kind, own_id), provider, own_id
    prefix, separator, _ = uid.partition(":")
    if not (separator and prefix):
        return None
    told = decode_uid_part(prefix)
    if provider not in (None, told):
        facts.problem("provider", f"is not the one that the uid begins with; read as {told}")
    return uid, told, decode_uid_part(uid.rsplit(":", 1)[-1])


def _build(
    facts: Facts, organization: Organization, head: Head, session: Session
) -> Credential | None:
    identity = _identity(facts, organization, head)
    if identity is None:
        return None
    uid, provider, own_id = identity
    last_used_at, state, precision = _use(facts, session.now)
    expires_at, expires_state = _expiry(facts)
    permissions = facts.permissions("permissions")
    return Credential(
        uid=uid,
        provider=provider,
        source=session.source,
        organization=organization,
        principal=_principal(facts, session),
        client_id=facts.text("client_id"),
        name=facts.text("name") or own_id or uid,
        description=facts.text("description"),
        type=facts.text("type") or "Credential",
        status=_status(facts),
        created_at=facts.past("created_at", session.now),
        rotated_at=facts.past("rotated_at", session.now),
        observed_at=session.now,
        last_used_at=last_used_at,
        last_used_state=state,
        last_used_window_start=facts.instant("last_used_window_start"),
        last_used_precision=precision,
        last_used_subject=facts.choice("last_used_subject", LastUsedSubject)
        or LastUsedSubject.CREDENTIAL,
        data_as_of=true_at(
            facts.instant("data_as_of"), facts.instant("observed_at"), head, session, organization
        ),
        expires_at=expires_at,
        expires_state=expires_state,
        permissions=permissions,
        permissions_subject=permissions_subject(
            facts.choice("permissions_subject", PermissionsSubject), permissions
        ),
        permissions_certainty=facts.choice("permissions_certainty", Certainty) or Certainty.STATED,
        unused_permissions=facts.permissions("unused_permissions"),
        privilege=facts.choice("privilege", Privilege) or Privilege.UNKNOWN,
        owner=facts.text("owner"),
        tags=facts.tags("tags"),
        restrictions=facts.free("restrictions"),
        fingerprint=facts.text("fingerprint"),
        key_algorithm=facts.text("key_algorithm"),
        key_bits=facts.number("key_bits"),
        reviewed_at=facts.instant("reviewed_at"),
        url=facts.text("url"),
        raw=facts.free("raw") or {},
    )


def _status(facts: Facts) -> Status:
    """A status nobody understands is unknown; a missing one is that of a listed credential."""
    before = len(facts.problems)
    found = facts.choice("status", Status)
    if found is None:
        return Status.ACTIVE if len(facts.problems) == before else Status.UNKNOWN
    return found


def _use(facts: Facts, now: datetime) -> tuple[datetime | None, LastUsedState, timedelta | None]:
    before = len(facts.problems)
    at = facts.past("last_used_at", now)
    coarseness = facts.coarseness
    is_broken = len(facts.problems) > before or "last_used_at" in facts.from_future
    stated = facts.choice("last_used_state", LastUsedState)
    precision = facts.span("last_used_precision") or coarseness
    if at is not None:
        if stated not in (None, LastUsedState.USED):
            facts.problem("last_used_state", f"is {stated} beside a time of use; the time counts")
        return at, LastUsedState.USED, precision
    if stated is LastUsedState.USED and not is_broken:
        facts.problem("last_used_state", "is used without last_used_at")
    if is_broken or stated is LastUsedState.USED:
        return None, LastUsedState.UNKNOWN, precision
    return None, stated or LastUsedState.UNKNOWN, precision


def _expiry(facts: Facts) -> tuple[datetime | None, ExpiresState]:
    before = len(facts.problems)
    at = facts.instant("expires_at")
    is_broken = len(facts.problems) > before
    stated = facts.choice("expires_state", ExpiresState)
    if at is not None:
        if stated not in (None, ExpiresState.AT, ExpiresState.SLIDING):
            facts.problem("expires_state", f"is {stated} beside a time; the time counts")
            stated = ExpiresState.AT
        return at, stated or ExpiresState.AT
    if stated is ExpiresState.AT and not is_broken:
        facts.problem("expires_state", "is at without expires_at")
    if is_broken or stated is ExpiresState.AT:
        return None, ExpiresState.UNKNOWN
    if stated is None and facts.has("expires_at"):
        return None, ExpiresState.NEVER  # a sentinel: year 9999
    return None, stated or ExpiresState.UNKNOWN
