"""What a mail says: its subject, its plain text and its HTML, all from the same facts."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import Any

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from auditor import wording
from auditor.delivery._letter import Enclosure
from auditor.delivery._news import Digest, is_opened
from auditor.findings.view import ReportView
from auditor.model import Change, Coverage, Finding, Severity
from auditor.resources import bundled

RESERVED = 250_000
"""Bytes kept free for the text and HTML of a mail when reports are cut to fit."""

_VERDICTS = {
    Severity.CRITICAL: "Act now",
    Severity.HIGH: "Action needed",
    Severity.MEDIUM: "Open findings",
    Severity.LOW: "Open findings",
    Severity.INFORMATIONAL: "For your information",
}
_LINK = re.compile(r"https://[A-Za-z0-9.-]+(?::\d+)?(?:[/?#][A-Za-z0-9._~:/?#@!$&()*+,;=%-]*)?")
"""Anything else is not worth a click: no other scheme, no credentials, nothing to escape."""
_GAPS_SHOWN = 20
_ENDING_SHOWN = 20
_REASONS_SHOWN = 3


@dataclass(frozen=True)
class Page:
    """One mail's content."""

    view: ReportView
    news: Digest
    channel: str
    is_owner: bool
    """Whether it goes to one owner and is about that owner's credentials only."""
    enclosures: tuple[Enclosure, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader must know about the attachments."""

    @cached_property
    def verdict(self) -> str:
        """Two or three words."""
        if self.news.worst is not None:
            return _VERDICTS[self.news.worst]
        return "Not everything was read" if self.news.gaps else "All clear"

    @cached_property
    def subject(self) -> str:
        """The verdict and the counts that matter; no collected text."""
        news = self.news
        counts = ", ".join(f"{n:,} {severity}" for severity, n in news.by_severity.items())
        changes = ", ".join(
            f"{n:,} {word}" for n, word in ((news.opened, "new"), (news.fixed, "fixed")) if n
        )
        parts = [counts or "no open findings"]
        if changes:
            parts.append(changes)
        if news.baseline:
            parts.append("first look")
        if news.gaps:
            parts.append(f"{wording.count(len(news.gaps), 'gap')} in coverage")
        start = f"Your credentials: {self.verdict}" if self.is_owner else self.verdict
        return f"{start} ({'; '.join(parts)})"

    @cached_property
    def headline(self) -> str:
        """The run in one sentence."""
        if not self.is_owner and self.view.summary.verdict:
            return self.view.summary.verdict
        whose = "of the credentials you own" if self.is_owner else "in this run"
        return f"{wording.count(self.news.open, 'open finding')} {whose}."

    def text(self) -> str:
        """Return the plain text."""
        return _environment(escapes=False).get_template("email.txt").render(self._facts())

    def html(self) -> str:
        """Return the HTML with its styles at every element, where mail programs look for them."""
        page = _environment(escapes=True).get_template("email.html").render(self._facts())
        inliner = css_inline.CSSInliner(keep_style_tags=False, load_remote_stylesheets=False)
        return str(inliner.inline(page))

    def _facts(self) -> dict[str, Any]:
        run, news = self.view.run, self.news
        return {
            "page": self,
            "news": news,
            "run": run,
            "worst": news.worst or ("gap" if news.gaps else "none"),
            "first": [_entry(self.view, finding) for finding in news.first],
            "new": [_entry(self.view, finding) for finding in news.new],
            "mended": [_entry(self.view, finding) for finding in news.mended],
            "gaps": [_gap(entry) for entry in news.gaps[:_GAPS_SHOWN]],
            "worsened": [_gap(entry) for entry in news.worsened[:_GAPS_SHOWN]],
            "ending": self.view.ending_exceptions[:_ENDING_SHOWN],
            "finished": wording.instant(run.finished_at),
            "as_of": wording.instant(run.now) if run.is_as_of else "",
        }


def _entry(view: ReportView, finding: Finding) -> dict[str, Any]:
    credential, state = finding.credential, finding.state
    return {
        "severity": str(state.severity),
        "risk": finding.risk.score,
        "title": finding.title,
        "message": finding.message,
        "credential": credential.name,
        "type": credential.type,
        "principal": credential.principal.name,
        "where": f"{credential.organization.name} · {credential.provider}",
        "owner": credential.owner or "",
        "reasons": finding.risk.reasons[:_REASONS_SHOWN],
        "remedy": finding.remediation.summary,
        "url": credential.url if _LINK.fullmatch(credential.url or "") else "",
        "since": _since(finding, view.run.now),
        "is_stale": state.stale_since is not None,
        "resolution": wording.label(str(state.resolution)) if state.resolution else "",
    }


def _since(finding: Finding, now: datetime) -> str:
    if is_opened(finding):
        return "Came back" if finding.state.change is Change.REOPENED else "New"
    return f"Known for {wording.duration(now - finding.state.first_seen_at)}"


def _gap(entry: Coverage) -> dict[str, Any]:
    return {
        "source": entry.source,
        "organization": entry.organization.name if entry.organization else "",
        "status": str(entry.status),
        "why": entry.error or wording.label(entry.reason or "not read whole"),
        "known": entry.known_gap or "",
    }


@cache
def _environment(*, escapes: bool) -> Environment:
    environment = Environment(
        autoescape=escapes,  # noqa: S701 - plain text has nothing to escape; HTML always does
        loader=FileSystemLoader(bundled("templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = wording.shown
    environment.filters["count"] = wording.count
    return environment
