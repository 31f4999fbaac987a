"""A company with many credentials, day by day: what its exports say, and what a reader knows.

The simulation knows nothing of policies or findings. It writes exports and remembers what a run
has read of them.
"""

import random
from datetime import datetime, timedelta
from typing import Any

from tests.house import House

DAY = timedelta(days=1)
OWNERS = (None, "ann@example.com", "bob@example.com", "platform", "data")
SOURCES = ("north", "south", "east", "west")
ENABLED = (
    "departed-owner",
    "review-overdue",
    "ownerless-credential",
    "multiple-active-credentials",
    "shared-credential",
    "permission-growth",
    "permission-outlier",
)
EXCEPTION = (
    "  - {{match: {{policy: {policy}, principal: 'p1*'}}, reason: agreed, approver: ciso,"
    " created: {created}, expires: {expires}}}\n"
)


class Company:
    """Credentials by source; every day some are used, made, rotated, narrowed, given away, lost."""

    def __init__(self, house: House, size: int, seed: int) -> None:
        self.house = house
        self.dice = random.Random(seed)
        self.number = 0
        self.living: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in SOURCES}
        self.known: dict[str, dict[str, Any]] = {}
        """uid → what was read of it last."""
        house.sources = SOURCES
        for _ in range(size):
            self._make(age=self.dice.choice((1, 20, 44, 60, 89, 120, 400, 900)))

    def day(self) -> None:
        """Let a day pass."""
        self.house.later(days=1)
        for name in SOURCES:
            for identity in list(self.living[name]):
                self._live(name, identity)
        for _ in range(self.dice.randrange(max(2, len(self.known) // 100))):
            self._make(age=0)

    def publish(self) -> tuple[dict[str, set[str]], tuple[str, ...]]:
        """Write the exports; returns what each source shows, and the sources to select."""
        shown: dict[str, set[str]] = {}
        for name in SOURCES:
            fate = self.dice.random()
            path = self.house.root / f"{name}.json"
            if fate < 0.06:
                path.unlink(missing_ok=True)
                shown[name] = set()
                continue
            entries = list(self.living[name].values())
            if fate < 0.12 and len(entries) >= 25:
                entries = entries[: len(entries) // 3]  # a drop that nobody believes
            self.house.export(*entries, source=name)
            shown[name] = {self.uid(entry) for entry in entries}
        selected = SOURCES if self.dice.random() > 0.15 else tuple(self.dice.sample(SOURCES, 3))
        return {name: shown[name] for name in selected}, selected

    def remember(self, shown: dict[str, set[str]]) -> None:
        """Note what a run has read."""
        for name, uids in shown.items():
            for entry in self.living[name].values():
                if self.uid(entry) in uids:
                    self.known[self.uid(entry)] = dict(entry)

    def configure(self, day: int) -> None:
        """Change the policies now and then, and the exceptions every ten days."""
        off = "stale-credential" if day % 30 in (5, 6, 7) else "unobservable-usage"
        limit = "30d" if day % 20 >= 15 else "45d"
        self.house.extra = (
            "exceptions: exceptions.yaml\n"
            "reports: {directory: reports, formats: [json, csv, junit, markdown]}\n"
            f"policies:\n  enable: [{', '.join(ENABLED)}]\n  disable: [{off}]\n"
            f"  override: [{{policy: dormant-credential, parameters: {{idle_for: {limit}}}}}]\n"
        )
        start = self.house.now - (day % 10) * DAY
        text = "".join(
            EXCEPTION.format(policy=policy, created=f"{start:%Y-%m-%d}", expires=f"{end:%Y-%m-%d}")
            for policy, end in (
                ("dormant-credential", start + 6 * DAY),
                ("long-lived-credential", start + 60 * DAY),
            )
        )
        (self.house.root / "exceptions.yaml").write_text(f"exceptions:\n{text}")

    @staticmethod
    def uid(entry: dict[str, Any]) -> str:
        return f"{entry['provider']}:{entry['organization']['id']}:credential:{entry['id']}"

    def _make(self, *, age: int) -> None:
        self.number += 1
        source = self.dice.choice(SOURCES)
        principal = f"p{self.dice.randrange(60)}"
        organization = f"{source}-{self.dice.randrange(1, 3)}"
        born = self.house.now - age * DAY
        idle = self.dice.choice((0, 1, 10, 44, 46, 200))
        used = max(born, self.house.now - idle * DAY)
        self.living[source][f"c{self.number}"] = {
            "id": f"c{self.number}",
            "provider": self.dice.choice(("acme", "umbrella")) if source == "west" else "acme",
            "organization": {"id": organization, "name": organization.title()},
            "principal": {
                "id": principal,
                "name": principal,
                "type": self.dice.choice(("service_account", "user")),
                "status": self.dice.choice(("active", "active", "suspended", None)),
            },
            "name": f"key {self.number}",
            "type": "API Key",
            "created_at": _written(born),
            **self.dice.choice(
                (
                    {"last_used_at": _written(used)},
                    {"last_used_at": _written(used)},
                    {"last_used_state": "never"},
                    {},
                )
            ),
            "expires_state": self.dice.choice(("never", "unsupported")),
            "permissions": self._permissions(),
            "permissions_subject": "credential",
            "owner": self.dice.choice(OWNERS),
            "fingerprint": f"f{self.dice.randrange(4_000)}",
        }

    def _permissions(self) -> dict[str, dict[str, bool]] | None:
        width = self.dice.choice((1, 1, 2, 3, 40))
        narrow = {"items": {f"action-{n}": True for n in range(width)}}
        return self.dice.choice((narrow, narrow, narrow, {"*": {"*": True}}, None))

    def _live(self, source: str, identity: str) -> None:
        entry, fate = self.living[source][identity], self.dice.random()
        now = _written(self.house.now)
        if fate < 0.05:
            entry["last_used_at"] = now
            entry.pop("last_used_state", None)
        elif fate < 0.06:
            del self.living[source][identity]
        elif fate < 0.065:
            entry["rotated_at"] = now
        elif fate < 0.07:
            entry["owner"] = self.dice.choice(OWNERS)
        elif fate < 0.08:
            entry["permissions"] = self._permissions()
        elif fate < 0.085:
            entry["status"] = self.dice.choice(("active", "inactive"))


def _written(at: datetime) -> str:
    return at.isoformat()
