"""Vendors' own clients read our fakes, page by page, and see what we see.

They are witnesses of paging, field names and types: none of it is ours.
"""

from datetime import UTC, datetime
from typing import Any

import hvac
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from kubernetes import client as kubernetes

from tests.collectors import platforms
from tests.collectors.gathering import context, read
from tests.fakes.databricks import TOKEN as DATABRICKS_TOKEN
from tests.fakes.kubernetes import TOKEN as KUBERNETES_TOKEN
from tests.fakes.vault import TOKEN as VAULT_TOKEN


@pytest.fixture
def seen(now, tmp_path):
    """Read a provider with our own collector."""

    async def seen(open_source, server):
        found = await read(open_source(server, context(now, tmp_path)))
        assert found.status == "complete"
        return list(found.credentials.values())

    return seen


async def test_the_databricks_sdk_sees_the_same_tokens_and_secrets(seen):
    with platforms.serve_databricks() as server:
        ours = await seen(platforms.open_databricks, server)
        sdk = WorkspaceClient(
            config=Config(host=server.url, token=DATABRICKS_TOKEN, auth_type="pat")
        )
        tokens = list(sdk.token_management.list())
        secrets = [
            secret
            for principal in sdk.service_principals.list()
            for secret in sdk.service_principal_secrets_proxy.list(str(principal.id))
        ]

    theirs: dict[Any, Any] = {
        one.token_id: (
            one.comment,
            datetime.fromtimestamp((one.creation_time or 0) / 1000, UTC),
            datetime.fromtimestamp((one.last_used_day or 0) / 1000, UTC),
        )
        for one in tokens
    }
    theirs |= {
        one.id: (None, datetime.fromisoformat(one.create_time or ""), None) for one in secrets
    }
    assert len(theirs) == 4
    assert theirs == {
        one.provider_id: (
            one.name if one.type == "Personal Access Token" else None,
            one.created_at,
            one.last_used_at,
        )
        for one in ours
    }


async def test_the_kubernetes_client_sees_the_same_secrets(seen):
    with platforms.serve_kubernetes() as server:
        ours = await seen(platforms.open_kubernetes, server)
        settings = kubernetes.Configuration(host=server.url)
        settings.api_key = {"authorization": f"Bearer {KUBERNETES_TOKEN}"}
        with kubernetes.ApiClient(settings) as api:
            core, rbac = kubernetes.CoreV1Api(api), kubernetes.RbacAuthorizationV1Api(api)
            theirs: dict[Any, Any] = {}
            following: str | None = None
            while following != "":
                page: Any = core.list_secret_for_all_namespaces(
                    field_selector="type=kubernetes.io/service-account-token",
                    limit=500,
                    _continue=following,
                )
                theirs |= {
                    one.metadata.uid: (
                        one.metadata.name,
                        one.metadata.creation_timestamp,
                        one.metadata.labels.get("kubernetes.io/legacy-token-last-used"),
                    )
                    for one in page.items
                }
                following = page.metadata._continue or ""
            bindings: Any = rbac.list_cluster_role_binding(limit=500).items

    assert [(one.role_ref.name, one.subjects[0].name) for one in bindings] == [("view", "deployer")]
    assert len(theirs) == 2
    assert theirs == {
        one.provider_id: (
            one.name,
            one.created_at,
            one.last_used_at.date().isoformat() if one.last_used_at else None,
        )
        for one in ours
    }


async def test_the_client_of_vault_sees_the_same_tokens_and_secret_ids(seen):
    with platforms.serve_vault() as server:
        ours = await seen(platforms.open_vault, server)
        vault: Any = hvac.Client(url=server.url, token=VAULT_TOKEN)
        tokens = [
            vault.auth.token.lookup_accessor(accessor)["data"]
            for accessor in vault.auth.token.list_accessors()["data"]["keys"]
        ]
        role = vault.auth.approle
        secret_ids = [
            role.read_secret_id_accessor("ci", accessor)["data"]
            for accessor in role.list_secret_id_accessors("ci")["data"]["keys"]
        ]

    theirs: set[Any] = {(t["display_name"], t["creation_time"]) for t in tokens}
    assert theirs == {
        (one.name, int(one.created_at.timestamp())) for one in ours if one.type == "Token"
    }
    assert [datetime.fromisoformat(s["creation_time"]) for s in secret_ids] == [
        one.created_at for one in ours if one.type == "Secret ID"
    ]
