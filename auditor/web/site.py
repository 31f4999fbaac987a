"""What every page can reach: the store, the configuration, the newest run, the clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from auditor.config import Config
from auditor.store import Store
from auditor.web.access import Access
from auditor.web.shelf import Edition, Shelf


class NoRunYet(Exception):
    """Nothing has been judged, so there is nothing to show."""


@dataclass(frozen=True)
class Site:
    """The parts behind the pages."""

    store: Store
    config: Config
    shelf: Shelf
    access: Access
    clock: Callable[[], datetime]


def site_of(request: Request) -> Site:
    """Return the site a request is for."""
    site: Site = request.app.state.site
    return site


def edition_of(request: Request) -> Edition:
    """Return the run that lists show; raises `NoRunYet`."""
    edition = site_of(request).shelf.current()
    if edition is None:
        raise NoRunYet
    return edition
