"""A mail as bytes: the same input gives the same bytes, and no value can add a header."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256

from auditor import wording

_POLICY = SMTP.clone(cte_type="7bit", max_line_length=200)
_ADDRESS = re.compile(
    r"""(?P<local>[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*)
        @(?P<domain>[^\s@<>"\\,;:()\[\]\x00-\x1f\x7f]+)""",
    re.VERBOSE,
)
_NAMED = re.compile(r'\s*"?(?P<name>[^"<>\x00-\x1f\x7f]*?)"?\s*<(?P<address>[^<>]+)>\s*')


@dataclass(frozen=True)
class Enclosure:
    """A document sent along."""

    filename: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Letter:
    """What a mail says, before it becomes bytes."""

    sender: Address
    recipient: Address
    subject: str
    text: str
    html: str
    message_id: str
    date: datetime
    thread: str
    """Names the conversation: the same for every mail of a channel to a recipient."""
    list_id: str
    """``name <id>`` as RFC 2919 has it."""
    reply_to: Address | None = None
    enclosures: tuple[Enclosure, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the message, its boundaries made from the Message-ID instead of by chance."""
        message = EmailMessage(policy=_POLICY)
        for name, value in self._headers():
            message[name] = value
        message.set_content(wording.clean(self.text), cte="quoted-printable")
        message.add_alternative(wording.clean(self.html), subtype="html", cte="quoted-printable")
        for enclosure in self.enclosures:
            kind, _, parameters = enclosure.media_type.partition(";")
            main, _, sub = kind.strip().partition("/")
            message.add_attachment(
                enclosure.content,
                maintype=main,
                subtype=sub,
                filename=enclosure.filename,
                params={"charset": "utf-8"} if "charset=utf-8" in parameters else None,
            )
        seed = sha256(self.message_id.encode()).hexdigest()[:24]
        for number, part in enumerate(p for p in message.walk() if p.is_multipart()):
            part.set_boundary(f"=_{seed}_{number}")  # "=_" cannot occur in either encoding
        return message.as_bytes()

    def _headers(self) -> list[tuple[str, str | Address]]:
        root = f"<thread.{sha256(self.thread.encode()).hexdigest()[:32]}@{self.sender.domain}>"
        headers: list[tuple[str, str | Address]] = [
            ("Date", format_datetime(self.date.astimezone(UTC))),
            ("From", self.sender),
            ("To", self.recipient),
            ("Subject", header_text(self.subject)),
            ("Message-ID", self.message_id),
            ("In-Reply-To", root),
            ("References", root),
            ("List-Id", header_text(self.list_id)),
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "All"),
        ]
        if self.reply_to is not None:
            headers.insert(3, ("Reply-To", self.reply_to))
        return headers


def header_text(text: str) -> str:
    """Return *text* fit for a header: one line, no control characters, at most 200 characters."""
    return " ".join(wording.shown(text).split())


def mailbox(text: str) -> Address:
    """Read ``a@example.com`` or ``Name <a@example.com>``; raises ValueError.

    Stricter than the mail standards on purpose: no comments, no quoted local parts, ASCII before
    the @. A domain in another script becomes its ASCII form.
    """
    named = _NAMED.fullmatch(text)
    match = _ADDRESS.fullmatch(named["address"] if named else text)
    if match is None:
        raise ValueError("an address is written like a@example.com or Team <a@example.com>")
    try:
        domain = match["domain"].encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise ValueError("the domain of this address is not one") from error
    return Address(named["name"] if named else "", match["local"], domain)
