"""The keys that every HTTP source understands."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import httpx
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from auditor.client.origin import origin_of
from auditor.options import OPTIONS
from auditor.times import parse_duration

_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")

Duration = Annotated[timedelta, BeforeValidator(parse_duration, json_schema_input_type=str)]


class ConnectionOptions(BaseModel):
    """How to reach a provider; mixed into the options of its collector."""

    model_config = OPTIONS

    concurrency: int = Field(default=16, ge=1, le=128)
    """Requests in flight at most; halved when the provider throttles, regained slowly."""
    requests_per_second: float | None = Field(default=None, gt=0)
    """A ceiling on the rate, for providers that punish instead of throttling."""
    timeout: Duration = timedelta(seconds=30)
    """For connecting, and for each pause while sending and receiving."""
    request_deadline: Duration = timedelta(minutes=5)
    """For one request with all its retries and waits."""
    attempts: int = Field(default=5, ge=1, le=20)
    """How often a request is sent before its source counts as unavailable."""
    backoff: Duration = timedelta(seconds=0.5)
    """The first pause between attempts; it doubles, up to 20 seconds, with jitter."""
    longest_wait: Duration = timedelta(minutes=2)
    """A provider that asks for a longer pause (Retry-After) counts as unavailable."""
    ca_bundle: Path | None = None
    """A PEM file to trust instead of the public certificate authorities."""
    proxy: str | None = None
    """The URL of an HTTP proxy; proxy variables of the environment are ignored."""


def checked_base_url(text: str) -> str:
    """Return *text* without its trailing slash, or raise `ValueError`: a pydantic validator."""
    if "${" in text:  # a reference that is not resolved yet; it is checked again when it is
        return text
    try:
        url = httpx.URL(text)
        origin = origin_of(url)
    except (httpx.InvalidURL, ValueError):
        raise ValueError("is not a URL; write https://host") from None
    if origin.scheme not in ("https", "http") or not _HOST.fullmatch(origin.host):
        raise ValueError("is not a web address; write https://host")
    if url.userinfo:
        raise ValueError("must not hold a user name or password; use the fields meant for them")
    if url.query or url.fragment:
        raise ValueError("must end with the path; leave out what follows ? or #")
    if origin.scheme == "http" and not origin.is_loopback:
        raise ValueError("must start with https://; http:// is accepted for loopback only")
    if origin.is_link_local:
        raise ValueError("is a link-local address, where no provider lives")
    return text.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(checked_base_url)]
