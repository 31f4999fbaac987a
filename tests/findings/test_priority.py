from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from auditor.findings.priority import first_to_deal_with
from auditor.model import (
    Change,
    Credential,
    Finding,
    FindingState,
    FindingStatus,
    Remediation,
    Risk,
    Severity,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def finding(credential: Callable[..., Credential]) -> Callable[..., Finding]:
    def build(
        key: str, *, policy_id: str = "a", status: FindingStatus = FindingStatus.OPEN
    ) -> Finding:
        owned = credential(key)
        state = FindingState(
            id=f"{key}-{policy_id}",
            policy_id=policy_id,
            credential_uid=owned.uid,
            status=status,
            change=Change.UNCHANGED,
            severity=Severity.HIGH,
            risk_score=50,
            first_seen_at=NOW,
            last_seen_at=NOW,
        )
        return Finding(
            state=state,
            title="t",
            message="m",
            category="dormant",
            credential=owned,
            risk=Risk(50),
            evidence=(),
            rationale="",
            remediation=Remediation("r"),
            controls={},
        )

    return build


def test_a_credential_is_named_once_by_its_worst_finding(finding):
    worst = finding("key-1", policy_id="a")
    again = finding("key-1", policy_id="b")
    other = finding("key-2", policy_id="a")

    assert [worst, other] == list(first_to_deal_with([worst, again, other], 5))


def test_only_open_findings_are_work(finding):
    excepted = finding("key-1", status=FindingStatus.SUPPRESSED)
    still_open = finding("key-1", policy_id="b")

    assert [still_open] == list(first_to_deal_with([excepted, still_open], 5))


def test_no_more_are_read_than_are_asked_for(finding):
    def endless():
        number = 0
        while True:
            number += 1
            yield finding(f"key-{number}")

    assert 3 == len(list(first_to_deal_with(endless(), 3)))
