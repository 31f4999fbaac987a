# ruff: noqa: N802 - methods are named after the actions they answer
"""AWS on loopback: moto's IAM behind answers of our own where moto has none or takes no hints.

moto does not page, throttle, age or expire anything and has no service-specific credentials, no
last accessed services and no Access Analyzer. What nobody here answers goes to moto, so that
other tools can be pointed at the same server.
"""

import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

import msgspec
from moto.backends import get_backend
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from tests.fakes.aws_account import NAMESPACE, FakeAccount, Refused, element
from tests.fakes.http import LoopbackServer, Reply, Request

KEY_ID = "AKIAAUDITORAUDITORAU"
SECRET = "canary/secret/access/key/never/to/be/seen"
_SCOPE = re.compile(r"Credential=([^/]+)/\d{8}/[^/]+/([^/]+)/aws4_request")
Form = dict[str, str]


@dataclass
class Trouble:
    """What goes wrong with calls of an action."""

    action: str
    status: int
    code: str
    times: int | None = None
    after: int = 0
    account: str | None = None
    when: Callable[[Form], bool] = lambda _form: True
    message: str = ""

    def strikes(self, action: str, account: str, form: Form) -> bool:
        if self.action not in (action, "*") or self.times == 0:
            return False
        if self.account not in (None, account) or not self.when(form):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class FakeAws:
    """The APIs of AWS for some accounts; the first is that of the auditor's own keys."""

    clock: datetime
    partition: str = "aws"
    accounts: dict[str, FakeAccount] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    sessions: dict[str, str] = field(default_factory=dict)
    """Access key id of an assumed role → account."""
    ended: set[str] = field(default_factory=set)
    """Access key ids whose session has expired."""
    list_accounts_pages: int = 20
    simulated_admins: set[str] = field(default_factory=set)
    """ARNs for which SimulatePrincipalPolicy, which moto lacks, says yes to everything."""

    def __post_init__(self) -> None:
        for account in list(iam_backends.values()):
            for backend in account.values():
                backend.reset()
        get_backend("sts")
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._made = 0

    def account(self, account_id: str = "123456789012", **more: Any) -> FakeAccount:
        facts: dict[str, Any] = {"clock": self.clock, "partition": self.partition, **more}
        self.accounts[account_id] = FakeAccount(account_id, **facts)
        return self.accounts[account_id]

    def trouble(self, action: str, status: int, code: str, **more: Any) -> Trouble:
        self.troubles.insert(0, Trouble(action, status, code, **more))
        return self.troubles[0]

    def server(self, latency: float = 0.0) -> LoopbackServer:
        return LoopbackServer(self.handle, latency=latency)

    def set_clock(self, clock: datetime) -> None:
        self.clock = clock
        for account in self.accounts.values():
            account.clock = clock

    # -- requests

    def handle(self, request: Request) -> Reply:
        found = _SCOPE.search(request.headers.get("authorization", ""))
        if found is None:
            return _error(403, "MissingAuthenticationToken")
        key_id, service = found.groups()
        form = (
            {name: values[0] for name, values in request.form.items()}
            if service
            in (
                "iam",
                "sts",
            )
            else {}
        )
        action = form.get("Action") or request.headers.get("x-amz-target", "").rpartition(".")[2]
        action = action or _rest_action(request)
        self.calls[action] += 1
        is_json = service not in ("iam", "sts")
        try:
            account = self._account_of(key_id)
            self._get_in_the_way(action, account.id, form)
            answer = getattr(self, f"_{service.replace('-', '_')}_{action}", None)
            if answer is None:
                return self._by_moto(request)
            if is_json:
                body = msgspec.json.decode(request.body) if request.body else {}
                return Reply(200, msgspec.json.encode(answer(account, body, request)))
            return _answer(action, answer(account, form))
        except Refused as refused:
            return _error(refused.status, refused.code, refused.message, is_json=is_json)

    def _get_in_the_way(self, action: str, account: str, form: Form) -> None:
        for trouble in self.troubles:
            if trouble.strikes(action, account, form):
                raise Refused(trouble.status, trouble.code, trouble.message)

    def _account_of(self, key_id: str) -> FakeAccount:
        if key_id in self.ended:
            raise Refused(403, "ExpiredToken", "The security token included is expired")
        if key_id in self.sessions:
            return self.accounts[self.sessions[key_id]]
        if key_id != KEY_ID:
            raise Refused(403, "InvalidClientTokenId")
        return next(iter(self.accounts.values()))

    def _by_moto(self, request: Request) -> Reply:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(request.target.partition("?")[0]),
            "QUERY_STRING": request.target.partition("?")[2],
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "CONTENT_LENGTH": str(len(request.body)),
            "CONTENT_TYPE": request.headers.get("content-type", ""),
        }
        for name, value in request.headers.items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        started: list[Any] = []
        try:
            chunks = self._moto(
                environ, lambda status, headers, _e=None: started.extend((status, headers))
            )
        except NotImplementedError:
            raise Refused(400, "InvalidAction") from None
        body = b"".join(chunks)
        headers = {n: v for n, v in started[1] if n.lower() not in ("content-length", "connection")}
        return Reply(int(started[0].split()[0]), body, headers)

    # -- STS and Organizations

    def _sts_GetCallerIdentity(self, account: FakeAccount, _form: Form) -> dict[str, Any]:
        arn = f"arn:{self.partition}:iam::{account.id}:user/auditor"
        return {"UserId": "AIDAAUDITOR", "Account": account.id, "Arn": arn}

    def _sts_AssumeRole(self, _account: FakeAccount, form: Form) -> dict[str, Any]:
        parts = form["RoleArn"].split(":")
        target = self.accounts.get(parts[4])
        is_welcome = (
            target is not None
            and target.state == "ACTIVE"
            and parts[5] == f"role/{target.role}"
            and parts[1] == self.partition
            and target.external_id == form.get("ExternalId")
        )
        if target is None or not is_welcome:
            raise Refused(403, "AccessDenied", "not authorized to perform: sts:AssumeRole")
        self._made += 1
        key_id = f"ASIA{self._made:016}"
        self.sessions[key_id] = target.id
        return {
            "Credentials": {
                "AccessKeyId": key_id,
                "SecretAccessKey": SECRET,
                "SessionToken": "canary-session-token",
                "Expiration": datetime.now(self.clock.tzinfo) + timedelta(hours=1),
            }
        }

    def _organizations_ListAccounts(
        self, _account: FakeAccount, body: dict[str, Any], _request: Request
    ) -> dict[str, Any]:
        """Page through the accounts; every second page is empty, as AWS allows."""
        listed = list(self.accounts.values())
        number = int(body.get("NextToken", 0))
        size = self.list_accounts_pages
        page = listed[number // 2 * size : (number // 2 + 1) * size] if number % 2 == 0 else []
        answer: dict[str, Any] = {
            "Accounts": [
                {"Id": one.id, "Name": one.name or one.id, "State": one.state, "Status": "ACTIVE"}
                for one in page
            ]
        }
        if (number // 2 + 1) * size < len(listed) or number % 2:
            has_more = ((number + 1) // 2) * size < len(listed)
            if has_more:
                answer["NextToken"] = str(number + 1)
        return answer

    # -- IAM

    def _iam_GenerateCredentialReport(self, account: FakeAccount, _form: Form) -> dict[str, Any]:
        return {"State": account.generate_report()}

    def _iam_GetCredentialReport(self, account: FakeAccount, _form: Form) -> dict[str, Any]:
        return account.get_report()

    def _iam_GetAccountAuthorizationDetails(self, account: FakeAccount, form: Form) -> str:
        return account.details_page(form.get("Marker", ""))

    def _iam_GetAccountSummary(self, account: FakeAccount, _form: Form) -> str:
        count = int(any(active for active, *_ in account.root_slots))
        entry = f"<entry><key>AccountAccessKeysPresent</key><value>{count}</value></entry>"
        summary = f"<SummaryMap>{entry}</SummaryMap>"
        return f"<GetAccountSummaryResult>{summary}</GetAccountSummaryResult>"

    def _iam_ListAccountAliases(self, account: FakeAccount, _form: Form) -> dict[str, Any]:
        return {"AccountAliases": [account.alias] if account.alias else [], "IsTruncated": False}

    def _iam_ListAccessKeys(self, account: FakeAccount, form: Form) -> dict[str, Any]:
        user = self._user(account, form)
        keys = [
            {
                "UserName": user.name,
                "AccessKeyId": key.access_key_id,
                "Status": key.status,
                "CreateDate": key.create_date,
            }
            for key in user.access_keys
        ]
        return {"AccessKeyMetadata": keys, "IsTruncated": False}

    def _iam_GetAccessKeyLastUsed(self, account: FakeAccount, form: Form) -> dict[str, Any]:
        key = account.backend.access_keys.get(form["AccessKeyId"])
        if key is None:
            raise Refused(403, "AccessDenied", "no such key in this account")
        used: dict[str, Any] = {"ServiceName": "N/A", "Region": "N/A"}
        if key.last_used is not None:
            used = {"LastUsedDate": key.last_used, "ServiceName": "s3", "Region": "eu-central-1"}
        return {"UserName": key.user_name, "AccessKeyLastUsed": used}

    def _iam_ListServiceSpecificCredentials(
        self, account: FakeAccount, form: Form
    ) -> dict[str, Any]:
        if form.get("AllUsers") != "true":
            raise Refused(400, "ValidationError")
        wanted = form.get("ServiceName")
        if account.unsupported_all_users and wanted is None:
            raise Refused(404, "NotSupportedService")
        found = [one for one in account.specific if wanted in (None, one["ServiceName"])]
        start = int(form.get("Marker", 0))
        answer = {
            "ServiceSpecificCredentials": found[start : start + 100],
            "IsTruncated": start + 100 < len(found),
        }
        return answer | ({"Marker": start + 100} if start + 100 < len(found) else {})

    def _iam_ListSigningCertificates(self, account: FakeAccount, form: Form) -> dict[str, Any]:
        user = self._user(account, form)
        listed = [
            {
                "UserName": user.name,
                "CertificateId": one.id,
                "CertificateBody": one.body,
                "Status": one.status,
                "UploadDate": one.upload_date,
            }
            for one in user.signing_certificates.values()
        ]
        return {"Certificates": listed, "IsTruncated": False}

    def _iam_ListSSHPublicKeys(self, account: FakeAccount, form: Form) -> dict[str, Any]:
        user = self._user(account, form)
        listed = [
            {
                "UserName": user.name,
                "SSHPublicKeyId": one.ssh_public_key_id,
                "Status": one.status,
                "UploadDate": one.upload_date,
            }
            for one in user.ssh_public_keys
        ]
        return {"SSHPublicKeys": listed, "IsTruncated": False}

    def _iam_GetPolicy(self, account: FakeAccount, form: Form) -> dict[str, Any]:
        policy = account.backend.managed_policies.get(form["PolicyArn"])
        if policy is None:
            raise Refused(404, "NoSuchEntity")
        return {
            "Policy": {
                "PolicyName": policy.name,
                "PolicyId": policy.id,
                "Arn": policy.arn,
                "Path": policy.path,
                "DefaultVersionId": policy.default_version_id,
                "AttachmentCount": policy.attachment_count,
                "IsAttachable": True,
                "CreateDate": policy.create_date,
                "UpdateDate": policy.update_date,
            }
        }

    def _iam_SimulatePrincipalPolicy(self, _account: FakeAccount, form: Form) -> dict[str, Any]:
        is_allowed = form["PolicySourceArn"] in self.simulated_admins
        results = [
            {
                "EvalActionName": value,
                "EvalResourceName": "*",
                "EvalDecision": "allowed" if is_allowed else "implicitDeny",
            }
            for name, value in form.items()
            if name.startswith("ActionNames.member.")
        ]
        return {"EvaluationResults": results, "IsTruncated": False}

    def _iam_GenerateServiceLastAccessedDetails(
        self, account: FakeAccount, form: Form
    ) -> dict[str, Any]:
        return {"JobId": form["Arn"]}

    def _iam_GetServiceLastAccessedDetails(
        self, account: FakeAccount, form: Form
    ) -> dict[str, Any]:
        services = account.last_accessed.get(form["JobId"], [])
        return {"JobStatus": "COMPLETED", "ServicesLastAccessed": services, "IsTruncated": False}

    @staticmethod
    def _user(account: FakeAccount, form: Form) -> Any:
        user = account.backend.users.get(form.get("UserName", ""))
        if user is None:
            raise Refused(404, "NoSuchEntity", "The user cannot be found.")
        return user

    # -- Access Analyzer

    def _access_analyzer_ListAnalyzers(
        self, account: FakeAccount, _body: dict[str, Any], _request: Request
    ) -> dict[str, Any]:
        arn = f"arn:{self.partition}:access-analyzer:us-east-1:{account.id}:analyzer/unused"
        is_there = bool(account.analyzer_findings)
        listed = [{"arn": arn, "name": "unused", "status": "ACTIVE"}] if is_there else []
        return {"analyzers": listed}

    def _access_analyzer_ListFindingsV2(
        self, account: FakeAccount, body: dict[str, Any], _request: Request
    ) -> dict[str, Any]:
        wanted = body["filter"].get("resourceOwnerAccount", {}).get("eq")
        found = [
            {name: value for name, value in one.items() if name != "findingDetails"}
            for one in account.analyzer_findings
            if wanted is None or one["resourceOwnerAccount"] in wanted
        ]
        start = int(body.get("nextToken", 0))
        more = {"nextToken": str(start + 2)} if start + 2 < len(found) else {}
        return {"findings": found[start : start + 2]} | more

    def _access_analyzer_GetFindingV2(
        self, account: FakeAccount, _body: dict[str, Any], request: Request
    ) -> dict[str, Any]:
        wanted = request.path.rpartition("/")[2]
        return next(one for one in account.analyzer_findings if one["id"] == wanted)


def _rest_action(request: Request) -> str:
    if request.path.startswith("/findingv2"):
        return "ListFindingsV2" if request.method == "POST" else "GetFindingV2"
    return "ListAnalyzers" if request.path.startswith("/analyzer") else ""


def _answer(action: str, result: dict[str, Any] | str) -> Reply:
    inner = result if isinstance(result, str) else element(f"{action}Result", result)
    body = (
        f'<{action}Response xmlns="{NAMESPACE}">{inner}'
        f"<ResponseMetadata><RequestId>0f3c2a1e</RequestId></ResponseMetadata></{action}Response>"
    )
    return Reply(200, body.encode(), {"Content-Type": "text/xml"})


def _error(status: int, code: str, message: str = "", *, is_json: bool = False) -> Reply:
    if is_json:
        return Reply(status, {"__type": code, "message": message})
    error = element("Error", {"Type": "Sender", "Code": code, "Message": message})
    body = (
        f'<ErrorResponse xmlns="{NAMESPACE}">{error}<RequestId>0f3c2a1e</RequestId></ErrorResponse>'
    )
    return Reply(status, body.encode(), {"Content-Type": "text/xml"})
