"""One finding with its history, and one credential with everything that happened to it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from auditor.model import Credential, Finding, PermissionMap
from auditor.reports.page.links import https
from auditor.reports.page.rows import credential_row, finding_row, guide
from auditor.reports.page.standing import badge
from auditor.store.records import Event, TimelineEntry
from auditor.web import lookup
from auditor.web.render import address, page
from auditor.web.shelf import Edition
from auditor.web.site import edition_of, site_of
from auditor.wording import fact, label, shown

_STEPS = 100
"""Entries of a timeline on a page."""
_GRANTS = 60
_NAME, _TEXT = 200, 400
_KINDS = {
    "appeared": "Appeared",
    "changed": "Changed",
    "used": "Used",
    "disappeared": "Disappeared",
    "finding": "Finding",
}


def finding(request: Request) -> Response:
    """Show one finding, of the newest run or ended long ago."""
    edition, store = edition_of(request), site_of(request).store
    wanted = request.path_params["id"]
    one = lookup.finding(edition.catalogue, wanted)
    if one is None:
        record = store.finding(wanted) if wanted.isalnum() and len(wanted) < 200 else None
        if record is None:
            raise HTTPException(404, "No finding has this id.")
        credential = store.browse.credential(record.state.credential_uid)
        if credential is None:
            raise HTTPException(404, "Nothing is known any more of the credential it was about.")
        one = edition.catalogue.explainer.finding(credential, record.state)
    now = edition.front["run"].now
    about = guide(1, one, is_long=False)
    return page(
        request,
        "finding.html",
        run=edition.front["run"],
        f=finding_row(one, about, now, ()),
        guide=about,
        uid=one.credential.uid,
        history=_history(store.events(one.state.id)),
    )


def credential(request: Request) -> Response:
    """Show one credential, present or gone."""
    edition, store = edition_of(request), site_of(request).store
    uid = request.query_params.get("uid", "")
    one = lookup.credential(edition.catalogue, uid)
    is_gone = one is None
    if one is None:
        one = store.browse.credential(uid) if uid else None
    if one is None:
        raise HTTPException(404, "No credential has this id.")
    now = edition.front["run"].now
    steps = store.timeline(uid)[::-1]
    start = lookup.offset(request.query_params.get("from"))
    more = start + _STEPS if len(steps) > start + _STEPS else None
    return page(
        request,
        "credential.html",
        run=edition.front["run"],
        uid=uid,
        c=credential_row(one, now, None),
        is_gone=is_gone,
        facts=list(_facts(one)),
        url=https(one.url),
        grants=_grants(one.permissions),
        unused=_grants(one.unused_permissions),
        findings=[_found(found, now) for found in _findings_of(edition, uid)],
        steps=[_step(entry) for entry in steps[start : start + _STEPS]],
        total=len(steps),
        newer=address("/credential", {"uid": uid, "from": max(0, start - _STEPS)}) if start else "",
        older=address("/credential", {"uid": uid, "from": more}) if more else "",
    )


def _findings_of(edition: Edition, uid: str) -> list[Finding]:
    return lookup.findings_of(edition.catalogue, uid)


def _history(events: list[Event]) -> list[dict[str, Any]]:
    return [
        {
            "run_id": event.run_id,
            "at": event.at,
            "change": event.state.change.value,
            "severity": event.state.severity.value.capitalize(),
            "rank": event.state.severity.rank,
            "resolution": label(event.state.resolution.value) if event.state.resolution else "",
        }
        for event in reversed(events)
    ]


def _found(one: Finding, now: datetime) -> dict[str, Any]:
    return {
        "id": one.state.id,
        "rank": one.state.severity.rank,
        "severity": one.state.severity.value.capitalize(),
        "score": one.risk.score,
        "title": shown(one.title, _NAME),
        "badge": badge(one.state, now),
    }


def _facts(one: Credential) -> Iterator[tuple[str, str]]:
    principal = one.principal
    facts = {
        "Uid": one.uid,
        "Client id": one.client_id,
        "Description": one.description,
        "Principal": f"{principal.name} ({label(principal.type.value)})",
        "Principal id": principal.id,
        "Organization": one.organization.name,
        "Organization id": one.organization.id,
        "Source": one.source,
        "Owner": one.owner,
        "Fingerprint": one.fingerprint,
        "Key": " ".join(str(part) for part in (one.key_algorithm, one.key_bits) if part),
        "Tags": ", ".join(f"{name}={value}" for name, value in sorted(one.tags.items())),
        "Restrictions": fact(one.restrictions) if one.restrictions else "",
        "Way to its privilege": " ".join(one.privilege_path),
    }
    for name, value in facts.items():
        if value:
            yield name, shown(value, _TEXT)


def _grants(permissions: PermissionMap | None) -> dict[str, Any] | None:
    """Return what is granted by resource, None where nobody knows."""
    if permissions is None:
        return None
    granted = [
        (shown(resource, _NAME), ", ".join(shown(name, _NAME) for name in names[:_GRANTS]))
        for resource, actions in sorted(permissions.items())
        if (names := sorted(name for name, is_granted in actions.items() if is_granted))
    ]
    return {"rows": granted[:_GRANTS], "more": max(0, len(granted) - _GRANTS)}


def _step(entry: TimelineEntry) -> dict[str, Any]:
    state = entry.finding
    return {
        "at": entry.at,
        "run_id": entry.run_id,
        "kind": _KINDS[entry.kind],
        "source": shown(entry.source or "", _NAME),
        "changes": [
            (label(name).capitalize(), shown(fact(before), _TEXT), shown(fact(after), _TEXT))
            for name, (before, after) in entry.changes.items()
        ],
        "finding": state.id if state else "",
        "policy": state.policy_id if state else "",
        "what": _what(state.change.value, state.resolution) if state else "",
    }


def _what(change: str, resolution: Any) -> str:
    return f"{change}: {label(resolution.value)}" if resolution else change
