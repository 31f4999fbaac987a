"""Permissions that are granted and not used: asked of IAM, or imported from Access Analyzer.

IAM looks back 400 days and counts attempts, denied ones included (IAM user guide). An analyzer
judges only who has existed for the whole of its tracking period.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from auditor.collectors._aws import calls
from auditor.collectors._aws.answers import Record, listed, text
from auditor.collectors._aws.authorization import Identities, User
from auditor.collectors._aws.options import AwsOptions
from auditor.collectors._aws.permissions import Permissions
from auditor.collectors._aws.session import Caller
from auditor.collectors._aws.wire import rest
from auditor.errors import SourceError, UnexpectedResponse
from auditor.model import PermissionMap

_POLLS = 60
_FIRST_POLL = 0.2
_LONGEST_POLL = 5.0
_MOST_PAGES = 10_000


async def read_unused(
    caller: Caller,
    analyzer: Caller,
    options: AwsOptions,
    account: str,
    identities: Identities,
    permissions: Permissions,
) -> dict[str, PermissionMap]:
    """Return by user what is unused; empty unless an option asks for it; raises `SourceError`.

    What both ways find counts once; what an analyzer knows is to the action, so it goes first.
    """
    found: dict[str, PermissionMap] = {}
    if options.unused_permissions != "none":
        wanted = _wanted(identities.users.values(), permissions, options)
        found = await _ask_all(caller, wanted, permissions, options.concurrency)
    if options.access_analyzer:
        found |= await _imported(caller, analyzer, options.access_analyzer, account, identities)
    return found


def _wanted(users: Iterable[User], permissions: Permissions, options: AwsOptions) -> list[User]:
    if options.unused_permissions == "all":
        return list(users)
    return [user for user in users if permissions.of(user.name).paths]


async def _ask_all(
    caller: Caller, users: list[User], permissions: Permissions, workers: int
) -> dict[str, PermissionMap]:
    """Ask for every user; the first refusal ends the asking, for it concerns them all."""
    found: dict[str, PermissionMap] = {}
    todo = iter(users)

    async def work() -> None:
        for user in todo:
            services = await _last_accessed(caller, user.arn)
            granted = permissions.of(user.name).permissions or {}
            found[user.name] = _never_used(services, granted)

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return found


async def _last_accessed(caller: Caller, arn: str) -> list[Record]:
    """Return the services that *arn* may use, with their last use; raises `SourceError`."""
    job = text(await caller.query(calls.GENERATE_LAST_ACCESSED, Arn=arn), "JobId")
    pause = _FIRST_POLL
    for _ in range(_POLLS):
        found: list[Record] = []
        state = ""
        async for page in caller.pages(calls.GET_LAST_ACCESSED, JobId=job, MaxItems="1000"):
            state = text(page, "JobStatus")
            if state != "COMPLETED":
                break
            found += listed(page, "ServicesLastAccessed")
        if state == "COMPLETED":
            return found
        if state == "FAILED":
            break
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_POLL)
    raise UnexpectedResponse(f"IAM did not tell in {caller.subject} which services {arn} uses")


def _never_used(services: list[Record], granted: PermissionMap) -> PermissionMap:
    """Return the services without a use, with the actions as they are granted."""
    unused: PermissionMap = {}
    for record in services:
        service = text(record, "ServiceNamespace").lower()
        if not service or text(record, "LastAuthenticated"):
            continue
        named = {
            name: granted[name] for name in (service, f"{service} (limited)") if name in granted
        }
        unused |= named or {service: {"*": True}}
    return unused


# -- Access Analyzer


async def _imported(
    caller: Caller, own: Caller, which: str | Literal[True], account: str, identities: Identities
) -> dict[str, PermissionMap]:
    """Return what active findings of an analyzer say about the users of *account*."""
    arns, reader = ([which], own) if isinstance(which, str) else (await _analyzers(caller), caller)
    names = {user.arn: user.name for user in identities.users.values()}
    found: dict[str, PermissionMap] = {}
    for arn in arns:
        async for finding in _findings(reader, arn, account):
            name = names.get(text(finding, "resource"))
            if name is not None:
                details = await _details(reader, arn, text(finding, "id"))
                found.setdefault(name, {}).update(details)
    return found


async def _analyzers(caller: Caller) -> list[str]:
    message = rest("GET", "/analyzer", {"type": "ACCOUNT_UNUSED_ACCESS"})
    answer = await caller.send(calls.LIST_ANALYZERS, message)
    return [
        text(one, "arn") for one in listed(answer, "analyzers") if text(one, "status") == "ACTIVE"
    ]


async def _findings(caller: Caller, arn: str, account: str) -> AsyncIterator[Record]:
    body: Record = {
        "analyzerArn": arn,
        "filter": {
            "findingType": {"eq": ["UnusedPermission"]},
            "status": {"eq": ["ACTIVE"]},
            "resourceType": {"eq": ["AWS::IAM::User"]},
            "resourceOwnerAccount": {"eq": [account]},
        },
        "maxResults": 100,
    }
    async for page in _walk(caller, body):
        for finding in listed(page, "findings"):
            yield finding


async def _walk(caller: Caller, body: Record) -> AsyncIterator[Record]:
    for _ in range(_MOST_PAGES):
        message = rest("POST", "/findingv2", {}, msgspec.json.encode(body))
        page = await caller.send(calls.LIST_FINDINGS, message)
        yield page
        token = text(page, "nextToken")
        if not token:
            return
        if token == body.get("nextToken"):
            break
        body = body | {"nextToken": token}
    broken: SourceError = UnexpectedResponse(
        f"{calls.LIST_FINDINGS.permission} in {caller.subject} gave the same page again"
    )
    broken.kind = "repeated_cursor"
    raise broken


async def _details(caller: Caller, arn: str, finding_id: str) -> PermissionMap:
    """Return the service and actions of one finding; no actions means the whole service."""
    path = f"/findingv2/{quote(finding_id, safe='')}"
    answer: Any = await caller.send(calls.GET_FINDING, rest("GET", path, {"analyzerArn": arn}))
    unused: PermissionMap = {}
    for detail in listed(answer, "findingDetails"):
        record = detail.get("unusedPermissionDetails") if isinstance(detail, dict) else None
        service = text(record, "serviceNamespace").lower()
        if not service or not isinstance(record, dict):
            continue
        actions = [text(one, "action") for one in listed(record, "actions")]
        unused[service] = dict.fromkeys(actions, True) if actions else {"*": True}
    return unused
