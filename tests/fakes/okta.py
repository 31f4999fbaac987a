"""A loopback Okta: the paths an auditor reads, with secrets in every answer that may carry one."""

from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from json import loads
from typing import Any

from tests.fakes.http import LoopbackServer, Reply, Request

Record = dict[str, Any]

TOKEN = "CANARY-00okta-token-7788"
SECRET = "CANARY-okta-client-secret-5566"


@dataclass
class FakeOkta:
    """What the fake organization holds; change anything at any time."""

    tokens: list[Record] = field(default_factory=list)
    apps: list[Record] = field(default_factory=list)
    secrets: dict[str, list[Record]] = field(default_factory=dict)
    """By application id; so are the next two."""
    keys: dict[str, list[Record]] = field(default_factory=dict)
    grants: dict[str, list[Record]] = field(default_factory=dict)
    client_roles: dict[str, list[Record]] = field(default_factory=dict)
    """By client id."""
    users: dict[str, Record] = field(default_factory=dict)
    user_roles: dict[str, list[Record]] = field(default_factory=dict)
    page_size: int = 200
    accepted: str = f"SSWS {TOKEN}"
    claims: list[Record] = field(default_factory=list)
    """Of the statements that service apps have logged in with."""
    server: LoopbackServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = LoopbackServer(self.handle)

    def add_token(self, token_id: str, user: str = "00u1", **fields: Any) -> Record:
        token = {
            "id": token_id,
            "name": f"name of {token_id}",
            "clientName": "Okta API",
            "userId": user,
            "tokenWindow": "P30D",
            "network": {"connection": "ANYWHERE"},
            "created": "2024-03-18T09:12:44.000Z",
            "lastUpdated": "2026-02-20T02:00:09.000Z",
            "expiresAt": "2026-03-22T02:00:09.000Z",
            "_link": {"self": {"href": f"https://acme.okta.com/api/v1/api-tokens/{token_id}"}},
            "token": SECRET,
            **fields,
        }
        self.tokens.append(token)
        return token

    def add_user(self, user: str, *roles: str, status: str = "ACTIVE") -> None:
        profile = {"login": f"{user}@acme.example", "email": f"{user}@acme.example"}
        credentials = {"password": {"value": SECRET}}
        self.users[user] = {
            "id": user,
            "status": status,
            "profile": profile,
            "credentials": credentials,
        }
        self.user_roles[user] = [
            {"id": f"ra-{role}", "type": role, "status": "ACTIVE"} for role in roles
        ]

    def add_app(self, app_id: str, method: str = "client_secret_basic", **settings: Any) -> Record:
        app: Record = {
            "id": app_id,
            "name": "oidc_client",
            "label": f"label of {app_id}",
            "status": "ACTIVE",
            "signOnMode": "OPENID_CONNECT",
            "credentials": {
                "oauthClient": {
                    "client_id": f"client-{app_id}",
                    "client_secret": SECRET,
                    "token_endpoint_auth_method": method,
                }
            },
            "settings": {
                "oauthClient": {
                    "application_type": "service",
                    "grant_types": ["client_credentials"],
                    **settings,
                }
            },
        }
        self.apps.append(app)
        return app

    def add_secret(self, app_id: str, secret_id: str, **fields: Any) -> None:
        moment = "2023-08-22T13:47:05.000Z"
        secret = {
            "id": secret_id,
            "status": "ACTIVE",
            "client_secret": SECRET,
            "secret_hash": f"hash-{SECRET}",
            "created": moment,
            "lastUpdated": moment,
            **fields,
        }
        self.secrets.setdefault(app_id, []).append(secret)

    def add_key(self, app_id: str, **fields: Any) -> None:
        moment = "2025-01-02T03:04:05.000Z"
        key = {"kty": "RSA", "use": "sig", "status": "ACTIVE", "n": "sXch", "e": "AQAB"}
        key |= {"created": moment, "lastUpdated": moment, "d": SECRET, **fields}
        self.keys.setdefault(app_id, []).append(key)

    def handle(self, request: Request) -> Reply:  # noqa: PLR0911, PLR0912 - one per path
        if request.method == "POST" and request.path == "/oauth2/v1/token":
            return self._issue(request)
        if request.method != "GET":
            return Reply(500, {"errorSummary": "an auditor must never ask this"})
        if request.headers.get("authorization") != self.accepted:
            return _error(401, "E0000011")
        match request.path.strip("/").split("/"):
            case ["api", "v1", "api-tokens"]:
                return self._page(request, self.tokens)
            case ["api", "v1", "apps"]:
                return self._page(request, self.apps)
            case ["api", "v1", "api-tokens", token]:
                return _one(self.tokens, token)
            case ["api", "v1", "apps", app]:
                return _one(self.apps, app)
            case ["api", "v1", "apps", app, "credentials", "secrets"]:
                return Reply(200, self.secrets.get(app, []))
            case ["api", "v1", "apps", app, "credentials", "jwks"]:
                return Reply(200, self.keys.get(app, []))
            case ["api", "v1", "apps", app, "grants"]:
                return Reply(200, self.grants.get(app, []))
            case ["oauth2", "v1", "clients", client, "roles"]:
                return Reply(200, self.client_roles.get(client, []))
            case ["api", "v1", "users", user, "roles"] if user in self.users:
                return Reply(200, self.user_roles[user])
            case ["api", "v1", "users", user] if user in self.users:
                return Reply(200, self.users[user])
        return _error(404, "E0000007")

    def _page(self, request: Request, records: list[Record]) -> Reply:
        start = int(request.query.get("after", ["0"])[0])
        asked = int(request.query.get("limit", ["200"])[0])
        size = min(asked, self.page_size)
        here = f"{self.server.url}{request.raw_path}"
        link = f'<{here}?limit={size}>; rel="self"'
        if start + size < len(records):
            link += f', <{here}?after={start + size}&limit={size}>; rel="next"'
        return Reply(200, records[start : start + size], {"Link": link})

    def _issue(self, request: Request) -> Reply:
        form = request.form
        statement = form["client_assertion"][0]
        payload = statement.split(".")[1]
        self.claims.append(loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
        if form["grant_type"] != ["client_credentials"] or "okta.apps.read" not in form["scope"][0]:
            return Reply(400, {"error": "invalid_scope"})
        self.accepted = "Bearer CANARY-issued-okta"
        return Reply(200, {"access_token": "CANARY-issued-okta", "expires_in": 3600})


def _one(records: list[Record], wanted: str) -> Reply:
    found = [one for one in records if one["id"] == wanted]
    return Reply(200, found[0]) if found else _error(404, "E0000007")


def _error(status: int, code: str) -> Reply:
    return Reply(status, {"errorCode": code, "errorSummary": SECRET, "errorCauses": []})
