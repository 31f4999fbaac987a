"""Who owns what in a stored run: counts per owner, the unowned under the empty name."""

from collections import Counter

from msgspec import Struct, field

from auditor.model import FindingStatus, Severity
from auditor.store import Store


class Holding(Struct, kw_only=True):
    """What one owner has; grows while a run streams by."""

    owner: str
    """Empty for what nobody owns."""
    owner_status: str | None = None
    """``present`` or ``departed``, where a directory of people knows."""
    credentials: int = 0
    credentials_with_findings: int = 0
    findings: int = 0
    """Open ones."""
    suppressed: int = 0
    by_severity: Counter[str] = field(default_factory=Counter)
    highest_risk: int = 0


def holdings(store: Store, run_id: int) -> list[Holding]:
    """Return what every owner has in a run, the one with the highest risk first."""
    found: dict[str, Holding] = {}
    for credential in store.credentials(run_id):
        holding = _of(found, credential.owner)
        holding.credentials += 1
        holding.owner_status = credential.owner_status or holding.owner_status
    last_uid = ""
    for state, credential in store.findings_at(run_id):
        holding = _of(found, credential.owner)
        if state.status is FindingStatus.SUPPRESSED:
            holding.suppressed += 1
        elif state.status is FindingStatus.OPEN:
            holding.findings += 1
            holding.by_severity[state.severity.value] += 1
            holding.highest_risk = max(holding.highest_risk, state.risk_score)
            holding.credentials_with_findings += credential.uid != last_uid
            last_uid = credential.uid
    for holding in found.values():
        counts = holding.by_severity
        holding.by_severity = Counter({one.value: counts[one.value] for one in Severity})
    return sorted(found.values(), key=lambda one: (-one.highest_risk, -one.findings, one.owner))


def _of(found: dict[str, Holding], owner: str | None) -> Holding:
    name = owner or ""
    if name not in found:
        found[name] = Holding(owner=name)
    return found[name]
