"""What the metadata of a service account's token secret means, without the network."""

from datetime import datetime, timedelta
from typing import Any

from auditor.collectors._kubernetes.rbac import Rbac
from auditor.collectors._notebook import Notebook, child, identifier, text
from auditor.model import (
    Credential,
    ExpiresState,
    LastUsedState,
    Organization,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Status,
    credential_uid,
)
from auditor.times import parse_instant

_ACCOUNT = "kubernetes.io/service-account.name"
_ACCOUNT_UID = "kubernetes.io/service-account.uid"
_LAST_USED = "kubernetes.io/legacy-token-last-used"
_INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
_DAY = timedelta(days=1)


class Reading(Notebook):
    """One cluster being read."""

    def __init__(self, organization: Organization, *, source: str, now: datetime) -> None:
        super().__init__(organization, now)
        self._source = source
        self.rbac: Rbac | None = None
        """None: what service accounts may do could not be read."""
        self._tracked_since: datetime | None = None

    def tracked_since(self, data: dict[str, Any]) -> None:
        """Learn from *data* since when the cluster labels the tokens that are used."""
        since = self._day(data, "since")
        if since is not None:  # the day on which it began is not a whole one
            self._tracked_since = since + _DAY

    def token(self, item: dict[str, Any]) -> Credential | None:
        """Return the token that *item* is the metadata of; None for any other secret."""
        meta = child(item, "metadata")
        labels, notes = child(meta, "labels"), child(meta, "annotations")
        account = text(notes, _ACCOUNT)
        if account is None:
            return None
        uid, name, namespace = identifier(meta, "uid"), text(meta, "name"), text(meta, "namespace")
        if uid is None or name is None or namespace is None:
            self.malformed("A service account's token")
            return None
        permissions, path = (None, ()) if self.rbac is None else self.rbac.of(namespace, account)
        created_at = self.instant(meta, "creationTimestamp")
        state, used_at = self._use(labels, created_at)
        return Credential(
            uid=credential_uid("kubernetes", self.organization.id, "service_account_token", uid),
            provider="kubernetes",
            source=self._source,
            organization=self.organization,
            principal=Principal(
                text(notes, _ACCOUNT_UID) or f"{namespace}/{account}",
                f"{namespace}/{account}",
                PrincipalType.SERVICE_ACCOUNT,
            ),
            name=name,
            type="Service Account Token",
            status=_status(meta, labels),
            created_at=created_at,
            observed_at=self.now,
            data_as_of=self.now,
            last_used_at=used_at,
            last_used_state=state,
            last_used_window_start=(
                self._tracked_since if state is LastUsedState.NOT_IN_WINDOW else None
            ),
            last_used_precision=None if state is LastUsedState.UNKNOWN else _DAY,
            expires_state=ExpiresState.UNSUPPORTED,
            permissions=permissions,
            permissions_subject=PermissionsSubject.PRINCIPAL,
            privilege_path=path,
            tags={"namespace": namespace, "service_account": account},
            raw={
                "name": name,
                "namespace": namespace,
                "uid": uid,
                "creationTimestamp": text(meta, "creationTimestamp"),
                "deletionTimestamp": text(meta, "deletionTimestamp"),
                _ACCOUNT: account,
                _ACCOUNT_UID: text(notes, _ACCOUNT_UID),
                _LAST_USED: text(labels, _LAST_USED),
                _INVALID_SINCE: text(labels, _INVALID_SINCE),
            },
        )

    def _use(
        self, labels: dict[str, Any], created_at: datetime | None
    ) -> tuple[LastUsedState, datetime | None]:
        """Return the last use; without a label there was none since the cluster keeps labels."""
        if _LAST_USED in labels:
            used_at = self._day(labels, _LAST_USED)
            return (LastUsedState.UNKNOWN if used_at is None else LastUsedState.USED), used_at
        if self._tracked_since is None or created_at is None:
            return LastUsedState.UNKNOWN, None
        if created_at >= self._tracked_since:
            return LastUsedState.NEVER, None
        if self._tracked_since > self.now:
            return LastUsedState.UNKNOWN, None
        return LastUsedState.NOT_IN_WINDOW, None

    def _day(self, record: dict[str, Any], key: str) -> datetime | None:
        """Return the past day under *key*; None where there is none that can be used."""
        try:
            found = parse_instant(record.get(key), "date")
        except ValueError as error:
            self.note(f"{key} {error} in some records; the last use is unknown there.")
            return None
        if found > self.now + _DAY:
            self.note(f"{key} lies in the future in some records; the last use is unknown there.")
            return None
        return found


def _status(meta: dict[str, Any], labels: dict[str, Any]) -> Status:
    if meta.get("deletionTimestamp") is not None:
        return Status.REVOKED
    return Status.INACTIVE if _INVALID_SINCE in labels else Status.ACTIVE
