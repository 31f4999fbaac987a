"""The counts of a run and its one sentence, built while findings and credentials stream by."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from auditor import wording
from auditor.findings.view import Summary
from auditor.model import (
    Change,
    Coverage,
    CoverageStatus,
    Credential,
    Finding,
    FindingStatus,
    NotEvaluable,
    Outcome,
    Resolution,
    Severity,
    Verdict,
)

NAMED_UIDS = 1000
"""How many credentials one `NotEvaluable` names; its count is exact."""
NAMED_SOURCES = 3
"""How many sources the sentence names before it counts the others."""

# Named here, because to look a member up in its class costs more than to compare it.
_OPEN, _NOT_EVALUABLE = FindingStatus.OPEN, Outcome.NOT_EVALUABLE
WORST = (Severity.CRITICAL, Severity.HIGH)


_Life = tuple[FindingStatus, Change, Resolution | None, bool]
"""How a finding stands, and whether its source could not be read."""
_Kind = tuple[Severity, str, str, str]
"""Of an open finding: its policy, and the provider and organization id of its credential."""


class SummaryBuilder:
    """Counts what passes by; holds numbers, never credentials or findings.

    Few combinations differ among many findings: those are counted, and taken apart at the end.
    """

    def __init__(self) -> None:
        self._credentials: defaultdict[tuple[str, str], int] = defaultdict(int)
        """By provider and state of use."""
        self._with_findings = 0
        self._unread: set[int] = set()
        self._lives: defaultdict[_Life, int] = defaultdict(int)
        self._open: defaultdict[_Kind, int] = defaultdict(int)
        self._owners: defaultdict[str, int] = defaultdict(int)

    def credential(self, credential: Credential, *, has_findings: bool) -> None:
        """Count a credential that this run has read; *has_findings* means open ones."""
        self._credentials[credential.provider, credential.last_used_state] += 1
        self._with_findings += has_findings

    def clean_credentials(self, provider: str, last_used_state: str, number: int) -> None:
        """Count credentials without findings that this run has read."""
        self._credentials[provider, last_used_state] += number

    def unread_credential(self, credential: Credential, *, has_findings: bool) -> None:
        """Count a credential that is only remembered; once, however many findings it has."""
        if not has_findings or (mark := hash(credential.uid)) in self._unread:
            return
        self._unread.add(mark)
        self.credential(credential, has_findings=True)

    def finding(self, finding: Finding) -> None:
        """Count a finding that stands, or that ended in this run."""
        state = finding.state
        status = state.status
        self._lives[status, state.change, state.resolution, state.stale_since is not None] += 1
        if status is _OPEN:
            credential = finding.credential
            kind = (
                state.severity,
                state.policy_id,
                credential.provider,
                credential.organization.id,
            )
            self._open[kind] += 1
            self._owners[credential.owner or ""] += 1

    def build(self, coverage: Sequence[Coverage]) -> Summary:
        """Return the summary of the run that covered *coverage*."""
        statuses, open_findings = _by(self._lives, 0), self._open
        ended: Counter[Resolution] = Counter()
        stale = 0
        for (status, change, resolution, is_stale), number in self._lives.items():
            if status is FindingStatus.RESOLVED and change is Change.RESOLVED and resolution:
                ended[resolution] += number
            elif status is FindingStatus.OPEN and is_stale:
                stale += number
        organizations: Counter[str] = Counter()
        for (_, _, provider, organization), number in open_findings.items():
            organizations[f"{provider}:{organization}"] += number
        return Summary(
            credentials=sum(self._credentials.values()),
            credentials_with_findings=self._with_findings,
            findings=statuses[FindingStatus.OPEN],
            suppressed=statuses[FindingStatus.SUPPRESSED],
            stale=stale,
            resolved=ended.total(),
            fixed=sum(number for resolution, number in ended.items() if resolution.is_fixed),
            by_severity=_in_order(_by(open_findings, 0), Severity),
            by_status=_in_order(statuses, FindingStatus),
            by_change=_in_order(_by(self._lives, 1)),
            by_resolution=_in_order(ended),
            by_policy=_in_order(_by(open_findings, 1)),
            by_provider=_in_order(_by(open_findings, 2)),
            by_organization=_in_order(organizations),
            by_owner=_in_order(self._owners),
            credentials_by_provider=_in_order(_by(self._credentials, 0)),
            credentials_by_state=_in_order(_by(self._credentials, 1)),
            verdict=self._verdict(coverage),
        )

    def _verdict(self, coverage: Sequence[Coverage]) -> str:
        reading = _reading(coverage)
        if not self._credentials and not reading.whole:
            return f"Nothing can be said about any credential: {reading.sentence}."
        return f"{self._found(is_whole=reading.is_whole)}; {reading.sentence}."

    def _found(self, *, is_whole: bool) -> str:
        statuses, severities = _by(self._lives, 0), _by(self._open, 0)
        found, suppressed = statuses[FindingStatus.OPEN], statuses[FindingStatus.SUPPRESSED]
        known = wording.count(sum(self._credentials.values()), "credential")
        if not found and is_whole:
            text = f"No open finding on {known}"
        elif not found:
            text = f"No open finding on the {known} that could be read"
        else:
            worst = [f"{severities[one]:,} {one}" for one in WORST if severities[one]]
            text = f"{wording.count(found, 'open finding')} on {self._where(known)}" + (
                f", {wording.listing(worst)}" if worst else ""
            )
        if suppressed:
            text += f" ({suppressed:,} more under exceptions)"
        return text

    def _where(self, known: str) -> str:
        """Say on how many credentials; of how many, only where all that are meant were read."""
        if not self._unread:
            return f"{self._with_findings:,} of {known}"
        return (
            f"{wording.count(self._with_findings, 'credential')} "
            f"({len(self._unread):,} of them not read this time)"
        )


def _by(counts: Mapping[tuple[Any, ...], int], place: int) -> Counter[str]:
    """Return *counts* by what stands at one place of their keys."""
    sums: Counter[str] = Counter()
    for key, number in counts.items():
        sums[key[place]] += number
    return sums


class _Reading:
    """How much of the sources a run has read, in words."""

    def __init__(self, statuses: Mapping[str, set[CoverageStatus]]) -> None:
        selected = {
            source: found - {CoverageStatus.NOT_SELECTED}
            for source, found in statuses.items()
            if found != {CoverageStatus.NOT_SELECTED}
        }
        self.left_out = len(statuses) - len(selected)
        self.whole = [name for name, found in selected.items() if found == {_COMPLETE}]
        self.lost = [name for name, found in selected.items() if found == {CoverageStatus.FAILED}]
        self.in_part = [
            name for name in selected if name not in self.whole and name not in self.lost
        ]

    @property
    def is_whole(self) -> bool:
        return not self.lost and not self.in_part

    @property
    def sentence(self) -> str:
        text = self._whole_sentence() if self.is_whole else self._gaps_sentence()
        if self.left_out:
            text += f", {wording.count(self.left_out, 'source')} not selected"
        return text

    def _whole_sentence(self) -> str:
        match len(self.whole):
            case 0:
                return "no source was read"
            case 1:
                return "its source was read whole"
            case total:
                return f"all {total} sources were read whole"

    def _gaps_sentence(self) -> str:
        parts = [
            f"{_named(names)} {what}"
            for names, what in ((self.in_part, "in part"), (self.lost, "not at all"))
            if names
        ]
        total = len(self.whole) + len(self.lost) + len(self.in_part)
        if total == 1:
            verb = "was not read" if self.lost else "was read only in part"
            return f"{_named(self.lost or self.in_part)} {verb}"
        verb = "was" if len(self.whole) <= 1 else "were"
        number = len(self.whole) or "none"
        return f"{number} of {total} sources {verb} read whole, {wording.listing(parts)}"


_COMPLETE = CoverageStatus.COMPLETE


def _reading(coverage: Iterable[Coverage]) -> _Reading:
    statuses: dict[str, set[CoverageStatus]] = {}
    for entry in coverage:
        statuses.setdefault(entry.source, set()).add(entry.status)
    return _Reading(statuses)


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMED_SOURCES
    if more > 1:
        return wording.listing([*names[:NAMED_SOURCES], f"{more} others"])
    return wording.listing(names)


def _in_order(counts: Mapping[Any, int], always: type[StrEnum] | None = None) -> dict[str, int]:
    """Return *counts* sorted by key; every member of *always* is there, with 0 at least."""
    filled = {member.value: 0 for member in always or ()}
    filled |= {str(name): count for name, count in counts.items() if count}
    return dict(sorted(filled.items()))


class NotEvaluableBuilder:
    """Groups what policies could not judge by policy, source and missing field."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._uids: dict[tuple[str, str, str], list[str]] = {}

    def add(self, credential: Credential, verdicts: Iterable[Verdict]) -> None:
        """Take what *verdicts* say about *credential*; other outcomes are left out."""
        for verdict in verdicts:
            if verdict.outcome is not _NOT_EVALUABLE:
                continue
            for missing in verdict.missing:
                group = (verdict.policy_id, credential.source, missing)
                self._counts[group] += 1
                uids = self._uids.setdefault(group, [])
                if len(uids) < NAMED_UIDS:
                    uids.append(credential.uid)

    def build(self) -> tuple[NotEvaluable, ...]:
        """Return the groups in order, each with an exact count and its first uids."""
        return tuple(
            NotEvaluable(
                policy_id=policy_id,
                source=source,
                field=missing,
                count=self._counts[policy_id, source, missing],
                uids=tuple(sorted(self._uids[policy_id, source, missing])),
            )
            for policy_id, source, missing in sorted(self._counts)
        )
