"""A loopback Databricks workspace: token management, SCIM, and secrets of service principals."""

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.http import LoopbackServer, Reply, Request

Record = dict[str, Any]

TOKEN = "CANARY-dapi-databricks-9090"
SECRET = "CANARY-databricks-secret-material"
_SCIM = "/api/2.0/preview/scim/v2/"


@dataclass
class FakeDatabricks:
    """What the fake workspace holds; change anything at any time."""

    tokens: list[Record] = field(default_factory=list)
    principals: list[Record] = field(default_factory=list)
    users: dict[str, Record] = field(default_factory=dict)
    secrets: dict[str, list[Record]] = field(default_factory=dict)
    """By the number of the service principal."""
    page_size: int = 100
    server: LoopbackServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = LoopbackServer(self.handle)

    def add_token(self, token_id: str, owner: int = 1, **fields: Any) -> None:
        token = {
            "token_id": token_id,
            "comment": f"comment of {token_id}",
            "created_by_id": owner,
            "created_by_username": "etl@acme.example",
            "owner_id": owner,
            "creation_time": 1_704_067_200_123,
            "expiry_time": -1,
            "last_used_day": 1_772_150_400_000,
            "workspace_id": 7_340_185_526_091_184,
            "token_value": SECRET,
            **fields,
        }
        self.tokens.append(token)

    def add_user(self, number: str, *groups: str, active: bool = True) -> None:
        self.users[number] = {
            "id": number,
            "userName": f"user{number}@acme.example",
            "active": active,
            "groups": [{"display": group, "value": "77"} for group in groups],
            "entitlements": [{"value": "workspace-access"}],
            "password": SECRET,
        }

    def add_principal(self, number: str, *groups: str, active: bool = True) -> None:
        principal = {
            "id": number,
            "applicationId": f"app-{number}",
            "displayName": f"principal {number}",
            "active": active,
            "groups": [{"display": group} for group in groups],
        }
        self.principals.append(principal)

    def add_secret(self, principal: str, secret_id: str, **fields: Any) -> None:
        secret = {
            "id": secret_id,
            "secret_hash": SECRET,
            "create_time": "2025-11-01T08:10:11Z",
            "update_time": "2025-11-01T08:10:11Z",
            "expire_time": "2027-11-01T08:10:11Z",
            "status": "ACTIVE",
            **fields,
        }
        self.secrets.setdefault(principal, []).append(secret)

    def handle(self, request: Request) -> Reply:  # noqa: PLR0911 - one per path
        if request.method == "POST" and request.path == "/oidc/v1/token":
            return self._issue(request)
        if request.method != "GET":
            return _error(500, "an auditor must never ask this")
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(401, "UNAUTHENTICATED")
        path = request.path
        if path == "/api/2.0/token-management/tokens":
            return Reply(200, {"token_infos": self.tokens} if self.tokens else {})
        match path.split("/"):
            case [*_, "token-management", "tokens", token]:
                found = [one for one in self.tokens if one["token_id"] == token]
                return Reply(200, {"token_info": found[0]}) if found else _error(404, "NOT_FOUND")
            case [*_, "ServicePrincipals", number]:
                found = [one for one in self.principals if one["id"] == number]
                return Reply(200, found[0]) if found else _error(404, "NOT_FOUND")
        if path == f"{_SCIM}ServicePrincipals":
            return self._scim(request)
        if path.startswith(f"{_SCIM}Users/"):
            user = self.users.get(path.removeprefix(f"{_SCIM}Users/"))
            return Reply(200, user) if user else _error(404, "NOT_FOUND")
        match path.split("/"):
            case [*_, "accounts", "servicePrincipals", number, "credentials", "secrets"]:
                return self._secrets(request, self.secrets.get(number, []))
        return _error(404, "NOT_FOUND")

    def _scim(self, request: Request) -> Reply:
        start = int(request.query["startIndex"][0]) - 1 if "startIndex" in request.query else 0
        size = min(self.page_size, int(request.query["count"][0]))
        return Reply(200, {"Resources": self.principals[start : start + size]})

    def _secrets(self, request: Request, records: list[Record]) -> Reply:
        start = int(request.query.get("page_token", ["0"])[0])
        end = start + self.page_size
        body: Record = {"secrets": records[start:end]} if records else {}
        if end < len(records):
            body["next_page_token"] = str(end)
        return Reply(200, body)

    def _issue(self, request: Request) -> Reply:
        pair = b64encode(f"auditor:{SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return Reply(401, {"error": "invalid_client"})
        if request.form != {"grant_type": ["client_credentials"], "scope": ["all-apis"]}:
            return Reply(400, {"error": "invalid_scope"})
        return Reply(200, {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})


def too_many(status: int = 429) -> Reply:
    """Return the answer to asking too fast, which is 429 or 503."""
    reply = _error(status, "REQUEST_LIMIT_EXCEEDED")
    return Reply(status, reply.body, {"Retry-After": "0"})


def _error(status: int, code: str) -> Reply:
    return Reply(status, {"error_code": code, "message": SECRET})
