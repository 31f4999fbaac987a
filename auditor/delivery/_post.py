"""One HTTP POST, and what every answer means for the next attempt.

Attempts are the outbox's business: nothing is repeated here. Redirects are not followed, so that
neither the message nor a header with a secret reaches another host than the configured one.
"""

import ssl
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated

import httpx
from pydantic import AfterValidator

from auditor.client import origin_of
from auditor.errors import DeliveryError

_FINAL = frozenset({400, 405, 410, 411, 413, 414, 415, 422})
"""The message itself is refused; other refusals (401, 403, 404 …) are for somebody to mend."""


def checked_url(text: str) -> str:
    """Return *text* if it is an ``https://`` URL, or ``http://`` on loopback; a validator."""
    if "${" in text:  # a reference, checked again when it is resolved
        return text
    try:
        url = httpx.URL(text)
        origin = origin_of(url)
    except (httpx.InvalidURL, ValueError):
        raise ValueError("is not a URL; write https://host/path") from None
    if not origin.host or origin.scheme not in ("https", "http"):
        raise ValueError("is not a web address; write https://host/path")
    if url.userinfo:
        raise ValueError("must not hold a user name or password; use `headers`")
    if origin.scheme == "http" and not origin.is_loopback:
        raise ValueError("must start with https://; http:// is accepted for loopback only")
    if origin.is_link_local:
        raise ValueError("is a link-local address, where no receiver lives")
    return text


Url = Annotated[str, AfterValidator(checked_url)]


@dataclass(frozen=True)
class Target:
    """Where to post, and with what."""

    url: str
    timeout: float
    ca_bundle: Path | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Scheme, host and port; paths and queries of webhooks are often secret."""
        return shown_origin(self.url)


def shown_origin(url: str) -> str:
    """Return the part of *url* that may be written down."""
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii', 'replace').rpartition('@')[2]}"


async def post(target: Target, bodies: list[bytes]) -> None:
    """Post each of *bodies* over one connection; raises `DeliveryError` at the first refusal."""
    try:
        verify = ssl.create_default_context(cafile=target.ca_bundle)
    except OSError as error:
        raise DeliveryError(f"The CA bundle {target.ca_bundle} cannot be read") from error
    async with httpx.AsyncClient(
        verify=verify, timeout=target.timeout, follow_redirects=False, trust_env=False
    ) as client:
        for body in bodies:
            try:
                async with client.stream(
                    "POST", target.url, content=body, headers=target.headers
                ) as answer:
                    _judge(target, answer)  # what the answer says is not read
            except httpx.HTTPError as error:
                raise _unreachable(target, error) from error


def _judge(target: Target, answer: httpx.Response) -> None:
    status = answer.status_code
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise DeliveryError(f"{target.name} redirects ({status}); configure the final URL")
    verb = "refused the message" if status in _FINAL else "did not take the message"
    raise DeliveryError(
        f"{target.name} {verb}: HTTP {status}",
        retry=status not in _FINAL,
        retry_after=_retry_after(answer),
    )


def _retry_after(answer: httpx.Response) -> float | None:
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        at, now = parsedate_to_datetime(text), parsedate_to_datetime(answer.headers["date"])
        return max((at - now).total_seconds(), 0)
    except (ValueError, TypeError, KeyError):
        return None


def _unreachable(target: Target, error: httpx.HTTPError) -> DeliveryError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        return DeliveryError(
            f"The certificate of {target.name} is not trusted ({cause.verify_message}); "
            "name the authority that issued it in `ca_bundle`"
        )
    if isinstance(error, httpx.TimeoutException):
        return DeliveryError(f"{target.name} did not answer within {target.timeout:g} s")
    return DeliveryError(f"No answer from {target.name} ({type(error).__name__})")
