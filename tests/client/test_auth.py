import asyncio
import traceback
from base64 import b64encode

import pytest

from auditor.client import ClientCredentials, HeaderAuth, Token
from auditor.client.auth import TokenAuth, read_token
from auditor.errors import AuthenticationFailed, Unavailable, UnexpectedResponse
from tests.fakes.http import LoopbackServer, Reply, Request

SECRET = "CANARY-client-secret-31"


class Provider:
    """A token endpoint and an API behind it."""

    def __init__(self) -> None:
        self.issued = 0
        self.valid: set[str] = set()
        self.lifetime: object = 3600
        self.uses: int | None = None
        self.served = 0

    def __call__(self, request: Request) -> Reply:
        if request.path == "/token":
            self.issued += 1
            token = f"CANARY-access-{self.issued}"
            self.valid.add(token)
            self.served = 0
            return Reply(200, {"access_token": token, "expires_in": self.lifetime})
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.served += 1
        if token not in self.valid or (self.uses is not None and self.served > self.uses):
            return Reply(401, {"message": "expired"})
        return Reply(200, {})


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def api(provider):
    with LoopbackServer(provider) as server:
        yield server


def login(**options) -> ClientCredentials:
    return ClientCredentials("/token", "my-id", SECRET, **options)


async def test_fixed_headers_are_sent(api, client_for):
    await client_for(api.url, auth=HeaderAuth({"PRIVATE-TOKEN": "t", "X-Version": "1"})).get(
        "/token"
    )

    assert api.requests[0].headers["private-token"] == "t"
    assert api.requests[0].headers["x-version"] == "1"


async def test_id_and_secret_go_into_a_basic_header(api, client_for):
    await client_for(api.url, auth=login()).get("/x")

    token = api.requests[0]
    assert token.method == "POST"
    assert token.headers["authorization"] == (
        f"Basic {b64encode(f'my-id:{SECRET}'.encode()).decode()}"
    )
    assert token.form == {"grant_type": ["client_credentials"]}
    assert api.requests[1].headers["authorization"] == "Bearer CANARY-access-1"


async def test_id_and_secret_go_into_the_form_where_the_provider_wants_that(api, client_for):
    await client_for(api.url, auth=login(in_form=True, extra={"scope": "read"})).get("/x")

    token = api.requests[0]
    assert "authorization" not in token.headers
    assert token.form["client_secret"] == [SECRET]
    assert token.form["scope"] == ["read"]


async def test_a_token_is_fetched_once_for_many_requests_at_once(api, provider, client_for):
    client = client_for(api.url, auth=login(), concurrency=4)

    await asyncio.gather(*(client.get(f"/{number}") for number in range(30)))

    assert provider.issued == 1


async def test_a_token_is_renewed_before_its_end(api, provider, client_for):
    provider.lifetime = 0
    client = client_for(api.url, auth=login())

    await client.get("/x")
    await client.get("/x")

    assert provider.issued == 2


@pytest.mark.parametrize("lifetime", [None, "3600", "soon", [], 10**12])
async def test_an_odd_lifetime_does_not_stop_anything(api, provider, client_for, lifetime):
    provider.lifetime = lifetime
    client = client_for(api.url, auth=login())

    await client.get("/x")
    await client.get("/x")

    assert provider.issued == 1


async def test_a_401_renews_the_token_exactly_once(api, provider, client_for):
    client = client_for(api.url, auth=login())
    await client.get("/x")
    provider.valid.clear()

    await client.get("/x")
    assert provider.issued == 2

    provider.uses = 0
    with pytest.raises(AuthenticationFailed, match="401"):
        await client.get("/x")
    assert provider.issued == 3


async def test_many_requests_refused_at_once_share_one_renewal(api, provider, client_for):
    client = client_for(api.url, auth=login())
    await client.get("/x")
    provider.valid.clear()

    await asyncio.gather(*(client.get(f"/{number}") for number in range(16)))

    assert provider.issued == 2


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_why_no_token_was_issued_is_what_the_user_sees(api, client_for, status):
    body = {"error": "invalid_client", "error_description": SECRET, "x": "CANARY"}
    api.fault("/token", reply=Reply(status, body))
    client = client_for(api.url, auth=login())

    with pytest.raises(AuthenticationFailed) as caught:
        await client.get("/x")

    message = str(caught.value)
    assert "/token" in message
    assert f"answered {status}" in message
    assert "invalid_client" in message
    assert api.paths() == ["/token"]
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


