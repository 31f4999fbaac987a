"""Many accounts: entered one by one, each with its own fate and its own budget."""

import time
from datetime import timedelta

import pytest

from auditor.collectors._aws.calls import Api
from auditor.collectors._aws.places import places
from auditor.errors import ConfigError, SourceError
from tests.collectors.aws.conftest import MEMBERS, OWN
from tests.fakes.aws import FakeAws

DAY = timedelta(days=1)


async def test_every_account_of_the_organization_is_read(organization, everything):
    organization.list_accounts_pages = 2
    found = await everything.read_all()
    assert sorted(found) == sorted([OWN, *MEMBERS])
    for account_id, read in found.items():
        assert read.error is None
        assert read.one().organization.id == account_id
        assert read.one().organization.name == organization.accounts[account_id].name
    assert organization.calls["ListAccounts"] == 3


async def test_the_management_account_without_the_role_is_read_with_the_own_identity(
    organization, everything
):
    await everything.read_all()
    assert set(organization.sessions.values()) == set(MEMBERS)


async def test_a_refused_role_costs_its_account_only(organization, everything):
    organization.accounts[MEMBERS[0]].external_id = "another"
    organization.accounts[MEMBERS[1]].role = None
    found = await everything.read_all()
    for account_id in MEMBERS[:2]:
        error = found[account_id].error
        assert error is not None
        assert error.kind == "role_refused"
        assert f"arn:aws:iam::{account_id}:role/Auditor" in str(error)
        assert "external_id" in str(error)
        assert "canary" not in str(error)
    assert found[MEMBERS[2]].error is None


async def test_throttling_of_one_account_does_not_slow_the_others(organization, everything):
    organization.trouble("ListAccessKeys", 400, "Throttling", account=MEMBERS[0])
    everything.options = everything.options.model_copy(
        update={"request_deadline": timedelta(seconds=1)}
    )
    found = await everything.read_all()
    assert found[MEMBERS[0]].reasons == ["unavailable"]
    assert all(found[one].reasons == [] for one in (OWN, *MEMBERS[1:]))


async def test_a_session_that_ends_early_is_renewed(organization, everything):
    def end_once(_form):
        if not organization.ended:
            organization.ended |= {k for k, v in organization.sessions.items() if v == MEMBERS[0]}
        return False

    organization.trouble("GenerateCredentialReport", 400, "x", account=MEMBERS[0], when=end_once)
    found = await everything.read_all()
    assert found[MEMBERS[0]].error is None
    assert found[MEMBERS[0]].reasons == []
    assert list(organization.sessions.values()).count(MEMBERS[0]) == 2


async def test_suspended_accounts_are_said_and_no_fault(organization, everything):
    organization.accounts[MEMBERS[0]].state = "SUSPENDED"
    organization.accounts[MEMBERS[1]].state = "PENDING_CLOSURE"
    found = await everything.read_all()
    for account_id in MEMBERS[:2]:
        read = found[account_id]
        assert read.error is None
        assert read.credentials == {}
        assert "was not read" in read.notes[0]
    assert MEMBERS[0] not in organization.sessions.values()


async def test_findings_of_an_account_that_was_suspended_since_are_kept(organization, everything):
    await everything.read_all()
    organization.accounts[MEMBERS[0]].state = "SUSPENDED"
    error = (await everything.read_all())[MEMBERS[0]].error
    assert error is not None
    assert error.kind == "account_not_active"


async def test_listed_accounts_only(organization, source):
    found = await source(
        accounts=[MEMBERS[1]], role_name="Auditor", external_id="canary-external-id"
    ).read_all()
    assert list(found) == [MEMBERS[1]]
    assert organization.calls["ListAccounts"] == 0


async def test_without_an_organization_the_source_says_so(organization, everything):
    organization.trouble("ListAccounts", 400, "AWSOrganizationsNotInUseException")
    with pytest.raises(SourceError, match="AWSOrganizationsNotInUse"):
        await everything.read_all()


async def test_a_role_may_be_assumed_in_the_own_account(organization, source):
    organization.accounts[OWN].role = "team/Auditor"
    read = await source(role_name="team/Auditor").read()
    assert read.error is None
    assert OWN in organization.sessions.values()


async def test_partitions_are_told_by_the_credentials(now, source, server, fake):
    fake.account(OWN)
    with pytest.raises(ConfigError, match="partition: aws"):
        await source(partition="aws-cn").read()


async def test_names_and_roles_carry_the_partition(now, source, tmp_path):
    fake = FakeAws(now, partition="aws-us-gov")
    account = fake.account(MEMBERS[0], role="Auditor")
    account.user("ci", now - DAY)
    account.key("ci", now - DAY)
    with fake.server() as server:
        read = await source(
            partition="aws-us-gov",
            endpoint_url=server.url,
            accounts=[MEMBERS[0]],
            role_name="Auditor",
        ).read(MEMBERS[0])
    assert read.one().principal.id == f"arn:aws-us-gov:iam::{MEMBERS[0]}:user/ci"
    assert read.one().url.startswith("https://console.amazonaws-us-gov.com/")


def test_every_partition_has_its_own_endpoints():
    assert places("aws", None, None)[Api.IAM].url == "https://iam.amazonaws.com"
    assert places("aws", "eu-west-1", None)[Api.STS] == (
        "https://sts.eu-west-1.amazonaws.com",
        "eu-west-1",
    )
    assert places("aws", "eu-west-1", None)[Api.IAM].region == "us-east-1"
    china = places("aws-cn", None, None)
    assert china[Api.IAM] == ("https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1")
    assert china[Api.ORGANIZATIONS].region == "cn-northwest-1"
    government = places("aws-us-gov", None, None)
    assert government[Api.IAM].url == "https://iam.us-gov.amazonaws.com"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"accounts": "organization"}, "role_name"),
        ({"accounts": ["12345"]}, "12 digits"),
        ({"accounts": []}, "12 digits"),
        ({"profile": "x"}, "either profile"),
        ({"role_name": "arn:aws:iam::1:role/x"}, "without its ARN"),
        ({"endpoint_url": "http://aws.example.com"}, "https"),
        ({"external_id": "x"}, "at least 2"),
        ({"region": "https://x"}, "region"),
    ],
)
def test_options_that_cannot_work_are_refused(source, account, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        source(**options)


async def test_the_requests_of_an_account_have_a_ceiling_per_second(account, now, source):
    for number in range(8):
        account.user(f"svc-{number}", now - 9 * DAY)
        account.key(f"svc-{number}", now - 9 * DAY)
    started = time.monotonic()
    assert (await source(requests_per_second=20.0).read()).error is None
    assert time.monotonic() - started >= (8 + 7 - 1) / 20
