"""What an AWS source may be told."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from auditor.client.settings import BaseUrl, ConnectionOptions, Duration
from auditor.collectors.interface import SourceOptions

Partition = Literal["aws", "aws-us-gov", "aws-cn"]

_ACCOUNT = re.compile(r"\d{12}")
_ROLE = re.compile(r"(?:[\w+=,.@-]+/)*[\w+=,.@-]{1,64}")
_REGION = re.compile(r"[a-z0-9-]{1,40}")


def _accounts(value: object) -> object:
    if value in ("current", "organization"):
        return value
    listed = value if isinstance(value, list | tuple) else (value,)
    ids = tuple(str(one) for one in listed)
    if not ids or not all("${" in one or _ACCOUNT.fullmatch(one) for one in ids):
        raise ValueError(
            "must be current, organization, or a list of account ids in quotes, 12 digits each"
        )
    return tuple(dict.fromkeys(ids))


def _names(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str | None) -> str | None:
        if text is not None and "${" not in text and not pattern.fullmatch(text):
            raise ValueError(f"is not {what}")
        return text

    return AfterValidator(check)


class AwsOptions(ConnectionOptions, SourceOptions):
    """The keys of an AWS source."""

    accounts: Annotated[
        Literal["current", "organization"] | tuple[str, ...], BeforeValidator(_accounts)
    ] = "current"
    """The account of the credentials, every account of its organization, or a list of ids."""
    role_name: Annotated[str | None, _matching(_ROLE, "the name of a role, without its ARN")] = None
    """The role to assume in each account, path included; `auditor providers show aws` prints it."""
    external_id: str | None = Field(default=None, repr=False, min_length=2, max_length=1224)
    """What the role's trust policy asks for."""
    partition: Partition = "aws"
    """China and GovCloud are separate worlds with credentials of their own."""
    region: Annotated[str | None, _matching(_REGION, "a region")] = None
    """Where STS and Access Analyzer are asked; IAM is the same everywhere."""
    profile: str | None = None
    """A profile of the AWS configuration files; without it the usual chain of AWS tools."""
    access_key_id: str | None = None
    secret_access_key: str | None = Field(default=None, repr=False)
    session_token: str | None = Field(default=None, repr=False)
    endpoint_url: BaseUrl | None = None
    """One address for every API: private endpoints and tests."""
    owner_tags: Annotated[tuple[str, ...], BeforeValidator(_names)] = ("owner",)
    """Tags of users that name the owner; the first that is there counts, case does not."""
    service_specific_credentials: bool = True
    """List API keys of Bedrock and CloudWatch and credentials of CodeCommit and Keyspaces."""
    console_passwords: bool = False
    """List passwords of users as well."""
    signing_certificates: bool = False
    """List X.509 signing certificates of users as well."""
    ssh_public_keys: bool = False
    """List SSH public keys of users as well: one call per user."""
    unused_permissions: Literal["none", "admins", "all"] = "none"
    """Ask which granted services were never used: two calls or more per user."""
    access_analyzer: bool | str = False
    """Import findings of unused access: true for the account's own analyzer, or the ARN of the
    organization's, which the auditor's own identity reads."""
    report_wait: Duration = timedelta(minutes=10)
    """How long a credential report may take to be made."""

    @model_validator(mode="after")
    def _keys_belong_together(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("set access_key_id and secret_access_key together, or neither")
        if self.session_token is not None and self.access_key_id is None:
            raise ValueError("session_token needs access_key_id and secret_access_key")
        if self.profile is not None and self.access_key_id is not None:
            raise ValueError("set either profile or access_key_id")
        if self.accounts != "current" and self.role_name is None:
            raise ValueError("set role_name, the role to assume in each account")
        return self
