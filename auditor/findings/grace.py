"""Grace periods: for a while nobody has to act on a new credential, or on one being rotated.

A grace period suppresses like an exception: the finding stays visible and counted, and opens by
itself when the time is over. An exception of the file goes before it.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from auditor import wording
from auditor.findings.case import ExceptionLookup
from auditor.model import Credential, ExceptionNote
from auditor.policy.match import PolicyMatch
from auditor.times import parse_duration

APPROVER = "configuration"

Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


class Grace(BaseModel):
    """How long, for whom and for which policies nobody has to act."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: PolicyMatch = PolicyMatch()
    new_for: Duration | None = None
    """From the creation of a credential."""
    rotation_for: Duration | None = None
    """For an older credential, from the creation of the principal's newest one."""

    def note(
        self, credential: Credential, now: datetime, newest_sibling: datetime | None = None
    ) -> ExceptionNote | None:
        """Return why *credential* has time left at *now*, None where it has none."""
        created = credential.created_at
        if created is None:
            return None
        if self.new_for is not None and now < created + self.new_for:
            age = wording.duration(max(now - created, timedelta(0)))
            return _note(f"grace period: created {age} ago", created + self.new_for)
        if self.rotation_for is None or newest_sibling is None or newest_sibling <= created:
            return None
        if now >= newest_sibling + self.rotation_for:
            return None
        age = wording.duration(max(now - newest_sibling, timedelta(0)))
        reason = f"grace period: its successor was created {age} ago"
        return _note(reason, newest_sibling + self.rotation_for)


def with_grace(
    exceptions: ExceptionLookup,
    grace: Grace,
    newest_sibling: Callable[[Credential], datetime | None] = lambda _credential: None,
) -> ExceptionLookup:
    """Return a lookup that grants *grace* where *exceptions* has nothing to say."""

    def lookup(policy_id: str, credential: Credential, now: datetime) -> ExceptionNote | None:
        note = exceptions(policy_id, credential, now)
        if note is not None:
            return note
        if not (grace.match.matches_policy(policy_id) and grace.match.matches(credential)):
            return None
        return grace.note(credential, now, newest_sibling(credential))

    return lookup


def _note(reason: str, until: datetime) -> ExceptionNote:
    # A note's day is the last one it holds on; the time is over at *until*, not after it.
    last = (until - timedelta(microseconds=1)).astimezone(UTC).date()
    return ExceptionNote(reason=reason, approver=APPROVER, expires=last.isoformat())
