"""The calls that read one namespace."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from auditor.client import Client, fan_out
from auditor.collectors._again import picked
from auditor.collectors._notebook import child, text
from auditor.collectors._once import Once
from auditor.collectors._patience import Patience
from auditor.collectors._vault.acl import Capabilities, merged, read_policy
from auditor.collectors._vault.options import path_of
from auditor.collectors._vault.records import (
    Entity,
    Reading,
    Role,
    digest,
    holder_type,
    policies_of,
)
from auditor.collectors.interface import Item, Page
from auditor.errors import (
    AccessDenied,
    AuthenticationFailed,
    NotFound,
    SourceError,
    UnexpectedResponse,
)
from auditor.model import Credential, PermissionMap

_PAGE = 200
_TOKEN_GONE = (400, 403, 404)
"""How versions of Vault answer for the accessor of a token that ended meanwhile."""


async def data_of(client: Client, path: str) -> dict[str, Any]:
    """Return what stands at *path*; raises `SourceError`."""
    return _data((await client.get(path)).object())


async def keys_of(client: Client, path: str) -> list[str]:
    """Return the names that *path* lists; raises `SourceError`, `NotFound` for none at all."""
    answer = await client.get(path, {"list": "true"})
    keys = _data(answer.object()).get("keys")
    if not isinstance(keys, list):
        raise UnexpectedResponse(f"{answer.where} answered without a list of keys")
    return [key for key in keys if isinstance(key, str) and key]


class Listing:
    """One namespace; what cannot be read of it is told to *reading*."""

    def __init__(
        self, client: Client, reading: Reading, namespace: str, own: str | None, workers: int
    ) -> None:
        self._client = client
        self._reading = reading
        self._namespace = namespace
        self._own = own
        """The accessor of the token that the auditor logged in for; it is not reported."""
        self._workers = workers
        self._patience = Patience()
        self._mounts: dict[str, str] = {}
        """Login methods: mount → type."""
        self._without_mounts: SourceError | None = None
        self._policies = Once(self._read_policy)
        self._entities = Once(self._read_entity)
        self._may_read_entities = True
        self._looked_up = 0
        self._refused: SourceError | None = None

    async def learn_mounts(self) -> None:
        """Read the login methods; where they cannot be read, `secret_ids` raises why."""
        try:
            found = await data_of(self._client, self._path("sys/auth"))
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self._without_mounts = error
            return
        kinds = {mount.strip("/"): text(about, "type") for mount, about in found.items()}
        self._mounts = {mount: kind for mount, kind in kinds.items() if kind is not None}
        if not self._mounts:  # tokens themselves are such a method
            self._without_mounts = UnexpectedResponse("Vault answered without any login method")

    async def tokens(self) -> AsyncGenerator[Item, None]:
        """Yield the service tokens."""
        accessors = await keys_of(self._client, self._path("auth/token/accessors"))
        page: list[Credential] = []
        async with aclosing(fan_out(_each(accessors), self._token, self._workers)) as found:
            async for credential in found:
                page.append(credential)
                if len(page) == _PAGE:
                    yield Page(self._reading.organization, tuple(page))
                    page.clear()
        yield Page(self._reading.organization, tuple(page))
        if self._refused is not None and not self._looked_up:
            raise self._refused
        self._reading.note(
            "Batch tokens leave nothing behind that could be listed, and no record of use is kept "
            "for tokens."
        )

    async def secret_ids(self) -> AsyncGenerator[Item, None]:
        """Yield the secret ids of every role of every AppRole method."""
        if self._without_mounts is not None:
            raise self._without_mounts
        for mount in [mount for mount, kind in self._mounts.items() if kind == "approle"]:
            try:
                roles = await keys_of(self._client, self._path("auth", mount, "role"))
            except NotFound:
                continue  # there are none
            read = partial(self._secret_ids_of, mount)
            async with aclosing(fan_out(_each(roles), read, self._workers)) as pages:
                async for page in pages:
                    yield page

    async def one_token(self, wanted: Credential) -> Credential | None:
        """Return a token as it is now; None where it is gone. Raises `SourceError`."""
        await self.learn_mounts()
        accessors = await keys_of(self._client, self._path("auth/token/accessors"))
        accessor = next((one for one in accessors if digest(one) == wanted.provider_id), None)
        if accessor is None:
            return None
        found = [one async for one in self._token(accessor)]
        if isinstance(self._refused, AccessDenied):
            raise self._refused
        return picked(found, wanted, self._reading)

    async def one_secret_id(self, wanted: Credential) -> Credential | None:
        """Return a secret id as it is now; None where it is gone. Raises `SourceError`."""
        await self.learn_mounts()
        if self._without_mounts is not None:
            raise self._without_mounts
        mount, name = wanted.tags["mount"], wanted.tags["role"]
        if self._mounts.get(mount) != "approle":
            return None
        found: list[Credential] = []
        async for page in self._secret_ids_of(mount, name, only=wanted.provider_id):
            found += page.credentials
        return picked(found, wanted, self._reading)

    async def _token(self, accessor: str) -> AsyncIterator[Credential]:
        path = self._path("auth/token/lookup-accessor")
        try:
            record = await self._looked_at(path, {"accessor": accessor}, "A token")
        except SourceError as error:
            if error.status not in _TOKEN_GONE:
                raise
            self._refused = error  # it ended, unless all of them are refused
            return
        if record is None:
            return
        self._looked_up += 1
        if accessor == self._own:
            return
        yield self._reading.token(
            accessor,
            record,
            entity=await self._entity(text(record, "entity_id")),
            holder=holder_type(text(record, "path"), self._mounts),
            permissions=await self._permissions(policies_of(record)),
        )

    async def _secret_ids_of(
        self, mount: str, name: str, only: str | None = None
    ) -> AsyncIterator[Page]:
        """Yield the secret ids of a role, or the one with the digest *only*."""
        try:
            base = self._path("auth", mount, "role", name)
            role = Role.of(mount, name, await data_of(self._client, base))
            accessors = await keys_of(self._client, f"{base}/secret-id")
        except NotFound:
            return  # the role is gone, or has no secret ids
        except SourceError as error:
            self._patience.failed(error)
            self._reading.failed(error, f"The secret ids of role {name}")
            return
        permissions = await self._permissions(role.policies)
        found = []
        for accessor in accessors:
            if only not in (None, digest(accessor)):
                continue
            body = {"secret_id_accessor": accessor}
            path = f"{base}/secret-id-accessor/lookup"
            try:
                record = await self._looked_at(path, body, f"A secret id of role {name}")
            except NotFound:
                continue
            except SourceError as error:
                self._reading.failed(error, f"A secret id of role {name}")
                continue
            if record:
                found.append(self._reading.secret_id(accessor, record, role, permissions))
        yield Page(self._reading.organization, tuple(found))

    async def _looked_at(self, path: str, body: dict[str, str], what: str) -> dict[str, Any] | None:
        """Return what an accessor stands for; None, and a gap, where that cannot be read.

        Raises `SourceError` where it is refused: whether that means *gone* depends on the path.
        """
        try:
            answer = await self._client.post(path, json=body)
            record = _data(answer.object()) if answer.status != 204 else {}
        except SourceError as error:
            if error.status is not None and 400 <= error.status < 500:
                raise
            self._patience.failed(error)
            self._reading.failed(error, what)
            return None
        self._patience.went_well()
        return record

    async def _permissions(self, names: tuple[str, ...]) -> PermissionMap:
        """Return what policies grant; those that cannot be read stand under ``policy``."""
        by_name, read = [], []
        for name in names:
            # The first has no text; the second concerns its holder alone.
            policy = None if name in ("root", "default") else await self._policies.get(name)
            if policy is None:
                by_name.append(name)
            else:
                read.append(policy)
        found = merged(read)
        if by_name:
            found.setdefault("policy", {}).update(dict.fromkeys(by_name, True))
        return found

    async def _read_policy(self, name: str) -> Capabilities | None:
        try:
            record = await data_of(self._client, self._path("sys/policies/acl", name))
        except NotFound:
            return {}  # a token may name a policy that is not there: it grants nothing
        except AccessDenied:
            self._reading.note("Policies that the auditor may not read are known by name only.")
            return None
        except SourceError as error:
            self._patience.failed(error)
            self._reading.failed(error, f"Policy {name}")
            return None
        source = record.get("policy")
        found = read_policy(source) if isinstance(source, str) else None
        if found is None:
            self._reading.note("Policies that are not understood are known by name only.")
        return found

    async def _entity(self, found: str | None) -> Entity | None:
        return None if found is None else await self._entities.get(found)

    async def _read_entity(self, found: str) -> Entity:
        unknown = Entity(found, found)
        if not self._may_read_entities:
            return unknown
        try:
            record = await data_of(self._client, self._path("identity/entity/id", found))
        except NotFound:
            return unknown
        except AccessDenied as error:
            self._may_read_entities = False
            self._reading.failed(error, "Entities, and whether they are disabled")
            return unknown
        except SourceError as error:
            self._patience.failed(error)
            self._reading.failed(error, f"Entity {found}")
            return unknown
        is_disabled = record.get("disabled") is True
        return Entity(found, text(record, "name") or found, is_disabled)

    def _path(self, *parts: str) -> str:
        return path_of(self._namespace, *parts)


def _data(body: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked for; every answer wraps it."""
    return child(body, "data")


async def _each(names: list[str]) -> AsyncIterator[str]:
    for name in names:
        yield name
