"""What Keycard's records mean, without the network: the other half of `auditor.collectors.keycard`.

Nothing here trusts a record: a field is taken when its name is on the allow-list and its value has
the documented type, so no answer can bring along what nobody asked for.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from auditor import wording
from auditor.client import Batch
from auditor.collectors._keycard.grants import Grants
from auditor.collectors.interface import Gap, Item, Note
from auditor.errors import SourceError, UnexpectedResponse
from auditor.log import redact
from auditor.model import (
    Credential,
    ExpiresState,
    LastUsedState,
    Organization,
    PermissionMap,
    Principal,
    PrincipalType,
    Status,
    credential_uid,
)
from auditor.times import parse_instant

_FIELDS = ("id", "client_id", "name", "description", "created_at", "last_used_at")
_APPLICATION_FIELDS = (
    *("id", "type", "slug", "identifier", "application_id", "zone_id", "organization_id"),
    *("provider_id", "subject", "jwks_uri", "created_at", "updated_at"),
)
_APPLICATION_TYPES = {
    "password": "Client Secret",
    "public-key": "Public Key",
    "token": "Federated Token",
    "url": "Client Metadata URL",
    "public": "Public Client",
}
_LONGEST_ID = 255
_GAPS_SHOWN = 5
_CLOCKS_APART = timedelta(days=1)
"""A run may last for hours and clocks differ; beyond this a future time is a data problem."""


def batch_of(body: Mapping[str, Any], what: str) -> Batch:
    """Return one page of a list answer, organization or zone style.

    Raises `UnexpectedResponse` where it cannot be told whether there is more.
    """
    items, info, pagination = body.get("items"), body.get("page_info"), body.get("pagination")
    if not isinstance(items, list):
        raise UnexpectedResponse(f"{what} answered without a list of items")
    info = info if isinstance(info, dict) else {}
    after = pagination.get("after_cursor") if isinstance(pagination, dict) else None
    has_more = info.get("has_next_page", bool(after) if isinstance(pagination, dict) else None)
    if not isinstance(has_more, bool):
        raise UnexpectedResponse(f"{what} answered without telling whether more pages follow")
    cursor = after or info.get("end_cursor")
    return Batch(items, has_more, cursor if isinstance(cursor, str) else None)


def has_permissions(records: list[Any]) -> bool:
    """Whether any of *records* carries a permission map."""
    return any(isinstance(item, dict) and "permissions" in item for item in records)


@dataclass(frozen=True)
class Account:
    """A service account, or the application in whose place one stands."""

    id: str
    name: str

    @classmethod
    def of(cls, record: Any) -> "Account | None":
        """Return the account that *record* describes; None where it has no usable id."""
        found = identifier(record)
        return None if found is None else cls(found, _text(record, "name") or found)


def identifier(record: Any, key: str = "id") -> str | None:
    """Return the id of *record*; None where there is none that could stand in a path."""
    found = record.get(key) if isinstance(record, dict) else None
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_ID or found in (".", ".."):
        return None
    return found


def organization_of(record: Any) -> Organization | None:
    """Return the organization that *record* describes; None where it has no usable id."""
    account = Account.of(record)
    return None if account is None else Organization(account.id, account.name)


class Reading:
    """One organization being read: turns records into credentials and draws the conclusions.

    Memory does not grow with the number of credentials.
    """

    def __init__(
        self,
        organization: Organization,
        *,
        source: str,
        tenant: str,
        now: datetime,
        tracked_since: datetime | None = None,
        own_client_id: str | None = None,
    ) -> None:
        self.organization = organization
        self._source = source
        self._tenant = tenant
        self._now = now
        self._tracked_since = tracked_since
        self._grants = Grants(organization, own_client_id)
        self._problems: Counter[str] = Counter()
        self._gaps: list[Gap] = []
        self._gaps_left_out = 0

    def credential(self, account: Account, record: Any) -> Credential | None:
        """Return a service account's credential; None, and a gap, for a record without id."""
        found = identifier(record)
        if found is None:
            self.malformed(f"A credential of service account {account.id!r}")
            return None
        used_at = self._instant(record, "last_used_at")
        permissions = self._permissions(record)
        raw = _allowed(record, _FIELDS)
        if permissions is not None:
            raw["permissions"] = permissions
        credential = Credential(
            uid=credential_uid("keycard", self._tenant, "service_account_credential", found),
            provider="keycard",
            source=self._source,
            organization=self.organization,
            principal=Principal(account.id, account.name, PrincipalType.SERVICE_ACCOUNT),
            client_id=_text(record, "client_id"),
            name=_text(record, "name") or found,
            description=_text(record, "description"),
            type="Service Account Key",
            status=Status.ACTIVE,
            created_at=self._instant(record, "created_at"),
            observed_at=self._now,
            data_as_of=self._now,
            last_used_at=used_at,
            expires_state=ExpiresState.UNSUPPORTED,
            permissions=permissions,
            raw=raw,
        )
        credential = self._with_use(credential, is_recorded=record.get("last_used_at") is not None)
        self._grants.add(credential)
        return credential

    def application_credential(
        self, application: Account, zone: Account, record: Any
    ) -> Credential | None:
        """Return an application's credential; Keycard tells neither its use nor its rights."""
        found = identifier(record)
        if found is None:
            self.malformed(f"An application credential of zone {zone.id!r}")
            return None
        kind = _text(record, "type") or "unknown"
        return Credential(
            uid=credential_uid("keycard", self._tenant, "application_credential", found),
            provider="keycard",
            source=self._source,
            organization=self.organization,
            principal=Principal(application.id, application.name, PrincipalType.APPLICATION),
            client_id=_text(record, "identifier"),
            name=_text(record, "slug") or found,
            type=_APPLICATION_TYPES.get(kind, kind.replace("-", " ").title()),
            created_at=self._instant(record, "created_at"),
            observed_at=self._now,
            data_as_of=self._now,
            expires_state=ExpiresState.UNSUPPORTED,
            tags={"zone": zone.name, "zone_id": zone.id},
            restrictions=_token_restrictions(record) if kind == "token" else None,
            raw=_allowed(record, _APPLICATION_FIELDS),
        )

    def malformed(self, what: str) -> None:
        """Remember that a record could not be told apart from others."""
        self.missing(
            Gap(
                "malformed_record",
                f"{what} has no usable id and was left out; report it to the provider",
                self.organization,
            )
        )

    def failed(self, error: SourceError) -> None:
        """Remember a part of the organization that could not be read."""
        self.missing(Gap(error.kind, str(error), self.organization))

    def missing(self, gap: Gap) -> None:
        """Remember *gap*; of very many only the first are kept and the rest counted."""
        if len(self._gaps) < _GAPS_SHOWN:
            self._gaps.append(gap)
        else:
            self._gaps_left_out += 1

    def conclusions(self, permissions_subject: str, *, is_whole: bool) -> Iterator[Item]:
        """Yield what is known only at the end: gaps, whose the permissions are, data problems."""
        is_whole = is_whole and not self._gaps
        yield from self._gaps
        if self._gaps_left_out:
            text = f"{wording.count(self._gaps_left_out, 'more part')} could not be read either"
            yield Gap("incomplete", text, self.organization)
        yield from self._grants.conclusions(permissions_subject, is_whole=is_whole)
        for problem, count in sorted(self._problems.items()):
            text = f"{problem} in {wording.count(count, 'record')}; the value is unknown there."
            yield Note(text, self.organization)

    def _with_use(self, credential: Credential, *, is_recorded: bool) -> Credential:
        if credential.last_used_at is not None:
            return msgspec.structs.replace(credential, last_used_state=LastUsedState.USED)
        if is_recorded:  # a value nobody can read is no statement that there was no use
            return credential
        since = self._tracked_since
        if since is not None and (credential.created_at is None or credential.created_at < since):
            return msgspec.structs.replace(
                credential,
                last_used_state=LastUsedState.NOT_IN_WINDOW,
                last_used_window_start=since,
            )
        return msgspec.structs.replace(credential, last_used_state=LastUsedState.NEVER)

    def _instant(self, record: Mapping[str, Any], key: str) -> datetime | None:
        value = record.get(key)
        if value is None:
            if key == "created_at":
                self._problems[f"{key} is missing"] += 1
            return None
        try:
            instant = parse_instant(value)
        except ValueError as error:
            self._problems[f"{key} {error}"] += 1
            return None
        if instant > self._now + _CLOCKS_APART:
            self._problems[f"{key} lies in the future"] += 1
            return None
        return instant

    def _permissions(self, record: Mapping[str, Any]) -> PermissionMap | None:
        value = record.get("permissions")
        if value is None:
            return None
        try:
            return msgspec.convert(value, PermissionMap)
        except msgspec.ValidationError:
            self._problems["permissions is not a map of names to true or false"] += 1
            return None


def _text(record: Any, key: str) -> str | None:
    """Return a text without anything shaped like a secret: people paste them into descriptions."""
    value = record.get(key)
    return redact(value) if isinstance(value, str) and value else None


def _allowed(record: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    kept = {key: record[key] for key in fields if key in record}
    return {
        key: redact(value) if isinstance(value, str) else value
        for key, value in kept.items()
        if value is None or isinstance(value, str | int | float)
    }


def _token_restrictions(record: Mapping[str, Any]) -> dict[str, Any]:
    """Without a subject, any token that the identity provider issues is accepted."""
    subject = _text(record, "subject")
    issuer = {"provider_id": _text(record, "provider_id")}
    if subject is None:
        return issuer | {"subject": None, "accepts": "any token of the provider"}
    return issuer | {"subject": subject}
