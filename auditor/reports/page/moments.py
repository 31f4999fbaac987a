"""Instants on a page: words for people, the UTC instant for tooltips and machines."""

from datetime import datetime, timedelta

from markupsafe import Markup, escape
from msgspec import Struct

from auditor.model import Credential, ExpiresState, LastUsedState, LastUsedSubject
from auditor.wording import ago, day, duration, rfc3339

_TO_THE_MINUTE = len("2026-03-01T03:00")


class Moment(Struct, frozen=True):
    """An instant as a page shows it: words, and behind them UTC; or the word for a time unknown."""

    words: str
    iso: str = ""
    """To the minute; empty where there is no instant."""

    def __html__(self) -> str:
        """Templates write this where they are given a moment."""
        if not self.iso:
            return escape(self.words)
        utc = self.iso.replace("T", " ").replace("Z", " UTC")
        return f'<time datetime="{self.iso}" title="{utc}">{escape(self.words)}</time>'

    @property
    def brief(self) -> Markup:
        """Itself without the tooltip, for a long page."""
        if not self.iso:
            return escape(self.words)
        return Markup(f'<time datetime="{self.iso}">{escape(self.words)}</time>')  # noqa: S704 - escaped


def moment(at: datetime | None, now: datetime) -> Moment:
    """Return *at* as seen from *now*, or the word for a time that is not known."""
    return said(at, ago(at, now)) if at else Moment("unknown")


def said(at: datetime, words: str) -> Moment:
    """Return *at* with *words* of the caller's choice, to the minute."""
    return Moment(words, rfc3339(at)[:_TO_THE_MINUTE] + "Z")


def last_used(credential: Credential, now: datetime) -> Moment:
    """Return the newest use, told apart from *never* and *nobody knows*."""
    shared = credential.last_used_subject is LastUsedSubject.PRINCIPAL
    suffix = " (by its principal)" if shared else ""
    match credential.last_used_state:
        case LastUsedState.USED if credential.last_used_at:
            return said(credential.last_used_at, _idle(credential, now) + suffix)
        case LastUsedState.NEVER:
            return Moment("no use recorded" + suffix)
        case LastUsedState.NOT_IN_WINDOW if credential.last_used_window_start:
            start = credential.last_used_window_start
            return said(start, f"not in the last {duration(now - start)}{suffix}")
        case LastUsedState.NOT_IN_WINDOW:
            return Moment("not in the observed window" + suffix)
        case _:
            return Moment("unknown")


def _idle(credential: Credential, now: datetime) -> str:
    """Say how long ago the last use was when the data were true, as the policies judge it."""
    used, as_of = credential.last_used_at or now, credential.data_as_of
    if now - as_of < timedelta(days=1):
        return ago(used, max(as_of, used))
    return f"{duration(as_of - used)} before {day(as_of)}"


def expiry(credential: Credential, now: datetime) -> Moment:
    """Return the end of the credential's life as far as it has one."""
    match credential.expires_state:
        case ExpiresState.AT if credential.expires_at:
            return said(credential.expires_at, ago(credential.expires_at, now))
        case ExpiresState.SLIDING if credential.expires_at:
            return said(credential.expires_at, f"sliding, now {day(credential.expires_at)}")
        case ExpiresState.SLIDING:
            return Moment("moves with every use")
        case ExpiresState.NEVER:
            return Moment("never")
        case ExpiresState.UNSUPPORTED:
            return Moment("cannot expire")
        case _:
            return Moment("unknown")
