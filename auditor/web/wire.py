"""What a daemon and the process of its web view tell each other, over two pipes.

The web view has a process of its own, so that neither a page waits for an audit nor an audit, or
the lease of a leader, for browsers. What only the daemon knows (is it alive, does it lead, what is
configured) is asked for and told here. A pipe that ends means that the other side has ended.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec import Struct

_LENGTH = 4
"""Bytes before each message that tell how long it is."""


class Shown(Struct, frozen=True, tag=True):
    """The configuration that is in force: the path of its file, and the text as it was read."""

    path: str
    text: str


class Begin(Struct, frozen=True, tag=True):
    """The first message to the web view."""

    shown: Shown
    listening: int
    """The descriptor of the socket to answer."""
    probes: tuple[str, ...]
    """The paths that the daemon answers."""
    log_level: str
    log_as_json: bool | None


class Stop(Struct, frozen=True, tag=True):
    """Answer what is being asked, and end."""


class Started(Struct, frozen=True, tag=True):
    """Browsers are answered from now on."""


class Ask(Struct, frozen=True, tag=True):
    """Somebody asked for the path of a probe."""

    number: int
    path: str


class Answer(Struct, frozen=True, tag=True):
    """What the daemon answers to the `Ask` of this number."""

    number: int
    status: int
    media_type: str
    body: bytes


Message = Begin | Shown | Stop | Started | Ask | Answer

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


class Wire:
    """Two pipes as messages; both ends are in one event loop each."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> Message | None:
        """Return the next message; None where the other side has ended."""
        with _gone() as found:
            length = int.from_bytes(await self._reader.readexactly(_LENGTH), "big")
            found.append(_decode(await self._reader.readexactly(length)))
        return found[0] if found else None

    async def send(self, message: Message) -> None:
        """Tell the other side; in vain where it has ended, which `receive` then tells."""
        content = _encode(message)
        with _gone():
            self._writer.write(len(content).to_bytes(_LENGTH, "big") + content)
            await self._writer.drain()

    def close(self) -> None:
        """End this side."""
        self._writer.close()


@contextmanager
def _gone() -> Iterator[list[Message]]:
    """Take what a pipe without another end throws for what it is."""
    try:
        yield []
    except (asyncio.IncompleteReadError, ConnectionError):
        return