async def test_an_unknown_error_code_is_not_repeated(api, client_for):
    api.fault("/token", reply=Reply(401, {"error": "CANARY"}))

    with pytest.raises(AuthenticationFailed) as caught:
        await client_for(api.url, auth=login()).get("/x")

    assert "CANARY" not in str(caught.value)


async def test_a_refused_secret_is_not_tried_again(api, client_for):
    api.fault("/token", reply=Reply(401, {}))
    client = client_for(api.url, auth=login())

    for _ in range(3):
        with pytest.raises(AuthenticationFailed, match="/token"):
            await client.get("/x")

    assert api.paths() == ["/token"]


async def test_a_token_endpoint_that_stumbles_is_tried_again(api, client_for):
    api.fault("/token", reply=Reply(429, headers={"Retry-After": "0"}), times=1)
    api.fault("/token", reply=Reply(503), times=1)

    assert (await client_for(api.url, auth=login()).get("/x")).status == 200


async def test_a_token_endpoint_that_is_down_makes_the_source_unavailable(api, client_for):
    api.fault("/token", reply=Reply(503))

    with pytest.raises(Unavailable, match="/token"):
        await client_for(api.url, auth=login(), attempts=2).get("/x")

    assert api.paths() == ["/token", "/token"]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"<html>",
        b'{"access_token": null}',
        b'{"access_token": ""}',
        b'{"access_token": "a\\nb"}',
        b'{"access_token": 12}',
    ],
)
async def test_a_token_answer_without_a_token_is_unexpected(api, client_for, body):
    api.fault("/token", reply=Reply(200, body))

    with pytest.raises(UnexpectedResponse, match="/token"):
        await client_for(api.url, auth=login()).get("/x")


async def test_a_failing_token_fails_every_request_that_waits_for_it(api, client_for):
    api.fault("/token", reply=Reply(401, {}), delay=0.02)
    client = client_for(api.url, auth=login())

    results = await asyncio.gather(
        *(client.get(f"/{number}") for number in range(8)), return_exceptions=True
    )

    assert all(isinstance(result, AuthenticationFailed) for result in results)
    assert api.paths() == ["/token"]


async def test_one_request_given_up_does_not_take_the_token_from_the_others(api, client_for):
    api.fault("/token", delay=1, times=1)
    client = client_for(api.url, auth=login())
    first = asyncio.create_task(client.get("/first"))
    while not api.paths():  # noqa: ASYNC110 - the server lives in a thread
        await asyncio.sleep(0.005)
    second = asyncio.create_task(client.get("/second"))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).status == 200
    assert api.paths() == ["/token", "/second"]


async def test_a_token_service_on_another_origin_is_reached_only_if_named(api, server, client_for):
    auth = ClientCredentials(f"{api.url}/token", "my-id", SECRET)
    with pytest.raises(UnexpectedResponse, match="another origin"):
        await client_for(server.url, auth=auth).get("/x")
    assert api.requests == []

    auth = ClientCredentials(f"{api.url}/token", "my-id", SECRET)
    assert (await client_for(server.url, auth=auth, also=(api.url,)).get("/x")).status == 200
    assert [request.path for request in api.requests] == ["/token"]


async def test_a_redirected_token_request_is_refused(api, other, client_for):
    api.fault("/token", reply=Reply(307, headers={"Location": f"{other.url}/token"}))

    with pytest.raises(UnexpectedResponse, match="307"):
        await client_for(api.url, auth=login()).get("/x")

    assert other.requests == []


async def test_an_exchange_of_another_kind_needs_only_to_obtain_a_token(api, client_for):
    class Exchange(TokenAuth):
        async def obtain(self, client):
            answer = await client.fetch_token("/token", json={"identifier": "me"})
            return read_token(answer.object(), answer.where)

    await client_for(api.url, auth=Exchange()).get("/x")

    assert api.requests[0].body == b'{"identifier":"me"}'
    assert api.requests[1].headers["authorization"] == "Bearer CANARY-access-1"


def test_a_token_does_not_show_itself():
    assert "CANARY" not in repr(Token("CANARY", 5))
