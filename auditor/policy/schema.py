"""The shape of a policy file; unknown keys and wrong types are errors with their place."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from auditor.model import Outcome, Severity
from auditor.policy.settings import PolicyId

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
ParameterName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
FrameworkKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$")]

CertaintyWord = Literal["high", "medium", "low"]
"""*high*: the control's own text names the condition; *medium*: it covers it but names no such
number or object; *low*: supporting evidence."""

_LETTERS = {"H": "high", "M": "medium", "L": "low"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _certainty(value: Any) -> Any:
    return _LETTERS.get(value, value) if isinstance(value, str) else value


class ControlFile(_Part):
    """One control of a framework and how sure the mapping is."""

    id: Annotated[str, StringConstraints(strict=True, min_length=1)]
    certainty: Annotated[CertaintyWord, BeforeValidator(_certainty)] = "medium"


def _controls(value: Any) -> Any:
    """Read ``["1.11"]``, ``[{id: "1.11", certainty: high}]`` and ``{"1.11": high}`` alike."""
    if isinstance(value, dict):
        return [{"id": key, "certainty": certainty} for key, certainty in value.items()]
    if isinstance(value, list):
        return [_control(item) for item in value]
    return value


def _control(item: Any) -> Any:
    if isinstance(item, int | float):
        raise ValueError("a control is text; put its id in quotes")  # noqa: TRY004
    return {"id": item} if isinstance(item, str) else item


Controls = Annotated[tuple[ControlFile, ...], BeforeValidator(_controls), Field(min_length=1)]


class TierFile(_Part):
    """A severity that holds where a further condition does; the first such tier decides."""

    when: Text
    severity: Severity


class Whom(_Part):
    """Credentials of some providers and types; an empty list means everybody."""

    providers: tuple[Text, ...] = ()
    types: tuple[Text, ...] = ()


class AppliesTo(Whom):
    """Whom a policy is about."""

    without: tuple[Whom, ...] = ()
    """Whom of these it is not about, such as kinds without a secret."""


class RemedyFile(_Part):
    """What mends a finding. Commands are templates whose values are quoted for the shell."""

    summary: Text | None = None
    commands: tuple[Text, ...] = ()
    url: Annotated[str, StringConstraints(pattern=r"^https://\S+$")] | None = None


class ProviderRemedyFile(RemedyFile):
    """What mends it at one provider, and what differs by the kind of credential there."""

    types: dict[Text, RemedyFile] = Field(default_factory=dict)
    root: RemedyFile | None = None
    """For the credentials of a principal that owns the whole account."""


Action = Literal["revoke", "rotate", "expire", "narrow"]
"""What to do, where `auditor.policy.remedy` knows how it is done with each kind of credential:
*revoke* ends it, *rotate* replaces it, *expire* replaces it by one with an end, *narrow* takes
rights away."""


class RemediationFile(RemedyFile):
    """The general remedy, and what differs per provider."""

    summary: Text
    action: Action | None = None
    providers: dict[str, ProviderRemedyFile] = Field(default_factory=dict)


Expectation = Literal["violation", "pass", "not_evaluable", "not_judged"]


class ExampleFile(_Part):
    """A credential and what the policy must say about it; see `auditor.policy.examples`."""

    name: str = ""
    credential: dict[str, Any]
    expect: Expectation
    now: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    severity: Severity | None = None
    missing: tuple[str, ...] | None = None
    neighbours: dict[str, Any] = Field(default_factory=dict)
    """Facts that only other credentials tell, such as ``active_siblings``."""


class PolicyFile(_Part):
    """One policy file."""

    id: PolicyId
    title: Text
    severity: Severity | None = None
    tiers: tuple[TierFile, ...] = ()
    privileged_step: bool = True
    """Whether the severity rises one step, up to *high*, where the credential is privileged and
    the condition does not test that itself."""
    category: Word
    enabled: bool = True
    """Whether it judges without being named under ``policies.enable``."""
    version: int = Field(default=1, ge=1)
    applies_to: AppliesTo = AppliesTo()
    parameters: dict[ParameterName, Any] = Field(default_factory=dict)
    when: Text
    supersedes: tuple[PolicyId, ...] = ()
    message: Text
    rationale: Text
    remediation: RemediationFile
    controls: dict[FrameworkKey, Controls] = Field(default_factory=dict)
    examples: tuple[ExampleFile, ...] = ()


OUTCOMES: dict[Expectation, Outcome | None] = {
    "violation": Outcome.VIOLATION,
    "not_evaluable": Outcome.NOT_EVALUABLE,
    "not_judged": Outcome.NOT_JUDGED,
    "pass": None,
}
