"""Views to render: one with every interesting case, and as many generated findings as one likes."""

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from auditor.findings.view import HistoryEvent, ReportView, RunInfo, Summary, TrendPoint
from auditor.model import (
    Certainty,
    Change,
    Coverage,
    CoverageStatus,
    Credential,
    Evidence,
    ExceptionNote,
    ExpiresState,
    Finding,
    FindingState,
    FindingStatus,
    LastUsedState,
    NotEvaluable,
    Organization,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Privilege,
    Remediation,
    Resolution,
    Risk,
    RunStatus,
    Severity,
    Status,
    credential_uid,
)

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)

RUN = RunInfo(
    id=7,
    started_at=NOW,
    finished_at=NOW + timedelta(seconds=42),
    now=NOW,
    status=RunStatus.INCOMPLETE,
    tool_version="1.2.3",
    schedule="nightly",
)

POLICIES: dict[str, tuple[str, Severity, str]] = {
    "dormant-credential": ("Not used for 45 days", Severity.MEDIUM, "dormant"),
    "never-used-credential": ("Never used in 30 days", Severity.MEDIUM, "dormant"),
    "stale-credential": ("Not rotated for 90 days", Severity.MEDIUM, "stale"),
    "long-lived-credential": ("Not rotated for 365 days", Severity.HIGH, "stale"),
    "over-permissioned-credential": ("Holds admin rights", Severity.HIGH, "over-permissioned"),
    "dormant-privileged-credential": (
        "Privileged and not used for 30 days",
        Severity.CRITICAL,
        "dormant",
    ),
    "expired-credential": ("Expired and still listed", Severity.LOW, "expiry"),
    "unobservable-usage": ("Use cannot be observed", Severity.INFORMATIONAL, "coverage"),
}

CONTROLS = {
    "cis-aws-5.0": ("1.11",),
    "nist-800-53-r5": ("AC-2(3)", "IA-5(1)"),
    "owasp-nhi-2025": ("NHI1",),
}
CERTAINTIES = {
    policy: {
        "cis-aws-5.0": {"1.11": "high"},
        "nist-800-53-r5": {"AC-2(3)": "high", "IA-5(1)": "medium", "AC-6": "low"},
        "owasp-nhi-2025": {"NHI1": "medium"},
    }
    for policy in ("dormant-credential", "dormant-privileged-credential", "stale-credential")
}


def credential(number: int = 1, **changes: Any) -> Credential:
    facts: dict[str, Any] = {
        "uid": credential_uid("keycard", "org-1", "service_account_credential", f"key-{number}"),
        "provider": "keycard",
        "source": "keycard-prod",
        "organization": Organization(id="org-1", name="Example"),
        "principal": Principal(
            id=f"sa-{number}", name=f"ci-{number}", type=PrincipalType.SERVICE_ACCOUNT
        ),
        "client_id": f"client-{number}",
        "name": f"deploy-{number}",
        "type": "Service Account Key",
        "status": Status.ACTIVE,
        "created_at": NOW - timedelta(days=400),
        "observed_at": NOW,
        "last_used_at": NOW - timedelta(days=120, hours=5),
        "last_used_state": LastUsedState.USED,
        "data_as_of": NOW,
        "expires_state": ExpiresState.UNSUPPORTED,
        "permissions": {"organizations": {"read": True, "update": True}, "users": {"list": True}},
        "permissions_subject": PermissionsSubject.CREDENTIAL,
        "privilege": Privilege.WRITE,
        "owner": "platform@example.com",
        "tags": {"team": "platform"},
        "url": f"https://console.example.com/keys/{number}",
    }
    return Credential(**(facts | changes))


