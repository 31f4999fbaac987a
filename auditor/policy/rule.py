"""A policy with its limits filled in, ready to judge."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from auditor.model import Credential, PermissionsSubject, Privilege, Severity
from auditor.policy.language import Condition, Parameters
from auditor.policy.language.derived import Derived
from auditor.policy.reading import PolicySource

_TESTS_PRIVILEGE = frozenset({"privilege", "permissions", "principal.is_root"})
_STEP: Mapping[Severity, Severity] = {
    Severity.INFORMATIONAL: Severity.LOW,
    Severity.LOW: Severity.MEDIUM,
    Severity.MEDIUM: Severity.HIGH,
}

# Named here, because to look a member up in its class costs more than to compare it.
_CALLER, _ADMIN = PermissionsSubject.CALLER, Privilege.ADMIN


class Rule(Struct, frozen=True):
    """One policy under one set of limits."""

    source: PolicySource
    condition: Condition
    tiers: tuple[tuple[Condition, Severity], ...]
    parameters: Parameters
    severity: Severity | None
    """Exactly this one, where the configuration says so."""
    can_step: bool
    """Whether the severity rises for privileged credentials."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Its condition and those of its tiers."""
        return (self.condition, *(condition for condition, _severity in self.tiers))

    def severity_of(self, credential: Credential, derived: Derived, now: datetime) -> Severity:
        """Return how bad a violation is.

        The first tier that holds decides, else the policy's own severity. It rises one step, up to
        *high*, where the credential is an administrator's and the condition has not tested
        privilege itself. A severity from the configuration stands as it is.
        """
        if self.severity is not None:
            return self.severity
        is_callers = credential.permissions_subject == _CALLER
        severity = self.source.policy.severity
        for condition, tier in self.tiers:
            if condition.reads_grants and is_callers:
                continue
            if condition.evaluate(credential, derived, now) is True:
                severity = tier
                break
        if self.can_step and credential.privilege == _ADMIN and not is_callers:
            return _STEP.get(severity, severity)
        return severity


def make_rule(
    source: PolicySource, parameters: Parameters, severity: Severity | None = None
) -> Rule:
    """Compile a policy under *parameters*; raises `PolicyError`."""
    condition = source.condition(source.file.when, ("when",), parameters)
    tests_privilege = any(field.name in _TESTS_PRIVILEGE for field in condition.reads)
    return Rule(
        source=source,
        condition=condition,
        can_step=source.policy.privileged_step and not tests_privilege,
        tiers=tuple(_tiers(source, parameters)),
        parameters=parameters,
        severity=severity,
    )


def _tiers(source: PolicySource, parameters: Parameters) -> Iterable[tuple[Condition, Severity]]:
    for position, tier in enumerate(source.policy.tiers):
        path = ("tiers", position, "when")
        yield source.condition(tier.when, path, parameters), tier.severity
