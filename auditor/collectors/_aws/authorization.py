"""Users, groups and policies of an account: GetAccountAuthorizationDetails, page by page."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from auditor.collectors._aws import answers, calls
from auditor.collectors._aws.answers import Record, listed, text
from auditor.collectors._aws.documents import Document, parse
from auditor.collectors._aws.refusals import Denied, Gone
from auditor.collectors._aws.session import Caller
from auditor.errors import SourceError
from auditor.times import parse_instant

_FILTER = ("User", "Group", "LocalManagedPolicy", "AWSManagedPolicy")
_PAGE = "1000"


class Inline(NamedTuple):
    """A policy written into a user or group."""

    name: str
    document: Document | None


class User(NamedTuple):
    """One user and what is attached to it."""

    name: str
    id: str
    arn: str
    created_at: datetime | None
    tags: tuple[tuple[str, str], ...]
    groups: tuple[str, ...]
    attached: tuple[str, ...]
    """ARNs of managed policies."""
    inline: tuple[Inline, ...]
    boundary: str | None


class Group(NamedTuple):
    """One group and what is attached to it."""

    arn: str
    attached: tuple[str, ...]
    inline: tuple[Inline, ...]


@dataclass
class Identities:
    """What an account grants to whom."""

    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    policies: dict[str, Document | None] = field(default_factory=dict)
    """By ARN; None where the document is damaged."""
    error: SourceError | None = None
    """What ended the reading early; users, groups and policies that are missing are unknown."""

    def missing_policies(self) -> list[str]:
        """Return the managed policies that are attached and came without a document."""
        wanted = {arn for user in self.users.values() for arn in user.attached}
        wanted |= {arn for group in self.groups.values() for arn in group.attached}
        wanted |= {user.boundary for user in self.users.values() if user.boundary is not None}
        return sorted(wanted - self.policies.keys())


async def fetch(caller: Caller) -> Identities:
    """Return what could be read; what ended it early is in the result."""
    found = Identities()
    wanted = {f"Filter.member.{n}": kind for n, kind in enumerate(_FILTER, 1)}
    where = f"{calls.GET_DETAILS.permission} in {caller.subject}"
    try:
        async for page in caller.pages(calls.GET_DETAILS, MaxItems=_PAGE, **wanted):
            _take(found, page, where)
    except SourceError as error:
        found.error = error
        return found
    for arn in found.missing_policies():
        await _fetch_policy(caller, arn, found)
    return found


async def _fetch_policy(caller: Caller, arn: str, found: Identities) -> None:
    """Read a managed policy that the details name and do not hold."""
    try:
        answer = await caller.query(calls.GET_POLICY, PolicyArn=arn)
        version = text(answer.get("Policy"), "DefaultVersionId")
        answer = await caller.query(calls.GET_POLICY_VERSION, PolicyArn=arn, VersionId=version)
    except (Denied, Gone):
        return  # the rights of those who have it are unknown, which they then say
    except SourceError as error:
        found.error = found.error or error
        return
    found.policies[arn] = parse(text(answer.get("PolicyVersion"), "Document"))


def _take(found: Identities, page: Record, where: str) -> None:
    for record in listed(page, "UserDetailList", where):
        user = _user(record, where)
        found.users[user.name] = user
    for record in listed(page, "GroupDetailList", where):
        found.groups[text(record, "GroupName")] = Group(
            text(record, "Arn"),
            _attached(record, where),
            _inline(record, "GroupPolicyList", where),
        )
    for record in listed(page, "Policies", where):
        for version in listed(record, "PolicyVersionList", where):
            if text(version, "IsDefaultVersion").lower() == "true":
                found.policies[text(record, "Arn")] = parse(text(version, "Document"))


def _user(record: Record, where: str) -> User:
    tags = answers.listed(record, "Tags", where)
    return User(
        name=text(record, "UserName"),
        id=text(record, "UserId"),
        arn=text(record, "Arn"),
        created_at=instant(record, "CreateDate"),
        tags=tuple((text(tag, "Key"), text(tag, "Value")) for tag in tags),
        groups=tuple(name for name in listed(record, "GroupList", where) if isinstance(name, str)),
        attached=_attached(record, where),
        inline=_inline(record, "UserPolicyList", where),
        boundary=text(record.get("PermissionsBoundary"), "PermissionsBoundaryArn") or None,
    )


def _attached(record: Record, where: str) -> tuple[str, ...]:
    return tuple(text(one, "PolicyArn") for one in listed(record, "AttachedManagedPolicies", where))


def _inline(record: Record, name: str, where: str) -> tuple[Inline, ...]:
    return tuple(
        Inline(text(one, "PolicyName"), parse(text(one, "PolicyDocument")))
        for one in listed(record, name, where)
    )


def instant(record: Record, name: str) -> datetime | None:
    """Return a time of a record, None where it is absent or no time."""
    try:
        return parse_instant(text(record, name))
    except ValueError:
        return None
