"""The account that `benchmarks.aws` looks at, in a process of its own.

python -m benchmarks._aws.server USERS ACCOUNTS
"""

import json
import sys
from datetime import UTC, datetime

from tests.fakes.aws import FakeAws
from tests.fakes.aws_crowd import Truth, break_glass, settle


def serve(users: int, accounts: int) -> None:
    """Serve until the end of input; each line sets the latency and is answered with the calls."""
    now = datetime.now(UTC).replace(microsecond=0)
    fake = FakeAws(now)
    truths = [
        settle(_account(fake, number), users, now, seed=number + 7) for number in range(accounts)
    ]
    fake.simulated_admins = {
        f"arn:aws:iam::123456789012:user/{name}"
        for name in truths[0].admins
        if truths[0].ways[name] in ("direct", "group", "inline", "customer")
    }
    with fake.server() as server:
        print(
            json.dumps({"url": server.url, "truth": _packed(truths), "overrides": break_glass()}),
            flush=True,
        )
        for line in sys.stdin:
            server.latency = float(line)
            print(json.dumps(fake.calls), flush=True)
            fake.calls.clear()
            server.requests.clear()


def _account(fake: FakeAws, number: int):
    account_id = "123456789012" if number == 0 else f"{200_000_000_000 + number}"
    account = fake.account(account_id, name=f"Account {number}")
    account.page_size = 1000
    return account


def _packed(truths: list[Truth]) -> dict[str, object]:
    merged: dict[str, list[str]] = {}
    for truth in truths:
        for policy, keys in truth.by_policy.items():
            merged.setdefault(policy, []).extend(keys)
    first = truths[0]
    return {
        "by_policy": merged,
        "users_with_unused_key": sorted(first.users_with_unused_key),
        "users_with_old_key": sorted(first.users_with_old_key),
        "admins": sorted(first.admins),
        "keys": sum(truth.keys for truth in truths),
    }


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
