"""Okta, Kubernetes, Vault and Databricks as the contracts need them: healthy, on two pages."""

from typing import Any

from auditor.collectors.databricks import Databricks, DatabricksOptions
from auditor.collectors.interface import Collector, Context
from auditor.collectors.kubernetes import Kubernetes, KubernetesOptions
from auditor.collectors.okta import Okta, OktaOptions
from auditor.collectors.vault import Vault, VaultOptions
from tests.fakes.databricks import TOKEN as DATABRICKS_TOKEN
from tests.fakes.databricks import FakeDatabricks
from tests.fakes.http import LoopbackServer
from tests.fakes.kubernetes import TOKEN as KUBERNETES_TOKEN
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.okta import TOKEN as OKTA_TOKEN
from tests.fakes.okta import FakeOkta
from tests.fakes.vault import TOKEN as VAULT_TOKEN
from tests.fakes.vault import FakeVault


def serve_okta() -> LoopbackServer:
    fake = FakeOkta(page_size=1)
    fake.add_user("00u1", "SUPER_ADMIN")
    fake.add_token("00T1")
    fake.add_token("00T2")
    fake.add_app("0oa1")
    fake.add_secret("0oa1", "ocs1")
    fake.add_app("0oa2", "private_key_jwt")
    fake.add_key("0oa2", id="pks1")
    return fake.server


def open_okta(server: LoopbackServer, context: Context, **options: Any) -> Collector:
    keys = {"name": "okta-prod", "provider": "okta", "base_url": server.url, "token": OKTA_TOKEN}
    return Okta(OktaOptions.model_validate({**keys, **options}), context)


def serve_kubernetes() -> LoopbackServer:
    fake = FakeKubernetes(page_size=1)
    fake.add_token("used", last_used="2026-02-20")
    fake.add_token("idle")
    fake.add("ClusterRole", "view", rules=[])
    fake.add("ClusterRole", "edit", rules=[])
    fake.bind("view")
    return fake.server


def open_kubernetes(server: LoopbackServer, context: Context, **options: Any) -> Collector:
    keys = {"name": "kubernetes-prod", "provider": "kubernetes", "token": KUBERNETES_TOKEN}
    checked = KubernetesOptions.model_validate({**keys, "base_url": server.url, **options})
    return Kubernetes(checked, context)


def serve_vault() -> LoopbackServer:
    fake = FakeVault()
    fake.policies["deploy"] = 'path "secret/*" { capabilities = ["read"] }'
    fake.add_token("a1", policies=["default", "deploy"])
    fake.add_token("a2")
    fake.add_role("ci")
    fake.add_secret_id("s1")
    return fake.server


def open_vault(server: LoopbackServer, context: Context, **options: Any) -> Collector:
    keys = {"name": "vault-prod", "provider": "vault", "token": VAULT_TOKEN}
    return Vault(VaultOptions.model_validate({**keys, "base_url": server.url, **options}), context)


def serve_databricks() -> LoopbackServer:
    fake = FakeDatabricks(page_size=1)
    fake.add_user("1", "admins")
    fake.add_principal("20", "etl")
    fake.add_principal("30")
    fake.add_token("t1")
    fake.add_token("t2", 20)
    fake.add_secret("20", "s1")
    fake.add_secret("20", "s2")
    return fake.server


def open_databricks(server: LoopbackServer, context: Context, **options: Any) -> Collector:
    keys = {"name": "databricks-prod", "provider": "databricks", "token": DATABRICKS_TOKEN}
    checked = DatabricksOptions.model_validate({**keys, "base_url": server.url, **options})
    return Databricks(checked, context)
