"""How values become bytes: bodies of versions, last uses as small integers, packed columns."""

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import accumulate, compress
from operator import attrgetter, sub
from struct import Struct
from typing import Any, NamedTuple

import msgspec
from msgspec import NODEFAULT
from msgspec.structs import fields, force_setattr

from auditor.model import (
    Credential,
    LastUsedState,
    Organization,
    decode_uid_part,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode_credential = msgspec.json.Decoder(Credential).decode

VOLATILE = (
    "last_used_at",
    "last_used_state",
    "last_used_window_start",
    "data_as_of",
    "observed_at",
    "raw",
)
"""What changes between two readings without the credential having changed."""

_ELSEWHERE = (
    *VOLATILE,
    "uid",
    "provider",
    "source",
    "organization",
    "permissions",
    "unused_permissions",
)
_BODY = [field for field in fields(Credential) if field.name not in _ELSEWHERE]
_facts = attrgetter(*(field.name for field in _BODY))


def _body_field(field: Any) -> Any:
    if field.default is not NODEFAULT:
        return (field.name, field.type, field.default)
    if field.default_factory is not NODEFAULT:
        return (field.name, field.type, msgspec.field(default_factory=field.default_factory))
    return (field.name, field.type)


def _ordered() -> list[Any]:
    """Return the body's fields, those without a default first, as a struct wants them."""
    return sorted(_BODY, key=lambda field: not field.required)


_Body: Any = msgspec.defstruct("_Body", map(_body_field, _ordered()), omit_defaults=True)
_facts = attrgetter(*(field.name for field in _ordered()))


def micros(instant: datetime) -> int:
    """Return *instant* as microseconds since 1970 UTC."""
    since = instant - EPOCH
    return (since.days * 86_400 + since.seconds) * _SECOND + since.microseconds


def instant(value: int) -> datetime:
    """Undo `micros`."""
    return EPOCH + timedelta(microseconds=value)


def digest(*parts: bytes) -> bytes:
    """Return 16 bytes that stand for *parts*."""
    return blake2b(b"\0".join(parts), digest_size=16).digest()


def body_of(credential: Credential) -> bytes:
    """Return everything that makes a version, permissions excepted, as canonical JSON."""
    return _encode(_Body(*_facts(credential)))


def encode(value: Any) -> bytes:
    """Return *value* as canonical JSON: equal values give equal bytes."""
    return _encode(value)


_Times = tuple[datetime, datetime]
"""``data_as_of`` and ``observed_at``."""
_MOST_HEADS = 100


class Frame:
    """What the credentials of one scope share, ready to be joined with their bodies.

    *times* are those of most of them.
    """

    def __init__(
        self, provider: str, source: str, organization: Organization, times: _Times | None
    ) -> None:
        self.organization = organization
        self._provider = provider
        self._times = times
        as_of, observed_at = times or (EPOCH, EPOCH)
        # In the order of the fields, which is the order that is decoded fastest.
        shared = {
            "source": source,
            "organization": {"id": "", "name": ""},
            "observed_at": observed_at,
            "data_as_of": as_of,
        }
        self._shared = msgspec.json.encode(shared)[1:-1]
        self._heads: dict[str, bytes] = {}

    def _head(self, prefix: str) -> bytes:
        # A file source holds credentials of many providers; the uid tells whose each one is.
        provider = decode_uid_part(prefix[:-1]) if prefix else self._provider
        if len(self._heads) >= _MOST_HEADS:
            self._heads.clear()
        head = b',"provider":%b,%b,' % (_encode(provider), self._shared)
        self._heads[prefix] = head
        return head

    def credential(
        self,
        uid: str,
        body: bytes,
        use: tuple[int, int | None, int | None],
        times: _Times,
        permissions: Any,
        unused: Any,
    ) -> Credential:
        """Return the credential that *body* and the facts kept beside it describe.

        *use* is its `Use`, *times* are its ``data_as_of`` and ``observed_at``.
        """
        prefix = uid[: uid.find(":") + 1]
        head = self._heads.get(prefix) or self._head(prefix)
        # One decoding pass over a spliced document is twice as fast as building a second value.
        credential = _decode_credential(b'{"uid":%b%b%b' % (_encode(uid), head, body[1:]))
        force_setattr(credential, "organization", self.organization)
        if times is not self._times:
            force_setattr(credential, "data_as_of", times[0])
            force_setattr(credential, "observed_at", times[1])
        code, at, window = use
        force_setattr(credential, "last_used_state", _STATES[code & 3])
        if at is not None:
            force_setattr(credential, "last_used_at", EPOCH + timedelta(0, 0, at))
        if window is not None:
            start = _window_start(code, window, times[0])
            force_setattr(credential, "last_used_window_start", start)
        if permissions is not None:
            force_setattr(credential, "permissions", permissions)
        if unused is not None:
            force_setattr(credential, "unused_permissions", unused)
        return credential


class Use(NamedTuple):
    """When a credential was last used, as integers.

    The two low bits of *code* are the state; a window is stored either as an instant or, with
    the third bit, as its distance from ``data_as_of``: a provider that always looks back 400 days
    then changes nothing from day to day.
    """

    code: int
    at: int | None
    window: int | None


_STATES = (
    LastUsedState.USED,
    LastUsedState.NEVER,
    LastUsedState.NOT_IN_WINDOW,
    LastUsedState.UNKNOWN,
)
_CODES = {state: code for code, state in enumerate(_STATES)}
_RELATIVE = 4


def use_of(credential: Credential, before: tuple[int, int | None, int | None] | None = None) -> Use:
    """Return the last use of *credential*; equal to *before*, one too, where nothing changed."""
    code = _CODES[credential.last_used_state]
    at = credential.last_used_at
    used = None if at is None else micros(at)
    start = credential.last_used_window_start
    if start is None:
        return Use(code, used, None)
    window = micros(start)
    if before is None:
        return Use(code, used, window)
    code_before, _used, window_before = before
    if window_before is None or window_before == window:
        return Use(code, used, window)
    distance = micros(credential.data_as_of) - window
    if code_before & _RELATIVE and window_before != distance:
        return Use(code, used, window)
    return Use(code | _RELATIVE, used, distance)


def use_facts(use: Use, as_of: datetime) -> dict[str, Any]:
    """Return the fields of a credential that *use* stands for; *as_of* is its ``data_as_of``."""
    facts: dict[str, Any] = {"last_used_state": _STATES[use.code & 3]}
    if use.at is not None:
        facts["last_used_at"] = instant(use.at)
    if use.window is not None:
        facts["last_used_window_start"] = _window_start(use.code, use.window, as_of)
    return facts


def _window_start(code: int, window: int, as_of: datetime) -> datetime:
    return as_of - timedelta(microseconds=window) if code & _RELATIVE else instant(window)


class Packer:
    """Packs rows of integers, led by an ascending key, into a few bytes each.

    Columns are kept apart, keys as differences, MessagePack integers of as many bytes as they
    need, deflated; frame by frame, so that memory stays bounded.
    """

    _FRAME = 4096

    def __init__(self, width: int) -> None:
        self._width = width
        self._waiting: list[tuple[int | None, ...]] = []
        self._deflate = zlib.compressobj(6)
        self._out: list[bytes] = []

    def add(self, key: int, *values: int | None) -> None:
        """Append one row; a later row of the same key replaces an earlier one when read."""
        self._waiting.append((key, *values))
        if len(self._waiting) == self._FRAME:
            self._flush()

    def _flush(self) -> None:
        keys: Sequence[Any]
        keys, *others = zip(*self._waiting, strict=True)
        if len(others) != self._width - 1:
            raise ValueError(f"a row has {self._width} values")
        self._waiting.clear()
        differences = [keys[0], *map(sub, keys[1:], keys)]
        frame = msgspec.msgpack.encode([differences, *others])
        head = _FRAME_HEAD.pack(len(frame), min(keys), max(keys))
        self._out.append(self._deflate.compress(head + frame))

    def finish(self) -> bytes | None:
        """Return everything, None where there is nothing."""
        if self._waiting:
            self._flush()
        if not self._out:
            return None
        return b"".join(self._out) + self._deflate.flush()


_FRAME_HEAD = Struct(">IQQ")
"""Length, lowest and highest key: who looks for one key can skip the other frames."""
_decode_columns = msgspec.msgpack.Decoder(list[list[int | None]]).decode


def unpack(blob: bytes | None, only: int | None = None) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of `Packer.finish`, all or those of the key *only*."""
    if not blob:
        return
    data = memoryview(zlib.decompress(blob))
    start = 0
    while start < len(data):
        length, lowest, highest = _FRAME_HEAD.unpack_from(data, start)
        start += _FRAME_HEAD.size
        if only is None or lowest <= only <= highest:
            columns: list[Sequence[Any]] = list(_decode_columns(data[start : start + length]))
            for row in zip(accumulate(columns[0]), *columns[1:], strict=True):
                if only is None or row[0] == only:
                    yield row
        start += length


class IdSet:
    """A set of row numbers in about one byte each."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self.count = 0

    def add(self, number: int) -> bool:
        """Add *number*; return whether it is new."""
        page = self._pages.get(number >> _PAGE_BITS)
        if page is None:
            page = self._pages[number >> _PAGE_BITS] = bytearray(_IN_PAGE + 1)
        at = number & _IN_PAGE
        if page[at]:
            return False
        page[at] = 1
        self.count += 1
        return True

    def __contains__(self, number: int) -> bool:
        page = self._pages.get(number >> _PAGE_BITS)
        return page is not None and page[number & _IN_PAGE] == 1

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers in ascending order."""
        for high in sorted(self._pages):
            first = high << _PAGE_BITS
            yield from compress(range(first, first + _IN_PAGE + 1), self._pages[high])


_PAGE_BITS = 9
_IN_PAGE = (1 << _PAGE_BITS) - 1


def pack_ids(numbers: "IdSet") -> bytes | None:
    """Return *numbers* packed; read them back with `unpack`."""
    packer = Packer(1)
    for number in numbers:
        packer.add(number)
    return packer.finish()


_AT_IN_SECONDS = 8
_WINDOW_IN_SECONDS = 16


def pack_use(use: Use, base: int) -> tuple[int, int | None, int | None]:
    """Return *use* as three small integers, told from *base* (the reading's own time)."""
    code, at, window = use
    if at is not None:
        at, rest = divmod(base - at, _SECOND)
        if rest:
            at = at * _SECOND + rest
        else:
            code |= _AT_IN_SECONDS
    if window is not None:
        told = window if code & _RELATIVE else base - window
        window, rest = divmod(told, _SECOND)
        if rest:
            window = told
        else:
            code |= _WINDOW_IN_SECONDS
    return code, at, window


def unpack_use(code: int, at: int | None, window: int | None, base: int) -> Use:
    """Undo `pack_use`."""
    if at is not None:
        at = base - (at * _SECOND if code & _AT_IN_SECONDS else at)
    if window is not None:
        told = window * _SECOND if code & _WINDOW_IN_SECONDS else window
        window = told if code & _RELATIVE else base - told
    return Use(code & ~(_AT_IN_SECONDS | _WINDOW_IN_SECONDS), at, window)


class IntMap:
    """A map from ascending integers to integers or rows of them, in eight bytes each."""

    def __init__(self, rows: Iterable[tuple[int, int]]) -> None:
        self._keys = array("q")
        self._values = array("q")
        for key, value in rows:
            self._keys.append(key)
            self._values.append(value)

    def get(self, key: int) -> int | None:
        """Return the value of *key*, None where there is none."""
        at = bisect_left(self._keys, key)
        if at < len(self._keys) and self._keys[at] == key:
            return self._values[at]
        return None