def finding(
    number: int = 1,
    policy_id: str = "dormant-credential",
    *,
    subject: Credential | None = None,
    state: dict[str, Any] | None = None,
    **changes: Any,
) -> Finding:
    title, severity, category = POLICIES[policy_id]
    subject = subject or credential(number)
    score = changes.pop("score", 64)
    digest = hashlib.sha256(
        f"{policy_id}|{subject.uid}".encode(errors="surrogatepass")
    ).hexdigest()[:20]
    facts: dict[str, Any] = {
        "id": digest,
        "policy_id": policy_id,
        "credential_uid": subject.uid,
        "status": FindingStatus.OPEN,
        "change": Change.OPENED,
        "severity": severity,
        "risk_score": score,
        "first_seen_at": NOW,
        "last_seen_at": NOW,
    }
    parts: dict[str, Any] = {
        "state": FindingState(**(facts | (state or {}))),
        "title": title,
        "message": f"{subject.name} of {subject.principal.name} was last used 120 days ago.",
        "category": category,
        "credential": subject,
        "risk": Risk(score, ("it may write", "nobody used it for 120 days")),
        "evidence": (
            Evidence("idle_for", "P120DT5H", "P45D"),
            Evidence("last_used_at", "2025-11-01T22:00:00Z"),
        ),
        "rationale": "An unused credential still opens doors, and nobody misses it when stolen.",
        "remediation": Remediation(
            "Ask the owner, disable it, wait a week, delete it.",
            (f"keycard credentials disable {subject.provider_id}",),
            "https://docs.example.com/rotate",
        ),
        "controls": CONTROLS,
    }
    return Finding(**(parts | changes))


def cases() -> list[Finding]:
    """One finding for every state a finding can be in."""
    root = credential(
        2,
        uid=credential_uid("aws", "111122223333", "access_key", "AKIAIOSFODNN7EXAMPLE"),
        provider="aws",
        source="aws-prod",
        organization=Organization(id="111122223333", name="payments"),
        principal=Principal(
            id="arn:aws:iam::111122223333:root", name="root", type=PrincipalType.USER, is_root=True
        ),
        type="API Key",
        privilege=Privilege.ADMIN,
        permissions={"*": {"*": True}},
        unused_permissions={"*": {"*": True}},
        permissions_certainty=Certainty.INFERRED,
        owner=None,
        expires_at=NOW + timedelta(days=12),
        expires_state=ExpiresState.AT,
    )
    note = ExceptionNote("Vendor migration", "ciso@example.com", "2026-06-30", "SEC-12")
    earlier = NOW - timedelta(days=30)
    seen = {"first_seen_at": earlier, "change": Change.UNCHANGED}
    never = {"last_used_at": None, "last_used_state": LastUsedState.NEVER}
    found = [
        finding(2, "dormant-privileged-credential", subject=root, score=97),
        finding(3, "over-permissioned-credential", subject=root, score=91, state=seen),
        finding(4, "never-used-credential", subject=credential(4, **never), score=70),
        finding(5, score=66, state=seen | {"stale_since": NOW - timedelta(days=3)}),
        finding(
            6,
            score=60,
            state={
                "change": Change.REOPENED,
                "first_seen_at": earlier,
                "opened_at": NOW,
            },
        ),
        finding(7, score=55, state=seen | {"not_evaluable_since": NOW - timedelta(days=1)}),
        finding(
            8,
            "long-lived-credential",
            score=50,
            state=seen | {"status": FindingStatus.SUPPRESSED, "exception": note},
        ),
        finding(
            9,
            score=45,
            state={
                "status": FindingStatus.SUPPRESSED,
                "change": Change.SUPPRESSED,
                "exception": note,
            },
        ),
        finding(18, "unobservable-usage", score=5, evidence=(), state=seen),
    ]
    ended: list[dict[str, Any]] = [
        {"resolution": Resolution.REMOVED},
        {"resolution": Resolution.CONDITION_CLEARED},
        {"resolution": Resolution.SUPERSEDED, "superseded_by": "long-lived-credential"},
        {"resolution": Resolution.POLICY_RETIRED},
        {"resolution": Resolution.OUT_OF_SCOPE},
        {"resolution": Resolution.NOT_JUDGED},
    ]
    over = {"status": FindingStatus.RESOLVED, "change": Change.RESOLVED, "resolved_at": NOW}
    found += [
        finding(10 + number, "stale-credential", score=0, state=seen | over | how)
        for number, how in enumerate(ended)
    ]
    return found


