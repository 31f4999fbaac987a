"""From policy documents to the permission map, the privilege and the way it is reached."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.collectors._aws.documents import covers, overlaps, parse
from auditor.model import Certainty, Privilege
from tests.fakes.aws_account import EVERYTHING
from tests.fakes.aws_crowd import DENIED, NOT_IAM, allow

DAY = timedelta(days=1)


@pytest.fixture
def user(account, now):
    account.user("ci", now - 9 * DAY)
    account.key("ci", now - 9 * DAY)
    return "ci"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def grant(action, resource="*", effect="Allow", **more):
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    ("policy", "permissions", "privilege"),
    [
        (allow("s3:Get*", "s3:List*"), {"s3": {"Get*": True, "List*": True}}, Privilege.READ),
        (allow("S3:PutObject"), {"s3": {"PutObject": True}}, Privilege.WRITE),
        (EVERYTHING, {"*": {"*": True}}, Privilege.ADMIN),
        (allow("iam:*"), {"iam": {"*": True}}, Privilege.ADMIN),
        (
            allow("s3:*", resource="arn:aws:s3:::reports/*"),
            {"s3 (limited)": {"*": True}},
            Privilege.WRITE,
        ),
        (
            allow("iam:*", resource="arn:aws:iam::123456789012:role/one"),
            {"iam (limited)": {"*": True}},
            Privilege.WRITE,
        ),
        (
            allow("iam:PutUserPolicy", resource="arn:aws:iam::*:user/*"),
            {"iam": {"PutUserPolicy": True}},
            Privilege.ADMIN,
        ),
        (allow("iam:PassRole"), {"iam": {"PassRole": True}}, Privilege.WRITE),
        (
            allow("iam:PassRole", "lambda:Create*"),
            {"iam": {"PassRole": True}, "lambda": {"Create*": True}},
            Privilege.ADMIN,
        ),
        (allow("iam:Attach*"), {"iam": {"Attach*": True}}, Privilege.ADMIN),
        (
            document(grant("s3:*"), grant("s3:*", effect="Deny")),
            {},
            Privilege.NONE,
        ),
        (
            document(grant(["s3:Get*", "s3:Put*"]), grant("s3:Put*", effect="Deny")),
            {"s3": {"Get*": True}},
            Privilege.READ,
        ),
        (
            document(grant("*"), {"Effect": "Deny", "NotAction": ["s3:Get*"], "Resource": "*"}),
            {"s3": {"Get*": True}},
            Privilege.READ,
        ),
        (
            document(grant("iam:*"), grant("iam:*", effect="Deny", resource="arn:aws:s3:::x")),
            {"iam": {"*": True}},
            Privilege.ADMIN,
        ),
    ],
)
async def test_a_policy_becomes_the_common_shape(
    account, source, user, policy, permissions, privilege
):
    account.inline(user, policy)
    credential = (await source().read()).one()
    assert credential.permissions == permissions
    assert credential.privilege is privilege
    assert bool(credential.privilege_path) is (privilege is Privilege.ADMIN)


async def test_not_action_leaves_out_what_it_names_and_no_more(account, source, user):
    account.attach(user, account.managed("PowerUserAccess", NOT_IAM, aws=True))
    credential = (await source().read()).one()
    assert credential.privilege is Privilege.WRITE
    assert "* except account:*, iam:*, organizations:*" in credential.permissions["*"]
    account.inline(user, document({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}))
    account.changed()
    credential = (await source().read()).one()
    assert credential.privilege is Privilege.ADMIN
    assert credential.permissions["iam"]["*"] is True


async def test_a_denied_part_of_a_wildcard_is_gone(account, source, user):
    account.inline(user, DENIED)
    assert (await source().read()).one().privilege is Privilege.WRITE
    account.inline(user, document(grant("*"), grant("iam:Delete*", effect="Deny")))
    account.changed()
    credential = (await source().read()).one()
    assert credential.privilege is Privilege.ADMIN
    assert credential.permissions["iam"]["AttachUserPolicy"] is True


async def test_a_boundary_limits_and_a_missing_one_is_not_guessed(account, source, user):
    account.attach(user, account.managed("AdministratorAccess", EVERYTHING, aws=True))
    account.boundaries[user] = account.managed("limit", allow("s3:Get*", "dynamodb:*"))
    credential = (await source().read()).one()
    assert credential.permissions == {"dynamodb": {"*": True}, "s3": {"Get*": True}}
    assert credential.raw["permissions_boundary"] == account.boundaries[user]
    account.boundaries[user] = "arn:aws:iam::123456789012:policy/gone"
    account.changed()
    credential = (await source().read()).one()
    assert credential.permissions is None
    assert credential.privilege is Privilege.UNKNOWN


@pytest.mark.parametrize(
    ("key", "privilege"),
    [
        ("aws:MultiFactorAuthPresent", Privilege.ADMIN),
        ("aws:SourceIp", Privilege.ADMIN),
        ("aws:ResourceTag/team", Privilege.WRITE),
    ],
)
async def test_conditional_grants_are_marked(account, source, user, key, privilege):
    account.inline(user, document(grant("*", Condition={"StringEquals": {key: "x"}})))
    credential = (await source().read()).one()
    assert credential.privilege is privilege
    assert credential.permissions_certainty is Certainty.INFERRED
    assert credential.raw["conditional_permissions"] == [f"*:* if {key.lower()}"]
    assert credential.restrictions == {"conditions": [key.lower()]}


async def test_a_denial_under_a_condition_is_no_denial(account, source, user):
    blocked = grant("*", effect="Deny", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}})
    account.inline(user, document(grant("*"), blocked))
    credential = (await source().read()).one()
    assert credential.privilege is Privilege.ADMIN
    assert credential.permissions_certainty is Certainty.INFERRED


async def test_the_way_to_administration_is_told(account, source, now):
    for name in ("direct", "group", "inline", "customer", "combined", "ingroup", "mfa"):
        account.user(name, now - 9 * DAY)
        account.key(name, now - 9 * DAY)
    administrator = account.managed("AdministratorAccess", EVERYTHING, aws=True)
    account.attach("direct", administrator)
    account.backend.create_group("admins")
    account.backend.attach_group_policy(administrator, "admins")
    account.backend.add_user_to_group("admins", "group")
    account.inline("inline", EVERYTHING, "break")
    account.attach("customer", account.managed("deploy", EVERYTHING))
    account.inline("combined", allow("iam:PassRole"), "pass")
    account.attach("combined", account.managed("functions", allow("lambda:CreateFunction")))
    account.backend.create_group("robots")
    account.backend.put_group_policy("robots", "raise", allow("iam:CreatePolicyVersion"))
    account.backend.add_user_to_group("robots", "ingroup")
    mfa = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    account.inline("mfa", document(grant("iam:*", Condition=mfa)), "careful")
    functions = "customer policy functions attached to the user"
    together = "iam:PassRole with lambda:CreateFunction"
    read = await source().read()
    assert {c.principal.name: c.privilege_path for c in read.credentials.values()} == {
        "direct": ("AWS policy AdministratorAccess attached to the user: *:*",),
        "group": ("AWS policy AdministratorAccess attached to the group admins: *:*",),
        "inline": ("inline policy break of the user: *:*",),
        "customer": ("customer policy deploy attached to the user: *:*",),
        "combined": (f"inline policy pass of the user and {functions}: {together}",),
        "ingroup": ("inline policy raise of the group robots: iam:CreatePolicyVersion",),
        "mfa": ("inline policy careful of the user (if aws:multifactorauthpresent): iam:*",),
    }


@pytest.mark.parametrize(
    ("action", "resource", "privilege"),
    [
        ("iam:PutUserPolicy", "arn:aws:iam::123456789012:user/ci", Privilege.ADMIN),
        ("iam:*", "arn:aws:iam::123456789012:user/${aws:username}", Privilege.ADMIN),
        ("iam:CreateAccessKey", "arn:aws:iam::*:user/${aws:username}", Privilege.WRITE),
        ("iam:PutUserPolicy", "arn:aws:iam::123456789012:user/other", Privilege.WRITE),
        ("iam:PutGroupPolicy", "arn:aws:iam::123456789012:group/robots", Privilege.ADMIN),
        ("iam:CreatePolicyVersion", "arn:aws:iam::123456789012:policy/own", Privilege.ADMIN),
        ("iam:CreatePolicyVersion", "arn:aws:iam::123456789012:policy/else", Privilege.WRITE),
    ],
)
async def test_who_may_change_their_own_rights_is_an_administrator(
    account, source, user, action, resource, privilege
):
    account.backend.create_group("robots")
    account.backend.add_user_to_group("robots", user)
    account.attach(user, account.managed("own", allow("s3:Get*")))
    account.inline(user, allow(action, resource=resource))
    assert (await source().read()).one().privilege is privilege


async def test_an_aws_policy_without_a_document_is_looked_up(account, fake, source, user):
    arn = account.managed("AdministratorAccess", EVERYTHING, aws=True)
    account.attach(user, arn)
    policy = account.backend.managed_policies.pop(arn)
    account.details_page("")
    account.backend.managed_policies[arn] = policy
    fake.trouble("GetPolicyVersion", 403, "AccessDenied", times=1)
    assert (await source().read()).one().permissions is None
    assert (await source().read()).one().privilege is Privilege.ADMIN
    assert fake.calls["GetPolicyVersion"] == 2


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"Statement":[{"Effect":"Maybe","Action":"*"}]}', '{"Statement":5}'],
)
def test_a_damaged_document_is_none(text):
    assert parse(text) is None


names = st.text("ab*?", max_size=6)
plain = st.text("ab", max_size=6)


@given(names, plain, names)
@settings(max_examples=300)
def test_patterns_cover_and_meet_as_their_names_do(pattern, name, other):
    if covers(pattern, name):
        assert overlaps(pattern, name)
        if covers(other, pattern):
            assert covers(other, name)
        if covers(other, name):
            assert overlaps(pattern, other)
    assert overlaps(pattern, other) == overlaps(other, pattern)
    if covers(pattern, other) and "*" not in other and "?" not in other:
        assert overlaps(pattern, other)
