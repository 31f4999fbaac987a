from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest
from sqlalchemy import make_url

from auditor.config import load_config
from auditor.errors import ConfigError
from auditor.log import redact

MINIMAL = """\
sources:
  - name: exports
    provider: file
    path: exports/*.json
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(dedent(text))
        return path

    return write


def test_a_minimal_file_has_defaults_for_everything_else(write, tmp_path):
    config = load_config(write(MINIMAL))

    assert f"sqlite:///{tmp_path / 'auditor.db'}" == config.database_url
    assert ("html", "json") == config.layout.reports.formats
    assert tmp_path / "reports" == config.report_directory
    assert ["exports"] == [source.name for source in config.sources]
    assert "cis-45-90" == config.layout.policies.preset
    assert () == config.warnings


def test_a_password_in_the_database_url_is_looked_up_and_encoded(write, tmp_path, monkeypatch):
    (tmp_path / "password").write_text("a@b/c:d%e\n")
    (tmp_path / "password").chmod(0o600)
    url = "postgresql+psycopg://auditor:${file:password}@database/auditor"
    config = load_config(write(f'database: {{url: "{url}"}}\n' + MINIMAL))

    assert make_url(config.database_url).password == "a@b/c:d%e"
    assert make_url(config.database_url).host == "database"
    assert redact("server said a@b/c:d%e") == "server said [redacted]"

    monkeypatch.setenv("WHERE", "sqlite:///elsewhere.db")
    config = load_config(write('database: {url: "${env:WHERE}"}\n' + MINIMAL))
    assert config.database_url == f"sqlite:///{tmp_path / 'elsewhere.db'}"
    assert config.is_on_sqlite


def test_a_missing_part_of_the_database_url_is_named_once_it_is_needed(write):
    path = write('database: {url: "postgresql://${env:NOT_SET}@host/name"}\n' + MINIMAL)

    with pytest.raises(ConfigError, match=r"NOT_SET is not set \(in database.url\)"):
        load_config(path).database_url  # noqa: B018 - the lookup is what fails


def test_as_of_becomes_utc(write):
    config = load_config(write('as_of: "2026-03-01T04:00:00+01:00"\n' + MINIMAL))

    assert datetime(2026, 3, 1, 3, tzinfo=UTC) == config.layout.as_of


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (MINIMAL + "report: {}\n", ":5:1:", "unknown key 'report'; did you mean 'reports'?"),
        (MINIMAL + "    pth: x\n", ":5:5:", "unknown key 'pth'; did you mean 'path'?"),
        ("sources: []\n", ":1:10:", "sources must hold 1 or more"),
        ("sources: exports\n", ":1:10:", "sources must be a list"),
        ("sources: [exports]\n", ":1:11:", "sources.0 must hold keys and values"),
        ("as_of: 2026-03-01T03:00:00\n" + MINIMAL, ":1:8:", "as_of lacks its offset; add Z"),
        ("as_of: yesterday\n" + MINIMAL, ":1:8:", "as_of is no time; write it like 2026-"),
        ("{}", ":1:1:", "'sources' is missing"),
        (
            "sources: [{name: a, provider: keycrd}]\n",
            ":1:31:",
            "There is no provider 'keycrd'. Did you mean 'keycard'?",
        ),
        ("sources: [{name: a}]\n", ":1:11:", "'provider' is missing"),
        (
            MINIMAL + "reports: {formats: [jsn]}\n",
            ":5:21:",
            "There is no format 'jsn'. Did you mean 'json'?",
        ),
        (
            MINIMAL + "reports: {options: {ocfs: {class: detection}}}\n",
            ":5:21:",
            "There is no format 'ocfs'. Did you mean 'ocsf'?",
        ),
        (
            MINIMAL + "reports: {options: {ocsf: {clas: detection}}}\n",
            ":5:28:",
            "unknown key 'clas'; did you mean 'class'?",
        ),
        (
            MINIMAL + "  - {name: exports, provider: file, path: x}\n",
            ":5:12:",
            "the name 'exports' is taken",
        ),
        (
            MINIMAL + "known_gaps: [{source: exprts, reason: r, expires: 2026-01-01}]\n",
            ":5:23:",
            "There is no source 'exprts'. Did you mean 'exports'?",
        ),
        (
            MINIMAL + "schedules: [{name: n, cron: 0 3 * * *, deliveries: [mail]}]\n",
            ":5:53:",
            "There is no delivery 'mail'. Known: none.",
        ),
        ("a: [1\n", ":2:1:", "not valid YAML"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_a_hint(write, text, place, message):
    path = write(text)

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    assert f"config.yaml{place}" in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file"):
        load_config(tmp_path / "nowhere.yaml")


def test_a_literal_secret_works_and_warns(write):
    path = write(
        """\
        sources:
          - name: keycard
            provider: keycard
            base_url: https://api.keycard.ai
            token: CANARY-literal
            organizations: all
        """
    )

    config = load_config(path)

    (warning,) = config.warnings
    assert "config.yaml:5: token holds a secret in plain text" in warning
    assert "CANARY" not in warning


def test_references_are_checked_when_the_source_opens_not_when_the_file_is_read(write, monkeypatch):
    monkeypatch.delenv("KEYCARD_TOKEN", raising=False)
    path = write(
        """\
        sources:
          - name: keycard
            provider: keycard
            base_url: ${env:KEYCARD_URL}
            token: ${env:KEYCARD_TOKEN}
            organizations: all
        """
    )
    monkeypatch.setenv("KEYCARD_URL", "https://api.keycard.ai")

    (source,) = load_config(path).sources

    with pytest.raises(ConfigError, match="KEYCARD_TOKEN is not set"):
        source.options()


def test_a_mistake_beside_a_reference_is_still_found(write):
    path = write(
        """\
        sources:
          - name: keycard
            provider: keycard
            base_url: https://api.keycard.ai
            token: ${env:KEYCARD_TOKEN}
            organisations: all
        """
    )

    with pytest.raises(ConfigError, match="did you mean 'organizations'"):
        load_config(path)


def test_a_secret_in_a_wrong_place_is_not_echoed(write):
    path = write(MINIMAL.replace("exports/*.json", "{a: CANARY-secret}"))

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    assert "CANARY" not in str(caught.value)


def test_sources_are_chosen_by_name(write):
    config = load_config(write(MINIMAL))

    assert ["exports"] == [source.name for source in config.select(["exports"])]
    with pytest.raises(ConfigError, match="Did you mean 'exports'"):
        config.select(["exprots"])
