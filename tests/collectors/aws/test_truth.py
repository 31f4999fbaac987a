"""Every finding of every key of a crowd, through the whole line, against a seeded truth."""

import asyncio
import json
from collections import defaultdict
from datetime import timedelta

import pytest

from auditor import pipeline
from auditor.config import load_config
from auditor.line.setting import Order
from tests.fakes.aws import KEY_ID, SECRET, FakeAws
from tests.fakes.aws_crowd import ADMIN_WAYS, break_glass, settle

JUDGED = (
    "dormant-credential",
    "dormant-privileged-credential",
    "long-lived-credential",
    "never-used-credential",
    "over-permissioned-credential",
    "stale-credential",
)


def configured(folder, url, more=""):
    path = folder / "config.yaml"
    path.write_text(
        f"sources:\n  - name: aws-prod\n    provider: aws\n    endpoint_url: {url}\n"
        f"    access_key_id: {KEY_ID}\n    secret_access_key: {SECRET}\n    report_wait: 30s\n"
        f"{more}"
        "reports: {directory: reports, formats: [html, json, ocsf]}\n" + break_glass()
    )
    return load_config(path)


def found(folder, result):
    report = json.loads((folder / "reports" / f"report-{result.view.run.id}.json").read_text())
    by_policy = defaultdict(set)
    for finding in report["findings"]:
        if finding["status"] == "open":
            by_policy[finding["policy_id"]].add(finding["credential"]["uid"].rpartition(":")[2])
    return by_policy


@pytest.fixture
def crowd(now):
    fake = FakeAws(now)
    account = fake.account(page_size=300)
    return fake, account, settle(account, 1000, now)


def test_no_key_of_a_thousand_users_is_called_what_it_is_not(crowd, tmp_path, now):
    fake, _account, truth = crowd
    assert set(truth.ways.values()) >= set(ADMIN_WAYS)
    assert all(truth.by_policy[policy] for policy in JUDGED)
    with fake.server() as server:
        config = configured(tmp_path, server.url)
        first = asyncio.run(pipeline.audit(config, Order(), clock=lambda: now))
        assert not first.is_incomplete
        assert {p: found(tmp_path, first)[p] for p in JUDGED} == {
            p: truth.by_policy[p] for p in JUDGED
        }
        assert fake.calls.total() <= 1000 + 30

        before = fake.calls.copy()
        later = now + timedelta(hours=1)
        fake.set_clock(later)
        second = asyncio.run(pipeline.audit(config, Order(), clock=lambda: later))
        assert not second.is_incomplete
        assert (fake.calls - before).total() <= 30
        assert second.view.summary.credentials == truth.keys


@pytest.mark.slow
def test_no_key_of_five_thousand_users_is_called_what_it_is_not(tmp_path, now):
    fake = FakeAws(now)
    truth = settle(fake.account(), 5000, now, seed=11)
    with fake.server() as server:
        result = asyncio.run(
            pipeline.audit(configured(tmp_path, server.url), Order(), clock=lambda: now)
        )
    opened = found(tmp_path, result)
    assert {p: opened[p] for p in JUDGED} == {p: truth.by_policy[p] for p in JUDGED}
    assert fake.calls.total() <= 5000 + 30


@pytest.mark.slow
def test_every_account_of_a_large_organization_is_judged(tmp_path, now):
    fake = FakeAws(now)
    truths = [
        settle(
            fake.account(f"{100_000_000_000 + number}", name=f"a-{number}"), 20, now, seed=number
        )
        for number in range(120)
    ]
    with fake.server() as server:
        config = configured(
            tmp_path, server.url, "    accounts: organization\n    role_name: Auditor\n"
        )
        result = asyncio.run(pipeline.audit(config, Order(), clock=lambda: now))
    assert not result.is_incomplete
    opened = found(tmp_path, result)
    for policy in JUDGED:
        assert opened[policy] == set().union(*(truth.by_policy[policy] for truth in truths))
