"""The shape of a description; unknown keys and wrong types are errors with their place."""

from datetime import date
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

from auditor.client.throttle import WaitUnit
from auditor.collectors._declarative.fields import CredentialSpec, When
from auditor.collectors._declarative.paging import Paging, Single
from auditor.collectors._declarative.paths import checked_path
from auditor.secrets import is_secret_field

Path = Annotated[str, AfterValidator(checked_path)]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Scalar = str | int | float | bool | None
Grade = Literal["vendor_code", "vendor_documentation"]


class Part(BaseModel):
    """A block of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class OptionSpec(Part):
    """One key that a source of this provider has in the configuration."""

    description: str
    required: bool = False
    default: str | bool | None = None
    many: bool = False
    """A list of texts."""
    secret: bool = False
    choices: tuple[str, ...] = ()


class Exchange(Part):
    """One request that gives a short-lived bearer token."""

    path: str
    json_body: dict[str, Any] = Field(alias="json")
    token: str = "access_token"  # noqa: S105 - the name of a field
    expires_in: str = "expires_in"


class OAuth(Part):
    """OAuth 2.0 client credentials."""

    path: str
    client_id: str
    client_secret: str
    in_form: bool = False
    extra: dict[str, str] = {}


class Basic(Part):
    """A user name and a password with every request."""

    user: str
    password: str


class Login(Part):
    """One way to log in, chosen where every option that it names is set."""

    headers: dict[str, str] = {}
    basic: Basic | None = None
    exchange: Exchange | None = None
    client_credentials: OAuth | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = (self.headers, self.basic, self.exchange, self.client_credentials)
        if sum(bool(way) for way in ways) != 1:
            raise ValueError("name one of headers, basic, exchange and client_credentials")
        return self


class SignSpec(Part):
    """An answer that means *slow down*."""

    status: int = Field(ge=400, le=599)
    header: str | None = None
    equals: str | None = None


class WaitSpec(Part):
    """A header that tells how long to pause."""

    header: str
    unit: WaitUnit = "retry_after"
    pattern: str | None = None


class RateLimit(Part):
    """How the provider throttles; the first header that says something counts."""

    signs: tuple[SignSpec, ...] = (SignSpec(status=429),)
    waits: tuple[WaitSpec, ...] = (WaitSpec(header="retry-after"),)
    concurrency: int | None = Field(default=None, ge=1, le=128)
    requests_per_second: float | None = Field(default=None, gt=0)


class Units(Part):
    """What counts as one organization: each value of an option, or each record of a list."""

    option: str | None = None
    list: str | None = None
    """The id of a step whose records are the organizations."""
    id: Path = "id"
    name: Path = "name"


class JoinSpec(Part):
    """Another record that belongs to this one, from the same answer or from another step."""

    within: Path | None = None
    step: str | None = None
    by: Path
    key: Path = "id"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.within is None) == (self.step is None):
            raise ValueError("name either within (the same answer) or step")
        return self


class GraphQL(Part):
    """A GraphQL query; errors in a 200 answer are seen."""

    query: str
    variables: dict[str, Any] = {}


class Retrieve(Part):
    """The GET that reads one credential of a step by itself."""

    path: str
    """``${id}`` is the credential's own; ``${tags.NAME}`` and ``${principal.id}`` are known of it
    as well."""
    params: dict[str, str | int | bool] = {}
    record: Path | None = None
    """Where the credential stands in the answer; without it the answer is the credential."""


class Step(Part):
    """One list of the provider."""

    id: Word
    path: str
    params: dict[str, str | int | bool] = {}
    json_body: dict[str, Any] | None = Field(default=None, alias="json")
    """Sent with POST."""
    graphql: GraphQL | None = None
    each: str | None = None
    """Ask once for every record of this step."""
    where: When = {}
    """Only the records that meet this go on."""
    if_option: str | None = None
    unless_option: str | None = None
    records: Path | None = None
    """The list in the answer; without it the answer is the list."""
    one: bool = False
    """The answer holds one record instead of a list."""
    expand: Path | None = None
    """Each entry of this list in a record is a record; the outer one becomes ``@outer``."""
    total: Path | None = None
    """How many records there are, so that a list that was cut short shows."""
    expect: When = {}
    """What a good answer says of itself."""
    paginate: Annotated[Paging, Field(discriminator="style")] = Single(style="single")
    on_status: dict[Annotated[int, Field(ge=400, le=499)], Literal["skip", "partial"]] = {}
    join: dict[Word, JoinSpec] = {}
    needs: str = ""
    """The right it takes, in the provider's words."""
    credentials: CredentialSpec | None = None
    retrieve: Retrieve | None = None

    @property
    def method(self) -> Literal["GET", "POST"]:
        """How it is asked."""
        return "POST" if self.json_body is not None or self.graphql is not None else "GET"


class Verified(Part):
    """What the facts of a description rest on."""

    against: str
    grade: Grade
    checked: date
    witness: str | None = None
    """A client that somebody else wrote and that reads the saved answers alike, in our tests."""

    @property
    def said(self) -> str:
        """The sentence that users are told."""
        alike = f"; {self.witness} (PyPI) reads our fake alike" if self.witness else ""
        return f"{self.against}, {self.checked}{alike}"


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Description(Part):
    """One provider as data: how to log in, what to list, and what its fields mean."""

    id: Word
    title: str
    summary: str
    documentation: str
    usage_is_recorded: bool
    last_use: str
    """Whether last use is known and how exactly, as a sentence."""
    least_privileges: tuple[str, ...] = Field(min_length=1)
    limits: tuple[str, ...] = ()
    """What is not listed, and other things a reader must know."""
    verified: Verified
    base_url: str | None = None
    """Where the API lives unless the source says otherwise; without it `base_url` is required."""
    options: dict[Word, OptionSpec]
    auth: Annotated[
        tuple[Login, ...],
        Field(min_length=1),
        BeforeValidator(_as_list, json_schema_input_type=Login | list[Login]),
    ]
    headers: dict[str, str] = {}
    rate_limit: RateLimit = RateLimit()
    tenant: str = "${host}"
    """What makes an id unique: the host, or the organization as well."""
    organization: str | None = None
    """The outer boundary where there is one unit; without it the name of the source."""
    units: Units = Units()
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _secrets_are_named_so(self) -> Self:
        for name, option in self.options.items():
            if option.secret != is_secret_field(name):
                raise ValueError(
                    f"the option {name!r} must say secret: {str(not option.secret).lower()}, or be "
                    "renamed: a name that ends in token, key, secret or password is kept secret"
                )
        return self
