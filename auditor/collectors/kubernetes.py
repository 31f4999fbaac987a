"""Kubernetes: the long-lived tokens of service accounts, by the metadata of their secrets.

Facts were read in the source of Kubernetes: since 1.26 the API server labels such a secret with
the day of its newest use, and a ConfigMap tells since when. The token itself is never asked for:
a server that cannot answer with metadata alone is not read.
"""

from collections.abc import AsyncIterator
from functools import partial

from auditor.client import Client, bearer, segment
from auditor.collectors._again import same
from auditor.collectors._kubernetes.listing import listed
from auditor.collectors._kubernetes.options import KubernetesOptions
from auditor.collectors._kubernetes.rbac import Rbac
from auditor.collectors._kubernetes.records import Reading
from auditor.collectors._notebook import child, identifier
from auditor.collectors._parts import tried
from auditor.collectors.interface import Access, Collector, Context, Item, Page, Unit
from auditor.errors import AuthenticationFailed, NotFound, SourceError, UnexpectedResponse
from auditor.model import Credential, Organization

__all__ = ["Kubernetes", "KubernetesOptions"]

_METADATA = "PartialObjectMetadata"
_CLUSTER = "/api/v1/namespaces/kube-system"
_TRACKING = f"{_CLUSTER}/configmaps/kube-apiserver-legacy-service-account-token-tracking"
_SECRETS = "/api/v1/secrets"
_OF_ACCOUNTS = {"fieldSelector": "type=kubernetes.io/service-account-token"}
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_KINDS = ("ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding")

_ROLE = """\
# What the auditor needs. `list secrets` would also let it read them: Kubernetes knows no right to
# metadata alone. The auditor asks for metadata only.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: credential-auditor}
rules:
- {apiGroups: [""], resources: [secrets], verbs: [list]}
- {apiGroups: [""], resources: [namespaces], resourceNames: [kube-system], verbs: [get]}
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [kube-apiserver-legacy-service-account-token-tracking]
  verbs: [get]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, clusterroles, rolebindings, clusterrolebindings]
  verbs: [list]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: credential-auditor, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: credential-auditor}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: credential-auditor}
subjects:
- {kind: ServiceAccount, name: credential-auditor, namespace: kube-system}
"""


