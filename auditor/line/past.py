"""What the runs before one have left in the store, for channels that look back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from auditor.config import Config
from auditor.findings.news import Scope
from auditor.findings.view import Between, Ended, Lapse, PastRun, RunInfo
from auditor.line.coverage import mark_known, place, worsened
from auditor.line.explain import Explainer
from auditor.line.outcome import unpack_told
from auditor.model import Coverage, CoverageStatus, FindingStatus, Organization
from auditor.store import Earlier, Store
from auditor.store.codec import instant
from auditor.store.past import Reading

_FIRST, _AT_ONCE = 2, 50
"""Runs read at once: most channels ask for the last one only."""


@dataclass(frozen=True)
class StoredPast:
    """The past of one run; nothing is read before somebody asks."""

    store: Store
    config: Config
    run: RunInfo
    coverage: Sequence[Coverage]
    """Of the run itself."""
    explainer: Explainer

    def offered(self, channel: str) -> Iterator[PastRun]:
        """Yield the judged runs that *channel* was offered before this one, the newest first."""
        before, most = self.run.id, _FIRST
        while records := self.store.browse.runs(most, before=before):
            before, most = records[-1].id, _AT_ONCE
            for record in records:
                if not record.summary:
                    continue
                told = unpack_told(record.summary)
                if told.channels is None or channel in told.channels:
                    yield PastRun(
                        id=record.id,
                        started_at=record.started_at,
                        now=record.now,
                        ending_exceptions=told.ending_exceptions,
                    )

    def since(self, run: PastRun) -> Between:
        """Return what happened after *run*."""
        readings = self.store.browse.readings(run.id, self.run.id)
        before = self.store.earlier(run.id + 1)
        return Between(
            runs=self.store.browse.count_judged(run.id, self.run.id) + 1,
            turned=lambda: self._turned(run),
            first_whole=self._first_whole(before, readings),
            worsened=worsened(self.store, run.id + 1, self.coverage),
            lapses=tuple(self._lapses(before, readings)),
        )

    def _turned(self, run: PastRun) -> Iterator[Ended]:
        for turn in self.store.browse.turns(run.id, self.run.id):
            finding = self.explainer.finding(turn.credential, turn.after)
            was_live = turn.before is not None and turn.before.status is not FindingStatus.RESOLVED
            yield Ended(finding, was_live)

    def _first_whole(self, before: Earlier, readings: Sequence[Reading]) -> dict[Scope, datetime]:
        found = {
            (one.source, one.organization_id): instant(one.whole_at)
            for one in readings
            if one.whole_at is not None and (one.provider, one.organization_id) not in before.whole
        }
        for part in self.coverage:
            if part.is_baseline:
                found.setdefault(place(part), self.run.now)
        return found

    def _lapses(self, before: Earlier, readings: Sequence[Reading]) -> Iterator[Lapse]:
        gaps = {place(part) for part in self.coverage if part.is_gap}
        for one in readings:
            where = (one.source, one.organization_id)
            if not one.gaps or where in gaps:
                continue
            gap = Coverage(
                source=one.source,
                provider=one.provider,
                organization=_organization(one),
                status=CoverageStatus.FAILED,
            )
            known = mark_known(gap, self.config.layout.known_gaps, self.run.now).known_gap
            was_whole = before.statuses.get(where) is CoverageStatus.COMPLETE
            yield Lapse(
                source=one.source,
                organization=gap.organization,
                runs=one.gaps,
                is_news=known is None and was_whole,
            )


def _organization(one: Reading) -> Organization | None:
    if not one.organization_id:
        return None
    return Organization(one.organization_id, one.organization_name)
