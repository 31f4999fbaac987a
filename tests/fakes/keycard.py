"""A faithful loopback Keycard: the endpoints an auditor reads, and traps on those it must not.

Shapes follow the vendor's SDK, which walks this fake with strict validation in
``tests/collectors/keycard/test_fidelity.py``.
"""

from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

from tests.fakes.http import LoopbackServer, Reply, Request

Record = dict[str, Any]

CREATED = "2025-11-02T09:00:00.000Z"
UPDATED = "2025-11-03T09:00:00.000Z"
SECRET = "CANARY-secret-material-9c1f"


def stamp(instant: datetime) -> str:
    """Return *instant* as Keycard writes times: UTC with milliseconds."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@dataclass
class FakeKeycard:
    """What the fake tenant holds, and how it behaves; change anything at any time."""

    organizations: list[Record] = field(default_factory=list)
    accounts: dict[str, list[Record]] = field(default_factory=dict)
    """By organization id."""
    credentials: dict[str, list[Record]] = field(default_factory=dict)
    """By service account id; ``permissions`` inside a record are its own map."""
    zones: dict[str, list[Record]] = field(default_factory=dict)
    """By organization id."""
    applications: dict[str, list[Record]] = field(default_factory=dict)
    """By zone id."""
    application_credentials: dict[str, list[Record]] = field(default_factory=dict)
    """By zone id."""
    token: str | None = "CANARY-static-token-55aa"
    clients: dict[str, str] = field(default_factory=dict)
    """client_id → client_secret accepted by the token endpoint."""
    token_lifetime: Any = 3600
    token_uses: int | None = None
    """After how many requests an issued token is answered with 401."""
    grant: dict[str, dict[str, bool]] | None = None
    """The caller's map, shown on every record that has none of its own."""
    expands: set[str] = field(default_factory=lambda: {"expand[]", "expand"})
    """Spellings that are honoured."""
    shows_null: bool = False
    """Send null where an optional value is missing, instead of leaving the key out."""
    default_limit: int = 100
    issued: dict[str, int] = field(default_factory=dict)
    """Access token → uses so far."""

    def add_organization(self, org_id: str, label: str = "", name: str = "") -> Record:
        org = {
            "id": org_id,
            "label": label or org_id,
            "name": name or org_id.title(),
            "created_at": CREATED,
            "updated_at": UPDATED,
            "sso_enabled": False,
            "zone_id": f"zone-of-{org_id}",
        }
        self.organizations.append(org)
        self.accounts[org_id] = []
        return org

    def add_account(self, org_id: str, account_id: str, name: str = "") -> Record:
        account = {
            "id": account_id,
            "name": name or account_id,
            "created_at": CREATED,
            "updated_at": UPDATED,
        }
        self.accounts[org_id].append(account)
        self.credentials[account_id] = []
        return account

    def add_credential(self, account_id: str, credential_id: str, **fields: Any) -> Record:
        credential = {
            "id": credential_id,
            "client_id": f"client-{credential_id}",
            "name": f"name of {credential_id}",
            "created_at": CREATED,
            **fields,
        }
        self.credentials[account_id].append(credential)
        return credential

    def add_zone(self, org_id: str, zone_id: str) -> Record:
        oauth2 = {
            key: f"https://{zone_id}.example.com/{key}"
            for key in (
                "authorization_endpoint",
                "authorization_server_metadata",
                "issuer",
                "jwks_uri",
                "redirect_uri",
                "registration_endpoint",
                "token_endpoint",
            )
        }
        zone = {
            "id": zone_id,
            "organization_id": org_id,
            "name": f"Zone {zone_id}",
            "slug": zone_id,
            "owner_type": "customer",
            "external_sync_enabled": False,
            "created_at": CREATED,
            "updated_at": UPDATED,
            "protocols": {
                "oauth2": {
                    **oauth2,
                    "dcr_enabled": False,
                    "pkce_required": True,
                    "cimd": {"enabled": False, "allowed_client_ids": []},
                },
                "openid": {
                    "provider_configuration": "https://example.com/.well-known",
                    "userinfo_endpoint": "https://example.com/userinfo",
                },
            },
        }
        self.zones.setdefault(org_id, []).append(zone)
        self.applications[zone_id] = []
        self.application_credentials[zone_id] = []
        return zone

    def add_application_credential(
        self, zone_id: str, credential_id: str, kind: str = "password", **fields: Any
    ) -> Record:
        org_id = next(
            o for o, zones in self.zones.items() if any(z["id"] == zone_id for z in zones)
        )
        credential = {
            "id": credential_id,
            "application_id": "app-1",
            "organization_id": org_id,
            "zone_id": zone_id,
            "slug": credential_id,
            "identifier": f"identifier-{credential_id}",
            "type": kind,
            "created_at": CREATED,
            "updated_at": UPDATED,
            **fields,
        }
        self.application_credentials[zone_id].append(credential)
        return credential

    def server(self, **options: Any) -> LoopbackServer:
        """Return a server for this tenant; enter it to start."""
        return LoopbackServer(self.handle, **options)

    def handle(self, request: Request) -> Reply:
        parts = [unquote(part) for part in request.raw_path.strip("/").split("/")]
        if request.method == "POST" and parts == ["service-account-token"]:
            return self._issue(request)
        if request.method != "GET" or "secrets" in parts:
            return _error(500, "an auditor must never ask this")
        refused = self._unauthorized(request)
        if refused is not None:
            return refused
        match parts:
            case ["organizations", *rest]:
                return self._organization_route(request, rest)
            case ["zones", *rest]:
                return self._zone_route(request, rest)
        return _error(404, "no such path")

    def _organization_route(self, request: Request, rest: list[str]) -> Reply:  # noqa: PLR0911
        if not rest:
            return self._page(request, self.organizations, _org_envelope)
        org = next((o for o in self.organizations if rest[0] in (o["id"], o["label"])), None)
        if org is None:
            return _error(404, "organization not found")
        accounts = self.accounts[org["id"]]
        match rest[1:]:
            case []:
                return self._single(request, [org], org["id"])
            case ["service-accounts"]:
                return self._page(request, accounts, _org_envelope)
            case ["service-accounts", account_id]:
                return self._single(request, accounts, account_id)
            case ["service-accounts", account_id, "credentials", *wanted]:
                if not any(account["id"] == account_id for account in accounts):
                    return _error(404, "service account not found")
                found = self.credentials[account_id]
                if wanted:
                    return self._single(request, found, wanted[0])
                return self._page(request, found, _org_envelope)
        return _error(404, "no such path")

    def _zone_route(self, request: Request, rest: list[str]) -> Reply:  # noqa: PLR0911
        every = [zone for zones in self.zones.values() for zone in zones]
        if not rest:
            wanted = request.query.get("filter[organization_id]")
            zones = self.zones.get(wanted[0], []) if wanted else every
            return self._page(request, zones, _zone_envelope)
        if not any(zone["id"] == rest[0] for zone in every):
            return _error(404, "zone not found")
        match rest[1:]:
            case []:
                return self._single(request, every, rest[0])
            case ["applications"]:
                return self._page(request, self.applications[rest[0]], _zone_envelope)
            case ["application-credentials"]:
                found = self.application_credentials[rest[0]]
                return self._page(request, found, _zone_envelope)
            case ["application-credentials", credential_id]:
                return self._single(request, self.application_credentials[rest[0]], credential_id)
        return _error(404, "no such path")

    def _issue(self, request: Request) -> Reply:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            pair = b64decode(encoded).decode().partition(":")
            client_id, secret = pair[0], pair[2]
        else:
            client_id = request.form.get("client_id", [""])[0]
            secret = request.form.get("client_secret", [""])[0]
        if request.form.get("grant_type") != ["client_credentials"]:
            return Reply(400, {"error": "unsupported_grant_type"})
        if self.clients.get(client_id) != secret:
            return Reply(401, {"error": "invalid_client", "error_description": SECRET})
        token = f"CANARY-issued-{len(self.issued)}"
        self.issued[token] = 0
        lifetime = {} if self.token_lifetime is None else {"expires_in": self.token_lifetime}
        return Reply(200, {"access_token": token, "token_type": "Bearer", **lifetime})

    def _unauthorized(self, request: Request) -> Reply | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and self.token is not None and token == self.token:
            return None
        if scheme != "Bearer" or token not in self.issued:
            return _error(401, "invalid token")
        self.issued[token] += 1
        if self.token_uses is not None and self.issued[token] > self.token_uses:
            return _error(401, "token expired")
        return None

    def _page(
        self, request: Request, records: list[Record], envelope: Callable[..., Record]
    ) -> Reply:
        query = request.query
        try:
            limit = int(query.get("limit", [str(self.default_limit)])[0])
            start = _position(query["after"][0], request.raw_path) if "after" in query else 0
        except ValueError:
            return _error(400, "bad cursor or limit")
        if not 1 <= limit <= 100:
            return _error(400, "limit must be 1 to 100")
        chosen = records[start : start + limit]
        ends = start + len(chosen)
        cursor = _cursor(ends, request.raw_path) if chosen else None
        body = envelope(ends < len(records), start > 0, cursor, shows_null=self.shows_null)
        body["items"] = [self._shown(request, record) for record in chosen]
        if self._expanded(request) and self.grant is not None:
            body["permissions"] = self.grant
        return Reply(200, body)

    def _single(self, request: Request, records: list[Record], wanted: str) -> Reply:
        found = next((record for record in records if record["id"] == wanted), None)
        return Reply(200, self._shown(request, found)) if found else _error(404, "not found")

    def _expanded(self, request: Request) -> bool:
        return any("permissions" in request.query.get(name, []) for name in self.expands)

    def _shown(self, request: Request, record: Record) -> Record:
        shown = {key: value for key, value in record.items() if key != "permissions"}
        if self.shows_null and "client_id" in record:
            shown = {"last_used_at": None, "description": None, **shown}
        if self._expanded(request):
            permissions = record.get("permissions", self.grant)
            if permissions is not None:
                shown["permissions"] = permissions
        return shown


def _org_envelope(
    has_next: bool, has_previous: bool, cursor: str | None, *, shows_null: bool
) -> Record:
    info: Record = {"has_next_page": has_next, "has_prev_page": has_previous}
    if cursor is not None:
        info["end_cursor"] = cursor
    return {"page_info": info}


def _zone_envelope(
    has_next: bool, has_previous: bool, cursor: str | None, *, shows_null: bool
) -> Record:
    after = cursor if has_next else None
    info: Record = {"has_next_page": has_next, "has_previous_page": has_previous}
    info |= {"end_cursor": cursor, "start_cursor": None}
    return {"page_info": info, "pagination": {"after_cursor": after, "before_cursor": None}}


def _cursor(position: int, path: str) -> str:
    check = sha256(f"{path}#{position}".encode()).hexdigest()[:8]
    return urlsafe_b64encode(f"{position}.{check}".encode()).decode()


def _position(cursor: str, path: str) -> int:
    position, _, _check = urlsafe_b64decode(cursor.encode()).decode().partition(".")
    if _cursor(int(position), path) != cursor:
        raise ValueError("not a cursor of this list")
    return int(position)


def _error(status: int, message: str) -> Reply:
    return Reply(status, {"message": message, "code": "error", "status": status})
