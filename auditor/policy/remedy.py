"""How each kind of credential is revoked, rotated, given an end or narrowed, held as data.

``remedies/<provider>.yaml`` holds what is done with every credential of a provider, with those of
one type, and with those of a principal that owns the account (``root``). A policy names the step
under ``remediation.action``; what it says itself about a provider or a type comes first.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, model_validator

from auditor.model import Credential, Remediation
from auditor.policy.policy import Policy, Remedies
from auditor.policy.schema import Action, RemedyFile, Text
from auditor.yamlfile import load

_FOLDER = Path(__file__).parent / "remedies"
_SLOT = "_slot"
"""How the kind ends, in the uid of what is known by its place only: see `Kind.is_slot`."""


class Kind(Struct, frozen=True):
    """What the choice of a remedy depends on."""

    provider: str
    type: str
    is_root: bool
    is_slot: bool = False
    """Whether it is known by its place only (a user's first or second key, in a credential report
    of AWS) and not by an id that a command could take; ``<type> Slot`` in a remedy."""

    @classmethod
    def of(cls, credential: Credential) -> "Kind":
        """Return the kind of *credential*."""
        return cls(
            credential.provider,
            credential.type,
            credential.principal.is_root is True,
            _is_slot(credential.uid),
        )

    def remedy(self, remedies: Remedies) -> Remediation | None:
        """Return the closest of *remedies*; None where they do not speak of this kind."""
        return remedies.of(self.type, is_root=self.is_root, is_slot=self.is_slot)


def _is_slot(uid: str) -> bool:
    if _SLOT not in uid:  # every finding asks, and few need a closer look
        return False
    named = uid.split(":", 3)
    return len(named) > 2 and named[2].endswith(_SLOT)


class _Remedy(RemedyFile):
    summary: Text


_Steps = dict[Action, _Remedy]


class _File(BaseModel):
    """One file of `remedies`; *url* is for remedies without one of their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = None
    every: _Steps = Field(default_factory=dict)
    types: dict[Text, _Steps] = Field(default_factory=dict)
    root: _Steps = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_types(self) -> "_File":
        if not self.types:
            raise ValueError("name the provider's types of credentials under `types`")
        return self

    def remediation(self, remedy: _Remedy | None) -> Remediation | None:
        if remedy is None:
            return None
        return Remediation(remedy.summary, remedy.commands, remedy.url or self.url)

    def remedies(self, action: Action) -> Remedies:
        """Return what *action* means; a type that does not say follows the provider."""
        found = {name: self.remediation(steps.get(action)) for name, steps in self.types.items()}
        return Remedies(
            self.remediation(self.every.get(action)),
            {name: one for name, one in found.items() if one is not None},
            self.remediation(self.root.get(action)),
        )


def remedy_for(policy: Policy, kind: Kind) -> Remediation:
    """Return what mends a violation by a credential of that kind.

    What the policy says of the provider comes first, then the steps of its action, then what it
    says in general.
    """
    remedy = kind.remedy(policy.remedies.get(kind.provider, Remedies()))
    if remedy is None:
        remedy = kind.remedy(steps_of(kind.provider).get(policy.action or "", Remedies()))
    return remedy or policy.remediation


def providers_with_steps() -> frozenset[str]:
    """Return the providers whose credentials the steps are known of."""
    return frozenset(path.stem for path in _FOLDER.glob("*.yaml"))


@cache
def steps_of(provider: str) -> Mapping[str, Remedies]:
    """Return action → remedies at *provider*; empty where nothing is known."""
    if provider not in providers_with_steps():
        return {}
    file = _file(provider)
    actions = {action for steps in _all_steps(file) for action in steps}
    return {action: file.remedies(action) for action in sorted(actions)}


def types_of(provider: str) -> tuple[str, ...]:
    """Return the types of credentials whose steps are known; empty where none are."""
    return tuple(_file(provider).types) if provider in providers_with_steps() else ()


@cache
def _file(provider: str) -> _File:
    return load(_FOLDER / f"{provider}.yaml").validate(_File)


def _all_steps(file: _File) -> tuple[_Steps, ...]:
    return (file.every, file.root, *file.types.values())
