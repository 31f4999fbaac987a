"""What changed between two runs: findings by their events, credentials by their readings."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from auditor.findings.diff import CredentialDiff, diff_credential, diff_findings
from auditor.line.outcome import unpack_outcome
from auditor.reports.page.rows import subject
from auditor.store.browse import Browse, Judged, Turned
from auditor.store.records import RunRecord
from auditor.web import lookup
from auditor.web.catalogue import Catalogue
from auditor.web.render import address, page
from auditor.web.site import edition_of, site_of
from auditor.wording import day, fact, label, shown

_CHOICE = 60
_ROWS = 50
_BATCH = 50
_BATCHES = 5
"""A page looks at so many credentials at most; the next one goes on from there."""


def compare(request: Request) -> Response:
    """Show two runs side by side; without a word the newest and the one before."""
    edition, browse = edition_of(request), site_of(request).store.browse
    known = [record for record in browse.runs(_CHOICE) if record.is_judged]
    wanted = sorted(
        lookup.offset(request.query_params.get(name)) or usual
        for name, usual in zip(("from", "to"), _usual(known), strict=True)
    )
    start, stop = (browse.judged(number) for number in wanted)
    names: dict[str, Any] = {
        "choices": [(record.id, f"Run {record.id}, {day(record.now)}") for record in known],
        "chosen": wanted,
        "unknown": [n for n, found in zip(wanted, (start, stop), strict=True) if n and not found],
        "is_comparable": start is not None and stop is not None and start != stop,
    }
    if start is not None and stop is not None and start != stop:
        given = {"from": start.run_id, "to": stop.run_id}
        names |= _findings(request, browse, edition.catalogue, start, stop, given)
        names |= _credentials(request, browse, start, stop, given)
        names["counts"] = [_counted(site_of(request).store.run(n)) for n in wanted]
    return page(request, "compare.html", **names)


def _usual(known: list[RunRecord]) -> tuple[int, int]:
    newest = known[0].id if known else 0
    return (known[1].id if len(known) > 1 else newest), newest


def _counted(record: RunRecord) -> dict[str, Any]:
    summary = unpack_outcome(record.summary).summary
    return {
        "id": record.id,
        "now": record.now,
        "findings": summary.findings,
        "suppressed": summary.suppressed,
        "credentials": summary.credentials,
    }


def _findings(
    request: Request,
    browse: Browse,
    catalogue: Catalogue,
    start: Judged,
    stop: Judged,
    given: dict[str, int],
) -> dict[str, Any]:
    after = lookup.offset(request.query_params.get("mark"))
    turned = browse.turned(start, stop, _ROWS + 1, after=after)
    rows = turned[:_ROWS]
    more = rows[-1].mark if len(turned) > _ROWS else None
    return {
        "findings": list(_turns(catalogue, rows)),
        "findings_first": address("/compare", given) if after else "",
        "findings_more": address("/compare", given, mark=more) if more else "",
    }


def _turns(catalogue: Catalogue, rows: Iterable[Turned]) -> Iterator[dict[str, Any]]:
    for one in rows:
        before = [one.before] if one.before else []
        for diff in diff_findings(before, [one.after]):
            state = diff.state
            credential = lookup.credential(catalogue, state.credential_uid)
            name = subject(credential).name if credential else shown(state.credential_uid, 160)
            yield {
                "turn": diff.turn.value,
                "resolution": label(diff.resolution.value) if diff.resolution else "",
                "id": state.id,
                "rank": state.severity.rank,
                "severity": state.severity.value.capitalize(),
                "policy": state.policy_id,
                "uid": state.credential_uid,
                "name": name,
            }


def _credentials(
    request: Request, browse: Browse, start: Judged, stop: Judged, given: dict[str, int]
) -> dict[str, Any]:
    after = request.query_params.get("uid", "").encode("utf-8", "replace").decode()
    rows, last, is_end = _changed(browse, start, stop, after)
    return {
        "credentials": [_changes(diff) for diff in rows],
        "credentials_first": address("/compare", given) + "#credentials-changed" if after else "",
        "credentials_more": ""
        if is_end
        else address("/compare", given, uid=last) + "#credentials-changed",
    }


def _changed(
    browse: Browse, start: Judged, stop: Judged, after: str
) -> tuple[list[CredentialDiff], str, bool]:
    """Return a page of changes, the last uid looked at, and whether that was the end."""
    found: list[CredentialDiff] = []
    for _ in range(_BATCHES):
        batch = list(browse.touched(start, stop, _BATCH, after=after))
        for one in batch:
            diff = diff_credential(one.before, one.after)
            after = one.uid
            if diff is not None:
                found.append(diff)
            if len(found) == _ROWS:
                return found, after, False
        if len(batch) < _BATCH:
            return found, after, True
    return found, after, False


def _changes(diff: CredentialDiff) -> dict[str, Any]:
    credential = diff.credential
    return {
        "uid": credential.uid,
        "subject": subject(credential),
        "type": shown(credential.type, 60),
        "deltas": [
            {
                "step": label(delta.step.value),
                "before": _side(delta.before),
                "after": _side(delta.after),
                "count": delta.count,
            }
            for delta in islice(diff.deltas, 20)
        ],
    }


def _side(value: Any) -> str:
    return "" if value is None else shown(fact(value), 300)
