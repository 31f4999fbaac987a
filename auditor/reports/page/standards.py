"""How the standards stand, one line each: in how many of their controls something was found."""

from collections.abc import Iterable
from dataclasses import dataclass

from auditor.findings.compliance import ControlRow, FrameworkRow
from auditor.wording import count, shown


@dataclass(frozen=True)
class Standard:
    """One standard with the controls that are about any credential of the run."""

    key: str
    name: str
    outcome: str
    """A few words, such as ``findings in 3 of 5 controls``."""
    has_failed: bool
    controls: tuple[ControlRow, ...]


def standards(rows: Iterable[FrameworkRow]) -> tuple[list[Standard], list[str]]:
    """Return the standards that speak about this inventory, and the names of the others."""
    spoken, silent = [], []
    for row in rows:
        controls = tuple(one for one in row.controls if one.credentials)
        name = f"{shown(row.title, 120)} {shown(row.version, 40)}".strip()
        if not controls:
            silent.append(name)
            continue
        failed = sum(one.failed > 0 for one in controls)
        spoken.append(
            Standard(
                key=shown(row.key, 80),
                name=name,
                outcome=_outcome(controls, failed),
                has_failed=failed > 0,
                controls=controls,
            )
        )
    return spoken, silent


def _outcome(controls: tuple[ControlRow, ...], failed: int) -> str:
    unknown = sum(one.not_evaluable > 0 and not one.failed for one in controls)
    text = f"findings in {failed} of {count(len(controls), 'control')}"
    if not failed:
        text = f"no finding in {count(len(controls), 'control')}"
    return f"{text}, {unknown} not wholly evaluable" if unknown else text
