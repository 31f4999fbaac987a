"""A house to audit: real files, a real database, real reports, in a folder of their own."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from auditor import pipeline
from auditor.config import load_config
from auditor.line.setting import Order

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)


class House:
    """A folder with exports, a configuration and everything a run leaves behind."""

    def __init__(self, root):
        self.root = root
        self.now = NOW
        self.extra = ""
        self.sources: tuple[str, ...] = ("exports",)

    def export(self, *credentials, source="exports", at=None):
        path = self.root / f"{source}.json"
        content = {
            "data_as_of": (at or self.now).isoformat(),
            "credentials": list(credentials),
        }
        path.write_text(json.dumps(content))

    def config(self):
        lines = ["sources:"]
        for name in self.sources:
            lines += [f"  - {{name: {name}, provider: file, path: {name}.json}}"]
        if "reports:" not in self.extra:
            lines.append("reports: {directory: reports, formats: [json]}")
        lines.append(self.extra)
        path = self.root / "config.yaml"
        path.write_text("\n".join(lines) + "\n")
        return load_config(path)

    def audit(self, **order):
        with capture_logs():
            result = asyncio.run(
                pipeline.audit(self.config(), Order(**order), clock=lambda: self.now)
            )
        report = self.root / "reports" / f"report-{result.view.run.id}.json"
        return result, json.loads(report.read_text())

    def later(self, **delta):
        self.now += timedelta(**delta)


def key(number, *, used=None, created="2026-02-20T00:00:00Z", organization="acme", **changes):
    """An exported credential that violates nothing unless told otherwise."""
    return {
        "id": f"key-{number}",
        "provider": "acme",
        "organization": {"id": organization, "name": organization.title()},
        "principal": {"id": "svc", "name": "svc", "type": "service_account"},
        "name": f"key-{number}",
        "type": "API Key",
        "created_at": created,
        "last_used_at": used or "2026-02-28T00:00:00Z",
        "expires_state": "unsupported",
        "permissions": {"items": {"read": True}},
        **changes,
    }


DORMANT = {"created": "2026-01-02T00:00:00Z", "used": "2026-01-03T00:00:00Z"}
