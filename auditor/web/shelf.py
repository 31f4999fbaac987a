"""Keeps the newest judged run laid out for pages, and lays out the next one beside the serving."""

import threading
import time
import zlib
from collections.abc import Iterator
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
from auditor.web.traffic import Traffic

log = structlog.get_logger()

_LOOK_EVERY = 1.0
"""Seconds between looks for a newer run."""


@dataclass(frozen=True)
class Edition:
    """One judged run: its lists, and the names that the report's templates know it by."""

    run_id: int
    config: Config
    """The configuration it was laid out under."""
    catalogue: Catalogue
    front: dict[str, Any]


class LayingOut(Exception):
    """The first edition is not ready yet."""


class _Abandoned(Exception):
    """The shelf is being closed, so nobody will read what is laid out."""


class Shelf:
    """Holds the edition that pages show; safe to use from several threads."""

    def __init__(self, store: Store, config: Config, traffic: Traffic) -> None:
        self._store = store
        self._config = config
        self._traffic = traffic
        self._edition: Edition | None = None
        self._former: Edition | None = None
        self._refused: tuple[int, Config, AuditorError] | None = None
        """A run that could not be laid out, and why: it is not tried again and again."""
        self._building = threading.Lock()
        self._is_closing = False
        self._looked_at = float("-inf")

    def current(self) -> Edition | None:
        """Return the newest edition that is ready; a newer run is laid out meanwhile.

        None before anything was judged. Raises `LayingOut` until the first one is ready.
        """
        if self._edition is None or time.monotonic() - self._looked_at > _LOOK_EVERY:
            self._looked_at = time.monotonic()
            latest = self._store.browse.latest()
            if latest is None:
                return self._edition
            refusal = self._refusal(latest)
            if refusal is not None and self._edition is None:
                raise refusal
            if refusal is None and not self._is_shown(latest):
                self.refresh_soon()
        if self._edition is None:
            raise LayingOut
        return self._edition

    def follow(self, config: Config) -> None:
        """Show what is configured now; the run is laid out once more for it."""
        self._config = config
        self.refresh_soon()

    def open(self) -> None:
        """Begin to lay out the newest judged run."""
        self._is_closing = False
        self.refresh_soon()

    def refresh_soon(self) -> None:
        """Lay out the newest judged run beside everything else, unless that goes on already."""
        if not self._building.locked():
            threading.Thread(target=self._refresh_quietly, name="catalogue").start()

    def refresh(self) -> None:
        """Lay out the newest judged run unless that is done; raises `AuditorError`."""
        with self._building:
            latest = None if self._is_closing else self._store.browse.latest()
            if latest is None or self._is_shown(latest):
                return
            refusal = self._refusal(latest)
            if refusal is not None:
                raise refusal
            started, config = time.monotonic(), self._config
            try:
                edition = self._lay_out(latest, config)
            except AuditorError as error:
                self._refused = latest, config, error
                raise
            former, self._former = self._former, self._edition
            self._edition = edition
            if former is not None:  # two runs ago: nobody reads in it any more
                former.catalogue.close()
            seconds = round(time.monotonic() - started, 1)
            log.info("catalogue.ready", run=latest, seconds=seconds)

    def close(self) -> None:
        """Give back the files; what is being laid out is left."""
        self._is_closing = True
        with self._building:
            for edition in (self._edition, self._former):
                if edition is not None:
                    edition.catalogue.close()
            self._edition = self._former = None
            self._refused = None

    def _is_shown(self, run_id: int) -> bool:
        one = self._edition
        return one is not None and one.run_id == run_id and one.config is self._config

    def _refusal(self, run_id: int) -> AuditorError | None:
        if self._refused is None:
            return None
        refused, config, error = self._refused
        return error if refused == run_id and config is self._config else None

    def _refresh_quietly(self) -> None:
        try:
            self.refresh()
        except _Abandoned:
            log.info("catalogue.abandoned")
        except AuditorError as error:
            log.error("catalogue.failed", error=str(error))  # noqa: TRY400 - the sentence says it
        except Exception:
            log.exception("catalogue.failed")  # the pages go on with the run before

    def _give_way(self) -> None:
        if self._is_closing:
            raise _Abandoned
        self._traffic.give_way()

    def _lay_out(self, run_id: int, config: Config) -> Edition:
        record = self._store.run(run_id)
        try:
            catalogue = Catalogue(run_id, unpack(record.context), self._give_way)
        except (zlib.error, ValueError) as error:
            raise StoreError(f"what run {run_id} was judged by cannot be read back") from error
        try:
            view = view_of(self._store, config, record, catalogue)
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
        return Edition(run_id, config, catalogue, front)


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
