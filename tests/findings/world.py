"""A small world of policies, verdicts and exceptions for the life of findings."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import Struct

from auditor.findings.reconcile import reconcile
from auditor.findings.supersession import PoliciesInForce
from auditor.model import (
    Credential,
    ExceptionNote,
    FindingState,
    Outcome,
    Severity,
    Verdict,
)


class Terms(Struct, frozen=True):
    """A policy as far as findings depend on it."""

    id: str
    supersedes: tuple[str, ...] = ()
    category: str = "dormant"


DORMANT = Terms("dormant")
STALE = Terms("stale", category="stale")
PRIVILEGED = Terms("dormant-privileged", supersedes=("dormant",))
EVERYTHING = (DORMANT, STALE, PRIVILEGED)


def violates(*policy_ids: str, severity: Severity = Severity.MEDIUM) -> list[Verdict]:
    return [Verdict(name, Outcome.VIOLATION, severity) for name in policy_ids]


def unknown(policy_id: str, *missing: str) -> Verdict:
    return Verdict(policy_id, Outcome.NOT_EVALUABLE, missing=missing or ("last_used_at",))


def not_judged(policy_id: str) -> Verdict:
    return Verdict(policy_id, Outcome.NOT_JUDGED)


def note(expires: str = "2026-12-31") -> ExceptionNote:
    return ExceptionNote(reason="agreed", approver="ciso@example.com", expires=expires)


def excepting(*policy_ids: str) -> Callable[..., ExceptionNote | None]:
    return lambda policy_id, _credential, _now: note() if policy_id in policy_ids else None


NOTHING_EXCEPTED = excepting()


class Story:
    """One credential through a row of runs, remembering as the store does."""

    def __init__(self, credential: Credential, now: datetime) -> None:
        self.credential = credential
        self.now = now
        self.remembered: dict[str, FindingState] = {}

    def run(
        self,
        verdicts: list[Verdict] | None = None,
        *,
        at: datetime | None = None,
        policies: tuple[Terms, ...] = EVERYTHING,
        exceptions: Any = NOTHING_EXCEPTED,
        is_whole: bool = True,
    ) -> dict[str, FindingState]:
        """Return the states this run gave out, by policy."""
        states = reconcile(
            self.credential,
            tuple(self.remembered.values()),
            verdicts or [],
            now=at or self.now,
            policies=PoliciesInForce(policies, retired=EVERYTHING),
            exceptions=exceptions,
            is_whole=is_whole,
        )
        given = {state.policy_id: state for state in states}
        assert len(given) == len(states)
        self.remembered |= given
        return given
