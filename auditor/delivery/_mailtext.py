"""What a mail says: its subject, its plain text and its HTML, all from the same facts."""

import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from auditor import wording
from auditor.delivery._digest import Period
from auditor.delivery._letter import Enclosure
from auditor.delivery._news import News
from auditor.delivery._told import begun_at, is_opened
from auditor.findings.view import Lapse, ReportView
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
_NAMED = (20, 10, 5, 2, 1)
"""How many entries of a kind are named; the next number where that is too much."""
_WHOLE = 100_000
"""Bytes of HTML; Gmail cuts a message off at 102 KB, and the end says what is attached."""
_REASONS_SHOWN = 3


@dataclass(frozen=True)
class Page:
    """One mail's content."""

    view: ReportView
    news: News
    channel: str
    is_owner: bool
    """Whether it goes to one owner and is about that owner's credentials only."""
    enclosures: tuple[Enclosure, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader must know about the attachments."""
    period: Period | None = None
    """What it covers, where it is a digest."""

    @cached_property
    def verdict(self) -> str:
        """Two or three words."""
        if self.news.worst is not None:
            return _VERDICTS[self.news.worst]
        return "Not everything was read" if self.news.gaps else "All clear"

    @property
    def kind(self) -> str:
        """What kind of digest it is; empty for the mail of a run."""
        return "" if self.period is None else f"{self.period.digest.capitalize()} digest"

    @cached_property
    def subject(self) -> str:
        """The verdict and the counts that matter; no collected text."""
        news = self.news
        counts = ", ".join(f"{n:,} {severity}" for severity, n in news.by_severity.items())
        parts = [counts or "no open findings"]
        if self.changes:
            parts.append(", ".join(self.changes))
        if news.baseline:
            parts.append("first look")
        if news.gaps:
            parts.append(f"{wording.count(len(news.gaps), 'gap')} in coverage")
        if news.ending or news.ended:
            total = len(news.ending) + len(news.ended)
            parts.append(f"{wording.count(total, 'exception')} {self._exceptions_do}")
        start = self.verdict
        if self.is_owner:
            start = f"Your credentials: {start}"
        if self.kind:
            start = f"{self.kind}: {start}"
        return f"{start} ({'; '.join(parts)})"

    @property
    def changes(self) -> list[str]:
        """What is new, fixed, and came and went, in words; nothing that did not happen."""
        news = self.news
        counted = (
            (news.opened, "new"),
            (news.fixed, "fixed"),
            (news.passed, "opened and fixed in between"),
        )
        return [f"{number:,} {word}" for number, word in counted if number]

    def _moved(self) -> list[tuple[str, int, str]]:
        """Return the same for the boxes of the HTML: a sign, a number and what it counts."""
        news = self.news
        passed = "opened and fixed"
        boxes = (("+", news.opened, "new"), ("−", news.fixed, "fixed"), ("±", news.passed, passed))  # noqa: RUF001 - a minus
        return [box for box in boxes if box[1]]

    @property
    def _exceptions_do(self) -> str:
        if not self.news.ended:
            return "about to end"
        return "ending or ended" if self.news.ending else "ended"

    @property
    def span(self) -> str:
        """What changes are told against: the last run, or the digest before."""
        if self.period is None or self.period.since is None or self.period.between is None:
            return "Since the last run"
        runs = wording.count(self.period.between.runs, "run")
        return f"Since the digest of {wording.day(self.period.since)} ({runs})"

    @property
    def standing(self) -> str:
        """How many of the open findings a digest has told before; empty in other mails."""
        news = self.news
        if self.period is None or self.period.since is None:
            return ""
        known = news.open - news.opened - sum(news.baseline.values())
        return f"{known:,} still open from before" if known else ""

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
        """Return the HTML with its styles at every element, where mail programs look for them.

        It names as many findings as fit into what Gmail shows of a message; the rest is counted.
        """
        inliner = css_inline.CSSInliner(keep_style_tags=False, load_remote_stylesheets=False)
        template = _environment(escapes=True).get_template("email.html")
        page = ""
        for most in _NAMED:
            page = str(inliner.inline(template.render(self._facts(most))))
            if len(page.encode()) <= _WHOLE:
                break
        return page

    def _facts(self, most: int = _NAMED[0]) -> dict[str, Any]:
        """Return what the templates say, with at most so many entries of a kind."""
        run, news = self.view.run, self.news
        return {
            "page": self,
            "news": news,
            "run": run,
            "worst": news.worst or ("gap" if news.gaps else "none"),
            "more_ending": max(len(self.view.ending_exceptions) - most, 0),
            "more_ended": max(len(news.ended) - most, 0),
            "moved": self._moved(),
            "baseline": list(news.baseline.items())[:most],
            "first": [_entry(self, finding) for finding in news.first[:most]],
            "new": [_entry(self, finding) for finding in news.new[:most]],
            "mended": [_entry(self, finding) for finding in news.mended[:most]],
            "passing": [_entry(self, finding) for finding in news.passing[:most]],
            "gaps": [_gap(entry) for entry in news.gaps[:most]],
            "worsened": [_gap(entry) for entry in news.worsened[:most]],
            "lapses": [_lapse(one) for one in news.lapses[:most]],
            "ended": news.ended[:most],
            "ending": self.view.ending_exceptions[:most],
            "finished": wording.instant(run.finished_at),
            "as_of": wording.instant(run.now) if run.is_as_of else "",
        }


def _entry(page: Page, finding: Finding) -> dict[str, Any]:
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
        "reasons": _reasons(finding),
        "remedy": finding.remediation.summary,
        "url": credential.url if _LINK.fullmatch(credential.url or "") else "",
        "since": _since(finding, page),
        "is_stale": state.stale_since is not None,
        "resolution": wording.label(str(state.resolution)) if state.resolution else "",
    }


def _reasons(finding: Finding) -> list[str]:
    """Return the weightiest reasons but the severity, which stands beside the risk."""
    obvious = f"{finding.state.severity} severity"
    return [reason for reason in finding.risk.reasons if reason != obvious][:_REASONS_SHOWN]


def _since(finding: Finding, page: Page) -> str:
    state = finding.state
    if state.id in page.news.seen_first:
        return "There at the first look"
    if page.period is not None and page.period.start is not None:
        if begun_at(finding) > page.period.start.now:
            return "New" if state.opened_at is None else "Came back"
    elif is_opened(finding):
        return "Came back" if state.change is Change.REOPENED else "New"
    return f"Known for {wording.duration(page.view.run.now - state.first_seen_at)}"


def _gap(entry: Coverage) -> dict[str, Any]:
    return {
        "source": entry.source,
        "organization": entry.organization.name if entry.organization else "",
        "status": str(entry.status),
        "why": entry.error or wording.label(entry.reason or "not read whole"),
        "known": entry.known_gap or "",
    }


def _lapse(lapse: Lapse) -> dict[str, Any]:
    return {
        "source": lapse.source,
        "organization": lapse.organization.name if lapse.organization else "",
        "runs": lapse.runs,
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
