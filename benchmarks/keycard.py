"""Keycard with 1,600 service accounts, against what the latency alone would cost."""

import sys
from typing import Any

from auditor.collectors.interface import Collector, Context
from auditor.collectors.keycard import Keycard, KeycardOptions
from benchmarks._served import CONCURRENCY, measure, serve
from tests.fakes.http import LoopbackServer
from tests.fakes.keycard import FakeKeycard

LATENCIES = (0.02, 0.1)
"""Seconds: a service near by, and one far away."""
ORGANIZATIONS = 4
ACCOUNTS = 400
CREDENTIALS = 5


def tenant(latency: float) -> LoopbackServer:
    fake = FakeKeycard(grant={"organizations": {"read": True}, "service_accounts": {"read": True}})
    for org in range(ORGANIZATIONS):
        fake.add_organization(f"org-{org}")
        for account in range(ACCOUNTS):
            account_id = f"sa-{org}-{account}"
            fake.add_account(f"org-{org}", account_id)
            for number in range(CREDENTIALS):
                fake.add_credential(account_id, f"{account_id}-{number}")
    return fake.server(latency=latency)


def opened(url: str, context: Context) -> Collector:
    keys: dict[str, Any] = {"name": "bench", "provider": "keycard", "concurrency": CONCURRENCY}
    return Keycard(KeycardOptions(base_url=url, token=FakeKeycard().token, **keys), context)


def main() -> None:
    for latency in LATENCIES:
        cost = measure("benchmarks.keycard", [], opened, latency)
        assert cost.credentials == ORGANIZATIONS * ACCOUNTS * CREDENTIALS
        print(f"keycard: {cost}")


if __name__ == "__main__":
    serve(tenant(float(sys.argv[2]))) if sys.argv[1:2] == ["serve"] else main()
