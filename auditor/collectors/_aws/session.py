"""Who asks: the auditor's own identity, and the role it assumes in each account."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from auditor.client.throttle import Gate
from auditor.collectors._aws import answers, calls
from auditor.collectors._aws.answers import Record, text
from auditor.collectors._aws.calls import Call
from auditor.collectors._aws.options import AwsOptions
from auditor.collectors._aws.refusals import EXPIRED, Denied, code_of
from auditor.collectors._aws.signing import Keys
from auditor.collectors._aws.wire import Message, Wire, query, target
from auditor.errors import AuthenticationFailed, ConfigError, SourceError, UnexpectedResponse

if TYPE_CHECKING:
    from botocore.credentials import Credentials

_LASTS = 3600.0
"""Seconds a session lasts: the most that AWS gives to a role assumed by another role."""
_EARLY = 300.0
"""Seconds before its end at which a session is renewed, so that no call meets it."""
_SESSION_NAME = "auditor"
_MOST_PAGES = 10_000


class Login(Protocol):
    """Where the keys come from that sign a request."""

    async def keys(self, *, fresh: bool = False) -> Keys:
        """Return keys that work now; *fresh* asks for new ones; raises `SourceError`."""


class OwnLogin:
    """The auditor's own identity: keys of the configuration, a profile, or the usual chain."""

    def __init__(self, options: AwsOptions) -> None:
        self._options = options
        self._given: Keys | None = None
        if options.access_key_id is not None:
            secret = options.secret_access_key or ""
            self._given = Keys(options.access_key_id, secret, options.session_token)
        else:
            _need_library()
        self._found: Credentials | None = None
        self._fixed: Keys | None = None
        """What was found, where it is of the kind that never changes and needs no thread."""
        self._lock = asyncio.Lock()

    async def keys(self, *, fresh: bool = False) -> Keys:
        """Return the keys; botocore renews those that it knows how to renew."""
        if self._given is not None:
            return self._given
        async with self._lock:
            if self._fixed is None or fresh:
                return await asyncio.to_thread(self._from_chain, fresh=fresh)
            return self._fixed

    def _from_chain(self, *, fresh: bool) -> Keys:
        from botocore.credentials import Credentials  # noqa: PLC0415 - an extra, and not light
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        try:
            if self._found is None or fresh:
                self._found = self._find()
            frozen = self._found.get_frozen_credentials()
        except BotoCoreError as error:
            raise AuthenticationFailed(
                f"The AWS credentials cannot be read or renewed ({type(error).__name__}); check "
                "`profile`, or log in again"
            ) from None
        keys = Keys(frozen.access_key, frozen.secret_key, frozen.token)
        self._fixed = keys if type(self._found) is Credentials else None
        return keys

    def _find(self) -> "Credentials":
        import botocore.session  # noqa: PLC0415 - likewise

        found = botocore.session.Session(profile=self._options.profile).get_credentials()
        if found is None:
            raise AuthenticationFailed(
                "There are no AWS credentials: set access_key_id and secret_access_key, `profile`, "
                "or log in with the tools of AWS"
            )
        return found


def _need_library() -> None:
    try:
        import botocore  # noqa: F401, PLC0415 - an extra; the package alone is light
    except ImportError:
        raise ConfigError(
            "Finding the credentials of AWS needs Amazon's library: install the extra with "
            "pip install 'auditor[aws]', or set access_key_id and secret_access_key"
        ) from None


class RoleLogin:
    """A role in an account, assumed once and again before its session ends."""

    def __init__(self, own: "Caller", arn: str, external_id: str | None) -> None:
        self._own = own
        self._arn = arn
        self._external_id = external_id
        self._keys: Keys | None = None
        self._due_at = 0.0
        self._lock = asyncio.Lock()

    async def keys(self, *, fresh: bool = False) -> Keys:
        """Return the keys of the session; raises `SourceError` where the role is refused."""
        stale = self._keys
        async with self._lock:
            is_due = asyncio.get_running_loop().time() >= self._due_at
            if self._keys is None or is_due or (fresh and self._keys is stale):
                await self._assume()
            assert self._keys is not None  # noqa: S101 - assumed just now
            return self._keys

    async def _assume(self) -> None:
        parameters = {
            "RoleArn": self._arn,
            "RoleSessionName": _SESSION_NAME,
            "DurationSeconds": f"{_LASTS:.0f}",
        }
        if self._external_id is not None:
            parameters["ExternalId"] = self._external_id
        try:
            given = (await self._own.query(calls.ASSUME_ROLE, **parameters)).get("Credentials")
        except Denied as denied:
            refused = Denied(
                f"The role {self._arn} cannot be assumed: see that it exists, that it trusts the "
                "auditor's identity, and that `external_id` is the one it asks for"
            )
            refused.status, refused.code, refused.message = (denied.status, denied.code, "")
            refused.kind = "role_refused"
            raise refused from None
        parts = [text(given, n) for n in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        if not all(parts):
            raise UnexpectedResponse(f"AWS gave no session for {self._arn}")
        self._due_at = asyncio.get_running_loop().time() + _LASTS - _EARLY
        self._keys = Keys(*parts)


class Caller:
    """Makes calls in one account, within that account's own budget."""

    def __init__(self, wire: Wire, login: Login, subject: str, gate: Gate | None = None) -> None:
        self._wire = wire
        self.login = login
        self.subject = subject
        self.gate = gate or wire.gate()

    async def query(self, call: Call, **parameters: str) -> Record:
        """Return the result of a call of IAM or STS; raises `SourceError`."""
        document = await self.send(call, query(call, parameters))
        return answers.result(document, call.action, f"{call.permission} in {self.subject}")

    async def target(self, call: Call, parameters: Record) -> Any:
        """Return the answer of a call of Organizations; raises `SourceError`."""
        return await self.send(call, target(call, msgspec.json.encode(parameters)))

    async def send(self, call: Call, message: Message) -> Any:
        """Return the document answered; a session that has expired is renewed once."""
        keys = await self.login.keys()
        try:
            return await self._wire.send(call, message, keys, self.gate, self.subject)
        except SourceError as error:
            if code_of(error) not in EXPIRED:
                raise
        keys = await self.login.keys(fresh=True)
        return await self._wire.send(call, message, keys, self.gate, self.subject)

    async def pages(self, call: Call, **parameters: str) -> AsyncIterator[Record]:
        """Yield the pages of a call of IAM; raises `SourceError`."""
        seen: set[str] = set()
        for _ in range(_MOST_PAGES):
            page = await self.query(call, **parameters)
            yield page
            if text(page, "IsTruncated").lower() != "true":
                return
            marker = text(page, "Marker")
            if not marker or marker in seen:
                break
            seen.add(marker)
            parameters["Marker"] = marker
        broken = UnexpectedResponse(
            f"{call.permission} in {self.subject} gave a page that leads nowhere; the rest is lost"
        )
        broken.kind = "repeated_cursor"
        raise broken
