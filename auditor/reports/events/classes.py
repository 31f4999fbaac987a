"""What each of the three OCSF classes says about a finding beyond what they share."""

from functools import lru_cache

from auditor.model import Finding, Severity
from auditor.reports.events.lifecycle import CREATE, RISK_LEVELS, SEVERITIES, Lifecycle
from auditor.reports.events.parts import Json, compact, json_data, keyed, present, text
from auditor.reports.events.subject import (
    credential_id,
    holding,
    permission_analysis,
    programmatic_credential,
    resource,
    user,
)
from auditor.wording import fact

ABOUT_PERMISSIONS = "over-permissioned"
"""The policy category whose evidence is a permission map."""


def controls(finding: Finding) -> list[Json]:
    """Return the controls a finding maps to, as OCSF keys with values; not to be changed."""
    return list(_keys(tuple(sorted(finding.controls.items()))))


@lru_cache(maxsize=512)
def _keys(controls: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[Json, ...]:
    """Findings of one policy have the same controls, and there are many of them."""
    return tuple(present(keyed(name, ids) for name, ids in controls))


def iam_analysis(finding: Finding, stands: Lifecycle) -> Json:  # noqa: ARG001 - one signature
    """Return who may use the credential, when it was used, and what it may do."""
    credential = finding.credential
    analysis = None
    if finding.category == ABOUT_PERMISSIONS:
        analysis = permission_analysis(credential)
    owner, held = user(credential), programmatic_credential(credential)
    return compact(
        {
            "user": {**owner, "programmatic_credentials": [held]},
            "identity_activity_metrics": {"programmatic_credentials": [held]},
            "permission_analysis_results": [analysis] if analysis else None,
            "resources": [resource(finding, owner=owner, with_permissions=analysis is None)],
        }
    )


def detection(finding: Finding, stands: Lifecycle) -> Json:
    """Return the evidence and the risk; only a new finding of high severity is an alert."""
    credential = finding.credential
    level_id, level = RISK_LEVELS[finding.state.severity]
    alert = stands.activity == CREATE and finding.state.severity.rank >= Severity.HIGH.rank
    owner = user(credential)
    evidence = _evidence(finding)
    return compact(
        {
            "evidences": [{**evidence, "user": holding(owner, credential)}],
            "is_alert": alert,
            "risk_level_id": level_id,
            "risk_level": level,
            "risk_score": finding.risk.score,
            "risk_details": text("; ".join(finding.risk.reasons)) or text(finding.rationale),
            "resources": [resource(finding, owner=owner, with_permissions=True)],
        }
    )


def compliance(finding: Finding, stands: Lifecycle) -> Json:
    """Return the policy as a control that fails, with its limits as parameters."""
    owner = holding(user(finding.credential), finding.credential)
    evidence = _evidence(finding)
    evidence.setdefault("data", {"message": text(finding.message) or "observed"})
    return compact(
        {
            "compliance": _requirement(finding, stands),
            "evidences": [evidence],
            "resources": [resource(finding, owner=owner, with_permissions=True)],
        }
    )


def _evidence(finding: Finding) -> Json:
    data = {
        (text(entry.fact) or "fact"): compact(
            {"observed": json_data(entry.observed), "limit": json_data(entry.limit)}
        )
        for entry in finding.evidence
    }
    return compact(
        {
            "name": text(finding.state.policy_id),
            "uid": credential_id(finding.credential),
            "data": data,
        }
    )


def _requirement(finding: Finding, stands: Lifecycle) -> Json:
    status_id, status = stands.compliance
    severity_id, severity = SEVERITIES[finding.state.severity]
    policy = text(finding.state.policy_id) or "unknown"
    tags = controls(finding)
    standards = [tag["name"] for tag in tags]
    title, rationale = text(finding.title), text(finding.rationale)
    limits = [
        (entry.fact, fact(entry.limit)) for entry in finding.evidence if entry.limit is not None
    ]
    return compact(
        {
            "control": policy,
            "desc": title,
            "category": text(finding.category),
            "status_id": status_id,
            "status": status,
            "status_code": stands.code,
            "status_details": [detail for detail in [text(finding.message)] if detail],
            "standards": standards,
            "requirements": [
                f"{tag['name']} {control}" for tag in tags for control in tag["values"]
            ],
            "control_parameters": [
                {"name": text(name) or "limit", "value": text(value)}
                for name, value in limits
                if value
            ],
            "checks": [
                compact(
                    {
                        "uid": policy,
                        "name": title,
                        "severity_id": severity_id,
                        "severity": severity,
                        "status_id": status_id,
                        "status": status,
                        "standards": standards,
                    }
                )
            ],
            "assessments": [
                compact(
                    {
                        "uid": policy,
                        "name": title,
                        "desc": rationale,
                        "category": text(finding.category),
                        "meets_criteria": status == "Pass",
                    }
                )
            ],
        }
    )
