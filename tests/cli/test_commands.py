import json
import subprocess
import sys
from pathlib import Path

import pytest

from auditor import __version__
from auditor.cli import COMMANDS


def test_help_names_every_command_and_imports_none_of_them():
    script = (
        "import sys; from auditor.cli import main; code = main(['--help']); "
        "slow = {'sqlalchemy', 'pydantic', 'httpx', 'jinja2', 'rich'} & set(sys.modules); "
        "sys.exit(f'imported {slow}' if slow else code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    for command in COMMANDS:
        assert f"  {command} " in done.stdout


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(run, command):
    answer = run(command, "--help")

    assert answer.code == 0
    assert answer.out.startswith("Usage: auditor")


def test_version(run):
    assert f"auditor, version {__version__}\n" == run("--version").out


def test_an_unknown_command_gets_a_hint(run):
    answer = run("adit")

    assert answer.code == 2
    assert "Did you mean 'audit'?" in answer.err


def test_audit_prints_the_verdict_and_what_comes_first(run, home):
    answer = run("audit", "-c", home / "config.yaml")

    assert answer.code == 0
    assert "as of this time" in answer.out
    assert "Deal with these first:" in answer.out
    assert "why: " in answer.out
    assert "Report: " in answer.out


def test_audit_writes_the_formats_asked_for(run, home):
    answer = run(
        "audit", "-c", home / "config.yaml", "--format", "json", "--output", home / "out", "--quiet"
    )

    assert answer.code == 0
    assert ["report-2.json"] == [path.name for path in (home / "out").iterdir()]


def test_fail_on_counts_open_findings(run, home):
    config = home / "config.yaml"

    assert run("audit", "-c", config, "--fail-on", "critical", "--quiet").code == 1
    assert run("audit", "-c", config, "--fail-on-new", "critical", "--quiet").code == 0
    assert run("audit", "-c", config, "--source", "delta-media", "--quiet").code == 0


def test_incomplete_wins_over_findings(run, home):
    (home / "examples" / "cedar-health.ndjson").unlink()

    answer = run("audit", "-c", home / "config.yaml", "--fail-on", "low")

    assert answer.code == 3
    assert "not read whole: cedar-health" in answer.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit", "-c", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["audit", "--fail-on", "hihg"], "--fail-on"),
        (["audit", "--as-of", "yesterday"], "is no time"),
        (["policies", "show", "dormant"], "Did you mean 'dormant-credential'?"),
        (["providers", "show", "keycrd"], "Did you mean 'keycard'?"),
    ],
)
def test_bad_usage_is_exit_code_2_with_a_sentence(run, arguments, message):
    answer = run(*arguments)

    assert answer.code == 2
    assert message in answer.err
    assert "Traceback" not in answer.err


def test_an_unknown_source_is_named(run, home):
    answer = run("audit", "-c", home / "config.yaml", "--source", "cedar-helth")

    assert answer.code == 2
    assert "Did you mean 'cedar-health'?" in answer.err


def test_a_corrupt_database_is_exit_code_4(run, home):
    (home / "auditor.db").write_bytes(b"this is no database" * 500)

    answer = run("audit", "-c", home / "config.yaml")

    assert answer.code == 4
    assert "auditor.db" in answer.err
    assert "Traceback" not in answer.err


def test_findings_list_filters_and_sorts_by_risk(run, home):
    answer = run(
        "findings", "list", "-c", home / "config.yaml", "--severity", "high", "--json",
        "--provider", "aws",
    )  # fmt: skip

    found = json.loads(answer.out)
    assert found
    assert {"aws"} == {finding["credential"]["provider"] for finding in found}
    assert {"high", "critical"} >= {finding["severity"] for finding in found}
    risks = [finding["risk"]["score"] for finding in found]
    assert sorted(risks, reverse=True) == risks


def test_findings_show_tells_the_story_by_a_shortened_id(run, home):
    config = home / "config.yaml"
    (first, *_) = json.loads(run("findings", "list", "-c", config, "--json", "--limit", "1").out)

    answer = run("findings", "show", first["id"][:12], "-c", config)
    record = json.loads(run("findings", "show", first["id"], "-c", config, "--json").out)

    assert answer.code == 0
    assert first["policy_id"] in answer.out
    assert "run 1  opened" in answer.out
    assert "reach         Whoever has it" in answer.out
    assert ["opened"] == [event["state"]["change"] for event in record["history"]]


def test_credentials_list_and_show(run, home):
    config = home / "config.yaml"
    found = json.loads(run("credentials", "list", "-c", config, "--json", "--limit", "3").out)

    answer = run("credentials", "show", found[0]["uid"], "-c", config)

    assert len(found) == 3
    assert answer.code == 0
    assert found[0]["name"] in answer.out
    assert "run 1  appeared" in answer.out


