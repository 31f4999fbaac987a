"""What a GitHub source may be told."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from auditor.client.settings import BaseUrl, ConnectionOptions, Duration
from auditor.collectors.interface import SourceOptions

Part = Literal["fine_grained_tokens", "sso_authorizations", "deploy_keys", "installations"]
PARTS: tuple[Part, ...] = (
    "fine_grained_tokens",
    "sso_authorizations",
    "deploy_keys",
    "installations",
)


def _listed(value: object) -> object:
    if value == "all":
        return value
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise ValueError("must be all, or a list of organization logins")
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError("must be all, or a list of organization logins")
    return tuple(dict.fromkeys(names))


class GithubOptions(ConnectionOptions, SourceOptions):
    """The keys of a GitHub source."""

    base_url: BaseUrl = "https://api.github.com"
    """On GitHub Enterprise Server ``https://HOST/api/v3``."""
    app_id: str | int | None = None
    """Log in as a GitHub App: its client id, or its app id."""
    private_key: str | None = Field(default=None, repr=False)
    """The App's private key in PEM, such as ``${file:auditor.pem}``."""
    token: str | None = Field(default=None, repr=False)
    """Instead of an App: a token of an organization owner. Fine-grained tokens stay invisible."""
    organizations: Annotated[
        Literal["all"] | tuple[str, ...],
        BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    ] = "all"
    """``all`` that the App is installed on or the token belongs to, or logins."""
    read: tuple[Part, ...] = PARTS
    """What to list; a part left out is not read at all."""
    requests_per_second: float | None = Field(default=12, gt=0)
    """For each organization; GitHub tolerates 900 requests a minute."""
    longest_wait: Duration = timedelta(minutes=15)
    """A longer pause until the hourly limit is reset counts as unavailable."""
    request_deadline: Duration = timedelta(minutes=20)
    """For one request with all its retries and waits."""

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        has_app = (self.app_id is not None, self.private_key is not None)
        if (self.token is not None, *has_app) not in ((True, False, False), (False, True, True)):
            raise ValueError("set either token, or app_id and private_key")
        if not self.read:
            raise ValueError("read must name at least one part")
        return self

    @property
    def is_app(self) -> bool:
        """Whether it logs in as a GitHub App."""
        return self.token is None
