"""Scripts that mend findings, for people to read and to run: verify, disable, watch, delete.

Nothing here runs anything. Commands come from the policies, where every fact is quoted as one
argument of a shell; what else is said stands in comments that no name can end.
"""

import re
import shlex
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import pairwise, takewhile

from msgspec import Struct

from auditor import wording
from auditor.model import Finding

WATCH_DAYS = 7
"""How long to watch for complaints between disabling and deleting."""


class Phase(StrEnum):
    """When a command is due."""

    VERIFY = "verify"
    """Only looks."""
    DISABLE = "disable"
    """Can be undone."""
    CHANGE = "change"
    """Narrows or replaces; read it twice."""
    DELETE = "delete"
    """Cannot be undone."""


_VERBS = (
    (Phase.DELETE, ("delete", "revoke", "destroy", "remove")),
    (Phase.DISABLE, ("disable", "deactivate", "suspend", "inactive")),
    (Phase.VERIFY, ("get", "list", "show", "describe")),
)
_TELLING = ("-X", "--request", "--method", "--status", "-f")
"""Options whose value says what a command does."""
_BLANK = re.compile(r"\b[A-Z]+_ID\b")
"""What a person has to fill in."""


class Step(Struct, frozen=True):
    """One command."""

    phase: Phase
    command: str


class Task(Struct, frozen=True):
    """One credential and what mends it."""

    finding: Finding
    policies: tuple[str, ...]
    steps: tuple[Step, ...]


def tasks(findings: Iterable[Finding], config: str) -> dict[str, list[Task]]:
    """Return the work on *findings* by provider; the finding with the highest risk leads.

    *config* is the quoted path of the configuration by which a credential is read again.
    """
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.credential.uid, []).append(finding)
    work: dict[str, list[Task]] = {}
    for group in groups.values():
        task = _task(group, config)
        work.setdefault(task.finding.credential.provider, []).append(task)
    return dict(sorted(work.items()))


def phase_of(command: str) -> Phase:
    """Return when a command is due; one that no verb tells apart changes something.

    Where a value looks like a verb, a command is due later, never earlier, than it should be.
    """
    words = shlex.split(command)
    verbs = [*takewhile(lambda word: not word.startswith("-"), words)]
    verbs += [value for option, value in pairwise(words) if option in _TELLING]
    said = " ".join(verbs).lower()
    for phase, known in _VERBS:
        if any(re.search(rf"(?<![a-z]){verb}(?![a-z])", said) for verb in known):
            return phase
    return Phase.CHANGE


def script(provider: str, work: Iterable[Task], *, run_id: int, tool: str) -> str:
    """Return the script for one provider. Without an argument it only says how to use it."""
    lines = [
        "#!/bin/sh",
        f"# Written by auditor {_said(tool)} from run {run_id}, for {_said(provider)}.",
        "# Nothing of this has been run. Read it, then run one phase after the other:",
        "#   sh THIS verify    looks whether each credential is still unused, and changes nothing",
        "#   sh THIS disable   takes what can be given back",
        "#   sh THIS change    narrows or replaces; edit it first",
        f"#   sh THIS delete    for ever; {WATCH_DAYS} days later, when nobody has complained",
        "set -eu",
        "",
    ]
    work = list(work)
    lines.append('case "${1:-}" in')
    for phase in Phase:
        lines.append(f"{phase.value})")
        lines += _phase_lines(phase, work)
        lines.append("  ;;")
    lines += [
        "*)",
        '  echo "usage: sh $0 verify|disable|change|delete" >&2',
        "  exit 2",
        "  ;;",
        "esac",
    ]
    return "\n".join(lines) + "\n"


def _phase_lines(phase: Phase, work: Iterable[Task]) -> Iterator[str]:
    yield "  :"  # a phase without a command does nothing
    for task in work:
        steps = [step for step in task.steps if step.phase is phase]
        if not steps:
            continue
        yield ""
        yield from _heading(task)
        yield from (_line(step.command) for step in steps)


def _line(command: str) -> str:
    is_open = _BLANK.search(re.sub(r"\$\w+", "", command)) is not None
    return f"  # fill in, then run: {command}" if is_open else f"  {command}"


def _heading(task: Task) -> Iterator[str]:
    finding, credential = task.finding, task.finding.credential
    where = f"{credential.organization.name}, {credential.principal.name}"
    yield f"  # {_said(credential.type)} {_said(credential.name)} of {_said(where)}"
    yield f"  #   {_said(credential.uid)}; owner: {_said(credential.owner or 'nobody')}"
    yield f"  #   risk {finding.risk.score}: {_said(finding.message)}"
    yield f"  #   policies: {_said(', '.join(task.policies))}"
    yield f"  #   {_said(finding.remediation.summary)}"


def _task(group: list[Finding], config: str) -> Task:
    lead = max(group, key=lambda one: (one.risk.score, one.state.policy_id))
    verify = f"auditor credentials show --refresh -c {config} -- {_quoted(lead.credential.uid)}"
    others = [
        command
        for command in lead.remediation.commands
        if not command.startswith("auditor credentials show ")
    ]
    steps = [Step(Phase.VERIFY, verify), *(Step(phase_of(one), one) for one in others)]
    policies = tuple(sorted({finding.state.policy_id for finding in group}))
    return Task(lead, policies, tuple(steps))


def _quoted(text: str) -> str:
    """Return *text* as one argument of a shell, as templates quote it."""
    return shlex.quote(wording.shown(text, 2000))


def _said(text: str) -> str:
    """Return *text* for a comment: one line, whatever it holds."""
    return wording.shown(text, 500)