def test_credentials_list_as_qdm(run, home):
    answer = run(
        "credentials", "list", "-c", home / "config.yaml", "--format", "qdm", "--limit", "2"
    )

    records = [json.loads(line) for line in answer.out.splitlines()]
    assert len(records) == 2
    assert {"uid", "type", "record_id"} <= records[0].keys()


def test_evaluate_shows_what_would_change_and_writes_nothing(run, home):
    config = home / "config.yaml"
    before = (home / "auditor.db").read_bytes()

    same = json.loads(run("evaluate", "-c", config, "--json").out)
    strict = json.loads(
        run("evaluate", "-c", config, "--set", "dormant-credential.idle_for=30d", "--json").out
    )

    assert [] == same["opened"] == same["resolved"]
    assert same["before"] == same["after"]
    assert {"dormant-credential"} == {finding["policy_id"] for finding in strict["opened"]}
    assert [] == strict["resolved"]
    assert before == (home / "auditor.db").read_bytes()


def test_report_renders_a_stored_run_to_the_same_bytes(run, home):
    answer = run(
        "report", "-c", home / "config.yaml", "--run", "1", "--format", "json",
        "--output", home / "again",
    )  # fmt: skip

    assert answer.code == 0
    assert f"{home / 'again' / 'report-1.json'}\n" == answer.out
    expected = (home / "reports" / "report-1.json").read_bytes()
    assert expected == (home / "again" / "report-1.json").read_bytes()


@pytest.mark.parametrize("which", ["7", "first"])
def test_an_unknown_run_is_named(run, home, which):
    answer = run("report", "-c", home / "config.yaml", "--run", which)

    assert answer.code == 2
    assert which in answer.err


def test_policies_list_show_and_test(run):
    listed = json.loads(run("policies", "list", "--json").out)
    shown = run("policies", "show", "dormant-credential")
    tested = run("policies", "test")

    assert {"dormant-credential", "stale-credential"} <= {policy["id"] for policy in listed}
    assert 10 == sum(policy["is_active"] for policy in listed)
    assert "controls (maps to)" in shown.out
    assert tested.code == 0
    assert ", 0 failed" in tested.out


def test_a_failing_policy_example_is_exit_code_1(run, tmp_path):
    source = Path(__file__).parents[2] / "policies" / "dormant-credential.yaml"
    text = source.read_text().replace("expect: pass", "expect: violation")
    (tmp_path / "dormant-credential.yaml").write_text(text)

    answer = run("policies", "test", tmp_path)

    assert answer.code == 1
    assert "dormant-credential" in answer.out


def test_providers_list_and_show(run):
    listed = json.loads(run("providers", "list", "--json").out)
    shown = run("providers", "show", "keycard")

    assert {"file", "keycard"} <= {provider["provider"] for provider in listed}
    assert shown.code == 0
    assert "organizations" in shown.out


def test_config_check_and_schema(run, home):
    assert run("config", "check", "-c", home / "config.yaml").code == 0
    schema = json.loads(run("config", "schema").out)
    report = json.loads(run("config", "schema", "--report").out)

    assert "sources" in schema["properties"]
    assert "sources-keycard" in schema["$defs"]
    assert "findings" in report["$defs"]["Report"]["properties"]


def test_config_check_resolves_references(run, home, monkeypatch):
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    config = home / "config.yaml"
    addition = "\n  - {name: k, provider: keycard, token: '${env:NO_SUCH_TOKEN}'}\n\npolicies:"
    config.write_text(config.read_text().replace("\npolicies:", addition, 1))

    answer = run("config", "check", "-c", config)

    assert answer.code == 2
    assert "NO_SUCH_TOKEN is not set" in answer.err
    assert 2 == run("audit", "-c", config).code


def test_sources_check_says_what_is_missing(run, home):
    good = run("sources", "check", "-c", home / "config.yaml")
    (home / "examples" / "cedar-health.ndjson").unlink()
    bad = run("sources", "check", "-c", home / "config.yaml", "--json")

    assert good.code == 0
    assert bad.code == 3
    assert any(not row["is_granted"] for row in json.loads(bad.out))


def test_init_writes_a_configuration_that_loads_and_never_overwrites(run, tmp_path):
    path = tmp_path / "config.yaml"

    first = run("init", path, "--provider", "keycard", "--provider", "file")
    again = run("init", path)

    assert first.code == 0
    assert again.code == 2
    assert "exists" in again.err
    assert 0o600 == path.stat().st_mode & 0o777
    assert "KEYCARD_TOKEN" in run("config", "check", "-c", path).err


