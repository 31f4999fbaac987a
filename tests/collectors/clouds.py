"""GitHub, Google Cloud and Microsoft Entra as the contracts need them: healthy, on two pages."""

from typing import Any

from auditor.collectors.entra import Entra, EntraOptions
from auditor.collectors.gcp import Gcp, GcpOptions
from auditor.collectors.github import Github, GithubOptions
from auditor.collectors.interface import Collector, Context
from tests.fakes.entra import TENANT, FakeEntra, certificate, secret
from tests.fakes.gcp import FakeGcp
from tests.fakes.github import APP_ID, APP_KEY, FakeGithub
from tests.fakes.http import LoopbackServer

USED = "2026-02-18T07:00:00Z"
GITHUB_TOKEN_PATH = "/app/installations/41/access_tokens"
ENTRA_TOKEN_PATH = f"/{TENANT}/oauth2/v2.0/token"


def serve_github() -> LoopbackServer:
    fake = FakeGithub(most=1)
    fake.add_organization("acme", 1)
    fake.repositories["acme"] = ["web", "api"]
    for number in (1, 2):
        fake.add_token("acme", number, token_last_used_at=USED)
        fake.add_key("acme/web", 300 + number, last_used=USED)
    fake.add_authorization("acme", 1, credential_accessed_at=USED)
    fake.add_installation("acme", 7)
    return fake.server()


def open_github(server: LoopbackServer, context: Context, **options: Any) -> Collector:
    keys = {"name": "github-prod", "provider": "github", "base_url": server.url}
    login = {"app_id": APP_ID, "private_key": APP_KEY}
    return Github(GithubOptions.model_validate({**keys, **login, **options}), context)


def serve_gcp() -> LoopbackServer:
    fake = FakeGcp(page_size=1)
    fake.add_project("acme", parent="organizations/55")
    fake.policies["organizations/55"] = []
    email = fake.add_account("acme", "ci")
    fake.add_account("acme", "idle")
    for number in (1, 2):
        fake.add_key(email, f"key{number}", validAfterTime="2025-06-01T00:00:00Z")
        fake.add_activity(email, f"key{number}", USED)
    fake.add_api_key("acme", "api1", serviceAccountEmail=email)
    fake.add_hmac_key("acme", "GOOG1", email)
    return fake.server()


def open_gcp(server: LoopbackServer, context: Context, **options: Any) -> Collector:
    keys = {"name": "gcp-prod", "provider": "gcp", "endpoint_url": server.url}
    login = {"token": FakeGcp().token}
    return Gcp(GcpOptions.model_validate({**keys, **login, **options}), context)


def serve_entra() -> LoopbackServer:
    fake = FakeEntra(page_size=1)
    for name in ("erp", "crm"):
        fake.add_application(name, passwordCredentials=[secret(f"key-{name}")])
        fake.sign_in(name, f"key-{name}", USED)
        fake.assign(name, "Mail.Read")
        fake.add_consent(name, "User.Read")
    fake.federated["object-erp"] = [{"id": "f1", "name": "ci", "issuer": "https://ci.example"}]
    fake.add_principal("saml", keyCredentials=[certificate("k1", usage="Sign")])
    row = {"id": "r1", "principalId": "principal-saml", "roleDefinitionId": "role-1"}
    fake.directory_roles.append(row)
    return fake.server()


def open_entra(server: LoopbackServer, context: Context, **options: Any) -> Collector:
    fake = FakeEntra()
    keys = {"name": "entra-prod", "provider": "entra", "tenant_id": TENANT}
    login = {"client_id": fake.client_id, "client_secret": fake.client_secret}
    places = {"base_url": server.url, "login_url": server.url, "reports_per_second": 1000}
    return Entra(EntraOptions.model_validate({**keys, **login, **places, **options}), context)
