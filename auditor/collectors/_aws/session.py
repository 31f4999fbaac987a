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
from auditor.collectors._aws.wire import Message, Wire, query, target
from auditor.errors import AuthenticationFailed, SourceError, UnexpectedResponse

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials

_LASTS = 3600.0
"""Seconds a session lasts: the most that AWS gives to a role assumed by another role."""
_EARLY = 300.0
"""Seconds before its end at which a session is renewed, so that no call meets it."""
_SESSION_NAME = "auditor"
_MOST_PAGES = 10_000


class Login(Protocol):
    """Where the keys come from that sign a request."""

    async def keys(self, *, fresh: bool = False) -> "ReadOnlyCredentials":
        """Return keys that work now; *fresh* asks for new ones; raises `SourceError`."""


class OwnLogin:
    """The auditor's own identity: keys of the configuration, a profile, or the usual chain."""

    def __init__(self, options: AwsOptions) -> None:
        self._options = options
        self._found: Credentials | None = None
        self._lock = asyncio.Lock()

    async def keys(self, *, fresh: bool = False) -> "ReadOnlyCredentials":
        """Return the keys; botocore renews those that it knows how to renew."""
        from botocore.credentials import Credentials  # noqa: PLC0415 - an extra
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        async with self._lock:
            found = self._found
            if found is None or fresh:
                found = self._found = await asyncio.to_thread(self._find)
            assert found is not None  # noqa: S101 - found just now
            if type(found) is Credentials:  # these never change, so they need no thread
                return found.get_frozen_credentials()
            try:
                return await asyncio.to_thread(found.get_frozen_credentials)
            except BotoCoreError as error:
                raise AuthenticationFailed(
                    f"The AWS credentials cannot be renewed ({type(error).__name__}); log in again"
                ) from None

    def _find(self) -> "Credentials":
        import botocore.session  # noqa: PLC0415 - an extra, and not light
        from botocore.credentials import Credentials  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        options = self._options
        if options.access_key_id is not None:
            return Credentials(
                options.access_key_id, options.secret_access_key, options.session_token
            )
        try:
            found = botocore.session.Session(profile=options.profile).get_credentials()
        except BotoCoreError as error:
            raise AuthenticationFailed(
                f"The AWS credentials cannot be read ({type(error).__name__}); check `profile`"
            ) from None
        if found is None:
            raise AuthenticationFailed(
                "There are no AWS credentials: set access_key_id and secret_access_key, `profile`, "
                "or log in with the tools of AWS"
            )
        return found


class RoleLogin:
    """A role in an account, assumed once and again before its session ends."""

    def __init__(self, own: "Caller", arn: str, external_id: str | None) -> None:
        self._own = own
        self._arn = arn
        self._external_id = external_id
        self._keys: ReadOnlyCredentials | None = None
        self._due_at = 0.0
        self._lock = asyncio.Lock()

    async def keys(self, *, fresh: bool = False) -> "ReadOnlyCredentials":
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
        from botocore.credentials import ReadOnlyCredentials  # noqa: PLC0415 - an extra

        parts = [text(given, n) for n in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        if not all(parts):
            raise UnexpectedResponse(f"AWS gave no session for {self._arn}")
        self._due_at = asyncio.get_running_loop().time() + _LASTS - _EARLY
        self._keys = ReadOnlyCredentials(*parts, account_id=None)


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
