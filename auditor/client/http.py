"""Sending: one request, retried within bounds, its failure told as one of our errors."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from auditor import tally
from auditor.client.answer import Answer
from auditor.client.auth import TokenAuth, token_error
from auditor.client.failures import is_untrusted, refusal, words
from auditor.client.origin import origin_of, resolve_link
from auditor.client.settings import ConnectionOptions
from auditor.client.throttle import Dialect, Gate
from auditor.client.transport import GuardedTransport, connector, describe
from auditor.clocks import watching
from auditor.errors import SourceError, Unavailable, UnexpectedResponse

MAX_BYTES = 32 << 20
_REDIRECTS = 3
_LONGEST_BACKOFF = 20.0
_PATIENCE_WHEN_TOLD = 3
"""Throttled requests are sent this many times more often than failing ones, where the provider
says when: they will succeed."""

Params = Mapping[str, str | int | list[str]]


class _Again(Exception):
    """An attempt failed in a way that a later one may not."""

    def __init__(self, error: SourceError, pause: float | None = None, *, throttled: bool) -> None:
        self.error = error
        self.pause = pause
        self.throttled = throttled


@dataclass(frozen=True)
class _Call:
    """What to send; *extra* are further arguments of httpx."""

    method: str
    url: httpx.URL
    extra: Mapping[str, Any]
    is_token: bool = False
    """It fetches the token that others need, so it neither waits for one nor for a place."""

    def redirected(self, url: httpx.URL) -> "_Call":
        kept = {key: value for key, value in self.extra.items() if key != "params"}
        return replace(self, url=url, extra=kept)


class Client:
    """An HTTP client for one base URL.

    *auth* says how to log in; *dialect* how the provider throttles; *also* names origins that
    only authentication may reach, such as a separate token service. *hint* is appended to a
    refusal: where to read which right is needed. *directory* is where a relative ``ca_bundle``
    starts. Close it with `aclose`.
    """

    def __init__(
        self,
        base_url: str,
        options: ConnectionOptions | None = None,
        *,
        auth: httpx.Auth | None = None,
        dialect: Dialect | None = None,
        headers: Mapping[str, str] | None = None,
        id_header: str = "X-Client-Request-ID",
        also: tuple[str, ...] = (),
        hint: str = "",
        directory: Path = Path(),
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.options = options or ConnectionOptions()
        self._base = base_url.rstrip("/")
        self.origin = origin_of(httpx.URL(self._base))
        self.gate = Gate(self.options.concurrency, self.options.requests_per_second)
        self._dialect = dialect or Dialect()
        self._id_header = id_header
        self._hint = hint
        self._auth = auth or httpx.Auth()
        if isinstance(auth, TokenAuth):
            auth.bind(self)
        allowed = frozenset({self.origin, *(origin_of(httpx.URL(url)) for url in also)})
        guarded = GuardedTransport(
            connector(self.options, allowed, directory),
            allowed,
            id_header=id_header,
            max_bytes=max_bytes,
        )
        self._http = httpx.AsyncClient(
            transport=guarded,
            timeout=self.options.timeout.total_seconds(),
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"Accept": "application/json", "User-Agent": "auditor", **(headers or {})},
        )

    async def aclose(self) -> None:
        """Give back the connections."""
        if isinstance(self._auth, TokenAuth):
            await self._auth.aclose()
        await self._http.aclose()

    async def get(self, path: str, params: Params | None = None) -> Answer:
        """GET *path* below the base URL; raises `SourceError`.

        *path* begins with ``/`` and is encoded already (`segment`).
        """
        return await self._send("GET", self._url(path), {"params": params})

    async def get_link(self, link: str, answer: Answer) -> Answer:
        """GET the URL that *answer* names as its continuation, if it stays with the base URL."""
        url = resolve_link(link, answer.url, self.origin, f"The next link of {answer.where}")
        return await self._send("GET", url, {})

    async def post(self, path: str, *, json: Any = None, params: Params | None = None) -> Answer:
        """POST a query that changes nothing (search, GraphQL); retried like a GET."""
        return await self._send("POST", self._url(path), {"params": params, "json": json})

    async def fetch_token(
        self,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        json: Any = None,
    ) -> Answer:
        """POST to a token endpoint, without authentication and outside the gate.

        The request that needs the token holds a place in the gate already.
        """
        url = httpx.URL(path) if path.startswith("http") else self._url(path)
        extra = {"data": form, "json": json, "headers": headers, "auth": None}
        return await self._send("POST", url, extra, is_token=True)

    def _url(self, path: str) -> httpx.URL:
        try:
            return httpx.URL(f"{self._base}{path}")
        except httpx.InvalidURL:
            raise UnexpectedResponse(
                f"An id below {self._base} is too long for a URL; its record cannot be read"
            ) from None

    async def _send(
        self, method: str, url: httpx.URL, extra: Mapping[str, Any], *, is_token: bool = False
    ) -> Answer:
        deadline = self.options.request_deadline
        call = _Call(method, url, {"auth": self._auth, **extra}, is_token)
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_Again),
            stop=self._enough,
            wait=self._pause,
            reraise=True,
        )
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                return await retrying(self._attempt, call)
        except _Again as spent:
            raise spent.error from None
        except TimeoutError:
            raise Unavailable(
                f"{method} {describe(url)} was not answered within {words(deadline)}, retries "
                "included; run again later or raise `request_deadline`"
            ) from None

    async def _attempt(self, call: _Call) -> Answer:
        """Send once, following redirects that stay with the origin."""
        for _ in range(_REDIRECTS + 1):
            response = await self._exchange(call)
            where = self._where(response)
            if response.is_success:
                return Answer(
                    response.status_code, response.headers, response.content, call.url, where
                )
            if call.method != "GET" or not response.has_redirect_location:
                raise self._refused(response, where, call)
            link = response.headers["location"]
            call = call.redirected(
                resolve_link(link, call.url, self.origin, f"The redirect of {where}")
            )
        raise UnexpectedResponse(f"{where} redirects more than {_REDIRECTS} times; not followed")

    async def _exchange(self, call: _Call) -> httpx.Response:
        try:
            if call.is_token:
                response = await self._request(call)
            else:
                async with self.gate.place() as burst:
                    response = await self._request(call)
        except (httpx.TransportError, httpx.DecodingError) as error:
            tally.calls[call.url.host, "error"] += 1
            raise self._unreachable(error, call) from None
        throttled = self._dialect.is_throttled(response)
        tally.calls[call.url.host, str(response.status_code)] += 1
        tally.throttled[call.url.host] += throttled
        if not call.is_token:
            if throttled:
                self.gate.throttled(burst)
            else:
                self.gate.went_well()
        if throttled or response.status_code == 408 or response.status_code >= 500:
            raise self._busy(response, throttled=throttled)
        return response

    async def _request(self, call: _Call) -> httpx.Response:
        watch = watching()
        if watch is None:
            return await self._http.request(call.method, call.url, **call.extra)
        asked_at = watch.clock()
        response = await self._http.request(call.method, call.url, **call.extra)
        watch.heard(call.url.host, response.headers, asked_at)
        return response

    def _where(self, response: httpx.Response) -> str:
        request = response.request
        return (
            f"{request.method} {describe(request.url)} "
            f"({self._id_header} {request.headers[self._id_header]})"
        )

    def _busy(self, response: httpx.Response, *, throttled: bool) -> _Again | Unavailable:
        pause = self._dialect.pause(response)
        longest = self.options.longest_wait
        error = Unavailable(
            f"{self._where(response)} answered {response.status_code}"
            f"{' (too many requests)' if throttled else ''}; run again later"
        )
        error.status = response.status_code
        if pause is not None and pause > longest.total_seconds():
            too_long = Unavailable(
                f"{self._where(response)} answered {response.status_code} and asks to wait "
                f"{words(pause)}, longer than {words(longest)}; run again after that, or raise "
                "`longest_wait`"
            )
            too_long.status = response.status_code
            return too_long
        return _Again(error, pause, throttled=throttled)

    def _refused(self, response: httpx.Response, where: str, call: _Call) -> SourceError:
        status = response.status_code
        error = refusal(status, where, self._hint)
        error.status = status
        if not call.is_token:
            return error
        try:
            fields = Answer(status, response.headers, response.content, call.url, where).object()
        except UnexpectedResponse:
            fields = {}
        return token_error(error, fields)

    def _unreachable(self, error: httpx.RequestError, call: _Call) -> _Again | Unavailable:
        what = f"{call.method} {describe(call.url)}"
        if is_untrusted(error):
            return Unavailable(
                f"{what}: the server's certificate is not trusted or names another host; for a "
                "private certificate authority set `ca_bundle`"
            )
        if isinstance(error, httpx.TimeoutException):
            reason = f"did not answer within {words(self.options.timeout)}"
        elif isinstance(error, httpx.ConnectError | httpx.ProxyError):
            reason = "could not be reached"
        else:
            reason = "broke the connection or the rules of HTTP"
        request_id = error.request.headers.get(self._id_header)
        shown = f" ({self._id_header} {request_id})" if request_id else ""
        return _Again(
            Unavailable(f"{what}{shown} {reason}; check the network and run again"),
            throttled=False,
        )

    def _enough(self, state: RetryCallState) -> bool:
        failure = _failure(state)
        attempts = self.options.attempts
        if failure.throttled and failure.pause is not None:
            attempts *= _PATIENCE_WHEN_TOLD
        return state.attempt_number >= attempts

    def _pause(self, state: RetryCallState) -> float:
        failure = _failure(state)
        first = self.options.backoff.total_seconds()
        if failure.pause is not None:
            # Everybody is told the same time; the jitter keeps them from coming back together.
            return failure.pause + random.uniform(0, first)  # noqa: S311 - no secret hangs on it
        ceiling = min(_LONGEST_BACKOFF, first * 2.0 ** (state.attempt_number - 1))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - likewise


def _failure(state: RetryCallState) -> _Again:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, _Again)  # noqa: S101 - nothing else is retried
    return error
