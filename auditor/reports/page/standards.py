"""Standards in few lines: how each stands, its newest version first, and what a finding maps to."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from auditor.findings.compliance import ControlRow, FrameworkRow
from auditor.wording import count, listing, shown

_DIGITS = re.compile(r"\d+")
_VERSIONED = re.compile(r"(.+)-(\d[\d.]*)", re.DOTALL)
"""The key of a standard, such as ``cis-aws-5.0``."""


@dataclass(frozen=True)
class Standard:
    """One standard with the controls that are about any credential of the run."""

    key: str
    name: str
    outcome: str
    """A few words, such as ``findings in 3 of 5 controls``."""
    has_failed: bool
    controls: tuple[ControlRow, ...]


@dataclass(frozen=True)
class Editions:
    """A standard in the newest of its versions, and in those that came before."""

    newest: Standard
    older: tuple[Standard, ...]
    label: str
    """What the older ones are called together; empty where there are none."""


def standards(rows: Iterable[FrameworkRow]) -> tuple[list[Editions], list[str]]:
    """Return the standards that speak about this inventory, and the names of the others."""
    spoken, silent = [], []
    for title, versions in groupby(rows, key=lambda row: row.title):
        newest_first = sorted(versions, key=lambda row: _by_number(row.version), reverse=True)
        told = [row for row in newest_first if _speaks(row)]
        untold = [_version(row) for row in newest_first if not _speaks(row)]
        if told:
            spoken.append(_editions(told))
        if untold:
            silent.append(_name(title, listing(untold)))
    return spoken, silent


def maps_to(controls: Mapping[str, Sequence[str]]) -> str:
    """Return the *controls* of a finding in one line, of each standard the newest version first."""
    families: dict[str, list[tuple[str, str]]] = {}
    for key, ids in sorted(controls.items()):
        found = _VERSIONED.fullmatch(key)
        family, version = found.groups() if found else (key, "")
        families.setdefault(family, []).append((version, ", ".join(ids)))
    return " · ".join(_family(name, versions) for name, versions in families.items())


def _family(name: str, versions: list[tuple[str, str]]) -> str:
    versions.sort(key=lambda one: _by_number(one[0]), reverse=True)
    (newest, ids), *older = versions
    text = f"{name}-{newest} {ids}" if newest else f"{name} {ids}"
    spans = [
        f"{_span([version for version, _ in alike])}: {same}"
        for same, alike in groupby(older, key=lambda one: one[1])
    ]
    return f"{text} ({'; '.join(spans)})" if spans else text


def _span(versions: Sequence[str]) -> str:
    return f"{versions[0]} to {versions[-1]}" if len(versions) > 1 else versions[0]


def _by_number(version: str) -> tuple[int, ...]:
    """``4.0.1`` is newer than ``4.0``, and 10 than 9."""
    return tuple(int(number) for number in _DIGITS.findall(version))


def _speaks(row: FrameworkRow) -> bool:
    return any(one.credentials for one in row.controls)


def _editions(rows: Sequence[FrameworkRow]) -> Editions:
    newest, *older = [_standard(row) for row in rows]
    versions = [_version(row) for row in rows[1:]]
    label = f"{count(len(older), 'older version')}: {listing(versions)}" if older else ""
    return Editions(newest, tuple(older), label)


def _standard(row: FrameworkRow) -> Standard:
    controls = tuple(one for one in row.controls if one.credentials)
    failed = sum(one.failed > 0 for one in controls)
    return Standard(
        key=shown(row.key, 80),
        name=_name(row.title, _version(row)),
        outcome=_outcome(controls, failed),
        has_failed=failed > 0,
        controls=controls,
    )


def _name(title: str, versions: str) -> str:
    return f"{shown(title, 120)} {versions}".strip()


def _version(row: FrameworkRow) -> str:
    """The one that is in force is not worth a word."""
    return "" if row.version == "current" else shown(row.version, 40)


def _outcome(controls: tuple[ControlRow, ...], failed: int) -> str:
    unknown = sum(one.not_evaluable > 0 and not one.failed for one in controls)
    text = f"findings in {failed} of {count(len(controls), 'control')}"
    if not failed:
        text = f"no finding in {count(len(controls), 'control')}"
    return f"{text}, {unknown} not wholly evaluable" if unknown else text
