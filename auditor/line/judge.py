"""The middle of the line: what was seen → verdicts → findings → one view for every report."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import groupby

from msgspec.structs import replace

from auditor.findings.compliance import ComplianceBuilder
from auditor.findings.reconcile import absent, reconcile
from auditor.findings.resolution_time import ResolutionTimeBuilder
from auditor.findings.summary import NotEvaluableBuilder, SummaryBuilder
from auditor.line.neighbours import Neighbourhood
from auditor.line.ranked import RankedFindings
from auditor.line.setting import Setting
from auditor.model import Absence, Change, Credential, FindingState, FindingStatus, Verdict
from auditor.policy import ALONE
from auditor.store import Book

# Named here, because to look a member up in its class costs more than to compare it.
_OPEN, _RESOLVED = FindingStatus.OPEN, FindingStatus.RESOLVED
_OPENED, _RESOLVED_NOW = Change.OPENED, Change.RESOLVED


class Judging:
    """The judge step of one run, and what it counts."""

    def __init__(
        self, setting: Setting, ranked: RankedFindings, neighbourhood: Neighbourhood
    ) -> None:
        self.policies = setting.policies
        self.in_force = setting.in_force
        self.explainer = setting.explainer
        self.exceptions = setting.lookup(neighbourhood.newest_sibling)
        self.neighbourhood = neighbourhood
        self.now = setting.now
        self.ranked = ranked
        self.summary = SummaryBuilder()
        self.not_evaluable = NotEvaluableBuilder()
        self.resolution_times = ResolutionTimeBuilder()
        self.compliance = ComplianceBuilder(setting.policies.policies, setting.in_force)
        self.new_by_severity: Counter[str] = Counter()
        """Findings opened in this run, for ``--fail-on-new``."""

    def judge(self, book: Book) -> None:
        """Judge every credential read in this run, and remember what was not read."""
        clean: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        asks = self.neighbourhood.is_asked
        for credential, prior in book.judgeable():
            neighbours = self.neighbourhood.explore(credential, prior) if asks else ALONE
            # Idleness and age end where the evidence ends: for a file source that is its as_of.
            verdicts = self.policies.evaluate(credential, credential.observed_at, neighbours)
            if verdicts or prior:
                self._follow(book, credential, prior, verdicts)
            else:  # most are clean: all that is told of them is how many there are
                clean[credential.provider, credential.type, credential.last_used_state] += 1
        for (provider, kind, state), number in clean.items():
            self.compliance.add_clean(provider, kind, number)
            self.summary.clean_credentials(provider, state, number)
        for _uid, group in groupby(book.remaining(), key=lambda found: found[2].uid):
            self._remember(book, list(group))

    def _follow(
        self,
        book: Book,
        credential: Credential,
        prior: tuple[FindingState, ...],
        verdicts: Sequence[Verdict],
    ) -> None:
        """Say what becomes of the findings of a credential that was read."""
        credential = _slim(credential)
        self.not_evaluable.add(credential, verdicts)
        states = reconcile(
            credential,
            prior,
            verdicts,
            now=self.now,
            policies=self.in_force,
            exceptions=self.exceptions,
            is_whole=book.was_read_whole(credential),
        )
        self.compliance.add(credential, verdicts, states)
        if states:
            book.record(states)
        self.summary.credential(credential, has_findings=self._report(credential, states))

    def _remember(self, book: Book, found: list[tuple[FindingState, Absence, Credential]]) -> None:
        """Say what becomes of the findings of a credential that this run has not read."""
        credential = _slim(found[0][2])
        after = [absent(state, absence, self.now) for state, absence, _credential in found]
        book.record(after)
        self.compliance.add_unread(credential, after)
        has_findings = self._report(credential, after)
        self.summary.unread_credential(credential, has_findings=has_findings)

    def _report(self, credential: Credential, states: list[FindingState]) -> bool:
        """Keep what reports show of *states*; tells whether any finding is open."""
        shown = [state for state in states if is_shown(state)]
        if not shown:
            return False
        neighbours = self.neighbourhood.explore(credential, states)
        has_open = False
        for state in shown:
            finding = self.explainer.finding(credential, state, neighbours)
            self.ranked.add(finding)
            self.summary.finding(finding)
            if state.change is _RESOLVED_NOW:
                self.resolution_times.add(state, credential)
            if state.status is _OPEN:
                has_open = True
                if state.change is _OPENED:
                    self.new_by_severity[state.severity] += 1
        return has_open


def _slim(credential: Credential) -> Credential:
    """Leave out the raw record: it is the inventory's, and findings stay small without it."""
    return replace(credential, raw={}) if credential.raw else credential


def is_shown(state: FindingState) -> bool:
    """Tell whether a report of the run lists *state*: it stands, or it ended in this run."""
    return state.status is not _RESOLVED or state.change is _RESOLVED_NOW
