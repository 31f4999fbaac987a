"""Mail: the verdict in the subject, what to do first inside, the full report attached."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ByteSize, Field, model_validator

from auditor.delivery import _mailtext
from auditor.delivery._digest import Digest, Period, period_of
from auditor.delivery._enclosures import enclose
from auditor.delivery._letter import Letter, mailbox
from auditor.delivery._net import is_loopback
from auditor.delivery._news import Heartbeat, NewsOptions, is_told, news_of
from auditor.delivery._owners import owned_by, owned_period, owners_with_news
from auditor.delivery._smtp import Server, deliver
from auditor.delivery.interface import Channel, Parcel
from auditor.errors import DeliveryError
from auditor.findings.view import ReportView, RunInfo
from auditor.schedule.options import zone_named


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _checked(value: str) -> str:
    if "${" not in value:  # a reference is resolved and checked again when the channel opens
        mailbox(value)
    return value


Mailbox = Annotated[str, BeforeValidator(_checked)]


class EmailOptions(NewsOptions):
    """The keys of a mail channel."""

    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """``none`` is accepted for this machine only."""
    ca_bundle: Path | None = None
    """Authorities to trust instead of the system's."""
    username: str | None = None
    password: str | None = None
    timeout: float = Field(default=60, gt=0, le=600)
    """Seconds for every step of the conversation."""
    sender: Mailbox = Field(alias="from")
    to: Annotated[tuple[Mailbox, ...], BeforeValidator(_as_list)] = ()
    reply_to: Mailbox | None = None
    subject_prefix: str = "[auditor]"
    attach: tuple[str, ...] = ("html",)
    """Report formats; an empty list attaches nothing."""
    size_limit: ByteSize = Field(default=ByteSize(10_000_000), ge=100_000)
    """The whole message; reports that do not fit are cut, and the mail says so."""
    per_owner: bool = False
    """Besides, mail every owner of a credential what concerns it, and only that."""
    owner_domains: tuple[str, ...] = ()
    """The only domains owners are mailed at."""
    heartbeat: Heartbeat = timedelta(days=7)
    digest: Digest | None = None
    """One message a period instead of one a run, with its first run."""
    timezone: str = "UTC"
    """By whose calendar a period begins."""

    @model_validator(mode="before")
    @classmethod
    def _rests(cls, given: Any) -> Any:
        """Let a digest without news be silent, unless somebody asks for a heartbeat."""
        if isinstance(given, dict) and given.get("digest") and "heartbeat" not in given:
            return given | {"heartbeat": None}
        return given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.tls == "none" and "${" not in self.host and not is_loopback(self.host):
            raise ValueError("tls: none is accepted for localhost only; use starttls or tls")
        if self.username is None and self.password is not None:
            raise ValueError("a password needs a username")
        if not self.to and not self.per_owner:
            raise ValueError("give `to`, or `per_owner: true`, or both")
        if self.per_owner and not self.owner_domains:
            raise ValueError("per_owner needs owner_domains: the domains that may be mailed")
        zone_named(self.timezone)
        return self


class EmailChannel(Channel):
    """Hands one message per recipient to an SMTP server."""

    suffix = ".eml"
    Options = EmailOptions

    def recipients(self, view: ReportView) -> list[str]:
        """Return ``to`` where the run is news, and the owners for whom it is.

        With a digest these are the recipients of the first run of a period.
        """
        options: EmailOptions = self.options
        period = self._period(view)
        if options.digest is not None and period is None:
            return []
        chosen: list[str] = []
        if options.to and is_told(view, options, period):
            chosen = list(self._to())
        if options.per_owner:
            owners = owners_with_news(view, options.when, options.min_severity, period)
            chosen += [owner for owner in owners if self._is_allowed(owner)]
        return list(dict.fromkeys(chosen))

    def render(self, view: ReportView, parcel: Parcel) -> bytes:
        """Return the message to one recipient; raises `DeliveryError` for one not configured."""
        options: EmailOptions = self.options
        period = self._period(view)
        is_owner = parcel.recipient not in self._to()
        if is_owner:
            if not (options.per_owner and self._is_allowed(parcel.recipient)):
                raise DeliveryError(
                    f"{parcel.recipient} is no recipient of {options.name} any more", retry=False
                )
            view = owned_by(view, parcel.recipient)
            period = period and owned_period(period, view, parcel.recipient)
        news = news_of(view, options, period)
        names = list(options.attach)
        room = int(options.size_limit) - _mailtext.RESERVED
        enclosed = enclose(view, names, [self.documents(name) for name in names], room)
        notes = [one.note for one in enclosed if one.note]
        files = tuple(one.enclosure for one in enclosed if one.enclosure is not None)
        page = _mailtext.Page(view, news, options.name, is_owner, files, tuple(notes), period)
        sender = mailbox(self.resolve(options.sender))
        return Letter(
            sender=sender,
            recipient=mailbox(parcel.recipient),
            reply_to=mailbox(options.reply_to) if options.reply_to else None,
            subject=f"{options.subject_prefix} {page.subject}".strip(),
            text=page.text(),
            html=page.html(),
            message_id=parcel.message_id,
            date=parcel.created_at,
            thread=f"{options.name}\0{parcel.recipient}",
            list_id=_list_id(options.name, sender.domain),
            enclosures=files,
        ).to_bytes()

    async def send(self, body: bytes, parcel: Parcel) -> None:
        """Hand the message over; see `auditor.delivery._smtp.deliver`."""
        options: EmailOptions = self.options
        server = Server(
            host=self.resolve(options.host),
            port=options.port,
            tls=options.tls,
            timeout=options.timeout,
            username=None if options.username is None else self.resolve(options.username),
            password=None if options.password is None else self.resolve(options.password),
            ca_bundle=options.ca_bundle and self.directory / options.ca_bundle,
        )
        if server.tls == "none" and not is_loopback(server.host):
            raise DeliveryError(f"{server.host} is not this machine; set `tls: starttls`")
        sender = mailbox(self.resolve(options.sender))
        await deliver(server, sender.addr_spec, parcel.recipient, body)

    def message_id(self, run: RunInfo, recipient: str) -> str:
        """Return the Message-ID header: the fixed identity at the sender's domain."""
        sender = mailbox(self.resolve(self.options.sender))
        return f"<{super().message_id(run, recipient)}@{sender.domain}>"

    def _period(self, view: ReportView) -> Period | None:
        """Return what the digest of this run covers; None without one."""
        options: EmailOptions = self.options
        if options.digest is None:
            return None
        return period_of(view, options.name, options.digest, zone_named(options.timezone))

    def _to(self) -> Iterator[str]:
        return (mailbox(self.resolve(address)).addr_spec for address in self.options.to)

    def _is_allowed(self, owner: str) -> bool:
        try:
            domain = mailbox(owner).domain
        except ValueError:
            return False  # a team, or something a provider lets people type
        return domain in {allowed.lower() for allowed in self.options.owner_domains}


def _list_id(name: str, domain: str) -> str:
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "channel"
    return f"auditor {label} <{label}.auditor.{domain}>"
