"""Whole audits: canaries in every place a secret can be, and a login that sees nothing."""

import json
import os
import subprocess
import sys
from base64 import b64encode

import pytest

from tests.fakes.keycard import SECRET

CLIENT_SECRET = "CANARY-client-secret-4471"


@pytest.fixture
def config(fake, server, tmp_path):
    fake.clients["auditor"] = CLIENT_SECRET
    fake.credentials["sa-1"][0] |= {"client_secret": SECRET, "secret": {"value": SECRET}}
    fake.add_zone("org-1", "zone-1")
    fake.add_application_credential("zone-1", "ac-1", password=SECRET)
    path = tmp_path / "config.yaml"
    path.write_text(
        f"""
sources:
  - name: keycard-prod
    provider: keycard
    base_url: {server.url}
    client_id: auditor
    client_secret: ${{env:KEYCARD_CLIENT_SECRET}}
    zone_credentials: true
    attempts: 1
reports: {{directory: reports, formats: [html, json, csv, ocsf]}}
"""
    )
    return path


def audit(config, **environment):
    program = "import sys; from auditor.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, "audit", "-c", str(config)],
        capture_output=True,
        cwd=config.parent,
        env=os.environ | environment,
        check=False,
    )


def test_no_secret_is_in_any_output_log_report_or_database(config, server, fake):
    first = audit(config, KEYCARD_CLIENT_SECRET=CLIENT_SECRET)
    server.fault("/organizations/org-2/*", raw=f"{CLIENT_SECRET}{SECRET}".encode())
    second = audit(config, KEYCARD_CLIENT_SECRET=CLIENT_SECRET)
    third = audit(config, KEYCARD_CLIENT_SECRET="CANARY-wrong-secret")

    assert [run.returncode for run in (first, second, third)] == [0, 3, 3]
    assert fake.issued
    written = [path for path in config.parent.rglob("*") if path.is_file() and path != config]
    assert len(written) >= 13
    outputs = [path.read_bytes() for path in written]
    outputs += [run.stdout + run.stderr for run in (first, second, third)]
    basic = b64encode(f"auditor:{CLIENT_SECRET}".encode())
    for output in outputs:
        assert b"CANARY" not in output
        assert basic not in output
        assert b"Traceback" not in output


def test_a_login_that_sees_no_organization_has_audited_nothing(config, fake):
    fake.organizations.clear()

    run = audit(config, KEYCARD_CLIENT_SECRET=CLIENT_SECRET)

    assert run.returncode == 3, run.stderr.decode()
    report = json.loads((config.parent / "reports" / "report-1.json").read_text())
    (part,) = report["coverage"]
    assert (part["status"], part["reason"]) == ("failed", "nothing_listed")
    assert "lists no organization" in part["error"]
