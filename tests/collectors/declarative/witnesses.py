"""Clients that are not ours, one for each provider: what they see of the credentials on a fake."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any, cast

from aiohttp import ClientSession
from anthropic import Anthropic
from cloudflare import Cloudflare
from datadog_api_client import ApiClient as DatadogClient
from datadog_api_client import Configuration as DatadogConfiguration
from datadog_api_client.model_utils import ModelNormal, UnparsedObject
from datadog_api_client.v2.api.key_management_api import KeyManagementApi
from elasticsearch import Elasticsearch
from gitlab import Gitlab
from launchdarkly_api import AccessTokensApi
from launchdarkly_api import ApiClient as LaunchDarklyClient
from launchdarkly_api import Configuration as LaunchDarklyConfiguration
from openai import OpenAI
from pulumi_cloud_sdk.api_client import ApiClient as PulumiClient
from pulumi_cloud_sdk.apis import OrganizationsApi
from pulumi_cloud_sdk.configuration import Configuration as PulumiConfiguration
from pytfe import TFEClient, TFEConfig
from tailscale import Tailscale
from twilio.rest import Client as TwilioClient
from yarl import URL

Facts = tuple[str | None, datetime | None, datetime | None, datetime | None]
"""Name, creation, last use, expiry; an empty name is none."""
Seen = dict[str, Facts]
"""By id."""


def openai(url: str) -> Seen:
    with OpenAI(
        base_url=f"{url}/v1",
        api_key="unused",
        admin_api_key="sk-admin-of-the-auditor",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        organization = client.admin.organization
        keys: list[Any] = [
            key
            for project in organization.projects.list()
            for key in organization.projects.api_keys.list(project.id)
        ]
        keys += organization.admin_api_keys.list()
    return {
        key.id: (
            key.name,
            epoch(key.created_at),
            epoch(key.last_used_at),
            epoch(getattr(key, "expires_at", None)),
        )
        for key in keys
    }


def anthropic(url: str) -> Seen:
    with Anthropic(base_url=url, api_key="sk-ant-of-the-auditor", max_retries=0) as client:
        keys: list[Any] = list(client.beta.organization.api_keys.list())
    return {key.id: (key.name, key.created_at, None, key.expires_at) for key in keys}


def cloudflare(url: str) -> Seen:
    with Cloudflare(
        base_url=f"{url}/client/v4",
        api_token="cf-of-the-auditor",
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        tokens: list[Any] = [
            token
            for account in client.accounts.list()
            for token in client.accounts.tokens.list(account_id=account.id)
        ]
    return {
        token.id: (token.name, token.issued_on, token.last_used_on, token.expires_on)
        for token in tokens
    }


def datadog(url: str) -> Seen:
    settings = DatadogConfiguration(host=url, enable_retry=False)
    settings.api_key = {"apiKeyAuth": "dd-api", "appKeyAuth": "dd-app"}
    with DatadogClient(settings) as client:
        api = KeyManagementApi(client)
        found = [
            *_datadog_pages(api.list_api_keys, include="created_by"),
            *_datadog_pages(api.list_application_keys, include="owned_by"),
            *_datadog_pages(api.list_personal_access_tokens),
        ]
    return {str(one.id): _datadog_facts(one.attributes) for one in found}


def _datadog_pages(call: Callable[..., Any], **options: Any) -> Iterator[Any]:
    seen = 0
    for number in count():
        answer = call(page_number=number, page_size=100, **options)
        assert not list(_undescribed(answer))
        yield from answer.data
        seen += len(answer.data)
        if seen >= answer.meta.page.total_filtered_count or not answer.data:
            return


def _undescribed(model: Any) -> Iterator[str]:
    """Yield what the client kept without knowing what it is."""
    if isinstance(model, UnparsedObject):
        yield repr(model)
    elif isinstance(model, list):
        for one in model:
            yield from _undescribed(one)
    elif isinstance(model, ModelNormal):
        yield from set(model._data_store) - set(model.attribute_map)
        for value in model._data_store.values():
            yield from _undescribed(value)


def _datadog_facts(attributes: Any) -> Facts:
    stated = attributes.to_dict()
    used = moment(stated.get("date_last_used", stated.get("last_used_at")))
    return stated["name"], moment(stated["created_at"]), used, stated.get("expires_at")


def launchdarkly(url: str) -> Seen:
    settings = LaunchDarklyConfiguration(host=url, api_key={"ApiKey": "ld-of-the-auditor"})
    tokens: list[Any] = []
    with LaunchDarklyClient(settings) as client:
        while True:
            page = AccessTokensApi(client).get_tokens(show_all=True, limit=2, offset=len(tokens))
            tokens += page.items or []
            if len(tokens) >= (page.total_count or 0):
                break
    return {
        one.id: (
            one.name,
            epoch(one.creation_date / 1000),
            epoch((one.last_used or 0) / 1000),
            epoch((one.expiry or 0) / 1000),
        )
        for one in tokens
    }


def hcp_terraform(url: str) -> Seen:
    client = TFEClient(TFEConfig(address=url, token="tfc", max_retries=0, http2=False))
    teams = {team.id: team.name for team in client.teams.list("acme")}
    found: list[Any] = list(client.team_tokens.list("acme"))
    names = {one.id: one.description or teams[one.team.id] for one in found}
    found.append(client.organization_tokens.read("acme"))
    for pool in client.agent_pools.list("acme"):
        found += client.agent_tokens.list(pool.id)
    client.close()
    return {
        one.id: (
            names.get(one.id, one.description),
            moment(one.created_at),
            moment(one.last_used_at),
            moment(getattr(one, "expired_at", None)),
        )
        for one in found
    }


def pulumi(url: str) -> Seen:
    settings = PulumiConfiguration()
    settings.host, settings.access_token = url, "pul-of-the-auditor"
    api = OrganizationsApi(PulumiClient(settings))
    tokens: list[Any] = []
    following = None
    while True:
        page = api.list_org_tokens("acme", continuation_token=following)
        tokens += page.tokens
        following = page.continuation_token
        if not following:
            break
    return {
        one.id: (one.name, moment(one.created), epoch(one.last_used), epoch(one.expires))
        for one in tokens
    }


def twilio(url: str) -> Seen:
    account = "AC00000000000000000000000000000001"
    client = TwilioClient(account, "twilio-of-the-auditor")
    client.iam.base_url = url
    keys = client.iam.v1.get_api_keys.list(account_sid=account)
    client.http_client.session.close()
    return {key.sid: (key.friendly_name, key.date_created, None, None) for key in keys}


async def tailscale(url: str) -> Seen:
    async with ClientSession() as session:
        client = Tailscale(
            "example.com",
            "tskey-of-the-auditor",
            session=cast("ClientSession", _Elsewhere(session, url)),
        )
        listed = await client.keys()
        keys = [await client.key(one.key_id) for one in listed]
    return {
        key.key_id: (key.description or None, key.created, None, _set(key.expires)) for key in keys
    }


class _Elsewhere:
    """The client's address is fixed: ask *url* instead."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self._url = URL(url)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def request(self, method: str, url: URL, **options: Any) -> Any:
        there = url.with_scheme("http").with_host("127.0.0.1").with_port(self._url.port)
        return self._session.request(method, there, **options)


