"""A loopback Vault: the paths an auditor reads, in any namespace, and traps on the others."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.http import LoopbackServer, Reply, Request

Record = dict[str, Any]

TOKEN = "CANARY-hvs-vault-token-1212"
SECRET = "CANARY-vault-secret-material"


@dataclass
class FakeVault:
    """What the fake cluster holds by namespace (``""`` is the root)."""

    tokens: dict[str, dict[str, Record]] = field(default_factory=lambda: {"": {}})
    """Namespace → accessor → what a lookup answers."""
    mounts: dict[str, dict[str, str]] = field(default_factory=lambda: {"": {"token": "token"}})
    roles: dict[tuple[str, str, str], Record] = field(default_factory=dict)
    """By namespace, mount and name; their secret ids stand under ``accessors``."""
    policies: dict[str, str] = field(default_factory=dict)
    entities: dict[str, Record] = field(default_factory=dict)
    namespaces: dict[str, list[str]] = field(default_factory=dict)
    """Namespace → those right below."""
    server: LoopbackServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = LoopbackServer(self.handle)

    def add_token(self, accessor: str, namespace: str = "", **fields: Any) -> Record:
        token = {
            "accessor": accessor,
            "id": "",
            "creation_time": 1_718_600_000,
            "creation_ttl": 2_764_800,
            "display_name": f"token-{accessor}",
            "entity_id": "",
            "expire_time": "2026-12-19T10:33:20.271828182Z",
            "meta": {"note": SECRET},
            "num_uses": 0,
            "orphan": True,
            "path": "auth/token/create",
            "policies": ["default"],
            "ttl": 2_419_200,
            "type": "service",
            **fields,
        }
        self.tokens.setdefault(namespace, {})[accessor] = token
        self.mounts.setdefault(namespace, {"token": "token"})
        return token

    def add_role(self, name: str, mount: str = "approle", **fields: Any) -> Record:
        self.mounts[""][mount] = "approle"
        role = {"token_policies": ["deploy"], "secret_id_num_uses": 0, "accessors": {}, **fields}
        self.roles["", mount, name] = role
        return role

    def add_secret_id(
        self, accessor: str, role: str = "ci", mount: str = "approle", **fields: Any
    ) -> None:
        moment = "2025-06-30T07:41:12.300415926Z"
        self.roles["", mount, role]["accessors"][accessor] = {
            "cidr_list": [],
            "creation_time": moment,
            "expiration_time": "0001-01-01T00:00:00Z",
            "last_updated_time": moment,
            "metadata": {"owner": "team-pay", "password": SECRET},
            "secret_id_accessor": accessor,
            "secret_id_num_uses": 0,
            "secret_id_ttl": 0,
            "token_bound_cidrs": [],
            **fields,
        }

    def handle(self, request: Request) -> Reply:
        if request.path.endswith("/login") and request.method == "POST":
            return self._log_in(request)
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if TOKEN not in (bearer, request.headers.get("x-vault-token")):
            return _error(403, "permission denied")
        path = request.path.removeprefix("/v1/")
        for namespace in sorted(self.mounts, key=len, reverse=True):
            prefix = f"{namespace}/" if namespace else ""
            if path.startswith(prefix):
                return self._answer(request, namespace, path.removeprefix(prefix).split("/"))
        return _error(404)

    def _answer(self, request: Request, namespace: str, parts: list[str]) -> Reply:  # noqa: PLR0911 - one per path
        is_list = request.method == "LIST" or request.query.get("list") == ["true"]
        is_lookup = request.method == "POST"
        tokens = self.tokens.get(namespace, {})
        match parts:
            case ["auth", "token", "accessors"] if is_list:
                return _keys(list(tokens))
            case ["auth", "token", "lookup-accessor"] if is_lookup:
                return _found(tokens.get(_body(request)["accessor"]), 400)
            case ["auth", "token", "lookup-self"]:
                return _found(tokens.get("own"))
            case ["sys", "auth"]:
                mounts = self.mounts[namespace].items()
                return _found({f"{mount}/": {"type": kind} for mount, kind in mounts})
            case ["sys", "namespaces"] if is_list:
                return _keys([f"{name}/" for name in self.namespaces.get(namespace, [])])
            case ["sys", "policies", "acl", *name]:
                found = self.policies.get("/".join(name))
                return _found(None if found is None else {"policy": found})
            case ["identity", "entity", "id", entity]:
                return _found(self.entities.get(entity))
            case ["auth", mount, "role"] if is_list:
                return _keys([n for (ns, m, n) in self.roles if (ns, m) == (namespace, mount)])
            case ["auth", mount, "role", name, *rest] if (namespace, mount, name) in self.roles:
                role = self.roles[namespace, mount, name]
                return self._role(request, role, rest, is_list=is_list)
        return _error(404)

    def _role(self, request: Request, role: Record, rest: list[str], *, is_list: bool) -> Reply:
        match rest:
            case [] if request.method == "GET":
                return _found({key: value for key, value in role.items() if key != "accessors"})
            case ["secret-id"] if is_list and request.method in ("GET", "LIST"):
                return _keys(list(role["accessors"]))
            case ["secret-id-accessor", "lookup"] if request.method == "POST":
                return _found(role["accessors"].get(_body(request)["secret_id_accessor"]))
        return _error(500, "an auditor must never ask this")

    def _log_in(self, request: Request) -> Reply:
        if _body(request) != {"role_id": "auditor", "secret_id": SECRET}:
            return _error(400, "invalid role or secret ID")
        self.add_token("own", display_name="approle", path="auth/approle/login")
        return Reply(200, {"auth": {"client_token": TOKEN, "lease_duration": 1200}, "data": None})


def _body(request: Request) -> dict[str, str]:
    found: dict[str, str] = json.loads(request.body)
    return found


def _keys(names: list[str]) -> Reply:
    return _found({"keys": names}) if names else Reply(404, {"errors": []})


def _found(record: Record | None, status: int = 404) -> Reply:
    if record is None:
        return _error(status, "invalid accessor")
    return Reply(200, {"request_id": "r", "data": record, "auth": None, "warnings": None})


def _error(status: int, *messages: str) -> Reply:
    return Reply(status, {"errors": [f"1 error occurred: {one} {SECRET}" for one in messages]})


def too_many(**headers: str) -> Reply:
    """Return the answer of a rate limit quota; its headers are the operator's choice."""
    reply = _error(429, "request path quota exceeded")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(429, reply.body, named)
