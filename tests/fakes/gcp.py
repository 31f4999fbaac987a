"""A faithful loopback Google Cloud: all APIs on one origin, told apart by their paths.

Shapes follow Google's discovery documents: false and empty values are left out, lists go on by
``nextPageToken``. Traps stand on whatever would return a secret.
"""

from dataclasses import dataclass, field
from typing import Any

import jwt

from tests.fakes.http import LoopbackServer, Reply, Request

Record = dict[str, Any]

SECRET = "CANARY-google-secret-12fd"
FOREVER = "9999-12-31T23:59:59Z"


@dataclass
class FakeGcp:
    """What the fake holds, and how it behaves; change anything at any time."""

    token: str = "ya29.CANARY-google-token-0123456789"
    clients: dict[str, Any] = field(default_factory=dict)
    """Service account e-mail → public key, for the token endpoint."""
    projects: list[Record] = field(default_factory=list)
    parents: dict[str, str] = field(default_factory=dict)
    """``folders/7`` → its parent."""
    policies: dict[str, list[Record]] = field(default_factory=dict)
    """Resource → bindings."""
    roles: dict[str, list[str]] = field(default_factory=dict)
    """Custom role → permissions."""
    accounts: dict[str, list[Record]] = field(default_factory=dict)
    """By project id."""
    keys: dict[str, list[Record]] = field(default_factory=dict)
    """By e-mail."""
    activities: dict[str, list[Record]] = field(default_factory=dict)
    api_keys: dict[str, list[Record]] = field(default_factory=dict)
    hmac_keys: dict[str, list[Record]] = field(default_factory=dict)
    page_size: int = 100
    starts_empty: bool = False
    """Begin every list of several pages with an empty one."""
    issued: list[str] = field(default_factory=list)

    def add_project(self, project_id: str, parent: str = "organizations/55", **more: Any) -> None:
        record = {
            "name": f"projects/{1000 + len(self.projects)}",
            "projectId": project_id,
            "parent": parent,
            "state": "ACTIVE",
            "displayName": project_id.title(),
            "labels": {"team": "platform"},
            **more,
        }
        self.projects.append(record)
        self.policies.setdefault(f"projects/{project_id}", [])

    def add_account(self, project: str, name: str, **more: Any) -> str:
        email = f"{name}@{project}.iam.gserviceaccount.com"
        unique_id = f"1173{sum(map(len, self.accounts.values())):017}"
        record = {"name": f"projects/{project}/serviceAccounts/{email}", "email": email}
        self.accounts.setdefault(project, []).append(record | {"uniqueId": unique_id} | more)
        self.keys[email] = []
        return email

    def add_key(self, email: str, key_id: str, **more: Any) -> Record:
        project = email.partition("@")[2].partition(".")[0]
        record = {
            "name": f"projects/{project}/serviceAccounts/{email}/keys/{key_id}",
            "validAfterTime": "2024-02-12T08:03:44Z",
            "validBeforeTime": FOREVER,
            "keyAlgorithm": "KEY_ALG_RSA_2048",
            "keyOrigin": "GOOGLE_PROVIDED",
            "keyType": "USER_MANAGED",
            "privateKeyData": SECRET,
            **more,
        }
        self.keys[email].append(record)
        return record

    def add_activity(self, email: str, key_id: str, used: Any = None, **more: Any) -> Record:
        project = email.partition("@")[2].partition(".")[0]
        unique_id = next(a["uniqueId"] for a in self.accounts[project] if a["email"] == email)
        name = f"//iam.googleapis.com/projects/{project}/serviceAccounts/{email}/keys/{key_id}"
        inner = {"fullResourceName": name, "projectNumber": "1", "serviceAccountId": unique_id}
        time = {} if used is None else {"lastAuthenticatedTime": used}
        row = {
            "fullResourceName": name,
            "activityType": "serviceAccountKeyLastAuthentication",
            "observationPeriod": {
                "startTime": "2025-01-10T07:00:00Z",
                "endTime": "2026-02-27T07:00:00Z",
            },
            "activity": {**time, "serviceAccountKey": inner},
            **more,
        }
        self.activities.setdefault(project, []).append(row)
        return row

    def add_api_key(self, project: str, uid: str, **more: Any) -> Record:
        record = {
            "name": f"projects/1/locations/global/keys/{uid}",
            "uid": uid,
            "displayName": f"name of {uid}",
            "createTime": "2021-04-03T11:20:31.402193Z",
            "keyString": SECRET,
            **more,
        }
        self.api_keys.setdefault(project, []).append(record)
        return record

    def add_hmac_key(self, project: str, access_id: str, email: str, **more: Any) -> Record:
        record = {
            "id": f"{project}/{access_id}",
            "accessId": access_id,
            "serviceAccountEmail": email,
            "projectId": project,
            "state": "ACTIVE",
            "timeCreated": "2022-04-03T11:20:31.402Z",
            "secret": SECRET,
            **more,
        }
        self.hmac_keys.setdefault(project, []).append(record)
        return record

    def server(self, **options: Any) -> LoopbackServer:
        return LoopbackServer(self.handle, **options)

    def handle(self, request: Request) -> Reply:
        if request.method == "POST" and request.path == "/token":
            return self._issue(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in (self.token, *self.issued):
            return _error(401, "UNAUTHENTICATED")
        parts = request.path.strip("/").split("/")
        if request.method == "POST":
            return self._policy(parts)
        if request.method != "GET" or "keyString" in parts:
            return _error(500, "an auditor must never ask this")
        return self._route(request, parts)

    def _route(self, request: Request, parts: list[str]) -> Reply:  # noqa: PLR0911, PLR0912
        match parts:
            case ["v3", "projects:search"]:
                return self._page(request, "projects", self.projects)
            case ["v3", "projects", project]:
                found = [one for one in self.projects if one["projectId"] == project]
                return Reply(200, found[0]) if found else _error(403, "PERMISSION_DENIED")
            case ["v3", "folders", number]:
                name = f"folders/{number}"
                if name not in self.parents:
                    return _error(403, "PERMISSION_DENIED")
                return Reply(200, {"name": name, "parent": self.parents[name]})
            case ["v1", _, _, "roles", _]:
                name = "/".join(parts[1:])
                if name not in self.roles:
                    return _error(403, "PERMISSION_DENIED")
                return Reply(200, {"name": name, "includedPermissions": self.roles[name]})
            case ["v1", "projects", project, "serviceAccounts"]:
                return self._page(request, "accounts", self.accounts.get(project, []))
            case ["v1", "projects", project, "serviceAccounts", email]:
                return _one(self.accounts.get(project, []), email=email)
            case ["v1", "projects", _, "serviceAccounts", email, "keys", _]:
                return _one(self.keys.get(email, []), name="/".join(parts[1:]))
            case ["v1", "projects", _, "serviceAccounts", email, "keys"]:
                if email not in self.keys:
                    return _error(404, "NOT_FOUND")
                wanted = request.query.get("keyTypes", [""])[0]
                found = [one for one in self.keys[email] if one["keyType"] == wanted]
                return Reply(200, {"keys": found} if found else {})
            case ["v1", "projects", project, "locations", "global", "activityTypes", kind, _]:
                assert kind == "serviceAccountKeyLastAuthentication"
                rows = self.activities.get(project, [])
                (wanted,) = request.query.get("filter", [""])
                name = wanted.removeprefix('activities.fullResourceName="').removesuffix('"')
                rows = [one for one in rows if name in ("", one.get("fullResourceName"))]
                return self._page(request, "activities", rows)
            case ["v2", "projects", project, "locations", "global", "keys"]:
                return self._page(request, "keys", self.api_keys.get(project, []))
            case ["v2", "projects", project, "locations", "global", "keys", uid]:
                return _one(self.api_keys.get(project, []), uid=uid)
            case ["storage", "v1", "projects", project, "hmacKeys", access_id]:
                return _one(self.hmac_keys.get(project, []), accessId=access_id)
            case ["storage", "v1", "projects", project, "hmacKeys"]:
                return self._page(request, "items", self.hmac_keys.get(project, []))
        return _error(404, "NOT_FOUND")

    def _policy(self, parts: list[str]) -> Reply:
        name, _, verb = "/".join(parts[1:]).partition(":")
        if verb != "getIamPolicy":
            return _error(500, "an auditor must never ask this")
        if name not in self.policies:
            return _error(403, "PERMISSION_DENIED")
        bindings = self.policies[name]
        return Reply(
            200, {"version": 3, "etag": "x"} | ({"bindings": bindings} if bindings else {})
        )

    def _issue(self, request: Request) -> Reply:
        assertion = request.form.get("assertion", [""])[0]
        claims = jwt.decode(assertion, options={"verify_signature": False})
        public_key = self.clients.get(claims["iss"])
        if public_key is None:
            return Reply(400, {"error": "invalid_grant", "error_description": SECRET})
        jwt.decode(assertion, public_key, algorithms=["RS256"], audience=claims["aud"])
        token = f"ya29.CANARY-issued-{len(self.issued):020}"
        self.issued.append(token)
        return Reply(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def _page(self, request: Request, member: str, records: list[Record]) -> Reply:
        size = min(self.page_size, 1000)
        asked = request.query.get("pageToken", ["0"])[0]
        if self.starts_empty and asked == "0" and records:
            return Reply(200, {"nextPageToken": "first"})
        start = 0 if asked == "first" else int(asked)
        chosen = records[start : start + size]
        body: Record = {member: chosen} if chosen else {}
        if start + size < len(records):
            body["nextPageToken"] = str(start + size)
        return Reply(200, body)


def _one(records: list[Record], **wanted: str) -> Reply:
    found = [one for one in records if wanted.items() <= one.items()]
    return Reply(200, found[0]) if found else _error(404, "NOT_FOUND")


def _error(code: int, status: str) -> Reply:
    return Reply(code, {"error": {"code": code, "status": status, "message": SECRET}})
