"""Chats and pagers through Apprise: Slack, Teams, Discord, PagerDuty, Opsgenie and the rest.

Needs the extra ``notify``. A message is short: the verdict, the counts, what to deal with first.
"""

import asyncio
import json
import re
from typing import Any

from pydantic import Field

from auditor import wording
from auditor.delivery._mailtext import Page
from auditor.delivery._news import NewsOptions, is_told, news_of
from auditor.delivery.interface import Channel, Parcel
from auditor.errors import DeliveryError
from auditor.findings.view import ReportView
from auditor.model import Finding, Severity

_FIRST = 5
_MENTION = re.compile(r"@(?=everyone|here|channel|all\b|&|!?\d)", re.IGNORECASE)
_MARKUP = str.maketrans("<>[]`*~", "\u2039\u203a\u27e6\u27e7'\u2217\u223c")
"""Look-alikes of the characters that chats read as links, mentions and markup."""


class AppriseOptions(NewsOptions):
    """The keys of an Apprise channel."""

    targets: dict[str, str] = Field(min_length=1)
    """Name → Apprise URL. URLs hold secrets: write references, ``${env:SLACK_URL}``."""


class AppriseChannel(Channel):
    """Notifies each target with one short message."""

    Options = AppriseOptions

    def recipients(self, view: ReportView) -> list[str]:
        """Return the names of the targets where the run is news; their URLs are secret."""
        options: AppriseOptions = self.options
        return sorted(options.targets) if is_told(view, options) else []

    def render(self, view: ReportView, parcel: Parcel) -> bytes:  # noqa: ARG002 - one body for all
        """Return the message as JSON: ``title``, ``body`` and Apprise's ``type``."""
        news = news_of(view, self.options)
        page = Page(view, news, self.options.name, is_owner=False)
        lines = [plain(page.headline)]
        if news.first:
            lines += ["", "Deal with these first:"]
            lines += [f"{n}. {_line(finding)}" for n, finding in enumerate(news.first[:_FIRST], 1)]
        for entry in news.gaps[:_FIRST]:
            lines.append(f"Not read whole: {plain(entry.source)} ({entry.status})")
        for verb, exceptions in (("ends", news.ending), ("ended", news.ended)):
            for one in exceptions[:_FIRST]:
                lines.append(f"Exception {verb} {one.note.expires}: {plain(one.covers)}")
        kind = "success" if not news.open and not news.gaps else "warning"
        if news.worst in (Severity.HIGH, Severity.CRITICAL):
            kind = "failure"
        message = {"title": f"Auditor: {page.subject}", "body": "\n".join(lines), "type": kind}
        return json.dumps(message, ensure_ascii=False).encode()

    async def send(self, body: bytes, parcel: Parcel) -> None:
        """Notify the target; raises `DeliveryError`, final only where its URL is not one."""
        url = self.options.targets.get(parcel.recipient)
        if url is None:
            raise DeliveryError(
                f"{parcel.recipient} is no target of {self.options.name} any more", retry=False
            )
        message = json.loads(body)
        if not await asyncio.to_thread(_notify, self.resolve(url), parcel.recipient, message):
            raise DeliveryError(f"{parcel.recipient} did not take the message")


def plain(text: str) -> str:
    """Return *text* so that no chat reads a link, a mention or markup into it."""
    return _MENTION.sub("@\u200b", wording.shown(text, 160)).translate(_MARKUP)


def _line(finding: Finding) -> str:
    credential = finding.credential
    return (
        f"{finding.state.severity.upper()} {plain(finding.title)}: {plain(credential.name)} "
        f"of {plain(credential.principal.name)} in {plain(credential.organization.name)}"
    )


def _notify(url: str, name: str, message: dict[str, Any]) -> bool:
    try:
        import apprise  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise DeliveryError("Apprise is not installed; install auditor[notify]") from error
    sender = apprise.Apprise()
    if not sender.add(url):
        raise DeliveryError(
            f"The URL of {name} is none that Apprise knows; see its list of services", retry=False
        )
    return bool(
        sender.notify(
            title=message["title"],
            body=message["body"],
            notify_type=message["type"],
            body_format=apprise.NotifyFormat.TEXT,
        )
    )
