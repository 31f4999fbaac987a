"""Which policies are in force, and which of them takes over from which."""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from auditor.errors import ConfigError

_KEPT = 4_096


class PolicyTerms(Protocol):
    """What the life of a finding depends on in a policy."""

    @property
    def id(self) -> str:
        """The file stem."""

    @property
    def category(self) -> str:
        """Such as ``dormant``; weighs in the risk."""

    @property
    def supersedes(self) -> tuple[str, ...]:
        """The ids of the policies whose findings this one takes over."""


class PoliciesInForce:
    """The active policies as far as the life of a finding depends on them.

    A policy that is not active takes over from nobody; *retired* ones matter for the day on which
    they hand back what they had taken over, and as links of a chain. Superseding is transitive;
    `ConfigError` where policies supersede each other in a circle, because then nothing would be
    reported.
    """

    def __init__(
        self, policies: Iterable[PolicyTerms], retired: Iterable[PolicyTerms] = ()
    ) -> None:
        active = {policy.id: policy for policy in policies}
        self.categories: Mapping[str, str] = {one.id: one.category for one in active.values()}
        self.former_superiors = _superiors({policy.id: policy for policy in retired} | active)
        """Policy id → every policy that takes over from it or did, the uppermost first."""
        self.superiors: Mapping[str, tuple[str, ...]] = {
            inferior: in_force
            for inferior, superiors in self.former_superiors.items()
            if (in_force := tuple(one for one in superiors if one in active))
        }
        """The same, counting policies in force only."""
        self._uppermost: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __contains__(self, policy_id: str) -> bool:
        return policy_id in self.categories

    def superior_among(self, policy_id: str, standing: Collection[str]) -> str | None:
        """Return the uppermost policy in *standing* that takes over from *policy_id*, if any."""
        for superior in self.superiors.get(policy_id, ()):
            if superior in standing:
                return superior
        return None

    def uppermost(self, standing: tuple[str, ...]) -> tuple[str, ...]:
        """Return, sorted, the policies in *standing* from which none of them takes over."""
        found = self._uppermost.get(standing)
        if found is None:
            if len(self._uppermost) >= _KEPT:  # few combinations differ among many credentials
                self._uppermost.clear()
            found = tuple(
                name for name in sorted(standing) if self.superior_among(name, standing) is None
            )
            self._uppermost[standing] = found
        return found


def _superiors(terms: Mapping[str, PolicyTerms]) -> Mapping[str, tuple[str, ...]]:
    below: dict[str, frozenset[str]] = {}
    for policy_id in terms:
        _descend(policy_id, terms, below, ())
    uppermost_first = sorted(terms, key=lambda one: (-len(below[one]), one))
    found: dict[str, list[str]] = {}
    for superior in uppermost_first:
        for inferior in below[superior]:
            found.setdefault(inferior, []).append(superior)
    return {inferior: tuple(superiors) for inferior, superiors in found.items()}


def _descend(
    policy_id: str,
    terms: Mapping[str, PolicyTerms],
    below: dict[str, frozenset[str]],
    path: tuple[str, ...],
) -> frozenset[str]:
    """Fill *below* with every policy that *policy_id* takes over from, directly or not."""
    if policy_id in path:
        circle = " → ".join((*path[path.index(policy_id) :], policy_id))
        raise ConfigError(
            f"policies supersede each other in a circle: {circle}; take one `supersedes` entry out"
        )
    if policy_id not in below:
        direct = [one for one in terms[policy_id].supersedes if one in terms]
        below[policy_id] = frozenset(direct).union(
            *(_descend(one, terms, below, (*path, policy_id)) for one in direct)
        )
    return below[policy_id]
