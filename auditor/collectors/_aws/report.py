"""The credential report: when it is made, and what its rows say.

AWS makes a report at most every four hours and keeps one per account. Columns are found by name,
for AWS has added some; a slot is empty where its ``last_rotated`` says ``N/A``, which is the time
a key was made *or last changed between active and inactive* (IAM user guide).
"""

import asyncio
import base64
import binascii
import csv
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from auditor.collectors._aws import calls
from auditor.collectors._aws.answers import text
from auditor.collectors._aws.refusals import code_of
from auditor.collectors._aws.session import Caller
from auditor.errors import SourceError, Unavailable, UnexpectedResponse
from auditor.times import parse_instant

ROOT = "<root_account>"
_NEEDED = ("user", "arn", "access_key_1_active", "access_key_1_last_rotated")
_NOTHING = frozenset({"", "n/a", "no_information", "not_supported"})
_FIRST_POLL = 0.5
_LONGEST_POLL = 5.0
GOOD_FOR = timedelta(hours=4)
"""How long AWS keeps answering with the same report."""
_SLACK = timedelta(minutes=15)


class Slot(NamedTuple):
    """One access key as the report shows it: without its id."""

    number: int
    is_active: bool
    changed_at: datetime
    """When it was created or its status last changed."""
    used_at: datetime | None
    is_use_told: bool
    """Whether the report speaks about use at all; ``N/A`` does: there was none."""
    region: str
    service: str

    @property
    def signature(self) -> tuple[bool, datetime]:
        """What changes whenever another key takes the slot or the status changes."""
        return self.is_active, self.changed_at


class Password(NamedTuple):
    """The console password of a user."""

    is_enabled: bool
    changed_at: datetime | None
    used_at: datetime | None
    is_use_told: bool
    rotates_at: datetime | None


class Row(NamedTuple):
    """One user."""

    user: str
    arn: str
    created_at: datetime | None
    has_mfa: bool | None
    slots: tuple[Slot, ...]
    password: Password | None
    """None where the report does not say whether there is one."""
    certificates: int
    """How many slots of signing certificates are taken."""


class Report(NamedTuple):
    """A whole report."""

    generated_at: datetime
    rows: dict[str, Row]
    malformed: int
    """Rows that could not be read."""


async def fetch(caller: Caller, now: datetime, patience: timedelta) -> Report:
    """Return a report, made anew where there is none; raises `SourceError`.

    A report older than AWS itself allows is asked for again. One that AWS calls complete a second
    time, or that is all there is in the end, is used as it is: its time tells.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + patience.total_seconds()
    pause = _FIRST_POLL
    oldest_wanted = now - GOOD_FOR - _SLACK
    report, before = await _at_once(caller), None
    while True:
        last_chance = loop.time() + pause > until
        if report is not None:
            is_settled = report.generated_at == before
            if report.generated_at >= oldest_wanted or is_settled or last_chance:
                return report
        before = report and report.generated_at
        if last_chance:
            late = Unavailable(
                f"The credential report of {caller.subject} was not ready within "
                f"{patience.total_seconds():,.0f} s; run again later or raise `report_wait`"
            )
            late.kind = "report_not_ready"
            raise late
        await asyncio.sleep(pause)
        pause = min(pause * 1.6, _LONGEST_POLL)
        report = await _get(caller) if await _generate(caller) else None


async def _at_once(caller: Caller) -> Report | None:
    """Ask for a report to be made and, on the chance that there is one, for that one meanwhile."""
    is_made, report = await asyncio.gather(_generate(caller), _get(caller), return_exceptions=True)
    if isinstance(is_made, BaseException):
        raise is_made
    if isinstance(report, BaseException):
        raise report
    return report if is_made else None


async def _generate(caller: Caller) -> bool:
    """Ask for a report; tells whether one is there."""
    try:
        answer = await caller.query(calls.GENERATE_REPORT)
    except SourceError as error:
        if code_of(error) in ("LimitExceeded", "LimitExceededException"):
            return False
        raise
    return text(answer, "State") == "COMPLETE"


async def _get(caller: Caller) -> Report | None:
    """Return the report; None where AWS says that it is not there after all."""
    try:
        answer = await caller.query(calls.GET_REPORT)
    except SourceError as error:
        if code_of(error).startswith(("ReportNotPresent", "ReportInProgress", "ReportExpired")):
            return None
        if code_of(error).startswith("CredentialReport"):  # the same three, as botocore names them
            return None
        raise
    where = f"{calls.GET_REPORT.permission} in {caller.subject}"
    try:
        content = base64.b64decode(text(answer, "Content"), validate=False).decode("utf-8-sig")
        generated_at = parse_instant(text(answer, "GeneratedTime"))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise UnexpectedResponse(f"{where} answered with what is no report") from None
    return parse(content, generated_at, where)


def parse(content: str, generated_at: datetime, where: str) -> Report:
    """Read a report; raises `UnexpectedResponse` where the columns are not those of one."""
    reader = csv.DictReader(content.splitlines(), restval="")
    if not set(_NEEDED) <= set(reader.fieldnames or ()):
        raise UnexpectedResponse(f"{where} answered with a report without the known columns")
    rows: dict[str, Row] = {}
    malformed = 0
    for record in reader:
        try:
            row = _row(record)
        except ValueError:
            malformed += 1
            continue
        rows[row.user] = row
    return Report(generated_at, rows, malformed)


def _row(record: Mapping[str, str]) -> Row:
    if not record["user"] or record["arn"].count(":") < 5:
        raise ValueError("a row without a user")
    slots = (_slot(record, number) for number in (1, 2))
    return Row(
        user=record["user"],
        arn=record["arn"],
        created_at=_time(record, "user_creation_time"),
        has_mfa=_truth(record, "mfa_active"),
        slots=tuple(slot for slot in slots if slot is not None),
        password=_password(record),
        certificates=sum(
            _truth(record, f"cert_{n}_active") is True
            or _time(record, f"cert_{n}_last_rotated") is not None
            for n in (1, 2)
        ),
    )


def _slot(record: Mapping[str, str], number: int) -> Slot | None:
    prefix = f"access_key_{number}_"
    changed_at = _time(record, f"{prefix}last_rotated")
    is_active = _truth(record, f"{prefix}active")
    if changed_at is None:
        if is_active:
            raise ValueError("an active key without a time")
        return None
    used = f"{prefix}last_used_date"
    return Slot(
        number,
        bool(is_active),
        changed_at,
        _time(record, used),
        _said(record, used) != "" and _said(record, used) != "not_supported",
        _shown(record, f"{prefix}last_used_region"),
        _shown(record, f"{prefix}last_used_service"),
    )


def _password(record: Mapping[str, str]) -> Password | None:
    is_enabled = _truth(record, "password_enabled")
    if is_enabled is None:
        return None
    used = _said(record, "password_last_used")
    return Password(
        is_enabled,
        _time(record, "password_last_changed"),
        _time(record, "password_last_used"),
        used not in ("", "not_supported"),
        _time(record, "password_next_rotation"),
    )


def _said(record: Mapping[str, str], column: str) -> str:
    return (record.get(column) or "").strip().lower()


def _shown(record: Mapping[str, str], column: str) -> str:
    return "" if _said(record, column) in _NOTHING else record[column].strip()


def _time(record: Mapping[str, str], column: str) -> datetime | None:
    return None if _said(record, column) in _NOTHING else parse_instant(record[column])


def _truth(record: Mapping[str, str], column: str) -> bool | None:
    return {"true": True, "false": False}.get(_said(record, column))
