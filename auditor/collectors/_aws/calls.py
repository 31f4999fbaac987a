"""Every call the collector may make. What is not declared here cannot be sent.

The least privileges that the auditor's role needs are this list and nothing else.
"""

from enum import StrEnum
from typing import NamedTuple


class Api(StrEnum):
    """The services asked, by the name they sign with."""

    IAM = "iam"
    STS = "sts"
    ORGANIZATIONS = "organizations"
    ACCESS_ANALYZER = "access-analyzer"


class Need(StrEnum):
    """When a call is made."""

    ALWAYS = "in every account"
    BASE = "by the auditor's own identity"
    ORGANIZATION = "with accounts: organization, by the auditor's own identity"
    SIGNING_CERTIFICATES = "with signing_certificates"
    SSH_PUBLIC_KEYS = "with ssh_public_keys"
    SERVICE_SPECIFIC = "unless service_specific_credentials is false"
    UNUSED_PERMISSIONS = "with unused_permissions"
    ACCESS_ANALYZER = "with access_analyzer"


class Call(NamedTuple):
    """One operation of one API."""

    api: Api
    action: str
    why: str
    need: Need = Need.ALWAYS
    permission_name: str = ""
    """Where the permission is not called like the operation."""

    @property
    def permission(self) -> str:
        """The IAM action that allows it."""
        return f"{self.api.value}:{self.permission_name or self.action}"


GET_CALLER_IDENTITY = Call(Api.STS, "GetCallerIdentity", "which account this is", Need.BASE)
ASSUME_ROLE = Call(Api.STS, "AssumeRole", "to read other accounts", Need.BASE)
LIST_ACCOUNTS = Call(Api.ORGANIZATIONS, "ListAccounts", "which there are", Need.ORGANIZATION)
GENERATE_REPORT = Call(Api.IAM, "GenerateCredentialReport", "use of keys and passwords")
GET_REPORT = Call(Api.IAM, "GetCredentialReport", "use of keys and passwords")
GET_DETAILS = Call(Api.IAM, "GetAccountAuthorizationDetails", "users, tags and permissions")
GET_SUMMARY = Call(Api.IAM, "GetAccountSummary", "keys of the root user")
LIST_ALIASES = Call(Api.IAM, "ListAccountAliases", "the name of the account")
LIST_ACCESS_KEYS = Call(Api.IAM, "ListAccessKeys", "the ids of access keys")
GET_KEY_LAST_USED = Call(Api.IAM, "GetAccessKeyLastUsed", "use of keys the report cannot tell")
GET_POLICY = Call(Api.IAM, "GetPolicy", "AWS managed policies that come without their document")
GET_POLICY_VERSION = Call(Api.IAM, "GetPolicyVersion", "the document of such a policy")
LIST_SERVICE_SPECIFIC = Call(
    Api.IAM,
    "ListServiceSpecificCredentials",
    "API keys of Bedrock and CloudWatch, credentials of CodeCommit and Keyspaces",
    Need.SERVICE_SPECIFIC,
)
LIST_CERTIFICATES = Call(
    Api.IAM, "ListSigningCertificates", "signing certificates", Need.SIGNING_CERTIFICATES
)
LIST_SSH_KEYS = Call(Api.IAM, "ListSSHPublicKeys", "SSH public keys", Need.SSH_PUBLIC_KEYS)
GENERATE_LAST_ACCESSED = Call(
    Api.IAM,
    "GenerateServiceLastAccessedDetails",
    "services granted and not used",
    Need.UNUSED_PERMISSIONS,
)
GET_LAST_ACCESSED = Call(
    Api.IAM,
    "GetServiceLastAccessedDetails",
    "services granted and not used",
    Need.UNUSED_PERMISSIONS,
)
LIST_ANALYZERS = Call(
    Api.ACCESS_ANALYZER, "ListAnalyzers", "the analyzer of unused access", Need.ACCESS_ANALYZER
)
LIST_FINDINGS = Call(
    Api.ACCESS_ANALYZER,
    "ListFindingsV2",
    "its findings",
    Need.ACCESS_ANALYZER,
    permission_name="ListFindings",
)
GET_FINDING = Call(
    Api.ACCESS_ANALYZER,
    "GetFindingV2",
    "what a finding names",
    Need.ACCESS_ANALYZER,
    permission_name="GetFinding",
)

CALLS = tuple(value for value in list(globals().values()) if isinstance(value, Call))
"""All of them, in the order declared."""

FREE = frozenset({GET_CALLER_IDENTITY})
"""AWS allows these to everybody."""


def role_permissions() -> list[str]:
    """Return what the role in each account needs, in the order of the calls."""
    own = (Need.BASE, Need.ORGANIZATION)
    return list(dict.fromkeys(call.permission for call in CALLS if call.need not in own))


def base_permissions() -> list[str]:
    """Return what the identity needs that assumes the role, beside assuming it."""
    return [call.permission for call in CALLS if call.need is Need.ORGANIZATION]


def least_privileges() -> tuple[str, ...]:
    """Return one line per permission: what it is for, and when it is needed."""
    return tuple(
        f"{call.permission}: {call.why}"
        + ("" if call.need is Need.ALWAYS else f" ({call.need.value})")
        for call in CALLS
        if call not in FREE
    )
