"""Small runs to tell about, and servers to tell them to."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from auditor.findings.view import ReportView, RunInfo, Summary
from auditor.model import (
    Change,
    Coverage,
    CoverageStatus,
    Credential,
    Evidence,
    Finding,
    FindingState,
    FindingStatus,
    NotEvaluable,
    Remediation,
    Resolution,
    Risk,
    RunStatus,
    Severity,
)
from tests.conftest import NOW
from tests.fakes.smtp import AnyPort


@pytest.fixture
def finding(credential: Callable[..., Credential]) -> Callable[..., Finding]:
    """A factory: an open, unchanged finding; override what matters."""

    def build(key: str = "key-1", **changes: Any) -> Finding:
        owned = credential(key, **changes.pop("credential", {}))
        words = {name: changes.pop(name) for name in ("title", "message") if name in changes}
        risk = changes.pop("risk", Risk(60, ("can administer the account", "unused for 400 days")))
        state: dict[str, Any] = {
            "id": f"finding-{key}",
            "policy_id": "dormant-credential",
            "credential_uid": owned.uid,
            "status": FindingStatus.OPEN,
            "change": Change.UNCHANGED,
            "severity": Severity.HIGH,
            "risk_score": risk.score,
            "first_seen_at": NOW - timedelta(days=12),
            "last_seen_at": NOW,
        }
        return Finding(
            state=FindingState(**(state | changes)),
            title=words.get("title", "Not used for 45 days"),
            message=words.get("message", "No use for 400 days; the limit is 45 days."),
            category="dormant",
            credential=owned,
            risk=risk,
            evidence=(Evidence("idle_for", "P400D", "P45D"),),
            rationale="Forgotten keys are found by others.",
            remediation=Remediation("Revoke it after asking its owner.", ("keycard revoke key-1",)),
            controls={},
        )

    return build


@pytest.fixture
def mended(finding: Callable[..., Finding]) -> Callable[..., Finding]:
    def build(key: str, **changes: Any) -> Finding:
        ended = {
            "status": FindingStatus.RESOLVED,
            "change": Change.RESOLVED,
            "resolution": Resolution.REMOVED,
            "resolved_at": NOW,
        }
        return finding(key, **(ended | changes))

    return build


@pytest.fixture
def coverage(credential: Callable[..., Credential]) -> Callable[..., Coverage]:
    def build(**changes: Any) -> Coverage:
        facts: dict[str, Any] = {
            "source": "keycard-prod",
            "provider": "keycard",
            "organization": credential().organization,
            "status": CoverageStatus.COMPLETE,
            "credentials": 3,
            "data_as_of": NOW,
        }
        return Coverage(**(facts | changes))

    return build


@pytest.fixture
def view(coverage: Callable[..., Coverage]) -> Callable[..., ReportView]:
    """A factory: the view of run 12 with the findings given."""

    def build(
        *findings: Finding,
        covered: tuple[Coverage, ...] | None = None,
        not_evaluable: tuple[NotEvaluable, ...] = (),
        **more: Any,
    ) -> ReportView:
        verdict = more.pop("verdict", "3 credentials should not exist as they are.")
        return ReportView(
            run=RunInfo(
                id=12,
                started_at=NOW,
                finished_at=NOW + timedelta(minutes=4),
                now=NOW,
                status=RunStatus.COMPLETE,
                tool_version="1.0.0",
            ),
            coverage=(coverage(),) if covered is None else covered,
            summary=_summary(findings, verdict),
            not_evaluable=not_evaluable,
            findings=lambda: iter(findings),
            credentials=lambda: iter(tuple(one.credential for one in findings)),
            **more,
        )

    return build


def _summary(findings: tuple[Finding, ...], verdict: str) -> Summary:
    return Summary(
        credentials=len(findings),
        credentials_with_findings=len(findings),
        findings=len(findings),
        suppressed=0,
        stale=0,
        resolved=0,
        fixed=0,
        by_severity={},
        by_status={},
        by_change={},
        by_resolution={},
        by_policy={},
        by_provider={},
        by_organization={},
        by_owner={},
        credentials_by_provider={},
        credentials_by_state={},
        verdict=verdict,
    )


class Plain:
    """A report format of one line per finding."""

    filename: ClassVar[str] = "report-{run}.txt"
    media_type: ClassVar[str] = "text/plain; charset=utf-8"

    def render(self, view: ReportView, out: BinaryIO) -> None:
        for finding in view.findings():
            out.write(f"{finding.credential.uid} {finding.message}\n".encode())


@pytest.fixture
def documents() -> Callable[[str], Plain]:
    return lambda _name: Plain()


@dataclass
class Letters:
    """A handler that keeps what it accepts and misbehaves as told."""

    accepted: list[Envelope] = field(default_factory=list)
    recipient_answers: dict[str, str] = field(default_factory=dict)
    data_answer: str = "250 OK"
    mail_answer: str = ""

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mail_answer:
            return self.mail_answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.recipient_answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.data_answer == "cut":
            self.accepted.append(envelope)
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            return "250 never heard"
        if self.data_answer.startswith("250"):
            self.accepted.append(envelope)
        return self.data_answer


@dataclass
class Post:
    """A running SMTP server."""

    handler: Letters
    port: int
    ca_bundle: Path
    authentications: list[tuple[bytes, bytes]] = field(default_factory=list)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def post(authority: trustme.CA, ca_bundle: Path) -> Iterator[Callable[..., Post]]:
    """A factory of SMTP servers on loopback: ``post("starttls", login=("user", "word"))``."""
    running: list[AnyPort] = []

    def start(
        tls: str = "starttls", login: tuple[str, str] | None = None, identity: str = "localhost"
    ) -> Post:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(identity).configure_cert(context)
        opened = Post(Letters(), 0, ca_bundle)

        def authenticate(
            server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
        ) -> AuthResult:
            assert isinstance(data, LoginPassword)
            opened.authentications.append((data.login, data.password))
            expected = tuple(part.encode() for part in login or ("", ""))
            known = (data.login, data.password) == expected
            return AuthResult(success=known, handled=False)

        controller = AnyPort(
            opened.handler,
            hostname="127.0.0.1",
            port=0,
            ready_timeout=10,
            ssl_context=context if tls == "tls" else None,
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
            authenticator=authenticate if login else None,
            auth_required=login is not None,
            auth_require_tls=tls == "starttls",
        )
        controller.start()
        running.append(controller)
        opened.port = controller.given
        return opened

    yield start
    for controller in running:
        controller.stop()
