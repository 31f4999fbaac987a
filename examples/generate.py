# ruff: noqa: INP001 - a script, no part of the package
"""Write the example exports: four invented organizations, every case an auditor meets.

    python examples/generate.py [FOLDER]

Everything is made up and fixed: the same files come out every time. ``NOW`` is the ``as_of`` of
``config.example.yaml``, so the examples never go out of date.
"""

import csv
import io
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
EXPORTED = NOW - timedelta(hours=1)

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_TEAMS = ("platform", "payments", "data", "mobile", "research")

Record = dict[str, Any]


def ago(days: float) -> str:
    """Return the instant *days* before now, as RFC 3339."""
    return (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def mark(random: Random, length: int) -> str:
    """Return an id of *length* letters and digits."""
    return "".join(random.choices(_LETTERS, k=length))


# Cedar Health: the auditor's own shape, newline-delimited JSON, as an exporter of ours writes it.

_CEDAR = {"id": "cedar-health-prod", "name": "Cedar Health"}
_READ = {"storage.objects": {"get": True, "list": True}}
_WRITE = {"storage.objects": {"get": True, "create": True, "delete": True}}
_ADMIN = {"roles": {"roles/owner": True}}
_KEY_ADMIN = {"roles": {"roles/iam.serviceAccountKeyAdmin": True}}


def cedar(random: Random) -> Iterator[Record]:
    """Yield a line that dates the export, then Google Cloud keys in every state."""
    yield {"data_as_of": EXPORTED.strftime("%Y-%m-%dT%H:%M:%SZ"), "organization": _CEDAR}
    yield from _cedar_stories(random)
    for number in range(56):
        team = random.choice(_TEAMS)
        age, idle = random.uniform(3, 80), random.uniform(0, 9)
        yield _cedar_key(
            random,
            f"{team}-batch-{number:02}",
            "nightly",
            created_at=ago(age + idle),
            last_used_at=ago(idle),
            permissions=random.choice([_READ, _READ, _READ, _WRITE]),
            owner=f"{team}@cedar-health.example",
        )


def _cedar_key(random: Random, account: str, name: str, **facts: Any) -> Record:
    own_id = "".join(random.choices("0123456789abcdef", k=40))
    principal = f"{account}@cedar-health-prod.iam.gserviceaccount.example"
    return {
        "uid": f"gcp:{_CEDAR['id']}:service_account_key:{own_id}",
        "provider": "gcp",
        "principal": {"id": principal, "name": account, "type": "service_account"},
        "name": name,
        "type": "Service Account Key",
        "status": "active",
        "expires_state": "never",
        "key_algorithm": "RSA",
        "key_bits": 2048,
    } | facts


def _cedar_stories(random: Random) -> Iterator[Record]:
    def key(account: str, name: str, **facts: Any) -> Record:
        return _cedar_key(random, account, name, **facts)

    owner = "platform@cedar-health.example"
    never: Record = {"last_used_state": "never", "owner": owner}
    # Dormant, and the more dangerous for what it may do.
    yield key("legacy-etl", "etl", created_at=ago(900), last_used_at=ago(410), permissions=_WRITE)
    yield key("break-glass", "owner key", created_at=ago(700), last_used_at=ago(200),
              permissions=_ADMIN, owner=owner)  # fmt: skip
    yield key("key-rotator", "rotator", created_at=ago(95), last_used_at=ago(0.2),
              permissions=_KEY_ADMIN, owner=owner)  # fmt: skip
    yield key("terraform", "state", created_at=ago(40), last_used_at=ago(0.1),
              permissions=_ADMIN, owner=owner, tags={"cadence": "daily"})  # fmt: skip
    # Never used: an old one, one of yesterday that deserves patience.
    yield key("poc-2024", "try-out", created_at=ago(600), permissions=_READ, **never)
    yield key("poc-2024", "try-out, second key", created_at=ago(599), permissions=_READ, **never)
    yield key("new-hire-demo", "first key", created_at=ago(1), permissions=_READ, **never)
    # The provider looks back to a day and no further.
    for account, age in (("reporting", 500), ("invoice-archive", 220), ("sandbox", 91)):
        yield key(account, "archive", created_at=ago(age), last_used_state="not_in_window",
                  last_used_window_start=ago(90), permissions=_READ, owner=owner)  # fmt: skip
    # Nobody can tell: API keys and HMAC keys carry no record of use.
    for name in ("maps (web)", "maps (ios)", "vision", "translate"):
        own_id = mark(random, 24)
        yield {
            "uid": f"gcp:{_CEDAR['id']}:api_key:{own_id}",
            "provider": "gcp",
            "name": name,
            "type": "API Key",
            "created_at": ago(random.uniform(30, 900)),
            "last_used_state": "unknown",
            "restrictions": {"services": [name.split()[0] + ".googleapis.example"]}
            if "(" in name
            else None,
            "owner": "mobile@cedar-health.example",
        }
    # Expiry: past, within days, within weeks, far away; a disabled and a revoked one.
    for account, days in (
        ("partner-a", -12),
        ("partner-b", 3),
        ("partner-c", 20),
        ("partner-d", 80),
    ):
        yield key(account, "exchange", created_at=ago(60), last_used_at=ago(2), expires_state="at",
                  expires_at=ago(-days), permissions=_READ, owner=owner,
                  status="expired" if days < 0 else "active")  # fmt: skip
    yield key("partner-e", "exchange (off)", created_at=ago(300), last_used_at=ago(150),
              status="inactive", permissions=_WRITE, owner=owner)  # fmt: skip
    yield key("partner-f", "exchange (gone)", created_at=ago(300), last_used_at=ago(150),
              status="revoked", permissions=_READ, owner=owner)  # fmt: skip
    # Rotated in time although old; in use but never rotated.
    yield key("warehouse", "loader", created_at=ago(1200), rotated_at=ago(30),
              last_used_at=ago(0.5), permissions=_WRITE, owner=owner)  # fmt: skip
    yield key("pharmacy-gateway", "live", created_at=ago(1460), last_used_at=ago(0.05),
              permissions=_WRITE, owner="payments@cedar-health.example")  # fmt: skip
    # Granted far more than is used, and rights that nobody could read.
    yield key("lab-import", "import", created_at=ago(70), last_used_at=ago(1), permissions=_WRITE,
              unused_permissions={"storage.objects": {"create": True, "delete": True}},
              owner="research@cedar-health.example")  # fmt: skip
    yield key("blackbox", "vendor", created_at=ago(50), last_used_at=ago(4), permissions=None)
    # A clock that runs ahead by a month.
    yield key("edge-node-7", "telemetry", created_at=ago(80), last_used_at=ago(-31),
              permissions=_READ, owner="data@cedar-health.example")  # fmt: skip
    # Names as people write them; every report has to survive them.
    for name in (
        "O'Brien's \"nightly\" job",
        "R&D <staging>",
        "=SUM(A1:A9)",
        "+49 89 hotline, switchboard",
        "日本語キー",
        "Müller; DROP TABLE keys --",
        "line one\nline two",
        "{{ deploy }} ${HOME}",
    ):
        yield key("people", name, created_at=ago(45), last_used_at=ago(6), permissions=_READ)


# Aurora Robotics: saved answers of Keycard's list call, one file per service account.

_AURORA = {"id": "org_aurora7k2m", "label": "aurora", "name": "Aurora Robotics"}
_ALLOWANCES: dict[str, Record] = {
    "ci": {"applications": {"read": True, "create": True}, "zones": {"read": True}},
    "deploy": {"zones": {"read": True, "create": True, "update": True, "delete": True}},
    "observability": {"zones": {"read": True}, "applications": {"list": True, "read": True}},
    "people-sync": {"users": {"read": True, "list": True, "update": True}},
    "org-bootstrap": {"organizations": {"read": True, "update": True}, "users": {"create": True}},
    "support-bot": {"applications": {"read": True}, "zones": {"read": False}},
}


def aurora(random: Random) -> dict[str, Record]:
    """Return service account → a saved list answer with what the answer itself does not say."""
    return {
        account: {
            "data_as_of": EXPORTED.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "organization": _AURORA,
            "service_account": {"id": "sa_" + mark(random, 12), "name": account},
            "items": list(_aurora_items(random, account, allowance)),
            "page_info": {"has_next_page": False, "has_prev_page": False},
        }
        for account, allowance in _ALLOWANCES.items()
    }


def _aurora_items(random: Random, account: str, allowance: Record) -> Iterator[Record]:
    idle_days: tuple[float | None, ...] = (0.1, 0.4, 1, 3, 8, 30, 44, 46, 130, None, None)
    for number, idle in enumerate(idle_days):
        age = (
            random.uniform(1, 8)
            if number == 9
            else random.choice([25, 40, 60, 75, 85, 95, 330]) + random.random()
        )
        item: Record = {
            "id": mark(random, 26),
            "client_id": mark(random, 21),
            "created_at": ago(max(age, (idle or 0) + 1)).replace("Z", ".117Z"),
            "name": f"{account}-{number + 1}",
            "permissions": allowance,
        }
        if number in (2, 5):
            item["description"] = f"Rotated by hand, see the {account} runbook"
        if idle is not None:
            item["last_used_at"] = ago(idle).replace("Z", ".402Z")
        elif number == 10:
            item["last_used_at"] = None
        yield item


# Birch Logistics: an AWS credential report, as `aws iam get-credential-report` gives it.

_ACCOUNT = "210987654321"
_KEY = ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")
_REPORT = (
    "user", "arn", "user_creation_time", "password_enabled", "password_last_used",
    "password_last_changed", "password_next_rotation", "mfa_active",
    *(f"access_key_1_{part}" for part in _KEY), *(f"access_key_2_{part}" for part in _KEY),
    "cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated",
)  # fmt: skip
_NO_KEY = ("false", "N/A", "N/A", "N/A", "N/A")


def birch(random: Random) -> list[tuple[str, ...]]:
    """Return the rows of the report, header first."""
    rows = [_REPORT]
    rows.append(_user("<root_account>", 4200, key_1=_aws_key(2400, 700), console="not_supported"))
    rows.append(_user("alice.meyer", 1400, key_1=_aws_key(400, 2), mfa="true", console="true"))
    rows.append(_user("bob", 800, key_1=_aws_key(120, 60), key_2=_aws_key(20, 0.3)))
    rows.append(_user("carol+contractor@birch.example", 500, key_1=_aws_key(480, None)))
    rows.append(_user("console-only", 300, mfa="true", console="true"))
    rows.append(_user("svc-edi-as2", 4300, key_1=_aws_key(4100, None), cert_1=("true", ago(4100))))
    rows.append(_user("svc-old-backup", 2000, key_1=_aws_key(1900, 800, is_active=False)))
    rows.append(_user("svc-two-old", 2000, key_1=_aws_key(900, 0.1), key_2=_aws_key(890, 350)))
    rows.append(_user("svc-fresh", 2, key_1=_aws_key(2, None)))
    for number in range(36):
        age = random.choice([12, 20, 40, 60, 75, 85, 89.5, 91, 200, 700]) + random.uniform(0, 0.4)
        idle = min(age, random.choice([0.05, 0.5, 1, 2, 5, 20, 44, 45.5, 100]))
        second = _aws_key(age / 2, idle / 4) if number % 5 == 0 else _NO_KEY
        rows.append(
            _user(f"svc-route-{number:02}", age + 9, key_1=_aws_key(age, idle), key_2=second)
        )
    return rows


def _aws_key(
    age: float, idle: float | None, *, is_active: bool = True
) -> tuple[str, str, str, str, str]:
    state = "true" if is_active else "false"
    if idle is None:
        return (state, ago(age), "N/A", "N/A", "N/A")
    return (state, ago(age), ago(idle), "eu-central-1", "s3")


def _user(
    name: str,
    age: float,
    *,
    key_1: tuple[str, ...] = _NO_KEY,
    key_2: tuple[str, ...] = _NO_KEY,
    cert_1: tuple[str, str] = ("false", "N/A"),
    console: str = "false",
    mfa: str = "false",
) -> tuple[str, ...]:
    path = "root" if name.startswith("<") else f"user/{name}"
    has_console = console != "false"
    return (
        name,
        f"arn:aws:iam::{_ACCOUNT}:{path}",
        ago(age),
        console,
        ago(30) if has_console else "N/A",
        ago(age) if has_console else "N/A",
        "not_supported" if console == "not_supported" else "N/A",
        mfa,
        *key_1,
        *key_2,
        *cert_1,
        "false",
        "N/A",
    )


# Delta Media: somebody's spreadsheet, with German headings, dates and words.

_HEADINGS = ("Schlüssel-Nr.", "Bezeichnung", "Dienst", "Rechte", "Zustand", "Angelegt",
             "Zuletzt benutzt", "Gültig bis", "Verantwortlich")  # fmt: skip
_BERLIN = ZoneInfo("Europe/Berlin")

_Story = tuple[str, float, float | None, float | None, str, str]
"""Name, age, idle (None: never used), days left (None: for ever), rights, state; all in days."""


def delta(random: Random) -> list[tuple[str, ...]]:
    """Return the rows of the spreadsheet, header first."""
    rows: list[tuple[str, ...]] = [_HEADINGS]
    stories: list[_Story] = [
        ("Redaktion CMS", 1100, 0.1, None, "cms:read cms:write", "aktiv"),
        ("Alt-Archiv", 2600, 900, None, "archiv:read", "aktiv"),
        ("Notfallzugang", 700, None, None, "admin", "aktiv"),
        ("Agentur (Probe)", 200, None, -40, "cms:read", "aktiv"),
        ("Messe 2024", 600, 500, None, "cms:write", "gesperrt"),
        ("Werbepartner & Söhne", 45, 1, 5, "anzeigen:read", "aktiv"),
        ('"Newsletter"; Versand', 300, 2, 25, "versand:write", "aktiv"),
        ("@import kunden.csv", 80, 3, None, "kunden:read kunden:list", "aktiv"),
    ]
    for number in range(44):
        age = random.choice([8, 20, 35, 50, 65, 80, 88, 92, 400]) + random.random()
        unused = min(age, random.choice([0.2, 1, 2, 5, 10, 43, 47, 120]))
        rights = random.choice(["cms:read", "cms:read cms:write", "statistik:read", ""])
        stories.append(
            (f"Dienst {number:02}", age, unused, random.uniform(40, 300), rights, "aktiv")
        )
    for number, (name, age, idle, left, rights, state) in enumerate(stories, start=1):
        owner = "" if number % 9 == 0 else f"{random.choice(_TEAMS)}@delta-media.example"
        used = "nie" if idle is None else "" if number % 11 == 0 else _german(idle)
        until = "unbefristet" if left is None else _german(-left)
        service = "cms" if "Redaktion" in name else "portal"
        rows.append(
            (f"DM-{number:04}", name, service, rights, state, _german(age), used, until, owner)
        )
    return rows


def _german(days: float) -> str:
    return (NOW - timedelta(days=days)).astimezone(_BERLIN).strftime("%d.%m.%Y %H:%M")


def table(rows: list[tuple[str, ...]], delimiter: str = ",") -> str:
    """Return *rows* as CSV text."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


def files() -> dict[str, str]:
    """Return path → content of every example export."""
    random = Random(20260301)  # noqa: S311 - invented names, not cryptography
    lines = [json.dumps(record, ensure_ascii=False) for record in cedar(random)]
    found = {"cedar-health.ndjson": "\n".join(lines) + "\n"}
    for account, answer in aurora(random).items():
        content = json.dumps(answer, indent=2, ensure_ascii=False)
        found[f"aurora-robotics/{account}.json"] = content + "\n"
    found["birch-logistics.csv"] = table(birch(random))
    found["delta-media.csv"] = table(delta(random), ";")
    return found


def main(folder: Path) -> None:
    """Write every export below *folder*."""
    for name, content in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
