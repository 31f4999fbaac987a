"""What there is to say of each finding: that it stands, is new, was mended, or came and went.

Only two things are news of a finding: it opened (or came back), and somebody mended it. A
hand-over between policies, a suppression and a source that can be read again are not.
"""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from auditor.delivery._digest import Period
from auditor.findings.news import Scope, is_news, is_news_in
from auditor.findings.view import Between, ReportView
from auditor.model import Finding, FindingStatus


class Part(StrEnum):
    """The part that a finding plays in a message."""

    STANDING = "standing"
    NEW = "new"
    FIRST_LOOK = "first_look"
    """It was there when its organization was read whole for the first time."""
    FIXED = "fixed"
    PASSED = "passed"
    """It opened after the digest before, and was mended before this one."""

    @property
    def is_open(self) -> bool:
        """Whether the finding stands."""
        return self in (Part.STANDING, Part.NEW, Part.FIRST_LOOK)

    @property
    def is_change(self) -> bool:
        """Whether it stood otherwise before."""
        return self is not Part.STANDING

    @property
    def is_mended(self) -> bool:
        """Whether somebody mended it."""
        return self in (Part.FIXED, Part.PASSED)


def told(view: ReportView, period: Period | None = None) -> Iterator[tuple[Part, Finding]]:
    """Yield the findings a message is about, each with its part, in no order to rely on.

    Without a *period*, or in the first one, what the run did counts; else what happened since
    the start of the period.
    """
    if period is None or period.start is None or period.between is None:
        first_read = baseline_scopes(view)
        for finding in view.findings():
            part = _part(finding, first_read)
            if part is not None:
                yield part, finding
    else:
        yield from _since(view, period.start.now, period.between)


def is_opened(finding: Finding) -> bool:
    """Tell whether *finding* opened or came back in this run."""
    return is_news(finding.state) and finding.state.status is FindingStatus.OPEN


def is_fixed(finding: Finding) -> bool:
    """Tell whether somebody mended *finding* in this run."""
    return is_news(finding.state) and finding.state.status is FindingStatus.RESOLVED


def begun_at(finding: Finding) -> datetime:
    """Return when the present life of *finding* began, whichever policy told it then."""
    return finding.state.opened_at or finding.state.first_seen_at


def baseline_scopes(view: ReportView) -> frozenset[Scope]:
    """Return the organizations read whole for the first time."""
    return frozenset(
        (entry.source, entry.organization.id)
        for entry in view.coverage
        if entry.is_baseline and entry.organization is not None
    )


def _part(finding: Finding, first_read: frozenset[Scope]) -> Part | None:
    if is_fixed(finding):
        return Part.FIXED
    if is_opened(finding):
        return Part.NEW if is_news_in(finding, first_read) else Part.FIRST_LOOK
    return Part.STANDING if finding.state.status is FindingStatus.OPEN else None


def _since(view: ReportView, start: datetime, between: Between) -> Iterator[tuple[Part, Finding]]:
    """Compare the two ends of a period; what happened in between counts where it lasted.

    What opened and was mended in between is told as that. What was mended and came back is told
    as new, because its reader may believe it gone.
    """
    were_live: set[str] = set()
    mended: dict[str, Part] = {}
    for turn in between.turned():
        if turn.was_live:
            were_live.add(turn.finding.state.id)
        if is_fixed(turn.finding):
            mended[turn.finding.state.id] = Part.FIXED if turn.was_live else Part.PASSED
    for finding in view.findings():
        state = finding.state
        mended.pop(state.id, None)
        if is_fixed(finding):
            is_old = begun_at(finding) <= start or state.id in were_live
            yield Part.FIXED if is_old else Part.PASSED, finding
        elif state.status is FindingStatus.OPEN:
            yield _open_part(finding, start, between), finding
    for turn in between.turned() if mended else ():
        if turn.finding.state.id in mended:
            yield mended[turn.finding.state.id], turn.finding


def _open_part(finding: Finding, start: datetime, between: Between) -> Part:
    begun = begun_at(finding)
    if begun <= start:
        return Part.STANDING
    credential = finding.credential
    whole_at = between.first_whole.get((credential.source, credential.organization.id))
    is_first_life = finding.state.opened_at is None
    if is_first_life and whole_at is not None and begun <= whole_at:
        return Part.FIRST_LOOK
    return Part.NEW