class Kubernetes(Collector):
    """Reads one cluster."""

    Options = KubernetesOptions
    options: KubernetesOptions
    summary = "Long-lived tokens of service accounts, by metadata only"
    last_use = "By the day, from the label that the API server keeps since 1.26"
    limits = (
        "Bound tokens and client certificates cannot be listed",
        "The right to list secrets would also show them; only metadata is asked for",
    )
    verified = "its source, and the official client, which reads our fake alike; no live cluster"
    least_privileges = (
        "list secrets in all namespaces (only their metadata is asked for)",
        "get namespace kube-system, for the cluster's identity",
        "get configmap kube-system/kube-apiserver-legacy-service-account-token-tracking",
        "list roles, clusterroles, rolebindings and clusterrolebindings",
    )

    def __init__(self, options: KubernetesOptions, context: Context) -> None:
        super().__init__(options, context)
        self._client = self._open("application/json")
        wanted = "application/json;as={};g=meta.k8s.io;v=v1"
        self._one = self._open(wanted.format(_METADATA))
        self._many = self._open(wanted.format(f"{_METADATA}List"))

    def _open(self, accept: str) -> Client:
        return Client(
            self.options.base_url,
            self.options,
            auth=bearer(self.options.token),
            headers={"Accept": accept},
            hint="`auditor providers show kubernetes`",
            directory=self.context.directory,
        )

    @classmethod
    def setup_documents(cls) -> dict[str, str]:
        """Return the manifest that lets the auditor in."""
        return {"credential-auditor.yaml": _ROLE}

    async def aclose(self) -> None:
        """Close the connections."""
        for client in (self._client, self._one, self._many):
            await client.aclose()

    async def units(self) -> list[Unit]:
        """Return the cluster, known by the uid of its ``kube-system`` namespace."""
        answer = await self._one.get(_CLUSTER)
        uid = identifier(child(answer.object(), "metadata"), "uid")
        if uid is None:
            raise UnexpectedResponse(f"{answer.where} answered without a uid")
        name = self.options.cluster or self._client.origin.host
        return [Unit(uid, Organization(uid, name))]

    async def collect(self, unit: Unit) -> AsyncIterator[Item]:
        """Yield the tokens, with what their service accounts may do."""
        organization = unit.organization or Organization(unit.key, unit.key)
        reading = Reading(organization, source=self.options.name, now=self.context.now)
        reading.rbac = await self._rbac(reading)
        await self._learn_since(reading)
        async for items in listed(self._many, _SECRETS, f"{_METADATA}List", _OF_ACCOUNTS):
            found = [reading.token(item) for item in items]
            yield Page(organization, tuple(one for one in found if one is not None))
        for item in reading.conclusions():
            yield item

    async def refresh(self, credential: Credential) -> Credential | None:
        """Read the metadata of one secret again, and what its account may do; None where gone.

        It is asked for as a list of one: that takes no further right, while the right to get
        secrets would be one more way to read them.
        """
        (unit,) = await self.units()
        if unit.key != credential.organization.id:
            raise UnexpectedResponse(
                f"{self.options.base_url} is another cluster than that of {credential.uid}"
            )
        reading = Reading(credential.organization, source=self.options.name, now=self.context.now)
        reading.rbac = await self._rbac(reading)
        await self._learn_since(reading)
        path = f"/api/v1/namespaces/{segment(credential.tags['namespace'])}/secrets"
        chosen = f"{_OF_ACCOUNTS['fieldSelector']},metadata.name={credential.name}"
        selector = {"fieldSelector": chosen}
        async for items in listed(self._many, path, f"{_METADATA}List", selector):
            for found in map(reading.token, items):
                if found is None or found.uid == credential.uid:
                    return same(found, credential)
        return None  # none of that name, or a new one, which is another secret

    async def check(self) -> list[Access]:
        """Try one call of each kind."""
        host = self._client.origin.host
        one: dict[str, str | int | list[str]] = {"limit": 1}
        probes = [(self._many, "list secrets", _SECRETS, one | _OF_ACCOUNTS)]
        probes.append((self._client, "get configmap", _TRACKING, {}))
        probes += [(self._client, f"list {_plural(kind)}", _path(kind), one) for kind in _KINDS]
        return [
            await tried(host, what, partial(client.get, path, params))
            for client, what, path, params in probes
        ]

    async def _rbac(self, reading: Reading) -> Rbac | None:
        """Return all roles and bindings; None where a part of them cannot be read.

        A part is as good as nothing: what is missing may be what grants the most.
        """
        rbac = Rbac()
        try:
            for kind in _KINDS:
                add = rbac.add_binding if kind.endswith("Binding") else rbac.add_role
                async for items in listed(self._client, _path(kind), f"{kind}List"):
                    for item in items:
                        add(kind, item)
        except AuthenticationFailed:
            raise
        except SourceError as error:
            reading.failed(error, "Permissions of service accounts")
            return None
        return rbac

    async def _learn_since(self, reading: Reading) -> None:
        try:
            body = (await self._client.get(_TRACKING)).object()
        except NotFound:
            reading.note(
                "The cluster does not tell since when it records the use of tokens; where no use "
                "is recorded, it is unknown."
            )
        except AuthenticationFailed:
            raise
        except SourceError as error:
            reading.failed(error, "Since when use is recorded")
        else:
            reading.tracked_since(child(body, "data"))


def _plural(kind: str) -> str:
    return f"{kind.lower()}s"


def _path(kind: str) -> str:
    return f"{_RBAC}/{_plural(kind)}"
