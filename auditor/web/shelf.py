"""Keeps the newest judged run laid out for pages, and lays out the next one beside the serving."""

import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from auditor.config import Config
from auditor.errors import AuditorError, ConfigError, StoreError
from auditor.findings.view import ReportView
from auditor.line.archive import unpack
from auditor.line.coverage import complete_coverage
from auditor.line.judge import is_shown
from auditor.line.outcome import unpack_outcome
from auditor.line.trend import trend_until
from auditor.model import Credential
from auditor.reports.page.content import FindingList, Inventory, Meter, context
from auditor.store import Store
from auditor.store.records import RunRecord
from auditor.web.catalogue import Catalogue

log = structlog.get_logger()

_TURN = 0.0002
"""Seconds until a busy thread gives way while a run is laid out; 0.005 is usual."""
_LOOK_EVERY = 1.0
"""Seconds between looks for a newer run."""


@dataclass(frozen=True)
class Edition:
    """One judged run: its lists, and the names that the report's templates know it by."""

    run_id: int
    catalogue: Catalogue
    front: dict[str, Any]


class Shelf:
    """Holds the edition that pages show; safe to use from several threads."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config
        self._edition: Edition | None = None
        self._former: Edition | None = None
        self._refused: tuple[int, AuditorError] | None = None
        """A run that could not be laid out, and why: it is not tried again and again."""
        self._building = threading.Lock()
        self._looked_at = float("-inf")

    def current(self) -> Edition | None:
        """Return the newest edition that is ready; a newer run is laid out meanwhile."""
        if self._edition is None:
            self.refresh()
        elif time.monotonic() - self._looked_at > _LOOK_EVERY:
            self._looked_at = time.monotonic()
            if self._store.browse.latest() != self._edition.run_id and not self._building.locked():
                threading.Thread(target=self._refresh_quietly, name="catalogue").start()
        return self._edition

    def refresh(self) -> None:
        """Lay out the newest judged run unless that is done; raises `AuditorError`."""
        with self._building:
            latest = self._store.browse.latest()
            has_it = self._edition is not None and self._edition.run_id == latest
            if latest is None or has_it:
                return
            if self._refused is not None and self._refused[0] == latest:
                raise self._refused[1]
            started = time.monotonic()
            try:
                with _politely():
                    edition = self._lay_out(latest)
            except AuditorError as error:
                self._refused = latest, error
                raise
            former, self._former = self._former, self._edition
            self._edition = edition
            if former is not None:  # two runs ago: nobody reads in it any more
                former.catalogue.close()
            seconds = round(time.monotonic() - started, 1)
            log.info("catalogue.ready", run=latest, seconds=seconds)

    def close(self) -> None:
        """Give back the files."""
        with self._building:
            for edition in (self._edition, self._former):
                if edition is not None:
                    edition.catalogue.close()
            self._edition = self._former = None
            self._refused = None

    def _refresh_quietly(self) -> None:
        try:
            self.refresh()
        except AuditorError as error:
            log.error("catalogue.failed", error=str(error))  # noqa: TRY400 - the sentence says it

    def _lay_out(self, run_id: int) -> Edition:
        record = self._store.run(run_id)
        try:
            catalogue = Catalogue(run_id, unpack(record.context))
        except (zlib.error, ValueError) as error:
            raise StoreError(f"what run {run_id} was judged by cannot be read back") from error
        try:
            view = view_of(self._store, self._config, record, catalogue)
            front = names_of(view)
            catalogue.add_findings(
                (state, credential)
                for state, credential in self._store.findings_at(run_id)
                if is_shown(state)
            )
            catalogue.close_books()
        except BaseException:
            catalogue.close()
            raise
        return Edition(run_id, catalogue, front)


@contextmanager
def _politely() -> Iterator[None]:
    """Let other threads have their turn sooner meanwhile: a page takes it dozens of times."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def view_of(
    store: Store, config: Config, record: RunRecord, catalogue: Catalogue | None = None
) -> ReportView:
    """Return the counted part of a run, without findings; raises `ConfigError`.

    With a *catalogue* the credentials are there too, and are taken into it as they pass.
    """
    if not record.summary:
        raise ConfigError(f"Run {record.id} ended before it was judged; there is nothing to show.")
    outcome = unpack_outcome(record.summary)

    def credentials() -> Iterator[Credential]:
        if catalogue is not None:
            yield from catalogue.add_credentials(store.credentials(record.id))

    return ReportView(
        run=outcome.info,
        coverage=complete_coverage(store.coverage(record.id), config, record.now),
        summary=outcome.summary,
        not_evaluable=outcome.not_evaluable,
        findings=lambda: iter(()),
        credentials=credentials,
        trend=trend_until(store, record.id) if catalogue is not None else (),
    )


def names_of(view: ReportView) -> dict[str, Any]:
    """Return the names of the report's templates for *view*."""
    meter = Meter()
    findings = FindingList(view, meter, limit=0, budget=0)
    names = context(view, findings, Inventory(view, meter, findings, limit=0, budget=0))
    # Bars of the report lead to its own filters; here they are figures only.
    charts = [chart._replace(facet="") for chart in names["charts"]]
    return names | {"charts": charts}
