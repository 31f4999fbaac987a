"""The verdict, and the findings and credentials of the newest run."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from auditor.findings.priority import first_to_deal_with
from auditor.model import Finding, Severity
from auditor.reports.page.content import FIRST
from auditor.reports.page.rows import credential_row, first_row, subject
from auditor.reports.page.standing import badge
from auditor.web import lookup
from auditor.web.catalogue import Catalogue
from auditor.web.render import address, page
from auditor.web.site import edition_of
from auditor.wording import label, shown

_GAPS = 12
_OPTIONS = 500
"""Values offered for one filter; an address may name any."""

Option = tuple[str, str]


def verdict(request: Request) -> Response:
    """Show what the newest run came to."""
    edition = edition_of(request)
    front = edition.front
    first = first_to_deal_with(_opened(edition.catalogue), FIRST)
    return page(
        request,
        "verdict.html",
        **front
        | {
            "first": [first_row(finding) for finding in first],
            "gaps_shown": front["gaps"][:_GAPS],
        },
    )


def findings(request: Request) -> Response:
    """List findings, the riskiest first unless asked otherwise."""
    edition = edition_of(request)
    catalogue, now = edition.catalogue, edition.front["run"].now
    query = lookup.Query.of(request.query_params, lookup.FINDING_FILTERS, status="open")
    found = lookup.findings(catalogue, query)
    given = query.filters | {
        "q": query.words,
        "order": "" if query.order == "risk" else query.order,
    }
    return page(
        request,
        "findings.html",
        run=edition.front["run"],
        rows=[_row(finding, now) for finding in found.rows],
        query=query,
        fields=_fields(catalogue, lookup.FINDING_FILTERS, catalogue.facets.findings, query),
        orders=(("risk", "risk"), ("new", "newest first"), ("old", "oldest first")),
        pager=pager("/findings", given, found),
    )


def credentials(request: Request) -> Response:
    """List the inventory."""
    edition = edition_of(request)
    catalogue, now = edition.catalogue, edition.front["run"].now
    query = lookup.Query.of(request.query_params, lookup.CREDENTIAL_FILTERS)
    found = lookup.credentials(catalogue, query)
    return page(
        request,
        "credentials.html",
        run=edition.front["run"],
        rows=[
            (one.uid, credential_row(one, now, (many, worst, "") if many else None))
            for one, many, worst in found.rows
        ],
        query=query,
        fields=_fields(catalogue, lookup.CREDENTIAL_FILTERS, catalogue.facets.credentials, query),
        pager=pager("/credentials", query.filters | {"q": query.words}, found),
    )


def pager(path: str, given: Mapping[str, Any], found: lookup.Found[Any]) -> dict[str, Any]:
    """Return the addresses around a page of a list."""
    has_earlier, has_later = found.earlier is not None, found.later is not None
    return {
        "total": found.total,
        "first": address(path, given) if has_earlier else "",
        "earlier": address(path, given, before=found.earlier) if has_earlier else "",
        "later": address(path, given, after=found.later) if has_later else "",
    }


def _opened(catalogue: Catalogue) -> Iterator[Finding]:
    """Yield the open findings, as many as are asked for."""
    query: lookup.Query | None = lookup.Query(words="", filters={"status": "open"})
    while query is not None:
        found = lookup.findings(catalogue, query)
        yield from found.rows
        query = None if found.later is None else replace(query, after=found.later)


def _row(finding: Finding, now: datetime) -> dict[str, Any]:
    state = finding.state
    return {
        "id": state.id,
        "rank": state.severity.rank,
        "severity": state.severity.value.capitalize(),
        "score": finding.risk.score,
        "title": shown(finding.title, 120),
        "subject": subject(finding.credential),
        "status": state.status.value,
        "badge": badge(state, now),
    }


def _fields(
    catalogue: Catalogue,
    names: tuple[str, ...],
    counted: Mapping[str, Mapping[str, int]],
    query: lookup.Query,
) -> list[dict[str, Any]]:
    """Return a list of choices for every filter, with how many there are of each."""
    fields = []
    for name in names:
        chosen = query.filters.get(name, "")
        options = [
            (*_option(catalogue, name, value), many)
            for value, many in list(counted.get(name, {}).items())[:_OPTIONS]
        ]
        if chosen not in ("", lookup.ANY) and chosen not in {value for value, _, _ in options}:
            options.append((chosen, shown(chosen, 60), 0))
        if name == "severity":
            options.reverse()
        else:
            options.sort(key=lambda option: option[1].casefold())
        fields.append(
            {
                "name": name,
                "label": _LABELS.get(name, name.capitalize()),
                "chosen": chosen,
                "any": lookup.ANY if name == "status" else "",
                "options": options,
            }
        )
    return fields


_LABELS = {"used": "Last use", "status": "State"}
_RANKS = {str(severity.rank): severity.value for severity in Severity}


def _option(catalogue: Catalogue, name: str, value: str) -> Option:
    """Return what stands in the address, and what people read."""
    match name:
        case "severity":
            return _RANKS[value], _RANKS[value]
        case "organization":
            provider, _, identity = value.partition(":")
            named = catalogue.facets.organizations.get(value) or identity
            return value, f"{shown(named, 60)} ({shown(provider, 30)})"
        case "owner" if not value:
            return lookup.NOBODY, "nobody named"
        case "owner" | "provider" | "source" | "policy":
            return value, shown(value, 60)
        case _:
            return value, label(value)
