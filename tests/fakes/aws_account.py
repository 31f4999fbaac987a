"""One AWS account: moto's model of IAM, with what it lacks beside it, as IAM would render it."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from moto.iam.models import AccessKey, AWSManagedPolicy, IAMBackend, User, iam_backends

NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
COLUMNS = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,"
    "password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,"
    "access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,"
    "access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,"
    "access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)
_REGIONS = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}
_EMPTY_SLOT = "false,N/A,N/A,N/A,N/A"
EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


class Refused(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def stamp(value: datetime | None) -> str:
    return "N/A" if value is None else value.strftime("%Y-%m-%dT%H:%M:%SZ")


def element(name: str, value: Any) -> str:
    """Render a value: dicts as children, lists as members, None as nothing."""
    if value is None:
        return ""
    if isinstance(value, dict):
        inner = "".join(element(key, one) for key, one in value.items())
    elif isinstance(value, list):
        inner = "".join(element("member", one) for one in value)
    elif isinstance(value, datetime):
        inner = stamp(value)
    else:
        inner = str(value).lower() if isinstance(value, bool) else escape(str(value))
    return f"<{name}>{inner}</{name}>"


@dataclass
class Reporting:
    """How the credential report behaves."""

    generated_at: datetime | None = None
    """When the newest report was made; None while there is none."""
    content: str = ""
    polls: int = 1
    """How often GenerateCredentialReport answers before a new report is there; -1: never."""
    started: int = 0
    good_for: timedelta = timedelta(hours=4)


@dataclass
class FakeAccount:
    """An account; *clock* tells what time it is there."""

    id: str
    clock: datetime
    name: str = ""
    state: str = "ACTIVE"
    partition: str = "aws"
    alias: str = ""
    role: str | None = "Auditor"
    external_id: str | None = None
    page_size: int = 1000
    reporting: Reporting = field(default_factory=Reporting)
    root_slots: list[tuple[bool, datetime, datetime | None]] = field(default_factory=list)
    """Keys of root: active, last changed, last used."""
    boundaries: dict[str, str] = field(default_factory=dict)
    specific: list[dict[str, Any]] = field(default_factory=list)
    unsupported_all_users: bool = False
    last_accessed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By user ARN, the services and when they were used."""
    analyzer_findings: list[dict[str, Any]] = field(default_factory=list)
    rendered: list[str] = field(default_factory=list)
    """Pages of the authorization details, for speed; `changed` forgets them."""

    def __post_init__(self) -> None:
        self.backend: IAMBackend = iam_backends[self.id][self.partition]

    # -- seeding

    def user(self, name: str, created_at: datetime, **tags: str) -> User:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        user = self.backend.create_user(_REGIONS[self.partition], name, "/", listed)
        user.create_date = created_at.replace(tzinfo=None)
        return user

    def key(
        self,
        user: str,
        created_at: datetime,
        *,
        used_at: datetime | None = None,
        active: bool = True,
        changed_at: datetime | None = None,
        beyond_quota: bool = False,
    ) -> AccessKey:
        if beyond_quota:
            key = self.backend.users[user].create_access_key(prefix="AKIA")
            self.backend.access_keys[key.access_key_id] = key
        else:
            key = self.backend.create_access_key(user)
        key.create_date = created_at.replace(tzinfo=None)
        key.last_used = used_at and used_at.replace(tzinfo=None)  # type: ignore[assignment]
        key.status = "Active" if active else "Inactive"
        key.changed_at = (changed_at or created_at).replace(tzinfo=None)  # type: ignore[attr-defined]
        return key

    def managed(self, name: str, document: str, *, aws: bool = False) -> str:
        if not aws:
            return self.backend.create_policy("", "/", document, name, []).arn
        arn = f"arn:{self.partition}:iam::aws:policy/{name}"
        if arn not in self.backend.managed_policies:
            policy = AWSManagedPolicy(  # type: ignore[abstract]
                name,
                account_id=self.id,
                region="us-east-1",
                default_version_id="v1",
                path="/",
                document=document,
            )
            self.backend.managed_policies[policy.arn] = policy
            self.backend.aws_managed_policies.append(policy)
        return arn

    def attach(self, user: str, arn: str) -> None:
        self.backend.attach_user_policy(arn, user)

    def inline(self, user: str, document: str, name: str = "own") -> None:
        self.backend.put_user_policy(user, name, document)

    def changed(self) -> None:
        self.rendered.clear()

    # -- the report

    def generate_report(self) -> str:
        made = self.reporting
        if made.generated_at is not None and self.clock - made.generated_at < made.good_for:
            return "COMPLETE"
        made.started += 1
        if made.polls < 0 or made.started < made.polls:
            return "STARTED" if made.started == 1 else "INPROGRESS"
        made.started = 0
        self.make_report()
        return "STARTED" if made.polls else "COMPLETE"

    def make_report(self, at: datetime | None = None) -> None:
        self.reporting.generated_at = at or self.clock
        self.reporting.content = "\n".join([COLUMNS, self._root_row(), *self._rows(), ""])

    def get_report(self) -> dict[str, Any]:
        made = self.reporting
        if made.generated_at is None:
            started = "ReportInProgress" if made.started else "ReportNotPresent"
            raise Refused(404 if made.started else 410, started)
        if self.clock - made.generated_at >= made.good_for:
            raise Refused(410, "ReportExpired")
        return {
            "Content": base64.b64encode(made.content.encode()).decode(),
            "ReportFormat": "text/csv",
            "GeneratedTime": made.generated_at,
        }

    def _root_row(self) -> str:
        slots = [
            f"{str(active).lower()},{stamp(changed)},{stamp(used)},N/A,N/A"
            for active, changed, used in self.root_slots
        ]
        slots += [_EMPTY_SLOT] * (2 - len(slots))
        arn = f"arn:{self.partition}:iam::{self.id}:root"
        head = f"<root_account>,{arn},2019-03-02T09:14:55Z,true,N/A,N/A,not_supported,true"
        return ",".join([head, *slots, "false,N/A,false,N/A"])

    def _rows(self) -> Iterator[str]:
        for user in self.backend.users.values():
            slots = [_slot(key) for key in user.access_keys[:2]]
            slots += [_EMPTY_SLOT] * (2 - len(slots))
            certs = [
                f"{str(cert.status == 'Active').lower()},{stamp(cert.upload_date)}"
                for cert in list(user.signing_certificates.values())[:2]
            ]
            certs += ["false,N/A"] * (2 - len(certs))
            created = stamp(user.create_date)
            password = "false,N/A,N/A,N/A"
            if user.password:
                used = user.password_last_used
                password = f"true,{stamp(used) if used else 'no_information'},{created},N/A"
            mfa = str(bool(user.mfa_devices)).lower()
            yield ",".join([user.name, user.arn, created, password, mfa, *slots, *certs])

    # -- answers

    def details_page(self, marker: str) -> str:
        if not self.rendered:
            self.rendered = list(self._render_details())
        return self.rendered[int(marker or 0)]

    def _render_details(self) -> Iterator[str]:
        groups: dict[str, list[str]] = {}
        for group in self.backend.groups.values():
            for user in group.users:
                groups.setdefault(user.name, []).append(group.name)
        entries = [("UserDetailList", self._user(u, groups)) for u in self.backend.users.values()]
        entries += [("GroupDetailList", _group(g)) for g in self.backend.groups.values()]
        entries += [("Policies", _policy(p)) for p in self.backend.managed_policies.values()]
        pages = [
            entries[start : start + self.page_size]
            for start in range(0, max(len(entries), 1), self.page_size)
        ]
        for number, page in enumerate(pages, 1):
            lists: dict[str, list[Any]] = {
                name: [one for kind, one in page if kind == name]
                for name in ("UserDetailList", "GroupDetailList", "Policies")
            }
            more: dict[str, Any] = {"IsTruncated": number < len(pages)}
            if number < len(pages):
                more["Marker"] = str(number)
            yield element("GetAccountAuthorizationDetailsResult", lists | more)

    def _user(self, user: User, groups: dict[str, list[str]]) -> dict[str, Any]:
        tags = self.backend.tagger.list_tags_for_resource(user.arn)["Tags"]
        boundary = self.boundaries.get(user.name)
        return {
            "UserName": user.name,
            "UserId": user.id,
            "Arn": user.arn,
            "CreateDate": user.create_date,
            "UserPolicyList": _inline(user.policies),
            "GroupList": groups.get(user.name, []),
            "AttachedManagedPolicies": user.attached_managed_policies,
            "PermissionsBoundary": boundary
            and {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary},
            "Tags": [{"Key": tag["Key"], "Value": tag["Value"]} for tag in tags],
        }


def _slot(key: AccessKey) -> str:
    used: Any = key.last_used
    where = "eu-central-1,s3" if used else "N/A,N/A"
    changed = getattr(key, "changed_at", key.create_date)
    return f"{str(key.status == 'Active').lower()},{stamp(changed)},{stamp(used)},{where}"


def _inline(policies: dict[str, str]) -> list[dict[str, str]]:
    return [{"PolicyName": n, "PolicyDocument": quote(d)} for n, d in policies.items()]


def _group(group: Any) -> dict[str, Any]:
    return {
        "GroupName": group.name,
        "Arn": group.arn,
        "GroupPolicyList": _inline(group.policies),
        "AttachedManagedPolicies": group.attached_managed_policies,
    }


def _policy(policy: Any) -> dict[str, Any]:
    versions = [
        {
            "VersionId": version.version_id,
            "IsDefaultVersion": version.version_id == policy.default_version_id,
            "Document": quote(version.document),
        }
        for version in policy.versions
    ]
    return {"PolicyName": policy.name, "Arn": policy.arn, "PolicyVersionList": versions}