def _set(found: datetime | None) -> datetime | None:
    """Go's zero time stands for none."""
    return None if found is None or found.year == 1 else found


def gitlab(url: str) -> Seen:
    with Gitlab(url, private_token="glpat", retry_transient_errors=False) as client:
        top = client.groups.get("acme", lazy=True)
        below = [one.id for one in _all(top.descendant_groups)]
        groups = [client.groups.get(one, lazy=True) for one in below]
        listed = _all(top.projects, include_subgroups=True)
        projects = [client.projects.get(one.id, lazy=True) for one in listed]
        lists = [one.access_tokens for one in (top, *groups, *projects)]
        lists += [one.access_tokens for one in _all(top.service_accounts)]
        lists += [one.deploytokens for one in (client.groups.get("acme"), *groups, *projects)]
        found = {str(one.id): _gitlab_facts(one.asdict()) for each in lists for one in _all(each)}
        for project in projects:
            for key in _all(project.keys):
                found[f"{project.id}/{key.id}"] = _gitlab_facts(key.asdict())
        path = "/groups/acme/manage/personal_access_tokens"  # the client has no name for it
        rest: Any = client.http_list(path, iterator=True, per_page=100)
        return found | {str(one["id"]): _gitlab_facts(one) for one in rest}


def _all(manager: Any, **options: Any) -> list[Any]:
    return list(manager.list(iterator=True, per_page=100, **options))


def _gitlab_facts(stated: dict[str, Any]) -> Facts:
    ends = stated["expires_at"]
    if ends is not None and "T" not in ends:
        ends = f"{ends}T00:00:00Z"
    name = stated.get("name") or stated["title"]
    made, used = moment(stated.get("created_at")), moment(stated.get("last_used_at"))
    return name, made, used, moment(ends)


def elasticsearch(url: str) -> Seen:
    found: list[Any] = []
    after = None
    with Elasticsearch(url, api_key="of-the-auditor", retry_on_timeout=False) as client:
        while page := client.security.query_api_keys(
            sort=[{"creation": "asc"}, {"name": "asc"}], size=1000, search_after=after
        )["api_keys"]:
            found += page
            after = page[-1]["_sort"]
    return {
        one["id"]: (one["name"], epoch(one["creation"] / 1000), None, epoch(_expiry(one)))
        for one in found
    }


def _expiry(key: dict[str, Any]) -> float | None:
    return key["expiration"] / 1000 if key.get("expiration") else None


def epoch(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def moment(stated: Any) -> datetime | None:
    return datetime.fromisoformat(stated) if isinstance(stated, str) else stated


WITNESSES: dict[str, Callable[[str], Any]] = {
    "openai": openai,
    "anthropic": anthropic,
    "cloudflare": cloudflare,
    "datadog": datadog,
    "launchdarkly": launchdarkly,
    "hcp_terraform": hcp_terraform,
    "pulumi": pulumi,
    "twilio": twilio,
    "tailscale": tailscale,
    "gitlab": gitlab,
    "elasticsearch": elasticsearch,
}
