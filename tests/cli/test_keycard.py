"""Keycard through the command line: what people type before they revoke something."""

import json

import pytest

from tests.fakes.http import Reply
from tests.fakes.keycard import FakeKeycard

TOKEN = "CANARY-static-token-55aa"


@pytest.fixture
def fake():
    fake = FakeKeycard(token=TOKEN)
    for organization, account in (("org-1", "sa-1"), ("org-2", "sa-2")):
        fake.add_organization(organization, organization, organization.title())
        fake.add_account(organization, account, "ci")
    fake.add_credential("sa-1", "c-1", created_at="2024-01-01T00:00:00.000Z")
    fake.add_credential("sa-2", "c-2", created_at="2024-01-01T00:00:00.000Z")
    return fake


@pytest.fixture
def server(fake):
    with fake.server() as running:
        yield running


@pytest.fixture
def config(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KEYCARD_TOKEN", TOKEN)
    path = tmp_path / "config.yaml"
    path.write_text(
        "sources:\n"
        f"  - {{name: keycard, provider: keycard, base_url: '{server.url}',\n"
        "     token: '${env:KEYCARD_TOKEN}', organizations: all, attempts: 1}\n"
        "reports: {formats: [json]}\n"
    )
    return path


def coverage(config, run_id):
    report = json.loads((config.parent / "reports" / f"report-{run_id}.json").read_text())
    return {
        part["organization"]["id"]: (part["status"], part.get("reason"))
        for part in report["coverage"]
    }


def open_names(run, config):
    found = json.loads(run("findings", "list", "-c", config, "--json").out)
    return {finding["credential"]["uid"].rsplit(":", 1)[1] for finding in found}


def test_refresh_re_reads_exactly_one_credential_and_judges_it_again(run, fake, config):
    run("audit", "-c", config, "--quiet")
    uid = "keycard:org-1:service_account_credential:c-1"
    before = json.loads(run("credentials", "show", uid, "-c", config, "--refresh", "--json").out)
    (record,) = [r for records in fake.credentials.values() for r in records if r["id"] == "c-1"]
    record["last_used_at"] = "2026-11-20T00:00:00.000Z"

    after = json.loads(run("credentials", "show", uid, "-c", config, "--refresh", "--json").out)
    shown = run("credentials", "show", uid, "-c", config, "--refresh")

    assert "never-used-credential" in before["violations"]
    assert "never" == before["credential"]["last_used_state"]
    assert "never-used-credential" not in after["violations"]
    assert "used" == after["credential"]["last_used_state"]
    assert "violates: " in shown.out
    assert TOKEN not in shown.out + shown.err


def test_refresh_says_that_a_credential_is_gone(run, fake, config):
    run("audit", "-c", config, "--quiet")
    for records in fake.credentials.values():
        records[:] = [record for record in records if record["id"] != "c-1"]

    answer = run(
        "credentials", "show", "keycard:org-1:service_account_credential:c-1", "-c", config,
        "--refresh",
    )  # fmt: skip

    assert answer.code == 0
    assert "is gone" in answer.out


def test_an_organization_that_is_no_longer_listed_is_failed_until_a_second_run_confirms(
    run, fake, config
):
    run("audit", "-c", config, "--quiet")
    fake.organizations[:] = [o for o in fake.organizations if o["id"] != "org-2"]

    first = run("audit", "-c", config, "--quiet")
    kept = open_names(run, config)
    second = run("audit", "-c", config, "--quiet")

    assert first.code == 3
    assert ("failed", "not_listed") == coverage(config, 2)["org-2"]
    assert {"c-1", "c-2"} == kept
    assert second.code == 0
    assert {"c-1"} == open_names(run, config)


def test_one_organization_that_refuses_touches_that_organization_alone(run, server, config):
    server.fault("/organizations/org-2/service-accounts", reply=Reply(403, {"message": "no"}))

    answer = run("audit", "-c", config)

    assert answer.code == 3
    assert "complete" == coverage(config, 1)["org-1"][0]
    assert ("failed", "access_denied") == coverage(config, 1)["org-2"]
    assert "X-Client-Request-ID" in " ".join(answer.out.split())
    assert {"c-1"} == open_names(run, config)


def test_an_organization_that_hangs_starves_no_other(run, server, config):
    config.write_text(config.read_text().replace("attempts: 1", "attempts: 1, deadline: 2s"))
    server.fault("/organizations/org-2/*", delay=60)

    answer = run("audit", "-c", config)

    assert answer.code == 3
    assert "complete" == coverage(config, 1)["org-1"][0]
    assert ("failed", "unavailable") == coverage(config, 1)["org-2"]
    assert "within its deadline of" in " ".join(answer.out.split())


def test_a_login_that_sees_no_organization_is_told_by_the_check(run, fake, config):
    fake.organizations.clear()

    answer = run("sources", "check", "-c", config)

    assert answer.code == 3
    assert "list organizations" in answer.out
