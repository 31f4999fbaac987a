"""A signed POST to any URL, after the Standard Webhooks specification.

``webhook-id`` stays the same through every attempt, ``webhook-timestamp`` is the time of the
attempt, ``webhook-signature`` is ``v1,`` and the Base64 of HMAC-SHA256 over
``{id}.{timestamp}.{body}``. See https://www.standardwebhooks.com.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import Field

from auditor.delivery._carried import CarriedOptions, carried
from auditor.delivery._news import is_told
from auditor.delivery._post import Target, Url, post, shown_origin
from auditor.delivery.interface import Channel, Parcel
from auditor.errors import DeliveryError
from auditor.findings.view import ReportView

_BASE64_KEY = "whsec_"


class WebhookOptions(CarriedOptions):
    """The keys of a webhook."""

    url: Url
    secret: str | None = None
    """The key of the signature; ``whsec_…`` is Base64, anything else is taken as it is."""
    format: Literal["json", "ocsf"] = "json"
    headers: dict[str, str] = Field(default_factory=dict)
    """Sent as well, such as ``Authorization``; values may be references."""
    timeout: float = Field(default=30, gt=0, le=240)
    ca_bundle: Path | None = None


class Webhook(Channel):
    """Posts a report to one URL."""

    Options = WebhookOptions

    def recipients(self, view: ReportView) -> list[str]:
        """Return the receiver's origin where the run is news; its path may be secret."""
        options: WebhookOptions = self.options
        if not is_told(view, options):
            return []
        return [shown_origin(self.resolve(options.url))]

    def render(self, view: ReportView, parcel: Parcel) -> bytes:  # noqa: ARG002 - one body for all
        """Return the report."""
        return carried(view, self.options, self.documents(self.options.format))

    async def send(self, body: bytes, parcel: Parcel) -> None:
        """Sign and post *body*."""
        options: WebhookOptions = self.options
        media_type = self.documents(options.format).media_type
        headers = {name: self.resolve(value) for name, value in options.headers.items()}
        headers |= {
            "content-type": media_type,
            "user-agent": "auditor",
            "idempotency-key": parcel.message_id,
        }
        await post(
            Target(
                self.resolve(options.url),
                options.timeout,
                options.ca_bundle and self.directory / options.ca_bundle,
                headers | self._signature(body, parcel),
            ),
            [body],
        )

    def _signature(self, body: bytes, parcel: Parcel) -> dict[str, str]:
        timestamp = str(int(self.clock().timestamp()))
        headers = {"webhook-id": parcel.message_id, "webhook-timestamp": timestamp}
        if self.options.secret is not None:
            key = _key(self.resolve(self.options.secret))
            signed = b".".join((parcel.message_id.encode(), timestamp.encode(), body))
            mac = hmac.new(key, signed, sha256).digest()
            headers["webhook-signature"] = f"v1,{b64encode(mac).decode()}"
        return headers


def _key(secret: str) -> bytes:
    if not secret.startswith(_BASE64_KEY):
        return secret.encode()
    try:
        return b64decode(secret.removeprefix(_BASE64_KEY), validate=True)
    except binascii.Error as error:
        raise DeliveryError("The webhook's `secret` starts with whsec_ but is no Base64") from error