COVERAGE = (
    Coverage(
        source="keycard-prod",
        provider="keycard",
        organization=Organization(id="org-1", name="Example"),
        status=CoverageStatus.COMPLETE,
        credentials=18,
        data_as_of=NOW,
        notes=("Permissions are those of each credential, inferred.",),
    ),
    Coverage(
        source="aws-prod",
        provider="aws",
        organization=Organization(id="111122223333", name="payments"),
        status=CoverageStatus.PARTIAL,
        reason="suspicious_drop",
        error="Only 3 of 40 credentials were listed; run `auditor audit --accept-drop` if true.",
        credentials=3,
        data_as_of=NOW - timedelta(hours=4),
    ),
    Coverage(
        source="github",
        provider="github",
        status=CoverageStatus.FAILED,
        reason="access_denied",
        error="GitHub refused the listing; grant the token organization administration (read).",
    ),
    Coverage(
        source="gitlab",
        provider="gitlab",
        status=CoverageStatus.FAILED,
        reason="unavailable",
        error="gitlab.example.com did not answer in 30 seconds.",
        known_gap="Decommissioned on 31 March 2026",
    ),
    Coverage(source="gcp", provider="gcp", status=CoverageStatus.NOT_SELECTED),
)

NOT_EVALUABLE = (
    NotEvaluable(
        policy_id="dormant-credential",
        source="aws-prod",
        field="last_used_at",
        count=2,
        uids=("aws:111122223333:access_key:AKIA1", "aws:111122223333:access_key:AKIA2"),
    ),
    NotEvaluable(
        policy_id="over-permissioned-credential",
        source="keycard-prod",
        field="permissions",
        count=1,
        uids=("keycard:org-1:service_account_credential:key-4",),
    ),
)


def summary(findings: Sequence[Finding], credentials: Sequence[Credential]) -> Summary:
    """Count like the product does; by hand, so that the reports are tested on their own."""
    opened = [one for one in findings if one.state.status is FindingStatus.OPEN]
    fixed = [one for one in findings if one.state.resolution and one.state.resolution.is_fixed]

    def counted(values: Sequence[str]) -> dict[str, int]:
        return dict(sorted(Counter(values).items()))

    return Summary(
        credentials=len(credentials),
        credentials_with_findings=len({one.credential.uid for one in opened}),
        findings=len(opened),
        suppressed=sum(one.state.status is FindingStatus.SUPPRESSED for one in findings),
        stale=sum(one.state.stale_since is not None for one in opened),
        resolved=sum(one.state.status is FindingStatus.RESOLVED for one in findings),
        fixed=len(fixed),
        by_severity=counted([one.state.severity.value for one in opened]),
        by_status=counted([one.state.status.value for one in findings]),
        by_change=counted([one.state.change.value for one in findings]),
        by_resolution=counted(
            [one.state.resolution.value for one in findings if one.state.resolution]
        ),
        by_policy=counted([one.state.policy_id for one in opened]),
        by_provider=counted([one.credential.provider for one in opened]),
        by_organization=counted(
            [f"{one.credential.provider}:{one.credential.organization.id}" for one in opened]
        ),
        by_owner=counted([one.credential.owner or "" for one in opened]),
        credentials_by_provider=counted([one.provider for one in credentials]),
        credentials_by_state=counted([one.last_used_state.value for one in credentials]),
        verdict=f"{len(opened)} open findings; deal with the root key of payments first.",
    )


def view(
    findings: Sequence[Finding] | None = None,
    credentials: Sequence[Credential] | None = None,
    **changes: Any,
) -> ReportView:
    """A view of *findings*, or of `cases`, highest risk first."""
    found = sorted(
        cases() if findings is None else findings,
        key=lambda one: (-one.risk.score, one.state.id),
    )
    if credentials is None:
        flagged = {one.credential.uid: one.credential for one in found}
        healthy = credential(99, last_used_at=NOW - timedelta(hours=2))
        credentials = [flagged[uid] for uid in sorted(flagged)] + [healthy]
    inventory = credentials
    made = ReportView(
        run=RUN,
        coverage=COVERAGE,
        summary=summary(found, inventory),
        not_evaluable=NOT_EVALUABLE,
        findings=lambda: iter(found),
        credentials=lambda: iter(inventory),
        certainties=CERTAINTIES,
    )
    return replace(made, **changes)


