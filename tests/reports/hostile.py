"""Text nobody should have to trust, and a view that carries one of it in every field there is."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from auditor.findings.view import ReportView, RunInfo, Summary
from auditor.model import (
    Change,
    Coverage,
    CoverageStatus,
    Credential,
    Evidence,
    ExceptionNote,
    Finding,
    FindingStatus,
    NotEvaluable,
    Organization,
    Principal,
    Remediation,
    Resolution,
    Risk,
    credential_uid,
)
from tests.reports.views import NOW, RUN, credential, finding, view

BENIGN = "plain words"

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</script><script>alert(1)//",
    "</style><style>*{display:none}",
    "javascript:alert(1)",
    "JaVaScRiPt&#58;alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "{{7*7}} ${7*7} <%= 7*7 %> {% raw %}",
    "]]><!--",
    "--><b>x",
    '=HYPERLINK("http://x","y")',
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\uff1d1",
    '"quoted, ""double"", and, commas"',
    "a\r\nBcc: evil@x",
    "a\nSubject: x",
    "a\u2028b",
    "a\u0085b",
    "=?utf-8?q?=0ABcc?=",
    "\x1b[31mred\x1b]0;title\x07",
    "a\nlevel=critical msg=fake",
    "nul\x00nul",
    "\x7f",
    "lone \ud800 surrogate",
    "'; DROP TABLE finding;--",
    "%",
    "_",
    "\\",
    "NULL",
    "None",
    "NaN",
    "1e999",
    "../../etc/passwd",
    "..\\..\\x",
    "CON",
    "name" * 64,
    "x" * 10_000,
    "\u202etxt.exe",
    "a\u200db",
    "e" + "\u0301" * 500,
    "\u0430dmin",
    "`code` | cell | **bold** [x](javascript:alert(1)) @team #12 www.evil.example",
    "~~~~~~\n# heading",
    "https://evil.example/?a=<b>",
)

every_hostile_text = pytest.mark.parametrize(
    "text", [*HOSTILE, "", " "], ids=lambda text: ascii(text)[1:25]
)


def poisoned_credential(text: str, number: int = 1) -> Credential:
    return credential(
        number,
        uid=credential_uid("keycard", "org", "key", f"{text}{number}"),
        provider=text,
        source=text,
        organization=Organization(text, text),
        principal=Principal(text, text, status=text),
        client_id=text,
        name=text,
        description=text,
        type=text,
        owner=text,
        tags={text: text},
        permissions={text: {text: True}},
        unused_permissions={text: {text: True}},
        restrictions={text: [text, {text: text}]},
        fingerprint=text,
        key_algorithm=text,
        url=text,
    )


def poisoned_finding(text: str, number: int = 1, **state: Any) -> Finding:
    subject = poisoned_credential(text, number)
    return finding(
        number,
        "over-permissioned-credential",
        subject=subject,
        score=90 - number,
        state={"policy_id": text, "id": f"id-{number}", **state},
        title=text,
        message=text,
        category="over-permissioned" if number % 2 else text,
        rationale=text,
        risk=Risk(90 - number, (text, text)),
        evidence=(Evidence(text, text, text), Evidence(text, [text, {text: text}], {text: text})),
        remediation=Remediation(text, (text, text), text),
        controls={text: (text, text)},
    )


def poisoned_view(text: str) -> ReportView:
    """Every text field of every value is *text*; only our own ids are not."""
    note = ExceptionNote(text, text, text, text)
    suppressed = {
        "status": FindingStatus.SUPPRESSED,
        "change": Change.SUPPRESSED,
        "exception": note,
    }
    ended = {
        "status": FindingStatus.RESOLVED,
        "change": Change.RESOLVED,
        "resolution": Resolution.SUPERSEDED,
        "superseded_by": text,
        "resolved_at": NOW,
    }
    found = [
        poisoned_finding(text, 1),
        poisoned_finding(text, 2, stale_since=NOW - timedelta(days=1)),
        poisoned_finding(text, 3, **suppressed),
        poisoned_finding(text, 4, **ended),
    ]
    coverage = tuple(
        Coverage(
            source=text,
            provider=text,
            organization=Organization(text, text),
            status=status,
            reason=text,
            error=text,
            notes=(text, text),
            known_gap=gap,
        )
        for status, gap in (
            (CoverageStatus.COMPLETE, None),
            (CoverageStatus.FAILED, None),
            (CoverageStatus.PARTIAL, text),
        )
    )
    blind = NotEvaluable(policy_id=text, source=text, field=text, count=2, uids=(text, text))
    made = view(found, coverage=coverage, not_evaluable=(blind,))
    return view(
        found,
        coverage=coverage,
        not_evaluable=(blind,),
        run=_run(text),
        summary=_summary(made, text),
    )


def _run(text: str) -> RunInfo:
    return replace(RUN, schedule=text, tool_version=text)


def _summary(made: ReportView, text: str) -> Summary:
    keyed = {text: 2}
    return replace(
        made.summary,
        verdict=text,
        by_policy=keyed,
        by_provider=keyed,
        by_organization=keyed,
        by_owner=keyed,
    )
