"""What service accounts may do: rules, bindings, and the privilege they amount to."""

from datetime import timedelta

import pytest

from auditor.collectors._kubernetes.rules import grants
from auditor.collectors.kubernetes import Kubernetes, KubernetesOptions
from auditor.model import Privilege
from auditor.policy.privilege import classify
from tests.collectors.gathering import context, read
from tests.fakes.http import Reply
from tests.fakes.kubernetes import TOKEN, FakeKubernetes

ALL = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


@pytest.fixture
def fake():
    fake = FakeKubernetes()
    fake.add_token("token")
    with fake.server:
        yield fake


@pytest.fixture
def token(fake, now, tmp_path):
    async def token():
        options = KubernetesOptions(
            name="prod",
            provider="kubernetes",
            base_url=fake.server.url,
            token=TOKEN,
            attempts=1,
            backoff=timedelta(milliseconds=1),
        )
        found = await read(Kubernetes(options, context(now, tmp_path)))
        return classify(found.credentials["token"])

    return token


async def test_a_cluster_admin_is_one_and_the_binding_is_named(fake, token):
    fake.add("ClusterRole", "cluster-admin", rules=ALL)
    fake.bind("cluster-admin")

    found = await token()

    assert found.permissions == {"*": {"*": True}}
    assert found.privilege is Privilege.ADMIN
    assert found.privilege_path == (
        "ClusterRoleBinding cluster-admin-deployer grants ClusterRole cluster-admin",
    )


async def test_a_role_binding_grants_within_its_namespace_only(fake, token):
    rules = [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}]
    fake.add("ClusterRole", "view", rules=rules)
    fake.bind("view", within="web")

    found = await token()

    assert found.permissions == {
        "web:pods": {"get": True, "list": True}, "web:pods/log": {"get": True, "list": True},
    }  # fmt: skip
    assert found.privilege is Privilege.READ
    assert found.privilege_path == ()


async def test_a_namespaces_own_role_is_not_another_namespaces_role_of_that_name(fake, token):
    fake.add(
        "Role", "r", "ci", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    )
    fake.add("Role", "r", "web", rules=ALL)
    subject = {"kind": "ServiceAccount", "name": "deployer"}
    reference = {"kind": "Role", "name": "r"}
    fake.add("RoleBinding", "b", "ci", roleRef=reference, subjects=[subject])

    assert (await token()).permissions == {"ci:pods": {"get": True}}


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "Group", "name": "system:serviceaccounts"},
        {"kind": "Group", "name": "system:serviceaccounts:ci"},
        {"kind": "Group", "name": "system:authenticated"},
        {"kind": "User", "name": "system:serviceaccount:ci:deployer"},
    ],
)
async def test_a_service_account_has_what_its_groups_have(fake, token, subject):
    fake.add("ClusterRole", "all", rules=ALL)
    reference = {"kind": "ClusterRole", "name": "all"}
    fake.add("ClusterRoleBinding", "b", roleRef=reference, subjects=[subject])

    assert (await token()).privilege is Privilege.ADMIN


@pytest.mark.parametrize(
    "subjects",
    [
        None,
        [],
        "everybody",
        [None, {"kind": "Group"}],
        [{"kind": "Group", "name": "system:serviceaccounts:web"}],
        [{"kind": "ServiceAccount", "name": "deployer", "namespace": "web"}],
    ],
)
async def test_what_is_bound_to_others_or_nobody_is_not_theirs(fake, token, subjects):
    fake.add("ClusterRole", "all", rules=ALL)
    reference = {"kind": "ClusterRole", "name": "all"}
    fake.add("ClusterRoleBinding", "b", roleRef=reference, subjects=subjects)

    found = await token()

    assert (found.permissions, found.privilege) == ({}, Privilege.NONE)


async def test_a_role_that_is_not_there_grants_nothing(fake, token):
    fake.bind("gone")

    assert (await token()).permissions == {}


@pytest.mark.parametrize("kind", ["roles", "clusterroles", "rolebindings", "clusterrolebindings"])
async def test_a_part_of_the_rules_that_is_refused_leaves_permissions_unknown(fake, token, kind):
    fake.add("ClusterRole", "all", rules=ALL)
    fake.bind("all")
    fake.server.fault(f"/apis/*/{kind}", reply=Reply(403, {}))

    found = await token()

    assert (found.permissions, found.privilege) == (None, Privilege.UNKNOWN)


async def test_what_everybody_is_granted_is_not_writing(fake, token):
    rules = [{
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        "verbs": ["create"],
    }]  # fmt: skip
    urls = [{"nonResourceURLs": ["/version", "/healthz"], "verbs": ["get"]}]
    fake.add("ClusterRole", "system:basic-user", rules=rules + urls)
    fake.bind("system:basic-user")

    assert (await token()).privilege is Privilege.READ


@pytest.mark.parametrize(
    ("group", "resource", "verb", "privilege"),
    [
        ("", "secrets", "list", Privilege.ADMIN),
        ("", "configmaps", "*", Privilege.WRITE),
        ("", "*", "get", Privilege.ADMIN),
        ("*", "*", "list", Privilege.ADMIN),
        ("", "serviceaccounts", "*", Privilege.ADMIN),
        ("", "serviceaccounts/token", "create", Privilege.ADMIN),
        ("apps", "*", "get", Privilege.READ),
        ("apps", "*", "patch", Privilege.ADMIN),
        ("metrics.k8s.io", "*", "*", Privilege.WRITE),
        ("metrics.k8s.io", "pods", "*", Privilege.WRITE),
        ("example.com", "jobs", "create", Privilege.WRITE),
        ("example.com", "secrets", "get", Privilege.READ),
        ("batch", "jobs", "create", Privilege.ADMIN),
        ("rbac.authorization.k8s.io", "clusterroles", "bind", Privilege.ADMIN),
        ("rbac.authorization.k8s.io", "*", "*", Privilege.ADMIN),
        ("certificates.k8s.io", "certificatesigningrequests", "create", Privilege.WRITE),
    ],
)
async def test_a_name_weighs_what_it_weighs_in_its_own_api_group(
    fake, token, group, resource, verb, privilege
):
    rules = [{"apiGroups": [group], "resources": [resource], "verbs": [verb]}]
    fake.add("ClusterRole", "one", rules=rules)
    fake.bind("one")

    assert (await token()).privilege is privilege


async def test_a_rule_for_named_secrets_is_not_one_for_all(fake, token):
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["a"]}
    fake.add("ClusterRole", "one", rules=[rule])
    fake.bind("one")

    found = await token()

    assert found.permissions == {"secrets (named)": {"get": True}}
    assert found.privilege is Privilege.READ


def test_addresses_outside_resources_are_granted_cluster_wide_only():
    rules = [{"nonResourceURLs": ["*"], "verbs": ["*"]}]

    assert "post" in grants(rules, None)["/*"]
    assert grants(rules, "ci") == {}


@pytest.mark.parametrize(
    "rule", [None, "all", {}, {"verbs": "get"}, {"apiGroups": [1], "verbs": []}]
)
def test_a_rule_of_another_shape_grants_nothing(rule):
    assert grants([rule], None) == {}
