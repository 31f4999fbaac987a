"""An OCSF 1.6.0 event said again in the words of OCSF 1.3.0.

What 1.3.0 has no attribute for goes into ``unmapped``, which Security Lake wants flat: text by
dotted name.
"""

import msgspec

from auditor.findings.view import RunInfo
from auditor.model import Finding
from auditor.reports.events import EventClass, event
from auditor.reports.events.parts import Json, text

VERSION = "1.3.0"
_encode = msgspec.json.Encoder(order="sorted").encode
_STANDARD = "auditor"
_SERVICE = 4
_OTHER = 99
_KNOWN_OBSERVABLES = frozenset({4, 6})
"""User name and URL; the others came later."""
_NEWEST_ACCOUNT = 10
_ARCHIVED = 5


def record(finding: Finding, run: RunInfo, event_class: EventClass) -> Json:
    """Return the event as OCSF 1.3.0, as pyarrow takes it for the table.

    It drops what the table has no column for and fills in what is missing; a map is a list of
    pairs, an instant a number.
    """
    found = event(finding, run, event_class)
    found["metadata"]["version"] = VERSION
    info = found["finding_info"]
    info.setdefault("title", found["metadata"].get("event_code", "finding"))
    found["unmapped"] = list(_unmapped(finding, info).items())
    for timed in (found, found["metadata"], info):
        _count_instants(timed)
    if found["status_id"] == _ARCHIVED:
        found["status_id"] = _OTHER
    account = found["cloud"].get("account", {})
    if account.get("type_id", 0) > _NEWEST_ACCOUNT:
        account["type_id"] = _OTHER
    found["observables"] = [
        one for one in found["observables"] if one["type_id"] in _KNOWN_OBSERVABLES
    ]
    for resource in found["resources"]:
        resource["data"] = _json(resource["data"])
        _user(resource["owner"], resource["uid"])
    if event_class is EventClass.COMPLIANCE:
        compliance = found["compliance"]
        compliance.setdefault("standards", [_STANDARD])
        compliance["status_detail"] = "; ".join(compliance.get("status_details", ()))
        found.pop("evidences", None)
    for evidence in found.get("evidences", ()):
        evidence["data"] = _json(evidence.get("data", {}))
        _user(evidence["user"], found["resources"][0]["uid"])
    return found


def _json(data: Json) -> str:
    return _encode(data).decode()


def _count_instants(timed: Json) -> None:
    """Say every instant in milliseconds, in the columns of instants too."""
    for name in [name for name in timed if name.endswith("_dt")]:
        timed[name] = timed[name.removesuffix("_dt")]


def _user(user: Json, credential_uid: str) -> None:
    """1.3.0 knows no service as a kind of user, and a credential by its id only."""
    user["credential_uid"] = credential_uid
    if user.get("type_id") == _SERVICE:
        user["type_id"] = _OTHER


def _unmapped(finding: Finding, info: Json) -> dict[str, str]:
    """Return what has no home in 1.3.0."""
    facts = {"finding.id": text(finding.state.id), "risk.score": str(finding.risk.score)}
    if finding.risk.reasons:
        facts["risk.reasons"] = text("; ".join(finding.risk.reasons))
    for trait in info.get("traits", ()):
        facts[f"{trait['category']}.{trait['name']}"] = "; ".join(trait.get("values", ()))
    for tag in info.get("tags", ()):
        facts[f"control.{tag['name']}"] = "; ".join(tag["values"])
    return {name: value for name, value in sorted(facts.items()) if value}
