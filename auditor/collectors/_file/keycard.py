"""Saved answers of Keycard's listing of a service account's credentials.

The answer itself names neither the organization nor the service account; a saved file may add
``organization`` and ``service_account`` beside ``items``, or the source's options say them.

In this API ``permissions`` is documented as what the *caller* may do to an item. Where several
credentials carry one and the same map it is therefore the caller's; where maps differ, or there is
just one, they are judged as the credential's own, and said to be inferred.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from auditor.collectors._file import patient
from auditor.collectors._file.facts import Facts
from auditor.collectors._file.normalized import Head
from auditor.collectors._file.session import Event, Session
from auditor.collectors.interface import Amendment, Gap, Note
from auditor.model import Certainty, Organization, PermissionsSubject, credential_uid

_ALLOWED = (
    "id",
    "client_id",
    "created_at",
    "name",
    "description",
    "last_used_at",
    "permissions",
)


@dataclass
class _Grants:
    """The permission maps of one organization, as far as they tell whose they are."""

    organization: Organization
    first: Any = None
    count: int = 0
    is_mixed: bool = False


class KeycardLists:
    """Reads the items of all saved pages of a source, and concludes at the end."""

    def __init__(
        self,
        session: Session,
        *,
        subject: Literal["auto", "credential", "caller"],
        usage_tracked_since: datetime | None,
    ) -> None:
        self._session = session
        self._subject = subject
        self._tracked_since = usage_tracked_since
        self._grants: dict[str, _Grants] = {}
        self._unfinished: dict[tuple[str, str], tuple[Organization, str]] = {}
        self._finished: set[tuple[str, str]] = set()

    def read(self, item: Any, line: int, head: Head, outer: Mapping[str, Any]) -> Iterator[Event]:
        """Yield the credential of one listed *item*."""
        if not isinstance(item, Mapping):
            yield from patient.read(item, line, head, self._session)
            return
        organization = self._session.organization(head.organization)
        record = {key: item[key] for key in _ALLOWED if key in item}
        if isinstance(record.get("permissions"), Mapping):
            self._count(organization, record["permissions"])
        record |= {
            "provider": "keycard",
            "organization": {"id": organization.id, "name": organization.name},
            "type": "Service Account Key",
            "expires_state": "unsupported",
            "permissions_subject": "unknown",
            "raw": dict(record),
        }
        own_id = Facts(record).text("id")
        if own_id is not None:
            record["uid"] = credential_uid(
                "keycard", organization.id, "service_account_credential", own_id
            )
        record |= self._use(record) | self._account(outer)
        yield from patient.read(record, line, head, self._session)

    def close_page(self, shown: str, outer: Mapping[str, Any], head: Head) -> None:
        """Remember whether the list went on behind this page."""
        info = outer.get("page_info")
        organization = self._session.organization(head.organization)
        account = Facts(outer).part("service_account").text("id") or ""
        key = (organization.id, account)
        if isinstance(info, Mapping) and info.get("has_next_page") is True:
            self._unfinished[key] = (organization, shown)
        else:
            self._finished.add(key)

    def conclude(self) -> Iterator[Gap | Note | Amendment]:
        """Yield what only the whole tells: missing pages, and whose permissions these are."""
        for key, (organization, shown) in self._unfinished.items():
            if key not in self._finished:
                yield Gap(
                    "missing_pages",
                    f"{shown} says that more pages follow, and no file holds the last one; "
                    "save the remaining pages beside it",
                    organization,
                )
        for grants in self._grants.values():
            yield from self._whose(grants)

    def _is_unfinished(self, organization: Organization) -> bool:
        return any(
            key[0] == organization.id and key not in self._finished for key in self._unfinished
        )

    def _count(self, organization: Organization, permissions: Any) -> None:
        grants = self._grants.setdefault(organization.id, _Grants(organization, permissions))
        grants.count += 1
        grants.is_mixed = grants.is_mixed or permissions != grants.first

    def _whose(self, grants: _Grants) -> Iterator[Note | Amendment]:
        is_callers = self._subject == "caller" or (
            self._subject == "auto" and grants.count > 1 and not grants.is_mixed
        )
        stated = self._subject != "auto"
        subject = PermissionsSubject.CALLER if is_callers else PermissionsSubject.CREDENTIAL
        if not stated and grants.count == 1 and self._is_unfinished(grants.organization):
            subject = PermissionsSubject.UNKNOWN  # the pages that are missing may hold the same
        yield Amendment(
            grants.organization,
            {
                "permissions_subject": subject,
                "permissions_certainty": Certainty.STATED if stated else Certainty.INFERRED,
            },
        )
        if is_callers:
            yield Note(
                "The permissions in this list are those of whoever saved it, not the credentials': "
                "no credential is judged by them.",
                grants.organization,
            )
        elif not stated and subject is PermissionsSubject.CREDENTIAL:
            yield Note(
                "The permissions are judged as the credentials' own, although Keycard documents "
                "them as the caller's; set `permissions_subject` of this source if you know.",
                grants.organization,
            )

    def _use(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """No time of use means that none was recorded, as far back as use is recorded."""
        if record.get("last_used_at") not in (None, ""):
            return {}
        since = self._tracked_since
        if since is None:
            return {"last_used_state": "never"}
        created_at = Facts(record).instant("created_at")
        if created_at is not None and created_at >= since:
            return {"last_used_state": "never"}
        return {"last_used_state": "not_in_window", "last_used_window_start": since}

    def _account(self, outer: Mapping[str, Any]) -> dict[str, Any]:
        account = outer.get("service_account")
        if account is None:
            return {}
        if isinstance(account, Mapping):
            account = {key: account.get(key) for key in ("id", "name")}
        else:
            account = {"id": account, "name": account}
        return {"principal": account | {"type": "service_account"}}
