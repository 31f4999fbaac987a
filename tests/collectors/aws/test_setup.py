"""What an administrator applies, and how the auditor says what is missing."""

import json
import re

import pytest
import yaml
from botocore.session import Session
from click.testing import CliRunner

from auditor.cli.providers import providers
from auditor.collectors._aws.calls import CALLS, FREE, Need, role_permissions
from auditor.collectors.aws import Aws
from tests.collectors.aws.conftest import MEMBERS


def test_every_declared_call_is_one_that_aws_has():
    session = Session()
    services = {"access-analyzer": "accessanalyzer"}
    for call in CALLS:
        model = session.get_service_model(services.get(call.api.value, call.api.value))
        assert call.action in model.operation_names


def test_no_declared_call_changes_anything():
    for call in CALLS:
        is_reading = call.action.startswith(("Get", "List"))
        makes_a_report = call.action.startswith("Generate")
        assert is_reading or makes_a_report or call.action == "AssumeRole"


def test_the_policy_is_the_declared_calls_and_no_more():
    policy = json.loads(Aws.setup_documents()["policy"])
    (statement,) = policy["Statement"]
    own = (Need.BASE, Need.ORGANIZATION)
    assert set(statement["Action"]) == {c.permission for c in CALLS if c.need not in own}
    assert statement["Resource"] == "*"
    assert {c.permission for c in CALLS if c not in FREE} == {
        line.partition(": ")[0] for line in Aws.least_privileges
    }


class _Template(yaml.SafeLoader):
    """Knows the short forms of CloudFormation."""


_Template.add_multi_constructor("!", lambda _loader, _tag, node: node.value)


def test_the_stack_set_makes_the_role_with_that_policy():
    template = yaml.load(Aws.setup_documents()["stackset"], Loader=_Template)  # noqa: S506
    role = template["Resources"]["AuditorRole"]["Properties"]
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert statement["Action"] == role_permissions()
    trust = role["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Condition"]["StringEquals"] == {"sts:ExternalId": "ExternalId"}


def test_terraform_holds_the_same_actions_and_balanced_blocks():
    text = Aws.setup_documents()["terraform"]
    assert re.findall(r'^      "([a-z-]+:\w+)",$', text, re.MULTILINE) == role_permissions()
    assert '"organizations:ListAccounts"' in text
    assert text.count("{") == text.count("}")
    assert "${data.aws_partition.current.partition}" in text


def run(*arguments):
    return CliRunner().invoke(providers, arguments)


def test_the_command_prints_one_document_ready_to_save():
    shown = run("show", "aws", "--setup", "policy")
    assert json.loads(shown.output)["Version"] == "2012-10-17"
    whole = run("show", "aws").output
    assert "AWSTemplateFormatVersion" in whole
    assert 'resource "aws_iam_role" "auditor"' in whole
    assert set(json.loads(run("show", "aws", "--json").output)["setup"]) == {
        "policy",
        "stackset",
        "terraform",
    }


async def test_the_check_is_a_matrix_of_accounts_and_permissions(organization, everything):
    organization.accounts[MEMBERS[0]].external_id = "another"
    organization.trouble("GetCredentialReport", 403, "AccessDenied", account=MEMBERS[1])
    organization.trouble(
        "GetAccessKeyLastUsed",
        403,
        "AccessDenied",
        account=MEMBERS[2],
        message="User: x is not authorized to perform: iam:GetAccessKeyLastUsed",
    )
    collector = everything.collector()
    try:
        rows = await collector.check()
    finally:
        await collector.aclose()
    missing = {(row.subject, row.permission) for row in rows if not row.is_granted}
    assert missing == {
        ("Member 0", "sts:AssumeRole"),
        (f"Member 1 ({MEMBERS[1]})", "iam:GetCredentialReport"),
        (f"Member 2 ({MEMBERS[2]})", "iam:GetAccessKeyLastUsed"),
    }
    assert sum(row.is_granted for row in rows) == 3 * 10 - 2


async def test_the_check_asks_for_what_the_options_need(organization, source):
    collector = source(ssh_public_keys=True, access_analyzer=True).collector()
    try:
        rows = {row.permission for row in await collector.check()}
    finally:
        await collector.aclose()
    assert {"iam:ListSSHPublicKeys", "access-analyzer:GetFinding"} <= rows
    assert "iam:ListSigningCertificates" not in rows


@pytest.mark.parametrize("name", ["policy", "stackset", "terraform"])
def test_documents_end_where_they_end(name):
    assert Aws.setup_documents()[name] == Aws.setup_documents()[name].strip()
