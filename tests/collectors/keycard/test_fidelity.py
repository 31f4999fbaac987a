"""The fake is faithful: the vendor's own SDK walks it as an independent, strictly checking client.

There is no way around this test: without the SDK its import fails.
"""

import httpx
import pytest
from keycardai_api import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    KeycardAPI,
    NotFoundError,
    __version__,
)

from tests.fakes.http import Reply
from tests.fakes.keycard import FakeKeycard

GRANT = {"organizations": {"read": True, "update": False}}


@pytest.fixture(params=[False, True], ids=["keys left out", "nulls"])
def tenant(request):
    fake = FakeKeycard(grant=GRANT, shows_null=request.param)
    for org in range(3):
        fake.add_organization(f"org-{org}", f"label-{org}")
        for account in range(5):
            account_id = f"sa-{org}-{account}"
            fake.add_account(f"org-{org}", account_id)
            for number in range(7):
                used = {"last_used_at": "2026-02-27T18:11:19.117Z"} if number % 2 else {}
                fake.add_credential(account_id, f"c-{org}-{account}-{number}", **used)
    fake.add_zone("org-0", "zone-0")
    fake.add_application_credential("zone-0", "ac-1", "password")
    fake.add_application_credential("zone-0", "ac-2", "token", provider_id="p", subject=None)
    fake.add_application_credential("zone-0", "ac-3", "public-key", jwks_uri="https://x/jwks")
    fake.add_application_credential("zone-0", "ac-4", "url")
    fake.add_application_credential("zone-0", "ac-5", "public")
    return fake


@pytest.fixture
def api(tenant):
    with tenant.server() as server:
        yield server


@pytest.fixture
def sdk(tenant, api):
    with KeycardAPI(
        base_url=api.url,
        api_key=tenant.token,
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


def pages(call, *args, **options):
    """Follow ``after`` by hand: the SDK has no paging of its own."""
    cursor: dict[str, str] = {}
    while True:
        answer = call(*args, **options, **cursor)
        yield from answer.items
        if not answer.page_info.has_next_page:
            return
        cursor = {"after": answer.page_info.end_cursor}


def test_the_sdk_is_the_release_the_fake_was_made_after():
    assert __version__ == "0.18.0"


def test_the_sdk_finds_every_credential(sdk, tenant):
    found = []
    for org in pages(sdk.organizations.list, limit=2):
        assert org.zone_id
        for account in pages(sdk.organizations.service_accounts.list, org.id, limit=2):
            found += pages(
                sdk.organizations.service_accounts.credentials.list,
                account.id,
                organization_id=org.id,
                limit=3,
                expand=["permissions"],
            )

    assert len(found) == len({one.id for one in found}) == 105
    assert {one.last_used_at is None for one in found} == {True, False}
    assert all(one.permissions == GRANT for one in found)


def test_the_sdk_sees_no_permissions_unless_it_asks(sdk):
    credentials = sdk.organizations.service_accounts.credentials
    plain = credentials.retrieve("c-0-0-0", organization_id="org-0", service_account_id="sa-0-0")
    expanded = credentials.retrieve(
        "c-0-0-0",
        organization_id="org-0",
        service_account_id="sa-0-0",
        expand=["permissions"],
    )

    assert plain.permissions is None
    assert expanded.permissions == GRANT


def test_the_sdk_retrieves_by_id_and_by_label(sdk):
    assert sdk.organizations.retrieve("label-1").id == "org-1"
    assert sdk.organizations.retrieve("org-1").label == "label-1"
    assert sdk.organizations.service_accounts.retrieve("sa-1-0", organization_id="label-1").name


def test_the_sdk_reads_zones_and_application_credentials(sdk):
    zones = sdk.zones.list(filter_organization_id="org-0", limit=100)
    assert [zone.id for zone in zones.items] == ["zone-0"]
    assert sdk.zones.list(filter_organization_id="org-1").items == []

    answer = sdk.zones.application_credentials.list("zone-0", limit=2)
    assert [one.type for one in answer.items] == ["password", "token"]
    assert answer.pagination.after_cursor
    rest = sdk.zones.application_credentials.list("zone-0", after=answer.pagination.after_cursor)
    assert [one.type for one in rest.items] == ["public-key", "url", "public"]
    assert rest.pagination.after_cursor is None
    assert sdk.zones.application_credentials.retrieve("ac-2", zone_id="zone-0").id == "ac-2"


@pytest.mark.parametrize("options", [{"limit": 101}, {"limit": 0}, {"after": "nonsense"}])
def test_the_sdk_is_refused_what_the_reference_refuses(sdk, options):
    with pytest.raises(BadRequestError):
        sdk.organizations.list(**options)


def test_a_cursor_belongs_to_its_list(sdk):
    cursor = sdk.organizations.list(limit=1).page_info.end_cursor

    assert cursor not in ("org-0", "org-1")
    with pytest.raises(BadRequestError):
        sdk.organizations.service_accounts.list("org-0", after=cursor)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_the_sdk_reads_the_errors(sdk, api, status):
    body = {"message": "no", "code": "error", "status": status}
    api.fault("/organizations", reply=Reply(status, body))

    with pytest.raises(APIStatusError) as caught:
        sdk.organizations.list()

    assert caught.value.status_code == status


def test_an_unknown_organization_is_not_found(sdk):
    with pytest.raises(NotFoundError):
        sdk.organizations.retrieve("nowhere")


def test_a_wrong_token_is_refused(tenant, api):
    with (
        KeycardAPI(base_url=api.url, api_key="wrong", max_retries=0) as client,
        pytest.raises(AuthenticationError),
    ):
        client.organizations.list()


class ToTheFake(httpx.BaseTransport):
    """The SDK's token URL is fixed; send it to the fake."""

    def __init__(self, url):
        self._url = httpx.URL(url)
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request):
        request.url = request.url.copy_with(
            scheme=self._url.scheme, host=self._url.host, port=self._url.port
        )
        request.headers["Host"] = f"{self._url.host}:{self._url.port}"
        return self._inner.handle_request(request)

    def close(self):
        self._inner.close()


def test_the_sdk_logs_in_with_client_credentials(tenant, api):
    tenant.token = None
    client_id = f"client-{api.port}"  # the SDK keeps tokens per id for the whole process
    tenant.clients[client_id] = "s3cret"
    with (
        httpx.Client(transport=ToTheFake(api.url)) as http,
        KeycardAPI(
            client_id=client_id,
            client_secret="s3cret",
            http_client=http,
            max_retries=0,
            _strict_response_validation=True,
        ) as client,
    ):
        assert len(client.organizations.list().items) == 3

    assert "/service-account-token" in api.paths()
