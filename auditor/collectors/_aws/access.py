"""What the auditor may do in an account, found out call by call without reading it all."""

from collections.abc import Awaitable, Callable
from typing import Any

from auditor.collectors._aws import calls
from auditor.collectors._aws.calls import Call, Need
from auditor.collectors._aws.options import AwsOptions
from auditor.collectors._aws.refusals import Denied, is_missing_permission
from auditor.collectors._aws.session import Caller
from auditor.collectors._aws.wire import rest
from auditor.collectors.interface import Access
from auditor.errors import AuthenticationFailed, SourceError, Unavailable

_NOBODY = "auditor-asks-whether-it-may-ask"
"""A user that does not exist: IAM looks at the permission first, then for the user."""
_NO_KEY = "AKIAAAAAAAAAAAAAAAAA"
_NO_POLICY = "arn:{partition}:iam::{account}:policy/" + _NOBODY
_NO_JOB = "00000000-0000-0000-0000-000000000000"


def needed(options: AwsOptions) -> list[Call]:
    """Return the calls that these options make in every account."""
    wanted = {Need.ALWAYS}
    for is_set, need in (
        (options.service_specific_credentials, Need.SERVICE_SPECIFIC),
        (options.signing_certificates, Need.SIGNING_CERTIFICATES),
        (options.ssh_public_keys, Need.SSH_PUBLIC_KEYS),
        (options.unused_permissions != "none", Need.UNUSED_PERMISSIONS),
        (options.access_analyzer is True, Need.ACCESS_ANALYZER),
    ):
        if is_set:
            wanted.add(need)
    return [call for call in calls.CALLS if call.need in wanted]


async def matrix(caller: Caller, options: AwsOptions, account: str) -> list[Access]:
    """Return one row per permission that is needed in an account."""
    return [await _try(caller, call, options.partition, account) for call in needed(options)]


async def _try(caller: Caller, call: Call, partition: str, account: str) -> Access:
    """Make a call that can harm nothing and may fail; only the kind of failure matters."""
    try:
        await _probe(caller, call, partition, account)
    except (AuthenticationFailed, Unavailable) as error:
        return Access(caller.subject, call.permission, is_granted=False, detail=str(error))
    except Denied as error:
        # For a key nobody has, AWS answers as if it belonged to another account.
        if call is not calls.GET_KEY_LAST_USED or is_missing_permission(error):
            detail = f"needed for: {call.why}"
            return Access(caller.subject, call.permission, is_granted=False, detail=detail)
    except SourceError:
        pass  # not found, not ready, not valid: whoever is told that may ask
    return Access(caller.subject, call.permission, is_granted=True)


def _probe(caller: Caller, call: Call, partition: str, account: str) -> Awaitable[Any]:
    if call.api is calls.Api.ACCESS_ANALYZER:
        arn = f"arn:{partition}:access-analyzer:us-east-1:{account}:analyzer/{_NOBODY}"
        return caller.send(call, _ANALYZER[call](arn))
    policy = _NO_POLICY.format(partition=partition, account=account)
    parameters = {
        calls.GET_DETAILS: {"MaxItems": "1", "Filter.member.1": "Group"},
        calls.LIST_ACCESS_KEYS: {"UserName": _NOBODY},
        calls.LIST_CERTIFICATES: {"UserName": _NOBODY},
        calls.LIST_SSH_KEYS: {"UserName": _NOBODY},
        calls.LIST_SERVICE_SPECIFIC: {"AllUsers": "true", "MaxItems": "1"},
        calls.GET_KEY_LAST_USED: {"AccessKeyId": _NO_KEY},
        calls.GET_POLICY: {"PolicyArn": policy},
        calls.GET_POLICY_VERSION: {"PolicyArn": policy, "VersionId": "v1"},
        calls.GENERATE_LAST_ACCESSED: {"Arn": f"arn:{partition}:iam::{account}:user/{_NOBODY}"},
        calls.GET_LAST_ACCESSED: {"JobId": _NO_JOB},
    }.get(call, {})
    return caller.query(call, **parameters)


_ANALYZER: dict[Call, Callable[[str], Any]] = {
    calls.LIST_ANALYZERS: lambda _arn: rest("GET", "/analyzer", {"maxResults": "1"}),
    calls.LIST_FINDINGS: lambda arn: rest(
        "POST", "/findingv2", {}, b'{"analyzerArn":"%b","maxResults":1}' % arn.encode()
    ),
    calls.GET_FINDING: lambda arn: rest("GET", f"/findingv2/{_NO_JOB}", {"analyzerArn": arn}),
}
