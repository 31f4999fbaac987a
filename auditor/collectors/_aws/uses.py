"""What AWS says about status and use, in our words.

IAM user guide: use of access keys is recorded since 2015-04-22, once in 15 minutes, that of
passwords since 2014-10-20, once in 5 minutes.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from auditor.collectors._aws.answers import Record, text
from auditor.collectors._aws.authorization import instant
from auditor.collectors._aws.report import Report, Slot
from auditor.model import LastUsedState, Status

KEYS_TRACKED_SINCE = datetime(2015, 4, 22, tzinfo=UTC)
PASSWORDS_TRACKED_SINCE = datetime(2014, 10, 20, tzinfo=UTC)
_KEY_PRECISION = timedelta(minutes=15)
_PASSWORD_PRECISION = timedelta(minutes=5)
_STATUS = {"Active": Status.ACTIVE, "Inactive": Status.INACTIVE, "Expired": Status.EXPIRED}


class Use(NamedTuple):
    """When a key was last used, and who says so when."""

    at: datetime | None
    is_told: bool
    as_of: datetime
    region: str = ""
    service: str = ""


def use_of_slot(slot: Slot, report: Report) -> Use:
    """Return what the report says of a key."""
    return Use(slot.used_at, slot.is_use_told, report.generated_at, slot.region, slot.service)


def use_of_answer(record: Record, now: datetime) -> Use:
    """Return what GetAccessKeyLastUsed says; without a date there was none."""
    at = instant(record, "LastUsedDate")
    service, region = text(record, "ServiceName"), text(record, "Region")
    is_told = at is not None or service == "N/A"
    shown = [name if name != "N/A" else "" for name in (region, service)]
    return Use(at, is_told, now, *shown)


def status_of(word: str) -> Status:
    """Return the status behind AWS's word; one that is not known yet is unknown."""
    return _STATUS.get(word, Status.UNKNOWN)


def key_use(use: Use | None, created_at: datetime | None) -> dict[str, Any]:
    """Return the fields of a key's use; unknown where nobody told."""
    if use is None or not use.is_told:
        return {"last_used_state": LastUsedState.UNKNOWN}
    raw = {"last_used_service": use.service, "last_used_region": use.region}
    facts = {
        "data_as_of": use.as_of,
        "last_used_precision": _KEY_PRECISION,
        "raw": {name: value for name, value in raw.items() if value},
    }
    return facts | _state(use.at, created_at, KEYS_TRACKED_SINCE)


def password_use(use: Use, since: datetime | None) -> dict[str, Any]:
    """Return the fields of a password's use; *since* is when it was there at the latest."""
    facts: dict[str, Any] = {"data_as_of": use.as_of, "last_used_precision": _PASSWORD_PRECISION}
    if not use.is_told:
        return facts | {"last_used_state": LastUsedState.UNKNOWN}
    return facts | _state(use.at, since, PASSWORDS_TRACKED_SINCE)


def _state(
    at: datetime | None, existed_at: datetime | None, tracked_since: datetime
) -> dict[str, Any]:
    if at is not None:
        return {"last_used_state": LastUsedState.USED, "last_used_at": at}
    if existed_at is not None and existed_at >= tracked_since:
        return {"last_used_state": LastUsedState.NEVER}
    return {
        "last_used_state": LastUsedState.NOT_IN_WINDOW,
        "last_used_window_start": tracked_since,
    }