def test_db_upgrade_is_safe_to_repeat(run, home):
    assert run("db", "upgrade", "-c", home / "config.yaml").code == 0
    assert run("db", "upgrade", "-c", home / "config.yaml").code == 0


def test_exceptions_add_list_check(run, home):
    config = home / "config.yaml"
    config.write_text(config.read_text() + "\nexceptions: exceptions.yaml\n")
    (home / "exceptions.yaml").write_text("exceptions: []\n")

    added = run(
        "exceptions", "add", "-c", config, "--policy", "dormant-credential", "--principal",
        "nobody-at-all", "--reason", "r", "--approver", "a@example.com", "--expires", "2027-01-31",
    )  # fmt: skip
    listed = json.loads(run("exceptions", "list", "-c", config, "--json").out)
    checked = run("exceptions", "check", "-c", config, "--json")

    assert added.code == 0
    assert ["nobody-at-all"] == [entry["match"]["principal"] for entry in listed]
    assert checked.code == 1
    assert "unused" in {remark["fault"] for remark in json.loads(checked.out)}


def test_an_exception_for_a_misspelt_policy_is_refused_by_hand_and_told_in_a_file(run, home):
    config = home / "config.yaml"
    config.write_text(config.read_text() + "\nexceptions: exceptions.yaml\n")
    entry = {
        "match": {"policy": "dormant-credentail", "uid": "a"}, "reason": "r",
        "approver": "a@example.com", "created": "2026-01-01", "expires": "2026-12-31",
    }  # fmt: skip
    (home / "exceptions.yaml").write_text(json.dumps({"exceptions": [entry]}))

    added = run(
        "exceptions", "add", "-c", config, "--policy", "dormant-credentail", "--principal", "x",
        "--reason", "r", "--approver", "a@example.com", "--expires", "2027-01-31",
    )  # fmt: skip
    checked = run("exceptions", "check", "-c", config, "--json")
    looked_over = run("config", "check", "-c", config)
    audited = run("--log-level", "warning", "audit", "-c", config)

    assert added.code == 2
    assert "Did you mean 'dormant-credential'?" in added.err
    assert "unknown_policy" in {remark["fault"] for remark in json.loads(checked.out)}
    assert (looked_over.code, audited.code) == (0, 0)
    assert "did you mean 'dormant-credential'?" in looked_over.err
    assert "did you mean 'dormant-credential'?" in audited.err


@pytest.fixture
def mailing(home):
    """The audited folder with one e-mail delivery; nothing listens where it would go."""
    config = home / "config.yaml"
    config.write_text(
        config.read_text() + "\ndeliveries:\n"
        "  - {name: security, channel: email, host: 127.0.0.1, port: 9, tls: none,\n"
        "     from: auditor@example.com, to: [security@example.com], when: always}\n"
    )
    return config


def test_deliver_dry_run_writes_the_message_twice_the_same(run, home, mailing):
    arguments = ["deliver", "-c", mailing, "--run", "1", "--channel", "security", "--dry-run"]

    first = run(*arguments, "--output", home / "one")
    second = run(*arguments, "--output", home / "two")

    (letter,) = (home / "one").glob("*.eml")
    assert (first.code, second.code) == (0, 0)
    assert f"{letter}\n" == first.out
    assert b"Message-ID: <run-1." in letter.read_bytes()
    assert letter.read_bytes() == (home / "two" / letter.name).read_bytes()
    assert 0o600 == letter.stat().st_mode & 0o777


def test_deliver_says_why_a_message_was_not_taken(run, mailing):
    answer = run("deliver", "-c", mailing, "--channel", "security")

    assert answer.code == 3
    assert "security@example.com: " in answer.err


def test_deliver_names_the_known_channels(run, mailing):
    answer = run("deliver", "-c", mailing, "--channel", "secrity")

    assert answer.code == 2
    assert "Did you mean 'security'?" in answer.err


def test_a_mail_that_fails_makes_the_run_incomplete_and_is_kept(run, home, mailing):
    answer = run("audit", "-c", mailing)

    assert answer.code == 3
    assert "will be tried again" in answer.out


def test_a_reader_that_has_seen_enough_is_no_failure(home):
    command = (
        f"{sys.executable} -c 'import sys; from auditor.cli import main; sys.exit(main())' "
        f"credentials list -c {home / 'config.yaml'} --json | head -1; exit ${{PIPESTATUS[0]}}"
    )

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[{")
    assert "Traceback" not in done.stderr