def full_view() -> ReportView:
    """`view` with a trend over past runs and a history for every finding."""
    trend = tuple(
        TrendPoint(
            run_id=number,
            now=NOW - timedelta(days=7 - number),
            findings=total,
            by_severity={"critical": 1, "high": total // 3, "medium": total - total // 3 - 1},
            opened=number % 3,
            fixed=number % 2,
            credentials=20 + number,
        )
        for number, total in enumerate((12, 14, 13, 11, 11, 9, 7), 1)
    )

    def history(ids: Sequence[str]) -> dict[str, tuple[HistoryEvent, ...]]:
        steps = ((1, 30, Change.OPENED), (3, 12, Change.RESOLVED), (5, 9, Change.REOPENED))
        return {
            one: tuple(
                HistoryEvent(
                    run_id=run,
                    at=NOW - timedelta(days=days),
                    change=change,
                    severity=Severity.MEDIUM,
                    resolution=Resolution.CONDITION_CLEARED if change is Change.RESOLVED else None,
                )
                for run, days, change in steps
            )
            for number, one in enumerate(ids)
            if number % 4 == 0
        }

    return view(trend=trend, history=history)


def generated(
    number: int, *, seed: int = 1, names: Sequence[str] = (), healthy: int = 0
) -> tuple[list[Finding], list[Credential]]:
    """*number* findings over several providers, plausible in every field, from *seed*."""
    dice = random.Random(seed)
    found, credentials = [], []
    policies = list(POLICIES)
    statuses: tuple[dict[str, Any], ...] = (
        *[{}] * 12,
        *[{"change": Change.UNCHANGED, "first_seen_at": NOW - timedelta(days=20)}] * 6,
        {"status": FindingStatus.SUPPRESSED, "change": Change.SUPPRESSED},
        {
            "status": FindingStatus.RESOLVED,
            "change": Change.RESOLVED,
            "resolution": Resolution.REMOVED,
            "resolved_at": NOW,
        },
    )
    for index in range(number + healthy):
        subject = _one(index, dice, names)
        credentials.append(subject)
        if index < number:
            policy_id = dice.choice(policies)
            state = dice.choice(statuses)
            score = dice.randint(1, 100)
            found.append(finding(index, policy_id, subject=subject, state=state, score=score))
    credentials.sort(key=lambda one: one.uid)
    return found, credentials


def _one(index: int, dice: random.Random, names: Sequence[str]) -> Credential:
    provider = dice.choice(("aws", "github", "gitlab", "keycard", "gcp"))
    tenant = dice.randint(1, 8)
    created = NOW - timedelta(days=dice.randint(1, 1500), seconds=dice.randint(0, 86400))
    state = dice.choice(list(LastUsedState))
    used = created + (NOW - created) * dice.random() if state is LastUsedState.USED else None
    team = dice.choice(("platform", "payments", "data", "mobile", None))
    name = dice.choice(names) if names else f"{dice.choice(('deploy', 'ci', 'backup'))}-{index}"
    who = dice.choice(names) if names else f"svc-{index % 997}"
    return credential(
        index,
        uid=credential_uid(provider, f"org-{tenant}", "key", f"{provider}-{index:06d}"),
        provider=provider,
        source=f"{provider}-prod",
        organization=Organization(id=f"org-{tenant}", name=f"Organization {tenant}"),
        principal=Principal(id=f"sa-{index}", name=who, type=dice.choice(list(PrincipalType))),
        name=name,
        created_at=created,
        last_used_at=used,
        last_used_state=state,
        privilege=dice.choice(list(Privilege)),
        owner=f"{team}@example.com" if team else None,
        type=dice.choice(("API Key", "Access Token", "Client Secret", "Service Account Key")),
    )
