"""Judging by the default policies: µs per credential; the aim is at most 5 for a clean one.

Also one compiled condition against the CEL engine of the differential tests, whose context must
be built anew for every credential; and what it takes to load all policies.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import cel
import msgspec

from auditor.model import (
    Credential,
    ExpiresState,
    LastUsedState,
    Organization,
    Principal,
    PrincipalType,
    Privilege,
)
from auditor.policy import PolicySettings, load
from auditor.policy.language import compile_condition, parameter_value
from auditor.policy.language.derived import derive
from auditor.resources import bundled

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
AIM = 5.0
ROUNDS = 5


def credential(**changes: Any) -> Credential:
    facts: dict[str, Any] = {
        "uid": "keycard:org-1:service_account_credential:key-1",
        "provider": "keycard",
        "source": "keycard-prod",
        "organization": Organization(id="org-1", name="Example"),
        "principal": Principal(
            id="sa-1", name="ci", type=PrincipalType.SERVICE_ACCOUNT, is_root=False
        ),
        "name": "key-1",
        "type": "Service Account Key",
        "created_at": NOW - timedelta(days=20),
        "observed_at": NOW,
        "last_used_at": NOW - timedelta(days=1),
        "last_used_state": LastUsedState.USED,
        "data_as_of": NOW,
        "expires_state": ExpiresState.UNSUPPORTED,
        "privilege": Privilege.READ,
    }
    return Credential(**(facts | changes))


def micros(call: Callable[[], object], number: int) -> float:
    """Return the best of some rounds, in microseconds a call."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(number):
            call()
        best = min(best, time.process_time() - start)
    return best / number * 1e6


def engine(text: str, subject: Credential) -> Callable[[], object]:
    """Return one evaluation by the CEL engine, its context included."""
    program = cel.compile(text)

    def evaluate() -> object:
        facts = msgspec.to_builtins(subject, builtin_types=(datetime, timedelta))
        facts["idle_for"] = derive(subject, NOW).idle_for
        return program.execute({"credential": facts})

    return evaluate


def main() -> None:
    folder = bundled("policies")
    policies = load(PolicySettings(), builtin=folder, directory=folder)
    clean = credential()
    kinds = {
        "clean": clean,
        "unknown usage": credential(last_used_state=LastUsedState.UNKNOWN),
        "old and dormant": credential(
            created_at=NOW - timedelta(days=400), last_used_at=NOW - timedelta(days=100)
        ),
    }
    print(f"{len(policies)} default policies; µs per credential (aim for a clean one: {AIM:.0f})")
    for name, subject in kinds.items():
        found = len(policies.evaluate(subject, NOW))
        cost = micros(lambda subject=subject: policies.evaluate(subject, NOW), 20_000)  # type: ignore[misc]
        print(f"{name:18} {cost:8.2f} µs  {found} verdicts")
    dormant = kinds["old and dormant"]
    cost = micros(lambda: policies.explain("dormant-credential", dormant, NOW), 5_000)
    print(f"{'explain one':18} {cost:8.2f} µs")
    text = "credential.status == 'active' && credential.idle_for >= duration('1080h')"
    condition = compile_condition(text, {"limit": parameter_value("45d")}, "bench")
    derived = derive(clean, NOW)
    ours = micros(lambda: condition.test(clean, derived, NOW), 50_000)
    theirs = micros(engine(text, clean), 5_000)
    print(f"{'one condition':18} {ours:8.2f} µs  CEL engine ÷ ours: {theirs / ours:.0f}")
    cost = micros(lambda: load(PolicySettings(), builtin=folder, directory=folder), 3)
    print(f"{'load all policies':18} {cost / 1000:8.1f} ms")


if __name__ == "__main__":
    main()
