"""Findings as OCSF events over syslog: RFC 5424 messages, framed for TLS as RFC 5425 has it.

Syslog acknowledges nothing: a message counts as handed over when the receiver has taken the whole
stream and closed its side without an error, or kept silent after ours was closed.
"""

import asyncio
import json
import ssl
from datetime import UTC
from pathlib import Path
from socket import gethostname
from typing import Literal, Self

from pydantic import Field, model_validator

from auditor.delivery._carried import CarriedOptions, carried
from auditor.delivery._net import is_loopback
from auditor.delivery._news import is_told
from auditor.delivery.interface import Channel, Parcel
from auditor.errors import DeliveryError
from auditor.findings.view import ReportView

_SEVERITIES = {1: 6, 2: 5, 3: 4, 4: 3, 5: 2, 6: 1}
"""OCSF ``severity_id`` → syslog: informational, notice, warning, error, critical, alert."""
_LINGER = 2.0
"""Seconds to wait for the receiver to close, so that a refusal is noticed."""


class SyslogOptions(CarriedOptions):
    """The keys of a syslog receiver."""

    host: str = Field(min_length=1)
    port: int = Field(default=6514, ge=1, le=65535)
    tls: Literal["tls", "none"] = "tls"
    """``none`` is accepted for this machine only, such as a local forwarder."""
    ca_bundle: Path | None = None
    facility: int = Field(default=13, ge=0, le=23)
    """13 is *log audit*."""
    hostname: str | None = Field(default=None, pattern=r"^[\x21-\x7e]{1,255}$")
    """What the messages say they come from; this machine's name where left out."""
    timeout: float = Field(default=30, gt=0, le=240)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.tls == "none" and "${" not in self.host and not is_loopback(self.host):
            raise ValueError("tls: none is accepted for localhost only")
        return self


class Syslog(Channel):
    """Writes one message per finding to a stream."""

    suffix = ".message"
    Options = SyslogOptions

    def recipients(self, view: ReportView) -> list[str]:
        """Return the receiver where the run is news."""
        options: SyslogOptions = self.options
        if not is_told(view, options):
            return []
        return [f"{self.resolve(options.host)}:{options.port}"]

    def render(self, view: ReportView, parcel: Parcel) -> bytes:
        """Return the framed messages: the length of each, a space, and the message."""
        at = parcel.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        host = self.options.hostname or gethostname() or "-"
        lines = carried(view, self.options, self.documents("ocsf")).splitlines()
        framed = []
        for line in lines:
            event = json.loads(line)
            priority = self.options.facility * 8 + _SEVERITIES.get(event.get("severity_id"), 5)
            header = f"<{priority}>1 {at} {host} auditor run-{view.run.id} ocsf - "
            # Escaped JSON is ASCII: no newline, no control character, no byte order mark.
            message = header.encode() + json.dumps(event, separators=(",", ":")).encode()
            framed.append(str(len(message)).encode() + b" " + message)
        return b"".join(framed)

    async def send(self, body: bytes, parcel: Parcel) -> None:  # noqa: ARG002 - messages name it
        """Write *body* to the receiver."""
        options: SyslogOptions = self.options
        host = self.resolve(options.host)
        if options.tls == "none" and not is_loopback(host):
            raise DeliveryError(f"{host} is not this machine; set `tls: tls`")
        try:
            async with asyncio.timeout(options.timeout):
                await self._write(host, body)
        except ssl.SSLCertVerificationError as error:
            raise DeliveryError(
                f"The certificate of {host} is not trusted ({error.verify_message}); "
                "name the authority that issued it in `ca_bundle`"
            ) from error
        except TimeoutError as error:
            raise DeliveryError(
                f"{host} did not take the messages in {options.timeout:g} s"
            ) from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DeliveryError(f"{host}:{options.port} broke off ({reason})") from error

    async def _write(self, host: str, body: bytes) -> None:
        options: SyslogOptions = self.options
        context = None
        if options.tls == "tls":
            bundle = options.ca_bundle and self.directory / options.ca_bundle
            context = ssl.create_default_context(cafile=bundle)
        reader, writer = await asyncio.open_connection(host, options.port, ssl=context)
        try:
            writer.write(body)
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            try:
                async with asyncio.timeout(_LINGER):
                    await reader.read()
            except TimeoutError:
                return  # a receiver that keeps the connection open has not refused anything
        finally:
            writer.close()
