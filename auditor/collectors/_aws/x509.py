"""The end of a certificate's life, read from its DER (RFC 5280), without a library for the rest."""

import base64
import binascii
import hashlib
import re
from datetime import UTC, datetime
from typing import NamedTuple

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0


class Certificate(NamedTuple):
    """What matters of a certificate."""

    expires_at: datetime | None
    fingerprint: str
    """SHA-256 of the DER, in hex."""


def read_certificate(pem: str) -> Certificate | None:
    """Return what a PEM certificate says; None where it is none."""
    match = _PEM.search(pem)
    if match is None:
        return None
    try:
        der = base64.b64decode("".join(match.group(1).split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        expires_at = _not_after(der)
    except (ValueError, IndexError):
        expires_at = None
    return Certificate(expires_at, hashlib.sha256(der).hexdigest())


def _not_after(der: bytes) -> datetime:
    """Walk certificate → to be signed → validity → its second time."""
    _tag, certificate, _rest = _element(der)
    _tag, signed, _rest = _element(certificate)
    tag, _value, rest = _element(signed)
    if tag == _VERSION:
        _tag, _value, rest = _element(rest)  # the serial number
    for _ in range(2):  # the algorithm and the issuer
        _tag, _value, rest = _element(rest)
    tag, validity, _rest = _element(rest)
    if tag != _SEQUENCE:
        raise ValueError("no validity where one is due")
    _tag, _not_before, rest = _element(validity)
    tag, written, _rest = _element(rest)
    if tag not in (_UTC_TIME, _GENERALIZED_TIME):
        raise ValueError("no time where one is due")
    pattern = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(written.decode("ascii"), pattern).replace(tzinfo=UTC)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Return tag, content and what follows of the element at the start of *data*."""
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        size = length & 0x7F
        start += size
        length = int.from_bytes(data[2:start], "big")
    if start + length > len(data):
        raise ValueError("cut short")
    return tag, data[start : start + length], data[start + length :]
