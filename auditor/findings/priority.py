"""What to deal with first: credentials, each by its worst finding."""

from collections.abc import Iterable, Iterator

from auditor.model import Finding, FindingStatus


def first_to_deal_with(findings: Iterable[Finding], most: int) -> Iterator[Finding]:
    """Yield the worst open finding of each of the *most* riskiest credentials.

    *findings* come highest risk first. One credential is one piece of work, however many
    policies it violates.
    """
    seen: set[str] = set()
    for finding in findings:
        if len(seen) >= most:
            return
        uid = finding.state.credential_uid
        if finding.state.status is FindingStatus.OPEN and uid not in seen:
            seen.add(uid)
            yield finding
