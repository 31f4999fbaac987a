"""The privilege classifier: one strongest permission decides, and unknown verbs are writes."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.model import Credential, PermissionMap, PermissionsSubject, Privilege
from auditor.policy import privilege
from auditor.policy.privilege import classify, providers_with_rules, reasons, rules_for

Build = Callable[..., Credential]
RANK = [Privilege.NONE, Privilege.READ, Privilege.WRITE, Privilege.ADMIN]


def granted(**permissions: list[str]) -> PermissionMap:
    return {
        resource.replace("__", "."): dict.fromkeys(actions, True)
        for resource, actions in permissions.items()
    }


@pytest.fixture
def privilege_of(credential: Build) -> Callable[[str, PermissionMap], Privilege]:
    def judge(provider: str, permissions: PermissionMap) -> Privilege:
        return classify(credential(provider=provider, permissions=permissions)).privilege

    return judge


def test_unknown_permissions_leave_the_privilege_unknown(credential: Build) -> None:
    assert classify(credential(permissions=None)).privilege is Privilege.UNKNOWN


def test_the_auditors_own_permissions_say_nothing_about_the_credential(credential: Build) -> None:
    callers = credential(
        permissions=granted(users=["delete"]), permissions_subject=PermissionsSubject.CALLER
    )
    assert classify(callers).privilege is Privilege.UNKNOWN


def test_what_the_provider_states_is_kept(credential: Build) -> None:
    stated = credential(permissions=granted(users=["delete"]), privilege=Privilege.READ)
    assert classify(stated) is stated


def test_classifying_changes_nothing_else_and_not_the_original(credential: Build) -> None:
    before = credential(permissions=granted(zones=["read"]))
    after = classify(before)
    assert before.privilege is Privilege.UNKNOWN
    assert after.privilege is Privilege.READ
    assert classify(after) == after
    assert after.permissions is before.permissions


@pytest.mark.parametrize("permissions", [{}, {"users": {}}, {"users": {"delete": False}}])
def test_nothing_granted_is_none(
    privilege_of: Callable[..., Privilege], permissions: PermissionMap
) -> None:
    for provider in [*sorted(providers_with_rules()), "acme"]:
        assert privilege_of(provider, permissions) is Privilege.NONE


EXAMPLES: list[tuple[str, PermissionMap, Privilege]] = [
    ("keycard", granted(zones=["read"], applications=["list"]), Privilege.READ),
    ("keycard", granted(applications=["read", "create"]), Privilege.WRITE),
    ("keycard", granted(applications=["frobnicate"]), Privilege.WRITE),
    ("keycard", granted(zones=["create"]), Privilege.ADMIN),
    ("keycard", granted(organizations=["update"]), Privilege.ADMIN),
    ("keycard", granted(users=["frobnicate"]), Privilege.ADMIN),
    ("keycard", granted(service_account_credentials=["create"]), Privilege.ADMIN),
    ("keycard", granted(applications=["*"]), Privilege.ADMIN),
    ("keycard", {"zones": {"delete": False, "read": True}}, Privilege.READ),
    ("aws", {"*": {"*": True}}, Privilege.ADMIN),
    ("aws", granted(iam=["*"]), Privilege.ADMIN),
    ("aws", granted(iam=["createaccesskey"]), Privilege.ADMIN),
    ("aws", granted(iam=["Put*"]), Privilege.ADMIN),
    ("aws", {"*": {"CreatePolicyVersion": True}}, Privilege.ADMIN),
    ("aws", {"iam (limited)": {"CreateAccessKey": True}}, Privilege.WRITE),
    ("aws", granted(s3=["*"]), Privilege.WRITE),
    ("aws", granted(s3=["Get*", "List*"], ec2=["DescribeInstances"]), Privilege.READ),
    ("aws", granted(s3=["G*"]), Privilege.WRITE),
    ("aws", {"*": {"Get*": True, "List*": True}}, Privilege.READ),
    ("aws", granted(iam=["PassRole"]), Privilege.WRITE),
    ("aws", {"lambda": {"CreateFunction": True}}, Privilege.WRITE),
    ("aws", granted(iam=["PassRole"]) | {"lambda": {"CreateFunction": True}}, Privilege.ADMIN),
    ("aws", granted(iam=["PassRole"], ec2=["*"]), Privilege.ADMIN),
    ("github", granted(contents=["read"], metadata=["read"]), Privilege.READ),
    ("github", granted(contents=["write"]), Privilege.WRITE),
    ("github", granted(members=["write"]), Privilege.ADMIN),
    ("github", granted(scope=["repo"]), Privilege.ADMIN),
    ("github", granted(scope=["read:org"]), Privilege.READ),
    ("github", granted(scope=["gist"]), Privilege.WRITE),
    ("gcp", granted(role=["roles/viewer"]), Privilege.READ),
    ("gcp", granted(role=["roles/editor"]), Privilege.ADMIN),
    ("gcp", granted(role=["roles/storage.objectCreator"]), Privilege.WRITE),
    ("gcp", granted(role=["roles/iam.serviceAccountKeyAdmin"]), Privilege.ADMIN),
    ("gcp", granted(storage__buckets=["setIamPolicy"]), Privilege.ADMIN),
    ("gcp", granted(iam__serviceAccounts=["actAs"]), Privilege.ADMIN),
    ("gcp", granted(iam__serviceAccounts=["get", "list"]), Privilege.READ),
    ("entra", {"Microsoft Graph": {"Application.ReadWrite.All": True}}, Privilege.ADMIN),
    ("entra", {"Microsoft Graph": {"Mail.ReadWrite": True}}, Privilege.WRITE),
    ("entra", {"Microsoft Graph": {"Directory.Read.All": True}}, Privilege.READ),
    ("entra", {"directory role": {"Global Administrator": True}}, Privilege.ADMIN),
    ("entra", {"directory role": {"Global Reader": True}}, Privilege.READ),
    ("okta", granted(role=["SUPER_ADMIN"]), Privilege.ADMIN),
    ("okta", granted(role=["READ_ONLY_ADMIN"]), Privilege.READ),
    ("okta", granted(role=["CUSTOM"]), Privilege.WRITE),
    ("okta", granted(scope=["okta.users.read"]), Privilege.READ),
    ("okta", granted(scope=["okta.users.manage"]), Privilege.ADMIN),
    ("kubernetes", {"*": {"*": True}}, Privilege.ADMIN),
    ("kubernetes", granted(secrets=["list"]), Privilege.ADMIN),
    ("kubernetes", {"*": {"get": True}}, Privilege.ADMIN),
    ("kubernetes", {"ci:secrets": {"list": True}}, Privilege.READ),
    ("kubernetes", {"ci:pods": {"create": True}}, Privilege.WRITE),
    ("kubernetes", granted(pods=["create"]), Privilege.ADMIN),
    ("kubernetes", granted(configmaps=["get"]), Privilege.READ),
    ("kubernetes", granted(clusterroles=["escalate"]), Privilege.ADMIN),
    ("vault", granted(policy=["root"]), Privilege.ADMIN),
    ("vault", granted(policy=["default"]), Privilege.READ),
    ("vault", granted(policy=["deploy"]), Privilege.WRITE),
    ("vault", {"secret/data/app": {"read": True}}, Privilege.READ),
    ("vault", {"secret/*": {"update": True}}, Privilege.WRITE),
    ("vault", {"*": {"update": True}}, Privilege.ADMIN),
    ("vault", {"sys/policies/acl/x": {"update": True}}, Privilege.ADMIN),
    ("vault", {"auth/token/create-orphan": {"sudo": True}}, Privilege.ADMIN),
    ("gitlab", granted(scope=["read_api"]), Privilege.READ),
    ("gitlab", granted(scope=["api"], role=["developer"]), Privilege.WRITE),
    ("gitlab", granted(scope=["api"], role=["maintainer"]), Privilege.ADMIN),
    ("gitlab", granted(scope=["sudo"]), Privilege.ADMIN),
    ("snowflake", granted(role=["ACCOUNTADMIN"]), Privilege.ADMIN),
    ("snowflake", granted(role=["ETL"]), Privilege.WRITE),
    ("databricks", granted(group=["admins"]), Privilege.ADMIN),
    ("datadog", granted(scope=["user_access_manage"]), Privilege.ADMIN),
    ("datadog", granted(scope=["dashboards_read"]), Privilege.READ),
    ("datadog", granted(scope=["unscoped"]), Privilege.WRITE),
    ("cloudflare", granted(permission=["API Tokens Write"]), Privilege.ADMIN),
    ("cloudflare", granted(permission=["Zone Read"]), Privilege.READ),
    ("hcp_terraform", granted(organization_access=["manage-workspaces"]), Privilege.ADMIN),
    ("hcp_terraform", granted(organization_access=["read-workspaces"]), Privilege.READ),
    ("grafana", granted(role=["Admin"]), Privilege.ADMIN),
    ("grafana", granted(role=["Editor"]), Privilege.WRITE),
    ("grafana_cloud", granted(scope=["accesspolicies:write"]), Privilege.ADMIN),
    ("grafana_cloud", granted(scope=["metrics:read"]), Privilege.READ),
    ("launchdarkly", granted(role=["owner"]), Privilege.ADMIN),
    ("launchdarkly", granted(role=["reader"], custom_role=["deployers"]), Privilege.WRITE),
    ("buildkite", granted(scope=["READ_BUILDS", "GRAPHQL"]), Privilege.ADMIN),
    ("buildkite", granted(scope=["READ_BUILDS"]), Privilege.READ),
    ("pulumi", granted(role=["stack-admin"]), Privilege.ADMIN),
    ("pulumi", granted(role=["member"]), Privilege.WRITE),
    ("mongodb_atlas", granted(role=["ORG_OWNER"]), Privilege.ADMIN),
    ("mongodb_atlas", granted(role=["ORG_READ_ONLY"]), Privilege.READ),
    ("elasticsearch", granted(cluster=["manage_security"]), Privilege.ADMIN),
    ("elasticsearch", granted(index=["read", "view_index_metadata"]), Privilege.READ),
    ("tailscale", granted(scope=["all"]), Privilege.ADMIN),
    ("tailscale", granted(scope=["devices:read"]), Privilege.READ),
    ("atlassian", granted(scope=["unscoped"]), Privilege.ADMIN),
    ("atlassian", granted(scope=["read:tokens:admin"]), Privilege.READ),
    ("acme", granted(scope=["read:org", "builds:read", "get_user"]), Privilege.READ),
    ("acme", granted(scope=["read_write"]), Privilege.WRITE),
    ("acme", granted(scope=["read:*"]), Privilege.READ),
    ("acme", granted(scope=["launch"]), Privilege.WRITE),
    ("acme", granted(scope=["admin:org"]), Privilege.ADMIN),
    ("acme", granted(dashboards=["*"]), Privilege.ADMIN),
    ("../../etc/passwd", granted(dashboards=["view"]), Privilege.READ),
]


@pytest.mark.parametrize(("provider", "permissions", "expected"), EXAMPLES)
def test_permissions_amount_to_a_privilege(
    privilege_of: Callable[..., Privilege],
    provider: str,
    permissions: PermissionMap,
    expected: Privilege,
) -> None:
    assert privilege_of(provider, permissions) is expected


def test_every_provider_with_rules_has_an_example_of_admin_and_of_less() -> None:
    for provider in providers_with_rules():
        seen = {expected for of, _, expected in EXAMPLES if of == provider}
        assert Privilege.ADMIN in seen
        assert len(seen) > 1 or provider == "databricks"


def test_every_rule_file_is_read_and_says_what_its_map_looks_like() -> None:
    for provider in [*providers_with_rules(), "default"]:
        assert rules_for(provider).shape
    assert rules_for("acme") is not None
    assert "default" not in providers_with_rules()


def test_reasons_name_the_permissions_behind_the_privilege(credential: Build) -> None:
    strong = classify(credential(permissions=granted(zones=["create", "read", "delete"])))
    assert reasons(strong) == ["zones:create", "zones:delete"]
    weak = classify(credential(permissions=granted(zones=["read"])))
    assert reasons(weak) == ["zones:read"]


def test_reasons_name_what_reaches_admin_only_together(credential: Build) -> None:
    permissions = granted(iam=["PassRole"], ec2=["RunInstances", "DescribeInstances"])
    strong = classify(credential(provider="aws", permissions=permissions))
    assert reasons(strong) == ["iam:PassRole with ec2:RunInstances"]


def test_one_wildcard_can_be_the_whole_of_a_combination(credential: Build) -> None:
    permissions = granted(iam=["PassRole"], glue=["*"])
    strong = classify(credential(provider="aws", permissions=permissions))
    assert reasons(strong) == ["iam:PassRole with glue:*"]


def test_reasons_stay_short_enough_to_read(credential: Build) -> None:
    many = granted(users=[f"verb{number:02}" for number in range(25)])
    named = reasons(classify(credential(permissions=many)))
    assert named[0] == "users:verb00"
    assert named[-1] == "and 15 more"
    assert len(named) == 11


def test_reasons_are_empty_where_no_rule_explains_the_privilege(credential: Build) -> None:
    assert reasons(credential(permissions=None, privilege=Privilege.ADMIN)) == []
    stated = credential(permissions=granted(zones=["read"]), privilege=Privilege.ADMIN)
    assert reasons(stated) == []


NAMES = st.sampled_from(
    ["*", "iam", "users", "s3", "scope", "role", "policy", "secrets", "Get*", "PassRole", "read",
     "write", "list", "admin", "repo", "CreateFunction", "lambda", "ec2", "RunInstances", "api",
     "owner", "x", "[", "\\", "*:*", "okta.users.read"]
)  # fmt: skip
MAPS = st.dictionaries(NAMES, st.dictionaries(NAMES, st.booleans(), max_size=4), max_size=4)
PROVIDERS = st.sampled_from([*sorted(providers_with_rules()), "acme"])


@settings(max_examples=300, deadline=None)  # a provider's first judgement reads its rules
@given(PROVIDERS, MAPS, MAPS)
def test_more_permissions_never_make_a_weaker_credential(
    provider: str, permissions: PermissionMap, more: PermissionMap
) -> None:
    union: dict[str, dict[str, bool]] = {}
    for part in (permissions, more):
        for resource, actions in part.items():
            for name, is_granted in actions.items():
                known = union.setdefault(resource, {})
                known[name] = known.get(name, False) or is_granted
    assert RANK.index(_judged(provider, permissions)) <= RANK.index(_judged(provider, union))


@settings(max_examples=300, deadline=None)  # a provider's first judgement reads its rules
@given(PROVIDERS, MAPS)
def test_false_entries_and_order_do_not_count(provider: str, permissions: PermissionMap) -> None:
    only_true = {
        resource: {name: True for name, is_granted in reversed(actions.items()) if is_granted}
        for resource, actions in reversed(permissions.items())
    }
    assert _judged(provider, permissions) is _judged(provider, only_true)


@settings(max_examples=300, deadline=None)  # a provider's first judgement reads its rules
@given(PROVIDERS, MAPS)
def test_whatever_is_granted_the_wildcard_is_no_weaker(
    provider: str, permissions: PermissionMap
) -> None:
    wild: dict[str, dict[str, bool]] = {"*": {"*": True}}
    assert RANK.index(_judged(provider, permissions)) <= RANK.index(_judged(provider, wild))


def test_a_map_too_large_to_remember_is_judged_alike(
    privilege_of: Callable[..., Privilege],
) -> None:
    large: PermissionMap = {"s3": {f"GetObject{number}": True for number in range(1000)}}
    assert privilege_of("aws", large) is Privilege.READ
    large["s3"]["PutObject"] = True
    assert privilege_of("aws", large) is Privilege.WRITE


def test_equal_maps_are_judged_once(privilege_of: Callable[..., Privilege]) -> None:
    before = privilege._remembered_privilege.cache_info()
    unlikely: dict[str, Any] = {"once": {"only-here": True}}
    privilege_of("acme", unlikely)
    privilege_of("acme", dict(unlikely))
    after = privilege._remembered_privilege.cache_info()
    assert after.misses == before.misses + 1
    assert after.hits == before.hits + 1


def _judged(provider: str, permissions: PermissionMap) -> Privilege:
    return privilege._privilege(provider, privilege._encode(permissions))
