"""Signed requests on the wire: botocore signs, our own guarded transport sends.

Measured on 1,000 ListAccessKeys calls: boto3 clients in threads cost 0.9 ms of CPU a call and
keep a pool of threads per account; this costs 0.7 ms, waits in one event loop whatever the number
of accounts, and has the origin check and size limit of every other source. botocore keeps what is
hard to get right: the signature, and the chain of places where credentials are found.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import httpx

from auditor import tally
from auditor.client.origin import origin_of
from auditor.client.throttle import Gate
from auditor.client.transport import GuardedTransport, connector
from auditor.clocks import watching
from auditor.collectors._aws import answers
from auditor.collectors._aws.calls import Api, Call
from auditor.collectors._aws.options import AwsOptions
from auditor.collectors._aws.places import Place, places
from auditor.collectors._aws.refusals import THROTTLED, Busy, code_and_message, refusal
from auditor.errors import ConfigError, SourceError, Unavailable

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

MAX_BYTES = 64 << 20
_VERSIONS = {Api.IAM: "2010-05-08", Api.STS: "2011-06-15"}
_TARGETS = {Api.ORGANIZATIONS: "AWSOrganizationsV20161128"}
_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_LONGEST_BACKOFF = 20.0
_APART = 0.0005
"""Seconds between two calls in an account: about what one costs us, little beside its way."""
_PATIENCE = 4
"""A throttled call will succeed; it is sent this many times more often than a failing one."""


@dataclass(frozen=True)
class Message:
    """What a call sends."""

    method: str = "POST"
    path: str = "/"
    body: bytes = b""
    headers: Mapping[str, str] | None = None


def query(call: Call, parameters: Mapping[str, str]) -> Message:
    """Return a call of the Query protocol (IAM, STS)."""
    form = {"Action": call.action, "Version": _VERSIONS[call.api], **parameters}
    return Message(body=urlencode(form).encode(), headers={"Content-Type": _FORM})


def target(call: Call, body: bytes) -> Message:
    """Return a call of the JSON protocol (Organizations)."""
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"{_TARGETS[call.api]}.{call.action}",
    }
    return Message(body=body, headers=headers)


def rest(method: str, path: str, parameters: Mapping[str, str], body: bytes = b"") -> Message:
    """Return a call of the REST protocol (Access Analyzer); *path* is encoded already."""
    shown = f"{path}?{urlencode(sorted(parameters.items()), quote_via=quote)}"
    headers = {"Content-Type": "application/json"} if body else {}
    return Message(method, shown if parameters else path, body, headers)


class Wire:
    """One transport for every account of a source; close it with `aclose`."""

    def __init__(self, options: AwsOptions, directory: Path) -> None:
        try:
            from botocore.auth import SigV4Auth  # noqa: PLC0415 - an extra, and only to log in
            from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        except ImportError:
            raise ConfigError(
                "Logging in to AWS needs Amazon's library: "
                "install the extra with pip install 'auditor[aws]'"
            ) from None
        self._auth, self._request = SigV4Auth, AWSRequest
        self._options = options
        self.places = places(options.partition, options.region, options.endpoint_url)
        self._addresses = {api: httpx.URL(f"{place.url}/") for api, place in self.places.items()}
        origins = frozenset(origin_of(url) for url in self._addresses.values())
        self._transport = GuardedTransport(
            connector(options, origins, directory),
            origins,
            id_header="amz-sdk-invocation-id",
            max_bytes=MAX_BYTES,
        )
        self._timeout = httpx.Timeout(options.timeout.total_seconds()).as_dict()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    def gate(self) -> Gate:
        """Return a budget for one account."""
        return Gate(self._options.concurrency, self._options.requests_per_second, apart=_APART)

    async def send(
        self, call: Call, message: Message, keys: "ReadOnlyCredentials", gate: Gate, subject: str
    ) -> Any:
        """Return the document that AWS answers; raises `SourceError`, retries spent.

        *subject* names the account for messages.
        """
        where = f"{call.permission} in {subject}"
        deadline = self._options.request_deadline.total_seconds()
        spent: SourceError | None = None
        try:
            async with asyncio.timeout(deadline):
                for attempt in range(self._options.attempts * _PATIENCE):
                    error, document = await self._attempt(call, message, keys, gate, where)
                    if error is None:
                        return document
                    spent = error
                    if not self._is_worth_repeating(error, attempt):
                        break
                    await asyncio.sleep(self._pause(attempt))
        except TimeoutError:
            raise spent or Unavailable(
                f"{where} was not answered within {deadline:,.0f} s; run again later or raise "
                "`request_deadline`"
            ) from None
        assert spent is not None  # noqa: S101 - the loop runs at least once
        raise spent

    def _is_worth_repeating(self, error: SourceError, attempt: int) -> bool:
        if isinstance(error, Busy) and error.code in THROTTLED:
            return True
        return isinstance(error, Unavailable) and attempt + 1 < self._options.attempts

    def _pause(self, attempt: int) -> float:
        first = self._options.backoff.total_seconds()
        ceiling = min(_LONGEST_BACKOFF, first * 2.0 ** min(attempt, 10))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - no secret hangs on it

    async def _attempt(
        self, call: Call, message: Message, keys: "ReadOnlyCredentials", gate: Gate, where: str
    ) -> tuple[SourceError | None, Any]:
        place = self.places[call.api]
        async with gate.place() as burst:
            # Signed only now: a signature is good for minutes, a wait for a place may be longer.
            request = self._signed(message, place, call.api, keys)
            try:
                response = await self._asked(request)
                body = await _read(response)
            except (httpx.TransportError, httpx.DecodingError) as error:
                tally.calls[request.url.host, "error"] += 1
                return _unreachable(error, place, where), None
        tally.calls[request.url.host, str(response.status_code)] += 1
        is_json = call.api in (Api.ORGANIZATIONS, Api.ACCESS_ANALYZER)
        read = answers.json if is_json else answers.xml
        if response.status_code == 200:
            gate.went_well()
            return None, read(body, where)
        try:
            document = read(body, where)
        except SourceError:
            document = None
        code, said = code_and_message(document, response.headers.get("x-amzn-errortype", ""))
        if code in THROTTLED or response.status_code == 429:
            tally.throttled[request.url.host] += 1
            gate.throttled(burst)
        return refusal(call, code, said, response.status_code, where), None

    async def _asked(self, request: httpx.Request) -> httpx.Response:
        watch = watching()
        asked_at = watch.clock() if watch is not None else None
        response = await self._transport.handle_async_request(request)
        if watch is not None and asked_at is not None:
            watch.heard(request.url.host, response.headers, asked_at)
        return response

    def _signed(
        self, message: Message, place: Place, api: Api, keys: "ReadOnlyCredentials"
    ) -> httpx.Request:
        url = f"{place.url}{message.path}"
        address = self._addresses[api]
        # botocore would find out the host anew for each request.
        headers = {"Host": address.netloc.decode("ascii"), **(message.headers or {})}
        unsigned = self._request(message.method, url, headers, message.body)
        self._auth(keys, api.value, place.region).add_auth(unsigned)
        return httpx.Request(
            message.method,
            address if message.path == "/" else url,
            headers=dict(unsigned.headers.items()),
            content=message.body,
            extensions={"timeout": self._timeout},
        )


async def _read(response: httpx.Response) -> bytes:
    try:
        return await response.aread()
    finally:
        await response.aclose()


def _unreachable(error: httpx.RequestError, place: Place, where: str) -> Unavailable:
    what = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "is no use"
    if isinstance(error, httpx.ConnectError):
        what = "cannot be reached"
    elif not isinstance(error, httpx.TimeoutException):
        what = "broke the connection"
    return Unavailable(f"{where}: {place.url} {what}; check network, `region` and `proxy`")
