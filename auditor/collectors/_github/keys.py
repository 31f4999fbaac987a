"""What can be told of a public SSH key: fingerprint, algorithm, length."""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

_FIXED_BITS = {
    "ssh-ed25519": 256,
    "ecdsa-sha2-nistp256": 256,
    "ecdsa-sha2-nistp384": 384,
    "ecdsa-sha2-nistp521": 521,
    "sk-ssh-ed25519@openssh.com": 256,
    "sk-ecdsa-sha2-nistp256@openssh.com": 256,
}
_NUMBER_OF_INTEREST = {"ssh-rsa": 2, "ssh-dss": 1}
"""Which of the numbers in the blob is the modulus: RSA has e, n; DSS has p, q, g, y."""


@dataclass(frozen=True)
class PublicKey:
    """The public facts of a key."""

    fingerprint: str
    algorithm: str
    bits: int | None


def read_public_key(line: object) -> PublicKey | None:
    """Return the facts of ``ssh-ed25519 AAAA…``; None where *line* is not such a key."""
    words = line.split() if isinstance(line, str) else []
    if len(words) < 2:
        return None
    try:
        blob = b64decode(words[1], validate=True)
        algorithm = _field(blob, 0).decode("ascii")
    except (ValueError, IndexError):
        return None
    if algorithm != words[0]:
        return None
    digest = b64encode(sha256(blob).digest()).decode().rstrip("=")
    return PublicKey(f"SHA256:{digest}", algorithm, _bits(algorithm, blob))


def _bits(algorithm: str, blob: bytes) -> int | None:
    if algorithm in _FIXED_BITS:
        return _FIXED_BITS[algorithm]
    if algorithm not in _NUMBER_OF_INTEREST:
        return None
    try:
        return int.from_bytes(_field(blob, _NUMBER_OF_INTEREST[algorithm])).bit_length()
    except IndexError:
        return None


def _field(blob: bytes, number: int) -> bytes:
    """Return one of the length-prefixed fields of RFC 4251; raises `IndexError`."""
    start = 0
    for _ in range(number):
        start += 4 + _length(blob, start)
    end = start + 4 + _length(blob, start)
    if end > len(blob):
        raise IndexError("the key ends early")
    return blob[start + 4 : end]


def _length(blob: bytes, start: int) -> int:
    if start + 4 > len(blob):
        raise IndexError("the key ends early")
    return int.from_bytes(blob[start : start + 4])
