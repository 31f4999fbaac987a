"""A faithful loopback Microsoft Graph with its token endpoint, on one origin.

Shapes follow the models of Microsoft's Graph SDK. Records carry what must never come out.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt

from tests.fakes.http import LoopbackServer, Reply, Request

Record = dict[str, Any]

SECRET = "CANARY-entra-secret-5e0b"
TENANT = "8b1c2f54-7d2e-4c0a-9a51-3f2f6f0f7a10"
GRAPH = "resource-graph"
ROLES = {
    "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9": "Application.ReadWrite.All",
    "810c84a8-4a9e-49e6-bf7d-12d183f40d01": "Mail.Read",
    "df021288-bdef-4463-88db-98f22de89214": "User.Read.All",
}
BY_NAME = {value: key for key, value in ROLES.items()}


@dataclass
class FakeEntra:
    """What the fake tenant holds, and how it behaves; change anything at any time."""

    client_id: str = "auditor-app"
    client_secret: str = "CANARY-client-secret-0a9b"
    public_key: Any = None
    """Of the certificate that is registered for the auditor."""
    assertion: str = "eyJCANARYaa.CANARYassertion.x"
    """The federated token that is trusted."""
    token_uses: int | None = None
    applications: list[Record] = field(default_factory=list)
    principals: list[Record] = field(default_factory=list)
    resources: dict[str, Record] = field(default_factory=dict)
    federated: dict[str, list[Record]] = field(default_factory=dict)
    """By application object id."""
    owners: dict[str, list[Record]] = field(default_factory=dict)
    """By object id."""
    assignments: dict[str, list[Record]] = field(default_factory=dict)
    """By service principal."""
    grants: list[Record] = field(default_factory=list)
    directory_roles: list[Record] = field(default_factory=list)
    credential_sign_ins: list[Record] = field(default_factory=list)
    application_sign_ins: list[Record] = field(default_factory=list)
    page_size: int = 100
    issued: dict[str, int] = field(default_factory=dict)
    assertions: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        roles = [{"id": key, "value": value} for key, value in ROLES.items()]
        graph = {"id": GRAPH, "displayName": "Microsoft Graph", "appRoles": roles}
        self.resources[GRAPH] = graph

    def add_application(self, name: str, *, with_principal: bool = True, **more: Any) -> Record:
        record = {
            "id": f"object-{name}",
            "appId": f"app-{name}",
            "displayName": name,
            "createdDateTime": "2021-05-04T09:31:12Z",
            "signInAudience": "AzureADMyOrg",
            "passwordCredentials": [],
            "keyCredentials": [],
            "disabledByMicrosoftStatus": None,
            **more,
        }
        self.applications.append(record)
        if with_principal:
            self.add_principal(name)
        return record

    def add_principal(self, name: str, **more: Any) -> Record:
        record = {
            "id": f"principal-{name}",
            "appId": f"app-{name}",
            "displayName": name,
            "accountEnabled": True,
            "servicePrincipalType": "Application",
            "passwordCredentials": [],
            "keyCredentials": [],
            "disabledByMicrosoftStatus": None,
            **more,
        }
        self.principals.append(record)
        return record

    def add_consent(self, name: str, scope: str, consent: str = "AllPrincipals") -> None:
        self.grants.append(
            {
                "id": f"grant-{len(self.grants)}",
                "clientId": f"principal-{name}",
                "consentType": consent,
                "principalId": None if consent == "AllPrincipals" else "somebody",
                "resourceId": GRAPH,
                "scope": scope,
            }
        )

    def assign(self, name: str, role: str, resource: str = GRAPH) -> None:
        rows = self.assignments.setdefault(f"principal-{name}", [])
        role_id = BY_NAME.get(role, role)
        principal = f"principal-{name}"
        row = {"id": f"a{len(rows)}", "appRoleId": role_id, "resourceId": resource}
        rows.append(row | {"principalId": principal})

    def sign_in(self, name: str, key_id: str, when: str | None, **more: Any) -> None:
        self.credential_sign_ins.append(
            {
                "id": f"row-{len(self.credential_sign_ins)}",
                "appId": f"app-{name}",
                "keyId": key_id,
                "keyType": "clientSecret",
                "credentialOrigin": "application",
                "keyUsage": "verify",
                "servicePrincipalObjectId": None,
                "signInActivity": {"lastSignInDateTime": when, "lastSignInRequestId": SECRET},
                **more,
            }
        )

    def sign_in_as_application(self, name: str, when: str | None) -> None:
        activity = None if when is None else {"lastSignInDateTime": when}
        self.application_sign_ins.append(
            {
                "id": f"row-{len(self.application_sign_ins)}",
                "appId": f"app-{name}",
                "applicationAuthenticationClientSignInActivity": activity,
                "delegatedClientSignInActivity": None,
            }
        )

    def server(self, **options: Any) -> LoopbackServer:
        return LoopbackServer(self.handle, **options)

    def handle(self, request: Request) -> Reply:
        parts = request.path.strip("/").split("/")
        if request.method == "POST" and parts == [TENANT, "oauth2", "v2.0", "token"]:
            return self._issue(request)
        if request.method != "GET":
            return _error(500, "an auditor must never ask this")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.issued:
            return _error(401, "InvalidAuthenticationToken")
        self.issued[token] += 1
        if self.token_uses is not None and self.issued[token] > self.token_uses:
            return _error(401, "InvalidAuthenticationToken")
        return self._route(request, parts)

    def _route(self, request: Request, parts: list[str]) -> Reply:  # noqa: PLR0911, PLR0912
        match parts:
            case ["v1.0", "organization"]:
                return Reply(200, {"value": [{"id": TENANT, "displayName": "Acme"}]})
            case ["v1.0", "applications"]:
                return self._page(request, self.applications)
            case ["v1.0", "applications", object_id]:
                return _one(self.applications, object_id)
            case ["v1.0", "servicePrincipals"]:
                return self._page(request, self.principals)
            case ["v1.0", "servicePrincipals", resource] if resource in self.resources:
                return Reply(200, self.resources[resource])
            case ["v1.0", "servicePrincipals", principal]:
                return _one(self.principals, principal)
            case ["v1.0", "servicePrincipals", principal, "oauth2PermissionGrants"]:
                return self._page(request, [g for g in self.grants if g["clientId"] == principal])
            case ["v1.0", "servicePrincipals", principal, "appRoleAssignments"]:
                return self._page(request, self.assignments.get(principal, []))
            case ["v1.0", "applications" | "servicePrincipals", object_id, "owners"]:
                return self._page(request, self.owners.get(object_id, []))
            case ["v1.0", "applications", object_id, "federatedIdentityCredentials"]:
                return self._page(request, self.federated.get(object_id, []))
            case ["v1.0", "oauth2PermissionGrants"]:
                return self._page(request, self.grants)
            case ["v1.0", "roleManagement", "directory", "roleAssignments"]:
                return self._page(request, self.directory_roles)
            case ["beta", "reports", "appCredentialSignInActivities"]:
                return self._page(request, self.credential_sign_ins)
            case ["beta", "reports", "servicePrincipalSignInActivities"]:
                return self._page(request, self.application_sign_ins)
        return _error(404, "Request_ResourceNotFound")

    def _issue(self, request: Request) -> Reply:
        form = {name: values[0] for name, values in request.form.items()}
        assert form["grant_type"] == "client_credentials"
        assert form["scope"].endswith("/.default")
        if not self._is_known(form):
            return Reply(401, {"error": "invalid_client", "error_description": SECRET})
        token = f"CANARY-issued-{len(self.issued)}"
        self.issued[token] = 0
        return Reply(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def _is_known(self, form: dict[str, str]) -> bool:
        if form["client_id"] != self.client_id:
            return False
        assertion = form.get("client_assertion")
        if assertion is None:
            return form.get("client_secret") == self.client_secret
        if assertion == self.assertion:
            return True
        if self.public_key is None:
            return False
        try:
            claims = jwt.decode(
                assertion, self.public_key, algorithms=["PS256"], options={"verify_aud": False}
            )
        except jwt.PyJWTError:
            return False
        self.assertions.append(claims | jwt.get_unverified_header(assertion))
        return bool(claims["iss"] == claims["sub"] == self.client_id)

    def _page(self, request: Request, records: list[Record]) -> Reply:
        for chosen in request.query.get("$filter", []):
            field, _, value = chosen.partition(" eq ")
            records = [one for one in records if f"'{one.get(field)}'" == value]
        start = int(request.query.get("$skiptoken", ["0"])[0])
        size = min(self.page_size, int(request.query.get("$top", ["100"])[0]))
        body: Record = {"@odata.context": "x", "value": records[start : start + size]}
        if start + size < len(records):
            base = f"http://{request.headers['host']}{request.raw_path}"
            same = {key: one[0] for key, one in request.query.items() if key == "$filter"}
            asked = urlencode({**same, "$top": size, "$skiptoken": start + size})
            body["@odata.nextLink"] = f"{base}?{asked}"
        return Reply(200, body)


def _one(records: list[Record], object_id: str) -> Reply:
    found = [one for one in records if one["id"] == object_id]
    return Reply(200, found[0]) if found else _error(404, "Request_ResourceNotFound")


def secret(key_id: str, **more: Any) -> Record:
    """A client secret as Graph lists it."""
    return {
        "customKeyIdentifier": None,
        "displayName": f"secret {key_id}",
        "endDateTime": "2027-02-01T00:00:00Z",
        "hint": SECRET[:3],
        "keyId": key_id,
        "secretText": SECRET,
        "startDateTime": "2025-02-01T10:11:12.1234567Z",
        **more,
    }


def certificate(key_id: str, **more: Any) -> Record:
    """A certificate as Graph lists it."""
    return {
        "customKeyIdentifier": "5tC0m0Gk2y2lq9pJ1n6m1w7y3bU=",
        "displayName": f"CN={key_id}",
        "endDateTime": "2026-12-31T23:59:59Z",
        "key": SECRET,
        "keyId": key_id,
        "startDateTime": "2024-12-31T00:00:00Z",
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
        **more,
    }


def _error(status: int, code: str) -> Reply:
    return Reply(status, {"error": {"code": code, "message": SECRET}})
