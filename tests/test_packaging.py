"""What is built is what works: the wheel, unpacked alone in an empty folder."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The wheel's content, as pip would install it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("auditor-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def auditor(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the unpacked package; PYTHONPATH stands before the checkout's own path."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    script = (
        "import sys, auditor; from auditor.cli import main; "
        f"assert auditor.__file__.startswith({str(site)!r}), auditor.__file__; "
        "sys.exit(main())"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_carries_policies_templates_and_migrations(site):
    policies = {path.name for path in (ROOT / "policies").iterdir()}
    templates = {path.name for path in (ROOT / "templates").rglob("*") if path.is_file()}

    assert policies == {path.name for path in (site / "auditor/_data/policies").iterdir()}
    shipped = (site / "auditor/_data/templates").rglob("*")
    assert templates == {path.name for path in shipped if path.is_file()}
    assert list((site / "auditor/store/migrations/versions").glob("0*.py"))
    assert not list(site.glob("tests")) + list(site.glob("examples"))


def test_the_wheel_audits_from_an_empty_folder(site, tmp_path):
    record = {
        "uid": "acme:acme:api_key:k-1",
        "provider": "acme",
        "organization": {"id": "acme", "name": "Acme"},
        "principal": {"id": "svc", "name": "svc", "type": "service_account"},
        "name": "k-1",
        "type": "API Key",
        "status": "active",
        "created_at": "2024-01-01T00:00:00Z",
        "last_used_at": "2024-02-01T00:00:00Z",
        "last_used_state": "used",
    }
    (tmp_path / "keys.ndjson").write_text(json.dumps(record) + "\n")
    (tmp_path / "config.yaml").write_text(
        "sources: [{name: keys, provider: file, path: keys.ndjson}]\n"
        "reports: {formats: [html, json, csv, ocsf, markdown, junit]}\n"
    )

    listed = auditor(site, tmp_path, "policies", "list", "--json")
    audited = auditor(site, tmp_path, "--log-level", "error", "audit")

    assert len(json.loads(listed.stdout)) >= 20
    assert audited.returncode == 0, audited.stderr
    assert "1 high" in audited.stdout
    assert 6 == len(list((tmp_path / "reports").iterdir()))


def test_the_source_distribution_builds_the_same_package(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (sdist,) = tmp_path.glob("auditor-*.tar.gz")
    subprocess.run(["tar", "-xzf", sdist, "-C", tmp_path], check=True)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())

    assert (folder / "policies" / "dormant-credential.yaml").is_file()
    assert (folder / "auditor" / "py.typed").is_file()
    assert not (folder / ".venv").exists()


def test_an_audit_imports_no_vendor_sdk_that_its_configuration_does_not_name(site, tmp_path):
    (tmp_path / "keys.ndjson").write_text("")
    (tmp_path / "config.yaml").write_text(
        "sources: [{name: keys, provider: file, path: keys.ndjson}]\nreports: {formats: [json]}\n"
    )
    script = (
        "import sys; from auditor.cli import main; main(['--log-level', 'error', 'audit']); "
        "print(sorted({name.split('.')[0] for name in sys.modules} & "
        "{'botocore', 'boto3', 'google', 'jwt', 'kubernetes', 'hvac', 'databricks', 'msal', "
        "'apprise', 'pyarrow', 'starlette', 'uvicorn', 'psycopg'}))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "[]" == done.stdout.splitlines()[-1]


WITHOUT_EXTRAS = """
import sys
EXTRAS = {"apprise", "botocore", "cryptography", "google", "jwt", "prometheus_client", "psycopg",
          "pyarrow", "starlette", "uvicorn"}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from auditor import plugs
from auditor.cli import main
"""
"""The base install: as if no extra of the package were there."""


def without_extras(site: Path, cwd: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS + script],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_base_install_can_show_everything_that_the_extras_can_do(site, tmp_path):
    script = (
        "codes = [main(['providers', 'list', '--json'])]\n"
        "codes += [main(['providers', 'show', n]) for n in plugs.names('auditor.collectors')]\n"
        "codes += [main(['config', 'schema']), main(['policies', 'list'])]\n"
        "sys.exit(max(codes))"
    )

    done = without_extras(site, tmp_path, script)

    assert done.returncode == 0, done.stderr[-2000:]


FILES = "sources: [{name: a, provider: file, path: x.json}]"


@pytest.mark.parametrize(
    ("extra", "blocks"),
    [
        ("aws", ["sources: [{name: a, provider: aws}]"]),
        ("gcp", ["sources: [{name: a, provider: gcp, projects: [p]}]"]),
        ("postgres", [FILES, "database: {url: postgresql+psycopg://a@127.0.0.1/a}"]),
        ("parquet", [FILES, "reports: {formats: [security_lake]}"]),
        (
            "notify",
            [
                FILES,
                "deliveries:",
                "- {name: b, channel: apprise, targets: {c: json://127.0.0.1/x}, when: always}",
            ],
        ),
    ],
)
def test_without_its_extra_a_run_names_what_to_install(site, tmp_path, extra, blocks):
    (tmp_path / "x.json").write_text("[]")
    (tmp_path / "config.yaml").write_text("\n".join(blocks))

    done = without_extras(site, tmp_path, "sys.exit(main(['--log-level', 'error', 'audit']))")

    assert done.returncode in (2, 3, 4)
    assert f"auditor[{extra}]" in done.stdout + done.stderr
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr
