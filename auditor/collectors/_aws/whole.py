"""What AWS tells of an account in a few calls, whatever the number of its users."""

from datetime import datetime

from auditor.collectors._aws import calls, report
from auditor.collectors._aws.answers import Record, listed, text
from auditor.collectors._aws.options import AwsOptions
from auditor.collectors._aws.refusals import code_of
from auditor.collectors._aws.report import Report
from auditor.collectors._aws.session import Caller
from auditor.errors import SourceError

_SERVICES = (
    "codecommit.amazonaws.com",
    "cassandra.amazonaws.com",
    "bedrock.amazonaws.com",
    "logs.amazonaws.com",
)


async def credential_report(caller: Caller, options: AwsOptions, now: datetime) -> Report:
    """Return the credential report; raises `SourceError`."""
    return await report.fetch(caller, now, options.report_wait)


async def root_keys(caller: Caller) -> int:
    """Return how many access keys the root user has, 0 or 1 for all AWS tells."""
    answer = await caller.query(calls.GET_SUMMARY)
    count = text(answer.get("SummaryMap"), "AccountAccessKeysPresent")
    return int(count) if count.isdigit() else 0


async def alias(caller: Caller) -> str:
    """Return the name people gave to the account, or an empty text."""
    answer = await caller.query(calls.LIST_ALIASES)
    return next((one for one in listed(answer, "AccountAliases") if isinstance(one, str)), "")


async def service_specific(caller: Caller, options: AwsOptions) -> list[Record]:
    """Return the service-specific credentials of all users, as listed."""
    if not options.service_specific_credentials:
        return []
    try:
        return await _specific(caller, AllUsers="true")
    except SourceError as error:
        if not code_of(error).startswith(("ServiceNotSupported", "NotSupportedService")):
            raise
    found: list[Record] = []
    for service in _SERVICES:
        found += await _specific(caller, AllUsers="true", ServiceName=service)
    return found


async def _specific(caller: Caller, **parameters: str) -> list[Record]:
    found: list[Record] = []
    async for page in caller.pages(calls.LIST_SERVICE_SPECIFIC, **parameters):
        found += listed(page, "ServiceSpecificCredentials")
    return found
