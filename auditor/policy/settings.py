"""The ``policies:`` block of the configuration."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from auditor.model import Severity
from auditor.policy.match import Match

PolicyId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,63}$")]
"""The stem of a policy file: lower-case words joined by hyphens."""

DEFAULT_PRESET = "cis-45-90"


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Override(_Settings):
    """Other limits or another severity for one policy, everywhere or for some credentials."""

    policy: PolicyId
    match: Match | None = None
    """Without it the override holds for every credential."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    severity: Severity | None = None
    """Exactly this severity: neither tiers nor the step for privileged credentials apply."""


class PolicySettings(_Settings):
    """Which policies judge, and by which limits.

    The preset comes first, then ``enable`` and ``disable``, then the overrides in their order:
    where several match a credential, the last one that names a parameter or the severity wins.
    """

    preset: str = DEFAULT_PRESET
    directories: tuple[str, ...] = ()
    """Folders of policy files beside the built-in ones; relative to the configuration."""
    enable: tuple[PolicyId, ...] = ()
    disable: tuple[PolicyId, ...] = ()
    override: tuple[Override, ...] = ()
