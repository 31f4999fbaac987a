"""A faithful loopback GitHub: the endpoints an auditor reads, and traps on those it must not.

Shapes follow GitHub's published OpenAPI description. Every record carries what must never come
out: key material, tokens, hashes.
"""

from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fakes.github_shapes import (
    installation,
    organization,
    organization_in_full,
    repository,
    repository_in_full,
    user,
)
from tests.fakes.http import LoopbackServer, Reply, Request

Record = dict[str, Any]

SECRET = "CANARY-github-secret-77aa"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
_APP_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
APP_KEY = _APP_KEY.private_bytes(
    Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
).decode()
APP_ID = "Iv1.auditor"


@dataclass
class FakeGithub:
    """What the fake holds, and how it behaves; change anything at any time."""

    prefix: str = ""
    """``/api/v3`` on a server of one's own."""
    token: str = "CANARY-owner-token-31c9"
    organizations: dict[str, int] = field(default_factory=dict)
    """Login → id."""
    suspended: set[str] = field(default_factory=set)
    selected: set[str] = field(default_factory=set)
    """Organizations in which the App sees some repositories only."""
    tokens: dict[str, list[Record]] = field(default_factory=dict)
    token_repositories: dict[int, list[str]] = field(default_factory=dict)
    """By grant id."""
    authorizations: dict[str, list[Record] | None] = field(default_factory=dict)
    """None: no SAML, 404."""
    repositories: dict[str, list[str]] = field(default_factory=dict)
    keys: dict[str, list[Record]] = field(default_factory=dict)
    """By owner/name."""
    installations: dict[str, list[Record]] = field(default_factory=dict)
    issued: dict[str, int] = field(default_factory=dict)
    """Installation token → organization id."""
    narrowed: list[Any] = field(default_factory=list)
    token_uses: int | None = None
    """After how many requests an installation's token is refused."""
    uses: dict[str, int] = field(default_factory=dict)
    most: int = 100
    """The most that a page holds, whatever is asked for; but for the App's installations."""

    def add_organization(self, login: str, number: int) -> None:
        self.organizations[login] = number
        self.tokens[login] = []
        self.authorizations[login] = []
        self.repositories[login] = []
        self.installations[login] = []

    def add_token(self, login: str, number: int, **fields: Any) -> Record:
        record = {
            "id": number,
            "owner": user("mona", 101),
            "repository_selection": "all",
            "repositories_url": f"https://api.github.com/organizations/1/x/{number}/repositories",
            "permissions": {"organization": {"members": "read"}, "repository": {"issues": "write"}},
            "access_granted_at": "2025-02-11T08:47:09.000-07:00",
            "token_id": 9000 + number,
            "token_name": f"token {number}",
            "token_expired": False,
            "token_expires_at": None,
            "token_last_used_at": None,
            "token": SECRET,
            **fields,
        }
        self.tokens[login].append(record)
        return record

    def add_authorization(self, login: str, number: int, **fields: Any) -> Record:
        record = {
            "login": "mona",
            "credential_id": number,
            "credential_type": "personal access token",
            "token_last_eight": SECRET[-8:],
            "credential_authorized_at": "2023-01-26T19:06:43Z",
            "credential_accessed_at": "2026-01-26T19:06:43Z",
            "authorized_credential_id": 5000 + number,
            "authorized_credential_note": "jenkins",
            "authorized_credential_expires_at": None,
            "scopes": ["repo", "admin:org"],
            "hashed_token": SECRET,
            **fields,
        }
        found = self.authorizations[login]
        assert found is not None
        found.append(record)
        return record

    def add_key(self, repository: str, number: int, **fields: Any) -> Record:
        record = {
            "id": number,
            "key": f"{KEY} {SECRET}",
            "url": "https://api.github.com/x",
            "title": f"key {number}",
            "verified": True,
            "created_at": "2023-01-10T15:53:42Z",
            "read_only": True,
            "added_by": "mona",
            "last_used": None,
            "enabled": True,
            **fields,
        }
        self.keys.setdefault(repository, []).append(record)
        return record

    def add_installation(self, login: str, number: int, **fields: Any) -> Record:
        stated: Record = {
            "permissions": {"contents": "write", "metadata": "read"},
            "events": ["push"],
            "repository_selection": "selected",
            "access_tokens_url": f"https://api.github.com/{SECRET}",
        }
        account = user(login, self.organizations[login], "Organization")
        record = installation(account, number, **stated | fields)
        self.installations[login].append(record)
        return record

    def server(self, **options: Any) -> LoopbackServer:
        return LoopbackServer(self.handle, **options)

    def handle(self, request: Request) -> Reply:  # noqa: PLR0911
        if not request.raw_path.startswith(self.prefix):
            return _error(404)
        parts = request.path.removeprefix(self.prefix).strip("/").split("/")
        if request.method == "POST":
            return self._issue(request, parts)
        if request.method != "GET":
            return _error(500)
        if parts == ["app", "installations"]:
            found = self._own()
            return self._paged(request, found, most=100) if self._is_app(request) else _error(401)
        if parts[0] == "orgs" and parts[2:] == ["installation"] and self._is_app(request):
            own = [one for one in self._own() if one["account"]["login"] == parts[1]]
            return Reply(200, own[0]) if own else _error(404)
        sender = self._sender(request)
        if sender is None:
            return _error(401)
        return self._route(request, parts, sender)

    def _route(self, request: Request, parts: list[str], sender: int) -> Reply:  # noqa: PLR0911
        match parts:
            case ["user", "orgs"]:
                found = [
                    organization(login, number) for login, number in self.organizations.items()
                ]
                return self._paged(request, found)
            case ["orgs", login, *rest] if self._sees(sender, login):
                return self._organization(request, login, rest, sender)
            case ["repos", login, name, *rest] if self._sees(sender, login):
                if name not in self.repositories[login]:
                    return _error(404)
                if not rest:
                    return Reply(200, repository_in_full(login, name))
                keys = self.keys.get(f"{login}/{name}", [])
                if len(rest) == 1:
                    return self._paged(request, keys)
                found = [key for key in keys if str(key["id"]) == rest[1]]
                return Reply(200, found[0]) if found else _error(404)
        return _error(404)

    def _organization(  # noqa: PLR0911
        self, request: Request, login: str, rest: list[str], sender: int
    ) -> Reply:
        match rest:
            case []:
                return Reply(200, organization_in_full(login, self.organizations[login]))
            case ["personal-access-tokens"] if sender:
                wanted = request.query.get("token_id[]")
                tokens = self.tokens[login]
                if wanted is not None:
                    tokens = [one for one in tokens if str(one["token_id"]) in wanted]
                return self._paged(request, tokens)
            case ["personal-access-tokens", grant, "repositories"] if sender:
                names = self.token_repositories.get(int(grant), [])
                rows = [
                    repository(login, name.rpartition("/")[2], i) for i, name in enumerate(names)
                ]
                return self._paged(request, rows)
            case ["credential-authorizations"]:
                found = self.authorizations[login]
                if found is None:
                    return _error(404)
                member = request.query.get("login")
                found = [one for one in found if member in (None, [one["login"]])]
                return self._paged(request, found, linked=False)
            case ["installations"]:
                return self._paged(request, self.installations[login], member="installations")
            case ["repos"]:
                names = self.repositories[login]
                rows = [repository(login, name, i) for i, name in enumerate(names)]
                return self._paged(request, rows)
        return _error(404)

    def _own(self) -> list[Record]:
        rows = [
            installation(
                user(login, number, "Organization"),
                40 + number,
                permissions={"members": "write", "administration": "read", "metadata": "read"},
                repository_selection="selected" if login in self.selected else "all",
                suspended_at="2026-01-01T00:00:00Z" if login in self.suspended else None,
            )
            for login, number in self.organizations.items()
        ]
        return [*rows, installation(user("mona", 101), 39)]

    def _issue(self, request: Request, parts: list[str]) -> Reply:
        match parts:
            case ["app", "installations", number, "access_tokens"] if self._is_app(request):
                self.narrowed.append(request.body)
                token = f"ghs_CANARYissued{len(self.issued):020}"
                self.issued[token] = int(number) - 40
                return Reply(201, {"token": token, "expires_at": "2099-01-01T00:00:00Z"})
        return _error(401)

    def _is_app(self, request: Request) -> bool:
        _, _, statement = request.headers.get("authorization", "").partition(" ")
        try:
            claims = jwt.decode(statement, _APP_KEY.public_key(), algorithms=["RS256"])
        except jwt.PyJWTError:
            return False
        return bool(claims["iss"] == APP_ID and claims["exp"] - claims["iat"] <= 600)

    def _sender(self, request: Request) -> int | None:
        """0 for the owner's token, else the organization of an installation's token."""
        _, _, token = request.headers.get("authorization", "").partition(" ")
        if token == self.token:
            return 0
        if token not in self.issued:
            return None
        self.uses[token] = self.uses.get(token, 0) + 1
        if self.token_uses is not None and self.uses[token] > self.token_uses:
            return None
        return self.issued[token]

    def _sees(self, sender: int, login: str) -> bool:
        number = self.organizations.get(login)
        return number is not None and sender in (0, number)

    def _paged(
        self,
        request: Request,
        records: list[Any],
        *,
        member: str | None = None,
        linked: bool = True,
        most: int | None = None,
    ) -> Reply:
        size = int(request.query.get("per_page", ["30"])[0])
        page = int(request.query.get("page", ["1"])[0])
        if not 1 <= size <= 100:
            return _error(422)
        size = min(size, most or self.most)
        chosen = records[(page - 1) * size : page * size]
        headers = {}
        if linked and page * size < len(records):
            base = f"http://{request.headers['host']}{request.raw_path}?per_page={size}"
            headers["Link"] = f'<{base}&page={page + 1}>; rel="next", <{base}&page=9>; rel="last"'
        body: Any = {"total_count": len(records), member: chosen} if member else chosen
        return Reply(200, body, headers)


def _error(status: int) -> Reply:
    return Reply(status, {"message": SECRET, "documentation_url": "https://docs.github.com"})
