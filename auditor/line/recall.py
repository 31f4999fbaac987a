"""A stored run as the view it had: the same policies, the same evidence, the same bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Literal

from msgspec.structs import replace

from auditor.config import Config
from auditor.errors import ConfigError
from auditor.findings.view import ReportView
from auditor.line.archive import unpack
from auditor.line.coverage import told_coverage, worsened
from auditor.line.judge import is_shown
from auditor.line.neighbours import Neighbourhood
from auditor.line.outcome import Outcome, unpack_outcome
from auditor.line.past import StoredPast
from auditor.line.ranked import RankedFindings
from auditor.line.trend import history_from, trend_until
from auditor.store import RunRecord, Store


def run_number(run: str) -> int | Literal["latest"]:
    """Return what names a run on the command line; raises `ConfigError`."""
    if run == "latest":
        return "latest"
    if not run.isdecimal():
        raise ConfigError(f"{run!r} names no run; give its number, or `latest`.")
    return int(run)


def outcome_of(store: Store, run: str) -> Outcome:
    """Return what a stored *run* (an id, or ``latest``) counted; raises `ConfigError`."""
    return _outcome(store.run(run_number(run)))


def _outcome(record: RunRecord) -> Outcome:
    if not record.summary:
        raise ConfigError(f"Run {record.id} ended before it was judged; choose another with --run.")
    return unpack_outcome(record.summary)


@contextmanager
def recall(store: Store, config: Config, run: str) -> Iterator[ReportView]:
    """Yield the view of a stored *run* (an id, or ``latest``); raises `ConfigError`."""
    record = store.run(run_number(run))
    outcome = _outcome(record)
    explainer = unpack(record.context)
    coverage = told_coverage(store, record.id, config, record.now)
    neighbourhood = Neighbourhood(store, record.id, explainer.policies, now=record.now)
    neighbourhood.gather(coverage)
    with RankedFindings() as ranked:
        found = store.findings_at(record.id)
        for _uid, group in groupby(found, key=lambda one: one[1].uid):
            shown = [(state, credential) for state, credential in group if is_shown(state)]
            if not shown:
                continue
            # All findings of a credential are about one object: what it amounts to is found once.
            credential = replace(shown[0][1], raw={})
            states = [state for state, _credential in shown]
            neighbours = neighbourhood.explore(credential, states)
            for state in states:
                ranked.add(explainer.finding(credential, state, neighbours))
        yield ReportView(
            run=outcome.info,
            coverage=coverage,
            summary=outcome.summary,
            not_evaluable=outcome.not_evaluable,
            findings=lambda: iter(ranked),
            credentials=lambda: store.credentials(record.id),
            trend=trend_until(store, record.id),
            history=history_from(store, record.id),
            compliance=outcome.compliance,
            ending_exceptions=outcome.ending_exceptions,
            coverage_worsened=worsened(store, record.id, coverage),
            ended_exceptions=outcome.ended_exceptions,
            certainties=explainer.certainties,
            past=StoredPast(store, config, outcome.info, coverage, explainer),
        )
