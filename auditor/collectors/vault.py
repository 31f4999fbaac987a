"""HashiCorp Vault and OpenBao: service tokens, and the secret ids of AppRole, by accessor.

Facts were read in the source of OpenBao, whose token store and AppRole engine are those of Vault.
An accessor tells about a token without being one; even so, only a digest of it is kept.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial

from auditor.client import Client, Dialect, Sign, Wait
from auditor.collectors._again import kind_of
from auditor.collectors._notebook import text
from auditor.collectors._parts import concluded, in_parts, tried
from auditor.collectors._vault.listing import Listing, data_of, keys_of
from auditor.collectors._vault.options import VaultOptions, login, path_of
from auditor.collectors._vault.records import Reading
from auditor.collectors.interface import Access, Collector, Context, Item, Unit
from auditor.errors import AuthenticationFailed, NotFound, SourceError, UnexpectedResponse
from auditor.model import Credential, Organization

__all__ = ["Vault", "VaultOptions"]

_ROOT = "/"
_DEEPEST = 16
DIALECT = Dialect(
    # A standby that has not caught up answers 412: what it waits for comes soon.
    signs=(Sign(429), Sign(412)),
    waits=(Wait("retry-after"), Wait("x-ratelimit-reset", "seconds")),
)
_POLICY = """\
# What the auditor needs, in every namespace it reads. Nothing here reveals a token or a secret id,
# and nothing creates one: on secret-id, `update` would, and is not granted.
path "auth/token/accessors"                    { capabilities = ["list", "sudo"] }
path "auth/token/accessors/"                   { capabilities = ["list", "sudo"] }
path "auth/token/lookup-accessor"              { capabilities = ["update"] }
path "sys/auth"                                { capabilities = ["read"] }
path "auth/+/role"                             { capabilities = ["list"] }
path "auth/+/role/+"                           { capabilities = ["read"] }
path "auth/+/role/+/secret-id"                 { capabilities = ["list"] }
path "auth/+/role/+/secret-id-accessor/lookup" { capabilities = ["update"] }
path "identity/entity/id/*"                    { capabilities = ["read"] }
path "sys/policies/acl/*"                      { capabilities = ["read"] }
path "sys/namespaces"                          { capabilities = ["list"] }
"""


class Vault(Collector):
    """Reads the namespaces of one cluster."""

    Options = VaultOptions
    options: VaultOptions
    summary = "Service tokens and AppRole secret ids, by accessor (HashiCorp Vault, OpenBao)"
    last_use = "Of secret ids with a limited number of uses; never of tokens"
    limits = (
        "Batch tokens cannot be listed",
        "Performance secondaries have tokens of their own: one source for each cluster",
    )
    verified = "the source of OpenBao, and hvac, which reads our fake alike; no live cluster"
    least_privileges = (
        "list and sudo on auth/token/accessors, update on auth/token/lookup-accessor",
        "read on sys/auth, list on auth/+/role, read on auth/+/role/+",
        "list on auth/+/role/+/secret-id, update on auth/+/role/+/secret-id-accessor/lookup",
        "read on sys/policies/acl/* and identity/entity/id/*",
        "with namespaces: all, list on sys/namespaces",
    )

    def __init__(self, options: VaultOptions, context: Context) -> None:
        super().__init__(options, context)
        self._client = Client(
            options.base_url,
            options,
            auth=login(options),
            dialect=DIALECT,
            headers={"X-Vault-Request": "true"},
            hint="`auditor providers show vault`",
            directory=context.directory,
        )
        self._unlisted: dict[str, SourceError] = {}
        """Namespaces whose own namespaces could not be listed."""

    @classmethod
    def setup_documents(cls) -> dict[str, str]:
        """Return the ACL policy that lets the auditor in."""
        return {"credential-auditor.hcl": _POLICY}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @property
    def reads_all(self) -> bool:
        """Whether ``namespaces: all`` is configured."""
        return self.options.namespaces == "all"

    async def units(self) -> list[Unit]:
        """Return one unit per namespace."""
        if self.options.namespaces == "all":
            names = await self._namespaces()
        else:
            names = list(self.options.namespaces)
        return [Unit(name or _ROOT, self._organization(name)) for name in names]

    async def collect(self, unit: Unit) -> AsyncIterator[Item]:
        """Yield the tokens, then the secret ids of one namespace."""
        namespace = "" if unit.key == _ROOT else unit.key
        reading = self._reading(namespace)
        if namespace in self._unlisted:
            reading.failed(self._unlisted[namespace], "The namespaces below")
        own, workers = await self._own_accessor(), self.options.concurrency
        listing = Listing(self._client, reading, namespace, own, workers)
        await listing.learn_mounts()
        parts = {"Tokens": listing.tokens, "AppRole": listing.secret_ids}
        found = concluded(in_parts(parts, reading), reading.conclusions)
        async with aclosing(found) as items:
            async for item in items:
                yield item

    async def refresh(self, credential: Credential) -> Credential | None:
        """Read one token or secret id again, and what its policies grant; None where gone.

        Only a digest of its accessor is kept, so the accessors are listed to find it.
        """
        host, place = self._organization("").id, credential.organization.id
        if place != host and not place.startswith(f"{host}/"):
            raise UnexpectedResponse(f"{credential.uid} is of another cluster than {host}")
        namespace = place.removeprefix(host).strip("/")
        listing = Listing(self._client, self._reading(namespace), namespace, None, 1)
        is_token = kind_of(credential) == "token"
        read = listing.one_token if is_token else listing.one_secret_id
        return await read(credential)

    def _reading(self, namespace: str) -> Reading:
        organization = self._organization(namespace)
        return Reading(
            organization, source=self.options.name, tenant=organization.id, now=self.context.now
        )

    async def check(self) -> list[Access]:
        """Try the lists and the policies of each namespace."""
        rows = []
        for unit in await self.units():
            namespace = "" if unit.key == _ROOT else unit.key
            for what, path in (
                ("list and sudo on auth/token/accessors", "auth/token/accessors"),
                ("read on sys/auth", "sys/auth"),
                ("read on sys/policies/acl/*", "sys/policies/acl/default"),
            ):
                rows.append(await self._access(unit.key, what, path_of(namespace, path)))
        return rows

    async def _namespaces(self) -> list[str]:
        """Return ``login_namespace`` and everything below; editions without have the root alone."""
        found = [self.options.login_namespace.strip("/")]
        for namespace in found:  # grows while it is walked
            if namespace.count("/") >= _DEEPEST:
                self._unlisted[namespace] = UnexpectedResponse(
                    f"Namespaces are nested more than {_DEEPEST} deep; those below are not read"
                )
                continue
            try:
                below = await keys_of(self._client, path_of(namespace, "sys/namespaces"))
            except NotFound:
                continue  # there are none
            except AuthenticationFailed:
                raise
            except SourceError as error:
                self._unlisted[namespace] = error
                continue
            found += sorted(f"{namespace}/{name.strip('/')}".strip("/") for name in below)
        return list(dict.fromkeys(found))

    def _organization(self, namespace: str) -> Organization:
        host = self._client.origin.place
        name = f"{host}/{namespace}" if namespace else host
        return Organization(name, name)

    async def _own_accessor(self) -> str | None:
        """Return the accessor of the token that a login just made; it ends by itself."""
        if self.options.token is not None:
            return None
        path = path_of(self.options.login_namespace, "auth/token/lookup-self")
        try:
            return text(await data_of(self._client, path), "accessor")
        except AuthenticationFailed:
            raise
        except SourceError:
            return None  # it is listed like any other then

    async def _access(self, subject: str, what: str, path: str) -> Access:
        is_list = path.endswith("/accessors")
        ask = partial(self._client.get, path, {"list": "true"} if is_list else None)
        return await tried(subject, what, ask)
