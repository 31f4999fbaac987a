"""A policy as the rest of the auditor sees it."""

from collections.abc import Mapping

from msgspec import Struct

from auditor.model import Evidence, Remediation, Severity
from auditor.policy.language.values import Constant


class Control(Struct, frozen=True):
    """A control that a policy maps to; *certainty* is ``high``, ``medium`` or ``low``."""

    id: str
    certainty: str


class Parameter(Struct, frozen=True):
    """A limit; *constant* is None where the configuration must supply it."""

    name: str
    type_name: str
    constant: Constant | None
    description: str = ""


class Tier(Struct, frozen=True):
    """A severity that holds where *when* does."""

    when: str
    severity: Severity


class Remedies(Struct, frozen=True):
    """What mends a finding at one provider, by the kind of credential it is about."""

    every: Remediation | None = None
    types: Mapping[str, Remediation] = {}
    root: Remediation | None = None

    def of(
        self, credential_type: str, *, is_root: bool, is_slot: bool = False
    ) -> Remediation | None:
        """Return the closest; None where the kind is not spoken of."""
        if is_root and self.root is not None:
            return self.root
        slot = self.types.get(f"{credential_type} Slot") if is_slot else None
        if slot is not None:
            return slot
        return self.types.get(credential_type, self.every)


class Policy(Struct, frozen=True, kw_only=True):
    """One rule as data. Texts are shown as they stand; ``message`` is a template over facts."""

    id: str
    title: str
    """With the limits that hold without scoped overrides."""
    severity: Severity
    """Where no tier says otherwise."""
    tiers: tuple[Tier, ...] = ()
    privileged_step: bool = True
    category: str
    is_default: bool = True
    """Whether it judges without being enabled by name or preset."""
    is_builtin: bool = False
    version: int = 1
    providers: tuple[str, ...] = ()
    """Whom it is about; empty: everybody. Likewise *types*."""
    types: tuple[str, ...] = ()
    without: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    """Providers and types it is not about after all."""
    parameters: Mapping[str, Parameter]
    when: str
    supersedes: tuple[str, ...] = ()
    message: str
    rationale: str
    remediation: Remediation
    """The general one; commands are templates."""
    action: str | None = None
    """The step whose commands `auditor.policy.remedy` knows for each kind of credential."""
    remedies: Mapping[str, Remedies]
    """Per provider, before those of *action*."""
    controls: Mapping[str, tuple[Control, ...]]
    """Framework → controls."""
    file: str

    def applies_to(self, provider: str, credential_type: str) -> bool:
        """Whether it is about credentials of that provider and type."""
        kind = (provider, credential_type)
        return _covers(self.providers, self.types, kind) and not any(
            _covers(providers, types, kind) for providers, types in self.without
        )


def _covers(providers: tuple[str, ...], types: tuple[str, ...], kind: tuple[str, str]) -> bool:
    return (not providers or kind[0] in providers) and (not types or kind[1] in types)


class Explanation(Struct, frozen=True, kw_only=True):
    """Why a policy flags a credential and what mends it, in words for people."""

    title: str
    message: str
    evidence: tuple[Evidence, ...]
    rationale: str
    remediation: Remediation
    controls: Mapping[str, tuple[str, ...]]
    """Framework → control ids, of the frameworks that speak about the provider."""


class ExampleResult(Struct, frozen=True, kw_only=True):
    """What became of one example of a policy file; *problem* is empty where it holds."""

    policy_id: str
    name: str
    expected: str
    actual: str
    problem: str = ""
    line: int = 1

    @property
    def is_ok(self) -> bool:
        """Whether the policy said what the example expects."""
        return not self.problem
