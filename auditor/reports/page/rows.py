"""One finding and one credential as the page shows them: short text, nothing left to compute.

A name that is too long for a page is cut with an ellipsis; JSON and CSV carry it whole.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from msgspec import Struct

from auditor.findings.view import HistoryEvent
from auditor.model import (
    Credential,
    Evidence,
    ExpiresState,
    Finding,
    FindingState,
    LastUsedState,
    Privilege,
)
from auditor.reports.page.commands import filled, slots, with_slots
from auditor.reports.page.links import https
from auditor.reports.page.moments import Moment, expiry, last_used, moment
from auditor.reports.page.standards import maps_to
from auditor.reports.page.standing import badge, standing
from auditor.wording import fact, label, listing, rfc3339, shown

_NAME = 120
_SENTENCE = 600
_COMMAND = 1000
_MAX_COMMANDS = 8
_MAX_EVIDENCE = 12
_MAX_HISTORY = 8
_NO_NAME = "(no name)"
_ON_DEMAND = ("Uid", "Principal id", "Organization id")
"""Shown only where a shared command needs them."""
NOBODY = "nobody named"
"""How a credential without an owner is called."""


class Subject(Struct, frozen=True):
    """Who and where a credential is."""

    name: str
    principal: str
    organization: str
    provider: str
    owner: str


class EvidenceLine(Struct, frozen=True):
    """One observed fact and the limit it is held against; ``limit`` may be empty."""

    fact: str
    observed: str
    limit: str


class Guide(Struct, frozen=True):
    """What is said once for all findings of a policy with one provider."""

    number: int
    policy_id: str
    title: str
    provider: str
    rationale: str
    summary: str
    url: str
    controls: str
    message: str
    """Empty on a short page, where every finding says its own."""
    commands: str
    """Likewise: one a line, with the names of slots instead of values."""
    maps_to: Mapping[str, tuple[str, ...]]
    """What *controls* says, as findings hold it."""


class FindingRow(Struct, frozen=True):
    """A finding, ready for the page."""

    id: str
    policy_id: str
    rank: int
    severity: str
    score: int
    title: str
    subject: Subject
    status: str
    badge: str
    message: str
    standing: str
    """Why it is not simply open: suppressed, ended, remembered; may be empty."""
    evidence: Sequence[EvidenceLine]
    reasons: str
    summary: str
    """The remediation, where it is not the guide's; may be empty."""
    controls: str
    """Likewise."""
    commands: str
    """One a line; empty where the facts fill the slots of the guide's."""
    guide: int
    facts: Sequence[tuple[str, str]]
    times: Sequence[tuple[str, Moment]]
    url: str
    history: Sequence[tuple[Moment, str]]


class FirstRow(Struct, frozen=True):
    """A finding to deal with first: why, and what to do."""

    id: str
    rank: int
    severity: str
    score: int
    title: str
    subject: Subject
    reasons: Sequence[str]
    action: str
    command: str
    """The first of its commands; may be empty."""


class CredentialRow(Struct, frozen=True):
    """A credential of the inventory, ready for the page."""

    name: str
    id: str
    type: str
    subject: Subject
    status: str
    created: Moment
    used: Moment
    expires: Moment
    privilege: str
    findings: str
    worst: int
    """Rank of the worst open finding, or -1."""
    finding_id: str


def subject(credential: Credential) -> Subject:
    """Return who and where *credential* is."""
    organization, principal = credential.organization, credential.principal
    return Subject(
        shown(credential.name, _NAME) or _NO_NAME,
        shown(principal.name or principal.id, _NAME) or _NO_NAME,
        shown(organization.name or organization.id, _NAME) or _NO_NAME,
        shown(credential.provider, _NAME),
        shown(credential.owner or "", _NAME),
    )


def finding_row(
    finding: Finding, guide: Guide, now: datetime, history: Sequence[HistoryEvent]
) -> FindingRow:
    """Return *finding* as the page shows it, leaving to *guide* what it already says."""
    state, credential = finding.state, finding.credential
    message = shown(finding.message, _SENTENCE)
    summary = shown(finding.remediation.summary, _SENTENCE)
    commands = _commands(finding)
    needed: Sequence[str] = ()
    if guide.commands and filled(guide.commands, _values(credential)) == commands:
        commands, needed = "", slots(guide.commands)
    return FindingRow(
        id=state.id,
        policy_id=state.policy_id,
        rank=state.severity.rank,
        severity=state.severity.value.capitalize(),
        score=finding.risk.score,
        title=shown(finding.title, _NAME),
        subject=subject(credential),
        status=state.status.value,
        badge=badge(state, now),
        message="" if message == guide.message else message,
        standing=standing(state, now),
        evidence=[_evidence(entry) for entry in _telling(finding, now)],
        reasons=listing(reasons(finding)),
        summary="" if summary == guide.summary else summary,
        controls="" if finding.controls == guide.maps_to else maps_to(finding.controls),
        commands=commands,
        guide=guide.number,
        facts=_facts(credential, needed),
        times=_times(state, credential, now),
        url=https(credential.url),
        history=[_step(event, now) for event in history[-_MAX_HISTORY:]]
        if len(history) > 1
        else (),
    )


