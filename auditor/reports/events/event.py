"""One finding as one OCSF 1.6.0 event, in the class of the reader's choice."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from auditor.findings.view import RunInfo
from auditor.model import Certainty, Finding, Severity
from auditor.reports.events.classes import (
    ABOUT_PERMISSIONS,
    compliance,
    controls,
    detection,
    iam_analysis,
)
from auditor.reports.events.lifecycle import SEVERITIES, Lifecycle, lifecycle
from auditor.reports.events.observables import observables
from auditor.reports.events.parts import (
    Json,
    compact,
    https,
    millis,
    stable_id,
    text,
    times,
)
from auditor.reports.events.subject import cloud
from auditor.wording import clean, fact

VERSION = "1.6.0"


class EventClass(StrEnum):
    """The OCSF class a finding is written as."""

    IAM_ANALYSIS = "iam-analysis"
    DETECTION = "detection"
    COMPLIANCE = "compliance"


class _Class(NamedTuple):
    uid: int
    caption: str
    own: Callable[[Finding, Lifecycle], Json]
    """What events of this class say beyond the others."""


_CLASSES = {
    EventClass.IAM_ANALYSIS: _Class(2008, "IAM Analysis Finding", iam_analysis),
    EventClass.DETECTION: _Class(2004, "Detection Finding", detection),
    EventClass.COMPLIANCE: _Class(2003, "Compliance Finding", compliance),
}


def event(finding: Finding, run: RunInfo, event_class: EventClass) -> Json:
    """Return the event that tells what *run* knows of *finding*; plain JSON data.

    The same finding of the same run always gives the same event, ids included; a finding keeps
    its ``finding_info.uid`` through every run, and has another one in every class.
    """
    kind = _CLASSES[event_class]
    stands = lifecycle(finding.state, run.now)
    found = {
        **_header(kind, stands, finding.state.severity),
        **_confidence(finding),
        **times(time=run.now),
        "timezone_offset": 0,
        "metadata": _metadata(finding, run, kind, stands),
        "cloud": cloud(finding.credential),
        "finding_info": _finding_info(finding, run, kind),
        "remediation": _remediation(finding),
    }
    message = text(finding.message)
    if message:
        found["message"] = message
    found |= kind.own(finding, stands)
    found["observables"] = observables(found)
    return found


def _header(kind: _Class, stands: Lifecycle, severity: Severity) -> Json:
    activity_id, activity = stands.activity
    severity_id, caption = SEVERITIES[severity]
    return compact(
        {
            "activity_id": activity_id,
            "activity_name": activity,
            "category_uid": 2,
            "category_name": "Findings",
            "class_uid": kind.uid,
            "class_name": kind.caption,
            "type_uid": kind.uid * 100 + activity_id,
            "type_name": f"{kind.caption}: {activity}",
            "severity_id": severity_id,
            "severity": caption,
            "status_id": stands.status[0],
            "status": stands.status[1],
            "status_code": stands.code,
            "status_detail": text(stands.detail),
        }
    )


def _confidence(finding: Finding) -> Json:
    """A rule over stated facts is certain; one over permissions we inferred is less so."""
    inferred = finding.credential.permissions_certainty is Certainty.INFERRED
    if finding.category == ABOUT_PERMISSIONS and inferred:
        return {"confidence_id": 2, "confidence": "Medium"}
    return {"confidence_id": 3, "confidence": "High"}


def _metadata(finding: Finding, run: RunInfo, kind: _Class, stands: Lifecycle) -> Json:
    state = finding.state
    uid = stable_id(
        "event",
        1,
        kind.uid,
        state.id,
        stands.activity[0],
        stands.status[0],
        millis(run.now),
        run.id,
    )
    return {
        **compact(
            {
                "version": VERSION,
                "uid": uid,
                "correlation_uid": str(run.id),
                "event_code": text(state.policy_id),
                "tenant_uid": text(finding.credential.organization.id),
                "profiles": ["cloud", "datetime"],
                "product": _product(run.tool_version),
            }
        ),
        **times(logged_time=run.finished_at),
    }


@lru_cache(maxsize=8)
def _product(version: str) -> Json:
    return compact(
        {
            "uid": "auditor",
            "name": "auditor",
            "vendor_name": "auditor",
            "version": text(version),
            "feature": {"uid": "credential-hygiene", "name": "Credential hygiene"},
        }
    )


def _finding_info(finding: Finding, run: RunInfo, kind: _Class) -> Json:
    state = finding.state
    opened = state.opened_at or state.first_seen_at
    changed = state.last_seen_at if state.change.value == "unchanged" else run.now
    return {
        **compact(
            {
                "uid": stable_id("finding", 1, kind.uid, state.id),
                "uid_alt": text(state.id),
                "title": text(finding.title),
                "desc": text(finding.message),
                "types": [f"Credential Hygiene/{text(finding.category) or 'other'}"],
                "data_sources": [_data_source(finding)],
                "src_url": https(finding.credential.url),
                "analytic": _analytic(finding),
                "tags": controls(finding),
                "traits": _traits(finding),
            }
        ),
        **times(
            created_time=opened,
            first_seen_time=state.first_seen_at,
            last_seen_time=max(state.last_seen_at, state.first_seen_at),
            modified_time=max(changed, opened),
        ),
    }


def _data_source(finding: Finding) -> str:
    credential = finding.credential
    return f"{text(credential.provider) or 'unknown'}:{text(credential.source) or 'unknown'}"


def _analytic(finding: Finding) -> Json:
    return compact(
        {
            "uid": text(finding.state.policy_id) or "unknown",
            "name": text(finding.title),
            "desc": text(finding.rationale),
            "category": text(finding.category),
            "type_id": 1,
            "type": "Rule",
            "state_id": 1,
            "state": "Active",
        }
    )


def _traits(finding: Finding) -> list[Json]:
    """What was observed and, beside it, the limit and the reasons for the order of work."""
    traits: list[Json] = []
    for entry in finding.evidence:
        traits.append(_trait(entry.fact, [fact(entry.observed)], "evidence"))
        if entry.limit is not None:
            traits.append(_trait(f"{entry.fact} limit", [fact(entry.limit)], "limit"))
    traits.append(_trait("risk_score", [str(finding.risk.score)], "risk"))
    traits.append(_trait("risk_reasons", finding.risk.reasons, "risk"))
    return traits


def _trait(name: str, values: Sequence[str], category: str) -> Json:
    kept = [clean(value) for value in values if value]
    return {
        "name": text(name) or "fact",
        **({"values": kept} if kept else {}),
        "category": category,
        "type": "Contributing factor",
    }


def _remediation(finding: Finding) -> Json:
    steps = [text(finding.remediation.summary), *map(text, finding.remediation.commands)]
    return compact(
        {
            "desc": "\n".join(step for step in steps if step) or "See the policy of this finding.",
            "references": [url for url in [https(finding.remediation.url)] if url],
        }
    )
