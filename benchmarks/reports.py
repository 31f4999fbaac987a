"""What each report format costs per finding, over findings that the real policies made."""

import io
import random
import resource
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from auditor import plugs
from auditor.findings.risk import assess
from auditor.findings.view import ReportView
from auditor.model import (
    Change,
    Credential,
    ExpiresState,
    Finding,
    FindingState,
    FindingStatus,
    LastUsedState,
    Organization,
    Outcome,
    PermissionsSubject,
    Principal,
    PrincipalType,
    credential_uid,
)
from auditor.policy import PolicySet, PolicySettings, classify, load
from auditor.reports.interface import ReportFormat
from auditor.resources import bundled
from tests.reports.views import view as small_view

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
_TYPES = {
    "aws": "API Key",
    "gcp": "Service Account Key",
    "github": "Personal Access Token",
    "gitlab": "Personal Access Token",
    "keycard": "Service Account Key",
}


class Sink(io.RawIOBase):
    """Counts bytes and forgets them."""

    written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += len(data)
        return len(data)


def credential(number: int, dice: random.Random) -> Credential:
    provider = dice.choice(list(_TYPES))
    tenant = dice.randint(1, 12)
    created = NOW - timedelta(days=dice.randint(1, 1500), seconds=dice.randint(0, 86400))
    state = dice.choice((LastUsedState.USED, LastUsedState.USED, LastUsedState.NEVER))
    used = created + (NOW - created) * dice.random() if state is LastUsedState.USED else None
    team = dice.choice(("platform", "payments", "data", "mobile", None))
    kind = {"aws": "AKIA", "gcp": "5f1c"}.get(provider, "")
    return classify(
        Credential(
            uid=credential_uid(provider, f"{tenant:012d}", "key", f"{kind}{number:016x}"),
            provider=provider,
            source=f"{provider}-production",
            organization=Organization(f"{tenant:012d}", f"Organization {tenant}"),
            principal=Principal(
                f"principal-{number % 5000:06d}",
                f"service-{number % 5000:05d}",
                PrincipalType.SERVICE_ACCOUNT,
            ),
            name=f"{dice.choice(('deploy', 'backup', 'reporting'))}-{number:06d}",
            type=_TYPES[provider],
            created_at=created,
            observed_at=NOW,
            last_used_at=used,
            last_used_state=state,
            data_as_of=NOW,
            expires_state=ExpiresState.NEVER,
            permissions=dice.choice(
                ({"*": {"*": True}}, {"storage": {"read": True}}, {"users": {"write": True}})
            ),
            permissions_subject=PermissionsSubject.CREDENTIAL,
            owner=f"{team}@example.com" if team else None,
            tags={"env": dice.choice(("prod", "staging"))},
            url=f"https://console.example.com/keys/{number:08d}",
        )
    )


def findings(number: int, seed: int = 1) -> tuple[list[Finding], list[Credential]]:
    """Return *number* findings and the credentials they were found in, from *seed*."""
    dice = random.Random(seed)
    policies = load(PolicySettings(), builtin=bundled("policies"), directory=Path())
    found: list[Finding] = []
    credentials: list[Credential] = []
    while len(found) < number:
        one = credential(len(credentials), dice)
        credentials.append(one)
        found += _judged(policies, one, dice)
    found = found[:number]
    found.sort(key=lambda one: (-one.risk.score, one.state.id))
    return found, sorted(credentials, key=lambda one: one.uid)


def _judged(policies: PolicySet, one: Credential, dice: random.Random) -> Iterator[Finding]:
    categories = {policy.id: policy.category for policy in policies.policies}
    for verdict in policies.evaluate(one, NOW):
        if verdict.outcome is not Outcome.VIOLATION or verdict.severity is None:
            continue
        explanation = policies.explain(verdict.policy_id, one, NOW)
        risk = assess(one, verdict.severity, categories[verdict.policy_id], NOW)
        is_new = dice.random() < 0.2
        state = FindingState(
            id=f"{dice.getrandbits(80):020x}",
            policy_id=verdict.policy_id,
            credential_uid=one.uid,
            status=FindingStatus.OPEN,
            change=Change.OPENED if is_new else Change.UNCHANGED,
            severity=verdict.severity,
            risk_score=risk.score,
            first_seen_at=NOW if is_new else NOW - timedelta(days=dice.randint(1, 90)),
            last_seen_at=NOW,
        )
        yield Finding(
            state=state,
            title=explanation.title,
            message=explanation.message,
            category=categories[verdict.policy_id],
            credential=one,
            risk=risk,
            evidence=explanation.evidence,
            rationale=explanation.rationale,
            remediation=explanation.remediation,
            controls=explanation.controls,
        )


def realistic_view(number: int) -> ReportView:
    """Return a view of *number* findings."""
    return small_view(*findings(number))


def measure(format_name: str, view: ReportView, number: int) -> tuple[float, float]:
    """Return microseconds and bytes per finding."""
    report = plugs.find("auditor.reports", format_name, ReportFormat)()
    sink: Any = Sink()
    start = time.perf_counter()
    report.render(view, sink)
    return (time.perf_counter() - start) / number * 1e6, sink.written / number


def main(number: int = 10_000, printer: Callable[[str], None] = print) -> None:
    """Print one line a format."""
    view = realistic_view(number)
    printer(f"{number:,} findings; microseconds and bytes per finding, peak growth in MB")
    for name in plugs.names("auditor.reports"):
        measure(name, small_view(), 15)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        micros, size = measure(name, view, number)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        printer(f"{name:13} {micros:8.1f} us {size:8.0f} B {grown:6.1f} MB")


if __name__ == "__main__":
    main()
