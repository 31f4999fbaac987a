"""Making hostile text safe to keep, without losing what carries it."""

from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

_LONGEST_ID = 1000
"""Bytes of an identity that every database can index."""
_WORD = 1 << 63

T = TypeVar("T")


def safe_id(identity: str) -> str:
    """Return *identity* as `safe_text`; longer than 1,000 bytes, cut and completed by a digest."""
    if "\0" in identity or not identity.isascii():
        identity = safe_text(identity)
    if len(identity) <= _LONGEST_ID // 4:
        return identity
    data = identity.encode()
    if len(data) <= _LONGEST_ID:
        return identity
    head = data[: _LONGEST_ID - 33].decode(errors="ignore")
    return f"{head}~{blake2b(data, digest_size=16).hexdigest()}"


def safe_text(value: str) -> str:
    """Return *value* without NUL and lone surrogates, which a text column cannot hold."""
    return _without_surrogates(value.replace("\0", ""))


def encodable(value: T) -> T:
    """Return *value*, an item of evidence, with nothing in it that cannot be encoded.

    Lone surrogates become U+FFFD; integers of more than 64 bits become text.
    """
    return msgspec.convert(_mend(msgspec.to_builtins(value)), type(value))


def _mend(value: Any) -> Any:
    if isinstance(value, str):
        return _without_surrogates(value)
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mend(item) for item in value]
    if isinstance(value, int) and not -_WORD <= value < 2 * _WORD:
        return str(value)
    return value


def _without_surrogates(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value
