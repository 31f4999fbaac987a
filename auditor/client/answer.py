"""What a provider answered, read strictly and quoted never."""

import json
import re
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from auditor.errors import UnexpectedResponse

_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89abAB-F]")


@dataclass(frozen=True)
class Answer:
    """A whole successful answer."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: httpx.URL
    """Where it came from; the base of relative links."""
    where: str
    """Method, address without query, and request id, for messages."""

    def json(self) -> Any:
        """Return the body as JSON; raises `UnexpectedResponse`, which names the place only."""
        try:
            return _decode(self.body)
        except (ValueError, RecursionError) as error:
            # msgspec's and json's errors hold the document; only this sentence goes on.
            raise UnexpectedResponse(
                f"{self.where} answered {self.status} with what is not JSON ({_why(error)}); "
                "is `base_url` the address of the API?"
            ) from None

    def object(self) -> dict[str, Any]:
        """Return the body as a JSON object; raises `UnexpectedResponse`."""
        value = self.json()
        if not isinstance(value, dict):
            raise UnexpectedResponse(f"{self.where} answered with JSON that is not an object")
        return value


def _decode(body: bytes) -> Any:
    if _ESCAPED_SURROGATE.search(body) is None:
        return msgspec.json.decode(body)
    # Half a surrogate pair is legal JSON and no text: it becomes U+FFFD, so that one hostile
    # name cannot hide a whole page.
    return _without_surrogates(json.loads(body.decode("utf-8"), parse_constant=_refuse))


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError) or "utf-8" in str(error).lower():
        return "not UTF-8"
    return "malformed"
