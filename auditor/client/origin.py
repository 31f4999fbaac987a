"""Where a client may go: exactly the configured origin, compared in parsed and normalised form."""

from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import quote

import httpx

from auditor.errors import UnexpectedResponse

LONGEST_URL = 8192
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host (lower case, IDNA-encoded) and explicit port."""

    scheme: str
    host: str
    port: int | None

    @property
    def place(self) -> str:
        """The host, with its port where that is not the usual one of https."""
        return self.host if self.port == 443 else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, where plain ``http`` is tolerated."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_link_local(self) -> bool:
        """Whether it is a link-local address, where clouds keep their metadata services."""
        try:
            return ip_address(self.host).is_link_local
        except ValueError:
            return self.host == "metadata.google.internal"


def origin_of(url: httpx.URL) -> Origin:
    """Return the origin of *url*; the port is spelled out."""
    scheme = url.scheme.lower()
    host = url.raw_host.decode("ascii").lower().strip("[]")
    return Origin(scheme, host, url.port or _DEFAULT_PORTS.get(scheme))


def segment(value: str) -> str:
    """Return *value* as one path segment.

    Raises `UnexpectedResponse` for ids that would change the path they are put into.
    """
    if value in ("", ".", ".."):
        raise UnexpectedResponse(f"The id {value!r} cannot stand in a path; its record is skipped")
    return quote(value, safe="")


def resolve_link(link: str, current: httpx.URL, allowed: Origin, what: str) -> httpx.URL:
    """Return where *link*, found in an answer from *current*, leads.

    Raises `UnexpectedResponse` where it leaves *allowed*; *what* names it in the message.
    """
    if len(link) > LONGEST_URL:
        raise UnexpectedResponse(f"{what} is longer than {LONGEST_URL} characters; not followed")
    try:
        url = current.join(link)
        there = origin_of(url)
    except (httpx.InvalidURL, ValueError):
        raise UnexpectedResponse(f"{what} is not a URL; not followed") from None
    if url.userinfo:
        raise UnexpectedResponse(f"{what} carries a user name; not followed")
    if there != allowed:
        shown = f"{there.scheme}://{there.host[:100]}:{there.port}"
        raise UnexpectedResponse(
            f"{what} leads to another origin, {shown}; not followed. "
            "Set `base_url` to where the API lives"
        )
    return url.copy_with(fragment=None)
