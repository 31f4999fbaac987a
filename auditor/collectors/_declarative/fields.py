"""What a record of a provider means, field by field: the ``credentials`` block of a step."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from auditor.collectors._declarative.paths import checked_path
from auditor.model import (
    Certainty,
    LastUsedSubject,
    PermissionsSubject,
    PrincipalType,
    Privilege,
    Status,
)
from auditor.times import parse_duration

Path = Annotated[str, AfterValidator(checked_path)]
Scalar = str | int | float | bool | None
Duration = Annotated[timedelta, BeforeValidator(parse_duration, json_schema_input_type=str)]
_FORMS = ("rfc3339", "date", "epoch_s", "epoch_ms", "rfc2822")


def _checked_form(form: str) -> str:
    if form not in _FORMS and "%" not in form:
        raise ValueError(f"is none of {', '.join(_FORMS)}, nor a strptime pattern")
    return form


class Part(BaseModel):
    """A block of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Holds(Part):
    """A test of one value; all that are named must hold."""

    any_of: tuple[Scalar, ...] | None = None
    contains: Scalar = None
    """The value is a list that holds this, or a text that has it in it."""
    contains_any: tuple[Scalar, ...] | None = None
    at_least: float | None = None
    is_missing: bool | None = None
    is_empty: bool | None = None
    """Missing, null, an empty text or an empty list."""


When = dict[Path, Scalar | Holds]
"""Paths with the values they must have; all must hold."""


def _as_path(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class TextSpec(Part):
    """A text: where it stands, the first of several places that holds one, or a fixed one."""

    path: Path | None = None
    first: tuple[Path, ...] = ()
    text: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum((self.path is not None, bool(self.first), self.text is not None)) != 1:
            raise ValueError("name one of path, first and text")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """Where to look, in order."""
        return self.first or ((self.path,) if self.path else ())


Text = Annotated[TextSpec, BeforeValidator(_as_path, json_schema_input_type=str | TextSpec)]


class Case(Part):
    """What holds where a condition does; the first such case decides."""

    when: When
    then: str


def _as_otherwise(value: Any) -> Any:
    return {"otherwise": value} if isinstance(value, str) else value


class ChoiceSpec(Part):
    """One of our words: fixed, translated from the provider's, or by cases."""

    path: Path | None = None
    values: dict[str, str] = {}
    """The provider's word to ours."""
    cases: tuple[Case, ...] = ()
    otherwise: str | None = None

    @property
    def words(self) -> set[str]:
        """Every word it may give."""
        return {
            *self.values.values(),
            *(c.then for c in self.cases),
            *filter(None, [self.otherwise]),
        }


def _one_of(words: Any) -> AfterValidator:
    known = {str(word) for word in words}

    def check(choice: ChoiceSpec) -> ChoiceSpec:
        if wrong := choice.words - known:
            raise ValueError(f"{min(wrong)!r} is none of {', '.join(sorted(known))}")
        return choice

    return AfterValidator(check)


_Input = BeforeValidator(_as_otherwise, json_schema_input_type=str | ChoiceSpec)
Choice = Annotated[ChoiceSpec, _Input]


class TimeSpec(Part):
    """A time and the form it is written in."""

    path: Path
    time: Annotated[str, AfterValidator(_checked_form)] = "rfc3339"
    none: tuple[Scalar, ...] = ()
    """Values that stand for null, such as 0."""


Time = Annotated[TimeSpec, BeforeValidator(_as_path, json_schema_input_type=str | TimeSpec)]


class UseSpec(TimeSpec):
    """The newest use. Null and missing mean *unknown* unless the provider says *never*."""

    when_null: Literal["never", "unknown"] = "unknown"
    when_missing: Literal["never", "unknown"] = "unknown"
    precision: Duration | None = None
    subject: LastUsedSubject = LastUsedSubject.CREDENTIAL


Ending = Literal["never", "unknown", "unsupported", "sliding"]


class ExpirySpec(Part):
    """The end of its life, or a fixed *state* where records do not tell."""

    path: Path | None = None
    time: Annotated[str, AfterValidator(_checked_form)] = "rfc3339"
    none: tuple[Scalar, ...] = ()
    when_null: Ending = "unknown"
    when_missing: Ending = "unknown"
    state: Ending | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.state is None):
            raise ValueError("name either path or state")
        return self


class GrantSpec(Part):
    """The permissions on one type of resource; unknown where the field is not there."""

    path: Path | None = None
    value: tuple[str, ...] = ()
    split: str | None = None
    """What separates permissions in a text."""
    names: dict[str, str] = {}
    """The provider's code to its word, such as 40 to maintainer."""
    when_null: tuple[str, ...] | None = None
    when_missing: tuple[str, ...] | None = None
    when_empty: tuple[str, ...] = ()
    """What an empty list grants, where that is not nothing."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (not self.value):
            raise ValueError("name either path or value")
        return self


Grant = Annotated[GrantSpec, BeforeValidator(_as_path, json_schema_input_type=str | GrantSpec)]


class PrincipalSpec(Part):
    """Whom the credential acts as."""

    id: Text
    name: Text | None = None
    type: Annotated[Choice, _one_of(PrincipalType)] = ChoiceSpec(otherwise="unknown")
    status: Text | None = None


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class CredentialSpec(Part):
    """A credential in the provider's words."""

    kind: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    """Its place in the uid."""
    id: Annotated[
        tuple[Path, ...],
        BeforeValidator(_as_tuple, json_schema_input_type=str | list[str]),
        Field(min_length=1),
    ]
    """One path, or several that identify it together."""
    type: Choice
    name: Text
    description: Text | None = None
    client_id: Text | None = None
    principal: PrincipalSpec | None = None
    """Without it the organization itself."""
    status: Annotated[Choice, _one_of(Status)] = ChoiceSpec(otherwise="active")
    created_at: Time | None = None
    rotated_at: Time | None = None
    last_used_at: UseSpec | None = None
    expires_at: ExpirySpec
    permissions: dict[str, Grant] | None = None
    permissions_when: When = {}
    """Where this does not hold, the permissions are unknown."""
    permissions_subject: PermissionsSubject = PermissionsSubject.CREDENTIAL
    permissions_certainty: Certainty = Certainty.STATED
    privilege: Annotated[Choice, _one_of(Privilege)] | None = None
    """Only where permissions cannot carry it."""
    owner: Text | None = None
    tags: dict[str, Text] = {}
    restrictions: dict[str, Path] = {}
    fingerprint: Text | None = None
    url: Text | None = None
    keep: tuple[Path, ...] = ()
    """Further fields that go into the raw record."""
