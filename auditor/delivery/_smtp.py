"""One mail over SMTP, and what every way of failing means for the next attempt."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiosmtplib

from auditor import wording
from auditor.errors import DeliveryError

_START_INPUT = 354
_ACCEPTED = 250


@dataclass(frozen=True)
class Server:
    """Where mail is handed over, and how."""

    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    timeout: float
    """Seconds for every step."""
    username: str | None = None
    password: str | None = None
    ca_bundle: Path | None = None


async def deliver(server: Server, sender: str, recipient: str, body: bytes) -> None:
    """Hand *body* over for *recipient*; raises `DeliveryError`.

    A refusal with 5xx is final, one with 4xx and a failed connection are not. Once the message
    itself is on its way, a lost connection leaves it in doubt whether the server has it.
    """
    async with _connected(server) as client:
        try:
            await client.mail(sender, options=_size(client, body), encoding="ascii")
            await client.rcpt(recipient, encoding="ascii")
            answer = await client.execute_command(b"DATA")
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _refusal(server, error, recipient) from error
        if answer.code != _START_INPUT:
            raise _answered(server, answer.code, answer.message, "the message")
        await _transmit(server, client, body)


async def _transmit(server: Server, client: aiosmtplib.SMTP, body: bytes) -> None:
    protocol = client.protocol
    if protocol is None:
        raise DeliveryError(f"{_name(server)} closed the connection before the message")
    stuffed = b"".join(
        b"." + line if line.startswith(b".") else line for line in body.splitlines(keepends=True)
    )
    try:
        # aiosmtplib's own data command does not tell a connection that is lost before the server
        # asked for the message from one lost after it.
        protocol.write(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        answer = await protocol.read_response(timeout=server.timeout)
    except (aiosmtplib.SMTPException, OSError) as error:
        raise DeliveryError(
            f"{_name(server)} did not confirm the message ({_kind(error)}); it may have arrived",
            in_doubt=True,
        ) from error
    if answer.code != _ACCEPTED:
        raise _answered(server, answer.code, answer.message, "the message")


class _Client(aiosmtplib.SMTP):
    """Hangs up for good: TLS would wait for the server's own goodbye, which may never come."""

    def close(self) -> None:
        transport = self.transport
        super().close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()


@asynccontextmanager
async def _connected(server: Server) -> AsyncIterator[aiosmtplib.SMTP]:
    client = _Client(
        hostname=server.host,
        port=server.port,
        timeout=server.timeout,
        use_tls=server.tls == "tls",
        start_tls=server.tls == "starttls",
        tls_context=_context(server),
        username=server.username,
        password=server.password,
    )
    try:
        try:
            await client.connect()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _unreachable(server, error) from error
        yield client
        # The message is accepted; how the goodbye ends does not matter.
        with suppress(aiosmtplib.SMTPException, OSError):
            await client.quit(timeout=min(server.timeout, 5))
    finally:
        client.close()
        await asyncio.sleep(0)  # the socket itself is closed in the loop's next turn


def _context(server: Server) -> ssl.SSLContext | None:
    if server.tls == "none":
        return None
    try:
        context = ssl.create_default_context(cafile=server.ca_bundle)
    except OSError as error:
        raise DeliveryError(
            f"The CA bundle {server.ca_bundle} cannot be read; mend `ca_bundle` ({_kind(error)})"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _size(client: aiosmtplib.SMTP, body: bytes) -> list[str]:
    return [f"size={len(body)}"] if client.supports_extension("size") else []


def _refusal(server: Server, error: Exception, recipient: str) -> DeliveryError:
    match error:
        case aiosmtplib.SMTPRecipientRefused():
            return _answered(server, error.code, error.message, f"the recipient {recipient}")
        case aiosmtplib.SMTPSenderRefused():
            return _answered(server, error.code, error.message, f"the sender {error.sender}")
        case aiosmtplib.SMTPResponseException():
            return _answered(server, error.code, error.message, "the message")
        case ValueError():
            return DeliveryError(f"{recipient} cannot be used as an address", retry=False)
        case _:
            return DeliveryError(f"{_name(server)} broke off before the message ({_kind(error)})")


def _answered(server: Server, code: int, text: str, what: str) -> DeliveryError:
    said = wording.shown(" ".join(text.split()), 120)
    final = 500 <= code <= 599
    return DeliveryError(
        f"{_name(server)} {'refused' if final else 'put off'} {what}: {code} {said}",
        retry=not final,
    )


def _unreachable(server: Server, error: Exception) -> DeliveryError:
    """Nothing was handed over: whatever it is, somebody may mend it, so it is tried again."""
    name, cause = _name(server), _tls_error(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        message = (
            f"The certificate of {name} is not trusted ({cause.verify_message}); "
            "name the authority that issued it in `ca_bundle`, or correct `host`"
        )
    elif cause is not None:
        message = f"No TLS connection to {name}: {cause.reason or 'handshake failed'}; check `tls`"
    elif isinstance(error, aiosmtplib.SMTPAuthenticationError):
        message = f"{name} did not accept username and password ({error.code}); mend `password`"
    elif isinstance(error, aiosmtplib.SMTPTimeoutError | TimeoutError):
        message = f"{name} did not answer within {server.timeout:g} s; check `host` and `port`"
    elif isinstance(error, aiosmtplib.SMTPResponseException):
        message = f"{name} does not take mail now: {error.code}"
    elif isinstance(error, aiosmtplib.SMTPException) and "STARTTLS" in str(error):
        message = f"{name} offers no STARTTLS; set `tls: tls` with its port, usually 465"
    else:
        message = f"No connection to {name} ({_kind(error)}); check `host` and `port`"
    return DeliveryError(message)


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _kind(error: BaseException) -> str:
    reason = getattr(error.__cause__ or error, "strerror", None)
    return reason or type(error).__name__.removeprefix("SMTP")


def _name(server: Server) -> str:
    return f"{server.host}:{server.port}"
