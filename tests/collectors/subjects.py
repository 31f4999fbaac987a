"""Every collector that speaks HTTP, with a healthy fake of its provider: the contracts run over it.

A coded provider registers one `Subject` in `CODED`; a described one is found by its description
and the answers saved for it under ``responses/``.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from auditor import plugs
from auditor.client import Dialect, Sign, Wait
from auditor.collectors._declarative.paging import LinkHeader, NextUrl, Single
from auditor.collectors._declarative.replay import Saved
from auditor.collectors._declarative.trial import options_in
from auditor.collectors._okta.paging import OktaDialect
from auditor.collectors.declarative import Declarative
from auditor.collectors.interface import Collector, Context
from auditor.collectors.keycard import Keycard, KeycardOptions
from auditor.collectors.vault import DIALECT as VAULT_DIALECT
from tests.collectors import clouds, platforms
from tests.fakes.http import LoopbackServer, Reply, Request
from tests.fakes.keycard import FakeKeycard

RESPONSES = Path(__file__).parent / "responses"
PATIENT: dict[str, Any] = {
    "attempts": 2,
    "backoff": timedelta(milliseconds=2),
    "requests_per_second": None,
}
TOLD = Dialect()


@dataclass(frozen=True)
class Subject:
    """One provider to hold against the contracts."""

    name: str
    serve: Callable[[], AbstractContextManager[LoopbackServer]]
    """A provider with credentials on two pages of some list."""
    open: Callable[..., Collector]
    """``open(server, context, **options)``."""
    token_path: str | None = None
    """Where it logs in, if that takes a request of its own."""
    is_paged: bool = True
    has_links: bool = False
    """Whether a page names the next one by a URL."""
    missing_use_is_never: bool = False
    """Whether the provider documents that it leaves the time out where there was no use."""
    dialect: Dialect = TOLD
    can_retrieve: bool = False
    """Whether its description names calls that read one credential."""


def _serve_described(name: str) -> AbstractContextManager[LoopbackServer]:
    description = _described(name).description
    url = httpx.URL(options_in(RESPONSES / name, _described(name)).get("base_url") or _base(name))
    saved = Saved(RESPONSES / name, url.path.rstrip("/"))
    assert description.id == name

    def handle(request: Request) -> Reply:
        saved.vendor = f"{url.scheme}://{url.netloc.decode()}"
        saved.here = server.url
        answer = saved.answer(request.method, request.target, request.body)
        return Reply(answer.status, answer.body, answer.headers)

    server = LoopbackServer(handle)
    return server


def _base(name: str) -> str:
    return _described(name).description.base_url or "https://example.com"


def _described(name: str) -> type[Declarative]:
    return plugs.find("auditor.collectors", name, Declarative)


def _open_described(
    name: str, server: LoopbackServer, context: Context, **options: Any
) -> Collector:
    collector = _described(name)
    given = options_in(RESPONSES / name, collector)
    path = httpx.URL(given.get("base_url") or _base(name)).path.rstrip("/")
    keys = {**given, **PATIENT, "name": f"{name}-prod", **options}
    checked: Any = collector.Options.model_validate({**keys, "base_url": f"{server.url}{path}"})
    return collector(checked, context)


def _subject(name: str) -> Subject:
    description = _described(name).description
    styles = [step.paginate for step in description.steps]
    ways = description.auth
    exchanges = [way.exchange or way.client_credentials for way in ways]
    limit = description.rate_limit
    return Subject(
        name,
        partial(_serve_described, name),
        partial(_open_described, name),
        token_path=next((one.path for one in exchanges if one is not None), None),
        is_paged=any(not isinstance(style, Single) for style in styles),
        has_links=any(isinstance(style, LinkHeader | NextUrl) for style in styles),
        can_retrieve=any(step.retrieve for step in description.steps),
        dialect=Dialect(
            tuple(Sign(sign.status, sign.header, sign.equals) for sign in limit.signs),
            tuple(Wait(wait.header, wait.unit, wait.pattern) for wait in limit.waits),
        ),
    )


def _serve_keycard() -> AbstractContextManager[LoopbackServer]:
    fake = FakeKeycard(grant={"organizations": {"read": True}})
    fake.add_organization("org-1", "acme", "Acme")
    fake.add_account("org-1", "sa-1", "ci")
    fake.add_account("org-1", "sa-2", "deploy")
    used = "2026-02-27T18:11:19.117Z"
    fake.add_credential("sa-1", "c-1", last_used_at=used)
    fake.add_credential("sa-1", "c-2", last_used_at=used)
    fake.add_credential("sa-2", "c-3", last_used_at=used)
    server = fake.server()
    handle = server.handler

    def page_by_page(request: Request) -> Reply:
        return handle(replace(request, target=request.target.replace("limit=100", "limit=1")))

    server.handler = page_by_page
    return server


def _open_keycard(server: LoopbackServer, context: Context, **options: Any) -> Collector:
    keys = {"name": "keycard-prod", "provider": "keycard", "token": FakeKeycard().token}
    checked = KeycardOptions.model_validate({**keys, **PATIENT, "base_url": server.url, **options})
    return Keycard(checked, context)


def _patient(open_: Callable[..., Collector]) -> Callable[..., Collector]:
    def opened(server: LoopbackServer, context: Context, **options: Any) -> Collector:
        return open_(server, context, **{**PATIENT, **options})

    return opened


CODED = (
    Subject("keycard", _serve_keycard, _open_keycard, missing_use_is_never=True),
    Subject(
        "github",
        clouds.serve_github,
        _patient(clouds.open_github),
        token_path=clouds.GITHUB_TOKEN_PATH,
        has_links=True,
    ),
    Subject("gcp", clouds.serve_gcp, _patient(clouds.open_gcp)),
    Subject(
        "entra",
        clouds.serve_entra,
        _patient(clouds.open_entra),
        token_path=clouds.ENTRA_TOKEN_PATH,
        has_links=True,
    ),
    Subject(
        "okta",
        platforms.serve_okta,
        _patient(platforms.open_okta),
        has_links=True,
        dialect=OktaDialect(),
    ),
    Subject("kubernetes", platforms.serve_kubernetes, _patient(platforms.open_kubernetes)),
    Subject("databricks", platforms.serve_databricks, _patient(platforms.open_databricks)),
    Subject(
        "vault",
        platforms.serve_vault,
        _patient(platforms.open_vault),
        is_paged=False,
        dialect=VAULT_DIALECT,
    ),
)
DESCRIBED = tuple(map(_subject, plugs.descriptions("auditor.collectors")))
SUBJECTS = (*CODED, *DESCRIBED)
