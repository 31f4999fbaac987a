"""AWS IAM credential reports: one row per user, up to two access keys and certificates each.

The report holds no access-key ids, so a credential is named by its slot: the same slot is the same
credential, and a key that replaces another in its slot continues it.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from auditor.collectors._file import patient
from auditor.collectors._file.facts import Facts
from auditor.collectors._file.normalized import Head
from auditor.collectors._file.session import Event, Problem, Seen, Session
from auditor.model import Organization, credential_uid

_NEEDED = frozenset(
    {"user", "arn", "access_key_1_active", "access_key_1_last_rotated"}
    | {"access_key_1_last_used_date"}
)
_ROOT = "<root_account>"

KEYS_TRACKED_SINCE = datetime(2015, 4, 22, tzinfo=UTC)
"""IAM User Guide: use of access keys is recorded from this day on."""
PASSWORDS_TRACKED_SINCE = datetime(2014, 10, 20, tzinfo=UTC)
"""IAM User Guide: use of passwords is recorded from this day on."""

_KEY_PRECISION = "PT15M"
_PASSWORD_PRECISION = "PT5M"  # noqa: S105 - a duration
_STATUS = {True: "active", False: "inactive", None: "unknown"}
_NOTHING = frozenset({"", "n/a", "no_information", "not_supported"})


def is_report(header: list[str]) -> bool:
    """Tell whether *header* is that of a credential report; later columns may be added."""
    return set(header) >= _NEEDED


class AwsReport:
    """Reads the rows of one report."""

    def __init__(self, session: Session, head: Head, *, include_passwords: bool) -> None:
        self._session = session
        self._head = head
        self._include_passwords = include_passwords
        self._seen: set[str] = set()

    def read(self, row: Mapping[str, str], line: int) -> Iterator[Event]:
        """Yield the credentials of one row."""
        arn = row["arn"].split(":", 5)
        if len(arn) != 6 or arn[0] != "arn" or not arn[4] or not row["user"]:
            yield Problem(
                "malformed_record",
                line,
                "this row is lost: its user or arn is missing; download the report again",
            )
            return
        organization = self._session.organization(Organization(id=arn[4], name=""))
        if organization.id not in self._seen:
            self._seen.add(organization.id)
            yield Seen(organization, self._head.data_as_of)
        for record in self._credentials(row, organization):
            yield from patient.read(record, line, self._head, self._session)

    def _credentials(
        self, row: Mapping[str, str], organization: Organization
    ) -> Iterator[dict[str, Any]]:
        common = _common(row, organization)
        for slot in ("1", "2"):
            key = _key(row, slot)
            if key is not None:
                yield common | key | _named(row, organization, "access_key", slot)
        for slot in ("1", "2"):
            certificate = _certificate(row, slot)
            if certificate is not None:
                yield common | certificate | _named(row, organization, "signing_certificate", slot)
        if self._include_passwords and _said(row, "password_enabled") != "false":
            yield common | _password(row) | _named(row, organization, "password", "")


def _named(
    row: Mapping[str, str], organization: Organization, kind: str, slot: str
) -> dict[str, Any]:
    user = row["user"]
    own_id = f"{user}/{slot}" if slot else user
    return {
        "uid": credential_uid("aws", organization.id, f"{kind}_slot" if slot else kind, own_id),
        "name": f"{user}/{kind}_{slot}" if slot else f"{user}/{kind}",
        "raw": {
            name: value
            for name, value in row.items()
            if name in ("user", "arn", "user_creation_time", "mfa_active", "password_enabled")
            or name.startswith(f"{_COLUMNS[kind]}_{slot}_" if slot else "password_")
        },
    }


_COLUMNS = {"access_key": "access_key", "signing_certificate": "cert"}


def _common(row: Mapping[str, str], organization: Organization) -> dict[str, Any]:
    is_root = row["user"] == _ROOT
    common = {
        "provider": "aws",
        "organization": {"id": organization.id, "name": organization.name},
        "principal": {
            "id": row["arn"],
            "name": row["user"],
            "type": "user",
            "is_root": is_root,
            "has_mfa": _truth(row, "mfa_active"),
        },
    }
    # AWS: the root user cannot be restricted, so no policy needs to be read to know its rights.
    return common | {"privilege": "admin"} if is_root else common


def _key(row: Mapping[str, str], slot: str) -> dict[str, Any] | None:
    prefix = f"access_key_{slot}"
    is_active = _truth(row, f"{prefix}_active")
    changed_at = _time(row, f"{prefix}_last_rotated")
    if changed_at is None and not is_active:
        return None
    return {
        "type": "Access Key",
        "status": _STATUS[is_active],
        "created_at": changed_at,
        "expires_state": "unsupported",
        "last_used_precision": _KEY_PRECISION,
    } | _use(row, f"{prefix}_last_used_date", changed_at, KEYS_TRACKED_SINCE)


def _certificate(row: Mapping[str, str], slot: str) -> dict[str, Any] | None:
    is_active = _truth(row, f"cert_{slot}_active")
    changed_at = _time(row, f"cert_{slot}_last_rotated")
    if changed_at is None and not is_active:
        return None
    return {
        "type": "Signing Certificate",
        "status": _STATUS[is_active],
        "created_at": changed_at,
        "last_used_state": "unknown",
        "expires_state": "unknown",
    }


def _password(row: Mapping[str, str]) -> dict[str, Any]:
    changed_at = _time(row, "password_last_changed")
    rotation = _time(row, "password_next_rotation")
    is_enabled = _truth(row, "password_enabled")
    return {
        "type": "Password",
        "status": _STATUS[is_enabled],
        "created_at": row.get("user_creation_time"),
        "rotated_at": changed_at,
        "expires_at": rotation,
        "expires_state": None
        if rotation
        else "unsupported"
        if _said(row, "password_next_rotation") == "not_supported"
        else "never",
        "last_used_precision": _PASSWORD_PRECISION,
    } | _use(row, "password_last_used", changed_at, PASSWORDS_TRACKED_SINCE)


def _use(
    row: Mapping[str, str], column: str, existed_at: str | None, tracked_since: datetime
) -> dict[str, Any]:
    """Read a time of use and its stand-ins.

    ``N/A`` (and ``no_information`` for passwords) means that no use was recorded: *never* for what
    is younger than the recording, else *not in window*. ``not_supported`` says nothing at all.
    """
    at = _time(row, column)
    if at is not None:
        return {"last_used_at": at}
    said = _said(row, column)
    if said not in ("n/a", "no_information"):
        return {"last_used_state": "unknown"}
    known = Facts({"at": existed_at}).instant("at")
    if known is not None and known >= tracked_since:
        return {"last_used_state": "never"}
    return {"last_used_state": "not_in_window", "last_used_window_start": tracked_since}


def _said(row: Mapping[str, str], column: str) -> str:
    return (row.get(column) or "").strip().lower()


def _time(row: Mapping[str, str], column: str) -> str | None:
    return None if _said(row, column) in _NOTHING else row[column].strip()


def _truth(row: Mapping[str, str], column: str) -> bool | None:
    return {"true": True, "false": False}.get(_said(row, column))
