"""A loopback API server: metadata where metadata is asked for, whole secrets where not."""

from dataclasses import dataclass, field
from typing import Any

from tests.fakes.http import LoopbackServer, Reply, Request

Record = dict[str, Any]

TOKEN = "CANARY-kubernetes-bearer-3311"
SECRET = "CANARY-kubernetes-token-material"
CLUSTER_UID = "0c1de35a-0000-4000-8000-00000000c1c1"
_RBAC = "/apis/rbac.authorization.k8s.io/v1/"
_KINDS = {
    "roles": "Role",
    "clusterroles": "ClusterRole",
    "rolebindings": "RoleBinding",
    "clusterrolebindings": "ClusterRoleBinding",
}


@dataclass
class FakeKubernetes:
    """What the fake cluster holds; change anything at any time."""

    secrets: list[Record] = field(default_factory=list)
    rbac: dict[str, list[Record]] = field(default_factory=dict)
    """By kind."""
    since: str | None = "2025-06-01"
    page_size: int = 500
    knows_metadata: bool = True
    expired: int = 0
    """How many continue tokens are refused as too old."""
    server: LoopbackServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = LoopbackServer(self.handle)

    def add_token(
        self, name: str, account: str = "deployer", namespace: str = "ci", **labels: str
    ) -> Record:
        """Add a token's secret; *labels* are those about its use, without their prefix."""
        meta = {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "creationTimestamp": "2025-07-14T16:05:09Z",
            "labels": {
                f"kubernetes.io/legacy-token-{key.replace('_', '-')}": value
                for key, value in labels.items()
            },
            "annotations": {
                "kubernetes.io/service-account.name": account,
                "kubernetes.io/service-account.uid": f"uid-of-{account}",
                "example.com/last-applied": SECRET,
            },
        }
        self.secrets.append(
            {
                "metadata": meta,
                "type": "kubernetes.io/service-account-token",
                "data": {"token": SECRET},
            }
        )
        return meta

    def add(self, kind: str, name: str, namespace: str | None = None, **fields: Any) -> None:
        """Add a role or a binding."""
        meta = {"name": name, "uid": f"uid-{kind}-{namespace}-{name}"}
        if namespace is not None:
            meta["namespace"] = namespace
        self.rbac.setdefault(kind, []).append({"metadata": meta, **fields})

    def bind(self, role: str, account: str = "deployer", *, within: str | None = None) -> None:
        """Grant the cluster role *role* to an account in ``ci``, everywhere or *within*."""
        kind = "ClusterRoleBinding" if within is None else "RoleBinding"
        reference = {"kind": "ClusterRole", "name": role}
        subject = {"kind": "ServiceAccount", "name": account, "namespace": "ci"}
        self.add(kind, f"{role}-{account}", within, roleRef=reference, subjects=[subject])

    def handle(self, request: Request) -> Reply:  # noqa: PLR0911 - one per path
        if request.method != "GET":
            return _status(500, "an auditor must never ask this")
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _status(401, "Unauthorized")
        path = request.path
        as_metadata = "as=PartialObjectMetadata" in request.headers["accept"]
        if as_metadata and not self.knows_metadata:
            return _status(406, "NotAcceptable")
        if path.startswith("/api/v1/") and path.endswith("/secrets"):
            return self._page(request, self._chosen(request), "Secret", as_metadata=as_metadata)
        if path.startswith(_RBAC) and path.removeprefix(_RBAC) in _KINDS:
            kind = _KINDS[path.removeprefix(_RBAC)]
            return self._page(request, self.rbac.get(kind, []), kind, as_metadata=False)
        if path == "/api/v1/namespaces/kube-system":
            return Reply(200, {"kind": "PartialObjectMetadata", "metadata": {"uid": CLUSTER_UID}})
        tracking = "kube-apiserver-legacy-service-account-token-tracking"
        if path.endswith(f"/kube-system/configmaps/{tracking}") and self.since is not None:
            return Reply(200, {"kind": "ConfigMap", "data": {"since": self.since}})
        return _status(404, "NotFound")

    def _chosen(self, request: Request) -> list[Record]:
        ((selector,),) = [request.query["fieldSelector"]]
        kind, _, name = selector.partition(",metadata.name=")
        chosen = [one for one in self.secrets if f"type={one['type']}" == kind]
        if not name:
            return chosen
        here = request.path.removeprefix("/api/v1/namespaces/").removesuffix("/secrets")
        metas = ((one, one["metadata"]) for one in chosen)
        return [one for one, meta in metas if (meta["namespace"], meta["name"]) == (here, name)]

    def _page(
        self, request: Request, records: list[Record], kind: str, *, as_metadata: bool
    ) -> Reply:
        start = int(request.query.get("continue", ["0"])[0])
        if start and self.expired:
            self.expired -= 1
            return _status(410, "Expired")
        size = min(self.page_size, int(request.query["limit"][0]))
        items: Any = records[start : start + size] or None
        if as_metadata and items:
            items = [{"metadata": one["metadata"]} for one in items]
        meta = {"resourceVersion": "882"}
        if start + size < len(records):
            meta["continue"] = str(start + size)
        name = "PartialObjectMetadata" if as_metadata else kind
        return Reply(200, {"kind": f"{name}List", "metadata": meta, "items": items})


def _status(code: int, reason: str) -> Reply:
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": SECRET}
    return Reply(code, body | {"code": code})
