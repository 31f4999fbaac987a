"""Where a finding stands, in a word for its line and a sentence for its reader."""

from datetime import datetime

from auditor.model import Change, FindingState, FindingStatus
from auditor.wording import ago, day, label, shown

_NAME = 120
_SENTENCE = 600


def badge(state: FindingState, now: datetime) -> str:  # noqa: PLR0911 - one line a case
    """Return one or two words: what is new about *state*, else how long it has been known."""
    if state.status is FindingStatus.RESOLVED:
        resolution = state.resolution
        return "fixed" if resolution is None or resolution.is_fixed else label(resolution.value)
    if state.status is FindingStatus.SUPPRESSED:
        return "accepted"
    if state.stale_since is not None:
        return "not re-read"
    if state.not_evaluable_since is not None:
        return "not evaluable"
    if state.change is Change.OPENED:
        return "new"
    if state.change is Change.REOPENED:
        return "reopened"
    return "today" if state.first_seen_at >= now else ago(state.first_seen_at, now)


def standing(state: FindingState, now: datetime) -> str:
    """Say why a finding is not simply open and seen today."""
    if state.status is FindingStatus.SUPPRESSED:
        note = state.exception
        if note is None:
            return "Accepted by an exception."
        ticket = f" ({shown(note.ticket, _NAME)})" if note.ticket else ""
        return (
            f"Accepted until {shown(note.expires, _NAME)} by {shown(note.approver, _NAME)}: "
            f"{shown(note.reason, _SENTENCE)}{ticket}"
        )
    if state.status is FindingStatus.RESOLVED:
        how = label(state.resolution.value) if state.resolution else "condition cleared"
        if state.superseded_by:
            how += f" by {state.superseded_by}"
        return f"Ended in this run: {how}."
    if state.stale_since is not None:
        return (
            f"Remembered, not seen today: its source has not been read since "
            f"{day(state.stale_since)}."
        )
    if state.not_evaluable_since is not None:
        return (
            f"Remembered: since {day(state.not_evaluable_since)} a fact that its policy needs "
            f"is unknown; last observed {ago(state.last_seen_at, now)}."
        )
    return ""
