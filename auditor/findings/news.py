"""What of a run is news for people, as against what a machine wrote down.

Used by channels with ``when: changes``.
"""

from collections.abc import Collection

from auditor.model import Change, Finding, FindingState, FindingStatus

Scope = tuple[str, str]
"""Source and organization id."""


def is_news(state: FindingState) -> bool:
    """Whether this run opened, reopened or mended a finding.

    Hand-overs between policies, exceptions, retired policies, sources taken out, and a source
    that fails or recovers are none: nobody has to act differently than the day before.
    """
    if state.change in (Change.OPENED, Change.REOPENED):
        return state.status is FindingStatus.OPEN
    return (
        state.change is Change.RESOLVED
        and state.resolution is not None
        and state.resolution.is_fixed
    )


def is_news_in(finding: Finding, first_read: Collection[Scope]) -> bool:
    """Whether *finding* is news, given the organizations that were read for the first time.

    The first findings of an organization are its baseline: the report shows them, no mail
    pretends that they happened today.
    """
    credential = finding.credential
    if finding.state.change is Change.OPENED:
        scope = (credential.source, credential.organization.id)
        return scope not in first_read and is_news(finding.state)
    return is_news(finding.state)