def first_row(finding: Finding) -> FirstRow:
    """Return *finding* as the list of what to deal with first shows it."""
    commands = finding.remediation.commands
    return FirstRow(
        id=finding.state.id,
        rank=finding.state.severity.rank,
        severity=finding.state.severity.value.capitalize(),
        score=finding.risk.score,
        title=shown(finding.title, _NAME),
        subject=subject(finding.credential),
        reasons=reasons(finding)[:4],
        action=shown(finding.remediation.summary, 300),
        command=shown(commands[0], 400) if commands else "",
    )


def guide(number: int, finding: Finding, *, is_long: bool) -> Guide:
    """Return what *finding* has in common with others of its policy and provider.

    On a long page (*is_long*) that includes the message and the commands.
    """
    commands = _commands(finding)
    return Guide(
        number,
        finding.state.policy_id,
        shown(finding.title, _NAME),
        shown(finding.credential.provider, _NAME),
        shown(finding.rationale, _SENTENCE),
        shown(finding.remediation.summary, _SENTENCE),
        https(finding.remediation.url),
        maps_to(finding.controls),
        shown(finding.message, _SENTENCE) if is_long else "",
        with_slots(commands, _values(finding.credential)) if is_long else "",
        finding.controls,
    )


def credential_row(
    credential: Credential, now: datetime, found: tuple[int, int, str] | None
) -> CredentialRow:
    """Return *credential* as the inventory shows it; *found* is count, worst rank, first id."""
    number, worst, finding_id = found or (0, -1, "")
    return CredentialRow(
        name=shown(credential.name, _NAME) or _NO_NAME,
        id=shown(credential.provider_id, _NAME),
        type=shown(credential.type, _NAME),
        subject=subject(credential),
        status=credential.status.value,
        created=moment(credential.created_at, now),
        used=last_used(credential, now),
        expires=expiry(credential, now),
        privilege=credential.privilege.value,
        findings=str(number) if number else "",
        worst=worst,
        finding_id=finding_id,
    )


def _commands(finding: Finding) -> str:
    commands = finding.remediation.commands[:_MAX_COMMANDS]
    return "\n".join(shown(command, _COMMAND) for command in commands)


def reasons(finding: Finding) -> list[str]:
    """Return why the risk is what it is, beyond the severity that stands beside it."""
    obvious = f"{finding.state.severity.value} severity"
    return [shown(reason, _NAME) for reason in finding.risk.reasons if reason != obvious]


def _telling(finding: Finding, now: datetime) -> list[Evidence]:
    """Leave out the age of the data where it is the run's own: the page says that once."""
    kept = [
        entry
        for entry in finding.evidence
        if not (entry.fact == "data_as_of" and entry.observed == rfc3339(now))
    ]
    return kept[:_MAX_EVIDENCE]


def _evidence(entry: Evidence) -> EvidenceLine:
    limit = "" if entry.limit is None else shown(fact(entry.limit), _NAME)
    return EvidenceLine(_caption(entry.fact), shown(fact(entry.observed), _SENTENCE), limit)


@lru_cache(maxsize=256)
def _caption(name: str) -> str:
    return shown(label(name), _NAME).capitalize()


def _facts(credential: Credential, needed: Sequence[str]) -> list[tuple[str, str]]:
    """What identifies the credential and what it may do; the owner stands last.

    *needed* are the slots of the guide's commands; what stands in the finding's line need not be
    said again.
    """
    identity = shown(credential.provider_id, _NAME)
    client_id = shown(credential.client_id or "", _NAME)
    facts = [("Id", identity)]
    if "Client id" in needed or client_id != identity:
        facts.append(("Client id", client_id))
    if needed:
        values = _values(credential)
        facts += [(name, values[name]) for name in _ON_DEMAND if name in needed]
    facts.append(("Type", shown(credential.type, _NAME)))
    facts.append(("Source", shown(credential.source, _NAME)))
    if credential.privilege is not Privilege.UNKNOWN:
        facts.append(("Privilege", credential.privilege.value))
    facts.append(("Owner", shown(credential.owner or NOBODY, _NAME)))
    return [fact for fact in facts if fact[1]]


def _values(credential: Credential) -> dict[str, str]:
    """What a command may be about, under the names that the page gives it."""
    organization, principal = credential.organization, credential.principal
    return {
        "Uid": shown(credential.uid, _NAME),
        "Id": shown(credential.provider_id, _NAME),
        "Client id": shown(credential.client_id or "", _NAME),
        "Principal id": shown(principal.id, _NAME),
        "Principal": shown(principal.name or principal.id, _NAME),
        "Organization id": shown(organization.id, _NAME),
        "Organization": shown(organization.name or organization.id, _NAME),
        "Name": shown(credential.name, _NAME),
    }


def _times(state: FindingState, credential: Credential, now: datetime) -> list[tuple[str, Moment]]:
    """The times that tell something; a first sight in this run stands in the badge already."""
    times = [("Created", moment(credential.created_at, now))]
    if state.first_seen_at != now:
        times.insert(0, ("First seen", moment(state.first_seen_at, now)))
    if credential.last_used_state is not LastUsedState.UNKNOWN:
        times.append(("Last used", last_used(credential, now)))
    if credential.expires_state not in (ExpiresState.UNSUPPORTED, ExpiresState.UNKNOWN):
        times.append(("Expires", expiry(credential, now)))
    return times


def _step(event: HistoryEvent, now: datetime) -> tuple[Moment, str]:
    how = f", {label(event.resolution.value)}" if event.resolution else ""
    return moment(event.at, now), f"{event.change.value}{how} in run {event.run_id}"
