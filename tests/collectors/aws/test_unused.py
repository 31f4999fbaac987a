"""Permissions that nobody uses: asked of IAM or imported from Access Analyzer."""

from datetime import timedelta

import pytest

from tests.collectors.aws.conftest import OWN
from tests.fakes.aws_account import EVERYTHING
from tests.fakes.aws_crowd import allow

DAY = timedelta(days=1)


@pytest.fixture
def pair(account, now):
    """An administrator and one who reads and writes S3."""
    for name in ("boss", "ci"):
        user = account.user(name, now - 90 * DAY)
        account.key(name, now - 90 * DAY)
        services = [
            {"ServiceNamespace": "s3", "LastAuthenticated": now - DAY},
            {"ServiceNamespace": "sqs"},
        ]
        account.last_accessed[user.arn] = services
    account.inline("boss", EVERYTHING)
    account.inline("ci", allow("s3:*", "sqs:SendMessage"))
    return account


async def unused(aws):
    found = (await aws.read()).credentials.values()
    return {one.principal.name: one.unused_permissions for one in found}


async def test_by_default_nobody_is_asked(pair, fake, source):
    assert await unused(source()) == {"boss": None, "ci": None}
    assert fake.calls["GenerateServiceLastAccessedDetails"] == 0


async def test_administrators_are_asked_which_services_they_never_use(pair, fake, source):
    found = await unused(source(unused_permissions="admins"))
    assert found == {"boss": {"sqs": {"*": True}}, "ci": None}
    assert fake.calls["GenerateServiceLastAccessedDetails"] == 1


async def test_everybody_is_asked_by_option(pair, source):
    found = await unused(source(unused_permissions="all"))
    assert found["ci"] == {"sqs": {"SendMessage": True}}


async def test_a_refusal_is_a_gap_and_leaves_it_unknown(pair, fake, source):
    fake.trouble("GenerateServiceLastAccessedDetails", 403, "AccessDenied")
    read = await source(unused_permissions="all").read()
    assert read.reasons == ["access_denied"]
    assert len(read.credentials) == 2
    assert {one.unused_permissions for one in read.credentials.values()} == {None}


def finding(number, user, service, *actions):
    detail = {"serviceNamespace": service, "actions": [{"action": a} for a in actions]}
    return {
        "id": f"finding-{number}",
        "resource": f"arn:aws:iam::{OWN}:user/{user}",
        "resourceOwnerAccount": OWN,
        "status": "ACTIVE",
        "findingType": "UnusedPermission",
        "findingDetails": [{"unusedPermissionDetails": detail}],
    }


@pytest.mark.parametrize("is_organization", [True, False])
async def test_findings_of_an_analyzer_are_imported(pair, fake, source, is_organization):
    pair.analyzer_findings = [
        finding(1, "boss", "ec2"),
        finding(2, "ci", "s3", "DeleteObject", "PutObject"),
        finding(3, "somebody", "s3"),
        finding(4, "ci", "sqs", "SendMessage"),
    ]
    arn = f"arn:aws:access-analyzer:us-east-1:{OWN}:analyzer/unused"
    found = await unused(source(access_analyzer=arn if is_organization else True))
    assert found == {
        "boss": {"ec2": {"*": True}},
        "ci": {"s3": {"DeleteObject": True, "PutObject": True}, "sqs": {"SendMessage": True}},
    }
    assert fake.calls["ListFindingsV2"] == 2
    assert fake.calls["GetFindingV2"] == 3
