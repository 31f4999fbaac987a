"""A crowd of users with a seeded truth: what each single key must and must not be called.

The truth is worked out from what is put in, by rules written here anew, not by the auditor's.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.fakes.aws_account import EVERYTHING, FakeAccount

DAY = timedelta(days=1)
PRECISION = timedelta(minutes=15)
ADMIN_WAYS = ("direct", "group", "inline", "customer", "pass-role", "policy-version", "attach")
HARMLESS_WAYS = ("read", "bucket", "not-action", "boundary", "denied", "pass-role-alone", "none")


def allow(*actions: str, resource: str = "*") -> str:
    return _document({"Effect": "Allow", "Action": list(actions), "Resource": resource})


def _document(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


NOT_IAM = _document(
    {
        "Effect": "Allow",
        "NotAction": ["iam:*", "organizations:*", "account:*"],
        "Resource": "*",
    }
)
DENIED = _document(
    {"Effect": "Allow", "Action": "*", "Resource": "*"},
    {
        "Effect": "Deny",
        "Action": ["iam:*", "lambda:*", "ec2:*", "cloudformation:*"],
        "Resource": "*",
    },
)


@dataclass
class Truth:
    """What must be found, by policy, as access key ids."""

    by_policy: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    users_with_unused_key: set[str] = field(default_factory=set)
    """Of whom an active key is 45 days without use, counted as tools do that know users only."""
    users_with_old_key: set[str] = field(default_factory=set)
    admins: set[str] = field(default_factory=set)
    ways: dict[str, str] = field(default_factory=dict)
    keys: int = 0


def break_glass() -> str:
    """Return the overrides that go with the crowd: break-glass keys may rest for two years."""
    return (
        "policies:\n  override:\n"
        "    - {policy: dormant-credential, match: {tags: {break-glass: 'yes'}}, "
        "parameters: {idle_for: 730d}}\n"
        "    - {policy: dormant-privileged-credential, match: {tags: {break-glass: 'yes'}}, "
        "parameters: {idle_for: 730d}}\n"
        "    - {policy: never-used-credential, match: {tags: {break-glass: 'yes'}}, "
        "parameters: {unused_for: 730d}}\n"
    )


def settle(account: FakeAccount, users: int, now: datetime, seed: int = 7) -> Truth:
    """Put *users* into *account* and return what is true of their keys at *now*."""
    rng = random.Random(seed)
    truth = Truth()
    policies = _policies(account)
    for number in range(users):
        name = f"svc-{number:05}"
        is_admin = rng.random() < 0.13
        way = rng.choice(ADMIN_WAYS if is_admin else HARMLESS_WAYS)
        tags = {"owner": f"team-{number % 17}@example.com"}
        if is_break_glass := rng.random() < 0.04:
            tags["break-glass"] = "yes"
        account.user(name, now - 800 * DAY, **tags)
        _grant(account, name, way, policies)
        truth.ways[name] = way
        if is_admin:
            truth.admins.add(name)
        for spec in _keys(rng, now):
            _give(account, truth, name, spec, now, is_admin=is_admin, is_break_glass=is_break_glass)
    account.changed()
    return truth


@dataclass(frozen=True)
class _Key:
    created_at: datetime
    used_at: datetime | None
    is_active: bool


def _keys(rng: random.Random, now: datetime) -> Iterator[_Key]:
    """Yield 0 to 2 keys; two of one second now and then."""
    count = rng.choices((0, 1, 2), (5, 55, 40))[0]
    first: datetime | None = None
    for _ in range(count):
        created = now - timedelta(days=rng.randint(1, 720), seconds=rng.randint(0, 86_399))
        if first is not None and rng.random() < 0.01:
            created = first
        first = created
        used = None
        if rng.random() > 0.2:
            span = (now - created).total_seconds()
            back = rng.random() * span * rng.choice((1, 0.02))
            used = (now - timedelta(seconds=back)).replace(microsecond=0)
        yield _Key(created, used, rng.random() > 0.1)


def _give(
    account: FakeAccount,
    truth: Truth,
    user: str,
    spec: _Key,
    now: datetime,
    *,
    is_admin: bool,
    is_break_glass: bool,
) -> None:
    key = account.key(
        user,
        spec.created_at,
        used_at=spec.used_at,
        active=spec.is_active,
        changed_at=None if spec.is_active else spec.created_at + (now - spec.created_at) / 3,
    )
    truth.keys += 1
    if not spec.is_active:
        return
    age = now - spec.created_at
    idle = now - spec.used_at - PRECISION if spec.used_at is not None else age
    patience = 730 * DAY if is_break_glass else None
    found = truth.by_policy
    if is_admin:
        found["over-permissioned-credential"].add(key.access_key_id)
    if is_admin and idle >= (patience or 30 * DAY):
        found["dormant-privileged-credential"].add(key.access_key_id)
    elif spec.used_at is None and idle >= (patience or 30 * DAY):
        found["never-used-credential"].add(key.access_key_id)
    elif spec.used_at is not None and idle >= (patience or 45 * DAY):
        found["dormant-credential"].add(key.access_key_id)
    if age >= 365 * DAY:
        found["long-lived-credential"].add(key.access_key_id)
    elif age >= 90 * DAY:
        found["stale-credential"].add(key.access_key_id)
    if idle >= 45 * DAY:
        truth.users_with_unused_key.add(user)
    if age >= 90 * DAY:
        truth.users_with_old_key.add(user)


def _policies(account: FakeAccount) -> dict[str, str]:
    account.backend.create_group("admins")
    administrator = account.managed("AdministratorAccess", EVERYTHING, aws=True)
    account.backend.attach_group_policy(administrator, "admins")
    account.backend.create_group("readers")
    account.backend.put_group_policy("readers", "read", allow("s3:Get*", "s3:List*"))
    return {
        "direct": administrator,
        "customer": account.managed("deploy-everything", allow("*")),
        "not-action": account.managed("PowerUserAccess", NOT_IAM, aws=True),
        "limit": account.managed("limit", allow("s3:*", "dynamodb:*")),
    }


def _grant(account: FakeAccount, user: str, way: str, policies: dict[str, str]) -> None:
    """Give *user* its rights in one of the ways."""
    match way:
        case "direct" | "customer" | "not-action":
            account.attach(user, policies[way])
        case "group":
            account.backend.add_user_to_group("admins", user)
        case "read":
            account.backend.add_user_to_group("readers", user)
        case "boundary":
            account.attach(user, policies["direct"])
            account.boundaries[user] = policies["limit"]
        case "none":
            pass
        case _:
            account.inline(user, _INLINE[way])


_INLINE = {
    "inline": allow("*"),
    "pass-role": allow("iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"),
    "policy-version": allow("iam:CreatePolicyVersion", "s3:*"),
    "attach": allow("iam:Attach*Policy"),
    "bucket": allow("s3:*", resource="arn:aws:s3:::reports/*"),
    "denied": DENIED,
    "pass-role-alone": allow("iam:PassRole", "s3:PutObject"),
}
