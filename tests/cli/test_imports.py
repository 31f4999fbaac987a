"""What a command does not use it does not import: start-up is most of a small audit."""

import gc
import json
import subprocess
import sys
from pathlib import Path

from auditor.cli.memory import importing

CONFIG = """
as_of: 2026-03-01T03:00:00Z
sources: [{name: keys, provider: file, path: keys.json}]
reports: {directory: reports, formats: [json]}
"""

UNUSED = {
    "aiosmtplib",
    "alembic",
    "apscheduler",
    "botocore",
    "css_inline",
    "httpx",
    "jinja2",
    "prometheus_client",
    "rich",
    "sqlalchemy.dialects.postgresql",
    "starlette",
    "tenacity",
}
"""Heavy libraries with no part in an audit of files that ends in a JSON report."""


def audit(folder: Path) -> set[str]:
    """Audit in a process of its own; return the names of all modules it imported."""
    script = (
        "import json, sys; from auditor.cli import main; "
        "code = main(['--log-level', 'error', 'audit', '--quiet']); "
        "print(json.dumps(sorted(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_an_audit_of_files_imports_no_client_no_mail_and_no_page(tmp_path: Path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "keys.json").write_text("[]")

    assert set() == UNUSED & audit(tmp_path)


def test_the_garbage_collector_rests_only_while_modules_are_imported():
    with importing():
        assert not gc.isenabled()

    assert gc.isenabled()
