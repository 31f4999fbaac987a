import asyncio
import gzip
import logging
import ssl
import time
import tomllib
import traceback
import zlib
from datetime import timedelta
from email.utils import formatdate
from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError

from auditor.client import Client, ConnectionOptions, Dialect, Sign, Wait, bearer
from auditor.errors import (
    AccessDenied,
    AuthenticationFailed,
    ConfigError,
    NotFound,
    SourceError,
    Unavailable,
    UnexpectedResponse,
)
from tests.fakes.http import LoopbackServer, Reply

TOKEN = "CANARY-token-77f0"


async def test_an_answer_is_json_from_below_the_base_url(server, client_for):
    client = client_for(f"{server.url}/api/v3/")

    answer = await client.get("/orgs/a%2Fb", {"limit": 100, "expand[]": ["x", "y"]})

    assert answer.object() == {
        "path": "/api/v3/orgs/a/b",
        "query": {"limit": ["100"], "expand[]": ["x", "y"]},
        "method": "GET",
    }
    assert server.requests[0].target.startswith("/api/v3/orgs/a%2Fb?")


async def test_every_request_carries_an_id_of_its_own_and_errors_quote_it(server, client_for):
    server.fault("/x", reply=Reply(503), times=1)
    server.fault("/y", reply=Reply(418))
    client = client_for(server.url)
    await client.get("/x")
    with pytest.raises(UnexpectedResponse) as caught:
        await client.get("/y")

    ids = [request.headers["x-client-request-id"] for request in server.requests]
    assert len(set(ids)) == 3
    assert ids[-1] in str(caught.value)


async def test_the_name_of_the_id_header_is_the_providers(server, client_for):
    await client_for(server.url, id_header="X-Trace").get("/x")

    assert server.requests[0].headers["x-trace"]
    assert "x-client-request-id" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, UnexpectedResponse),
        (401, AuthenticationFailed),
        (403, AccessDenied),
        (404, NotFound),
        (410, NotFound),
        (409, UnexpectedResponse),
        (422, UnexpectedResponse),
        (408, Unavailable),
        (429, Unavailable),
        (500, Unavailable),
        (502, Unavailable),
        (599, Unavailable),
    ],
)
async def test_a_status_becomes_the_error_that_says_what_to_do(server, client_for, status, error):
    server.fault("*", reply=Reply(status, {"message": TOKEN}, {"Retry-After": "0"}))

    with pytest.raises(error) as caught:
        await client_for(server.url, attempts=2).get("/organizations/o-1", {"cursor": "c"})

    assert type(caught.value) is error
    assert caught.value.status == status
    assert str(status) in str(caught.value)
    assert "/organizations/o-1" in str(caught.value)
    assert "cursor" not in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_passing_failure_is_retried(server, client_for, status):
    server.fault("*", reply=Reply(status), times=3)

    assert (await client_for(server.url).get("/x")).status == 200
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
async def test_a_final_answer_is_not_asked_for_twice(server, client_for, status):
    server.fault("*", reply=Reply(status))

    with pytest.raises(SourceError):
        await client_for(server.url).get("/x")

    assert len(server.requests) == 1


async def test_attempts_are_bounded(server, client_for):
    server.fault("*", reply=Reply(500))

    with pytest.raises(Unavailable, match="run again later"):
        await client_for(server.url, attempts=3).get("/x")

    assert len(server.requests) == 3


async def test_retry_after_is_waited_for(server, client_for):
    server.fault("*", reply=Reply(429, headers={"Retry-After": "1"}), times=1)
    started = time.monotonic()

    await client_for(server.url).get("/x")

    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("wait", ["-7", "0", formatdate(0, usegmt=True)])
async def test_a_pause_in_the_past_is_no_pause(server, client_for, wait):
    server.fault("*", reply=Reply(429, headers={"Retry-After": wait}), times=2)
    started = time.monotonic()

    await client_for(server.url).get("/x")

    assert time.monotonic() - started < 1


@pytest.mark.parametrize("wait", ["99999999", "1e999", "Fri, 01 Jan 2999 00:00:00 GMT"])
async def test_an_absurd_pause_is_refused_at_once(server, client_for, wait):
    server.fault("*", reply=Reply(429, headers={"Retry-After": wait}))

    with pytest.raises(Unavailable) as caught:
        await client_for(server.url, attempts=2).get("/x")

    if wait != "1e999":  # not a number of seconds by the standard: treated as no header
        assert "asks to wait" in str(caught.value)
        assert "longest_wait" in str(caught.value)
        assert len(server.requests) == 1


async def test_throttling_that_names_its_end_is_met_with_more_patience(server, client_for):
    server.fault("*", reply=Reply(429, headers={"Retry-After": "0"}), times=8)

    assert (await client_for(server.url, attempts=3).get("/x")).status == 200


async def test_a_providers_own_sign_of_throttling_is_retried(server, client_for):
    server.fault("*", reply=Reply(403, headers={"X-Reset": "0"}), times=1)
    dialect = Dialect((Sign(403, "x-reset"),), (Wait("x-reset", "seconds"),))

    assert (await client_for(server.url, dialect=dialect).get("/x")).status == 200


async def test_throttling_halves_the_requests_in_flight(server, client_for):
    server.fault("*", reply=Reply(429), times=1)
    client = client_for(server.url, concurrency=8)

    await client.get("/x")

    assert client.gate.limit == 4


async def test_as_many_requests_are_in_flight_as_configured_and_no_more(client_for):
    with LoopbackServer(lambda _request: Reply(200, {}), together=5, latency=0.002) as server:
        client = client_for(server.url, concurrency=5)
        await asyncio.gather(*(client.get(f"/{number}") for number in range(40)))

        assert server.most_in_flight == 5


@pytest.mark.parametrize(
    "fault",
    [
        {"reset": True},
        {"truncate": 5},
        {"raw": b"nonsense\r\n\r\n"},
        {"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 7\r\n\r\n{}"},
        {"raw": b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n"},
        {"raw": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n"},
    ],
    ids=["reset", "truncated", "not HTTP", "two lengths", "1 MB header", "50,000 headers"],
)
async def test_a_broken_connection_is_retried_then_unavailable(server, client_for, fault):
    server.fault("/once", times=1, **fault)
    server.fault("/always", **fault)
    client = client_for(server.url, attempts=2)

    assert (await client.get("/once")).status == 200
    with pytest.raises(Unavailable, match="/always"):
        await client.get("/always")


async def test_a_server_that_is_not_there_is_unavailable(client_for):
    with LoopbackServer(lambda _request: Reply(200)) as gone:
        url = gone.url

    with pytest.raises(Unavailable, match="could not be reached"):
        await client_for(url, attempts=2).get("/x")


async def test_silence_ends_with_the_timeout(server, client_for):
    server.fault("*", delay=5)

    with pytest.raises(Unavailable, match="did not answer within"):
        await client_for(server.url, attempts=1, timeout=timedelta(seconds=0.05)).get("/x")


async def test_a_slow_drip_ends_with_the_deadline(server, client_for):
    server.fault("*", drip=0.05)
    started = time.monotonic()

    with pytest.raises(Unavailable, match="request_deadline"):
        await client_for(server.url, request_deadline=timedelta(seconds=0.2)).get("/x")

    assert time.monotonic() - started < 2


async def test_the_deadline_counts_retries_and_waits(server, client_for):
    server.fault("*", reply=Reply(429, headers={"Retry-After": "3"}))
    started = time.monotonic()

    with pytest.raises(Unavailable, match="request_deadline"):
        await client_for(server.url, request_deadline=timedelta(seconds=0.2)).get("/x")

    assert time.monotonic() - started < 2


async def test_a_same_origin_redirect_is_followed(server, client_for):
    server.fault("/old", reply=Reply(302, headers={"Location": "/new?x=1"}))

    answer = await client_for(server.url, auth=bearer(TOKEN)).get("/old", {"y": "2"})

    assert answer.object()["path"] == "/new"
    assert server.requests[-1].target == "/new?x=1"
    assert server.requests[-1].headers["authorization"] == f"Bearer {TOKEN}"


async def test_a_redirect_loop_ends(server, client_for):
    server.fault("*", reply=Reply(302, headers={"Location": "/x"}))

    with pytest.raises(UnexpectedResponse, match="redirects more than 3 times"):
        await client_for(server.url).get("/x")

    assert len(server.requests) == 4


async def test_a_redirected_post_is_not_followed(server, client_for):
    server.fault("*", reply=Reply(303, headers={"Location": "/x"}))

    with pytest.raises(UnexpectedResponse, match="303"):
        await client_for(server.url).post("/search", json={})

    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_cross_origin_redirect_never_receives_the_token(server, other, client_for, status):
    location = f"{other.url}/steal?t=CANARY-query"
    server.fault("*", reply=Reply(status, headers={"Location": location}))

    with pytest.raises(UnexpectedResponse, match="another origin") as caught:
        await client_for(server.url, auth=bearer(TOKEN)).get("/x")

    assert other.requests == []
    assert str(other.port) in str(caught.value)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("location", ["http://169.254.169.254/", "//evil.example/", "gopher://x"])
async def test_a_redirect_to_anywhere_else_is_refused(server, client_for, location):
    server.fault("*", reply=Reply(302, headers={"Location": location}))

    with pytest.raises(UnexpectedResponse, match="not followed"):
        await client_for(server.url).get("/x")


async def test_a_next_link_to_another_origin_never_receives_the_token(server, other, client_for):
    client = client_for(server.url, auth=bearer(TOKEN))
    answer = await client.get("/page")

    for link in (f"{other.url}/next", other.url.replace("http://", "http://user@"), "//evil/x"):
        with pytest.raises(UnexpectedResponse, match="not followed"):
            await client.get_link(link, answer)

    assert other.requests == []


async def test_a_next_link_within_the_origin_is_followed(server, client_for):
    client = client_for(server.url)
    answer = await client.get("/page", {"page": 1})

    assert (await client.get_link("?page=2", answer)).object()["query"] == {"page": ["2"]}


async def test_a_path_that_smuggles_a_host_is_stopped_before_the_wire(server, other, client_for):
    client = client_for(server.url, auth=bearer(TOKEN))

    with pytest.raises(UnexpectedResponse):
        await client.get(f"@127.0.0.1:{other.port}/")

    assert other.requests == []
    assert server.requests == []


async def test_cookies_are_not_kept(server, client_for):
    server.fault("/a", reply=Reply(200, {}, {"Set-Cookie": "session=CANARY; Path=/"}))
    client = client_for(server.url)

    await client.get("/a")
    await client.get("/b")

    assert "cookie" not in server.requests[-1].headers


async def test_proxies_and_passwords_of_the_environment_are_ignored(
    server, client_for, monkeypatch, tmp_path
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password CANARY\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    await client_for(server.url).get("/x")

    assert "authorization" not in server.requests[0].headers


async def test_a_configured_proxy_is_used(server, other, client_for):
    await client_for(server.url, proxy=other.url).get("/x")

    assert other.requests[0].target == f"{server.url}/x"
    assert server.requests == []


def gzipped(body: bytes) -> Reply:
    return Reply(200, gzip.compress(body), {"Content-Encoding": "gzip"})


async def test_a_compressed_answer_is_read(server, client_for):
    server.fault("*", reply=gzipped(b'{"x": "' + b"y" * 300_000 + b'"}'))

    answer = await client_for(server.url).get("/x")

    assert len(answer.object()["x"]) == 300_000
    assert server.requests[0].headers["accept-encoding"] == "gzip"


async def test_a_gzip_bomb_is_stopped_at_the_limit(server, client_for):
    squeeze = zlib.compressobj(9, wbits=31)
    bomb = b"".join(squeeze.compress(b"\0" * (1 << 20)) for _ in range(64)) + squeeze.flush()
    server.fault("*", reply=Reply(200, bomb, {"Content-Encoding": "gzip"}))

    with pytest.raises(UnexpectedResponse, match="more than 32 MB"):
        await client_for(server.url).get("/bomb")


@pytest.mark.parametrize("status", [200, 401, 404, 500])
async def test_the_limit_holds_for_every_status(server, client_for, status):
    server.fault("*", reply=Reply(status, b"x" * (3 << 20)))

    with pytest.raises(UnexpectedResponse, match="more than 1 MB"):
        await client_for(server.url, max_bytes=1 << 20, attempts=1).get("/x")


async def test_a_limit_that_was_hit_leaves_the_client_usable(server, client_for):
    server.fault("/big", reply=Reply(200, b"x" * (3 << 20)))
    client = client_for(server.url, max_bytes=1 << 20, concurrency=1)

    with pytest.raises(UnexpectedResponse):
        await client.get("/big")
    assert (await client.get("/small")).status == 200


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd", "x" * 500])
async def test_an_encoding_nobody_asked_for_is_refused(server, client_for, encoding):
    server.fault("*", reply=Reply(200, b"{}", {"Content-Encoding": encoding}))

    with pytest.raises(UnexpectedResponse, match="encoding"):
        await client_for(server.url).get("/x")


async def test_gzip_that_is_none_is_refused(server, client_for):
    server.fault("*", reply=Reply(200, b"{}", {"Content-Encoding": "gzip"}))

    with pytest.raises(UnexpectedResponse, match="broken gzip"):
        await client_for(server.url).get("/x")


async def test_gzip_that_ends_early_is_retried(server, client_for):
    cut = gzip.compress(b'{"x": 1}')[:-9]
    server.fault("*", reply=Reply(200, cut, {"Content-Encoding": "gzip"}), times=1)

    assert (await client_for(server.url).get("/x")).status == 200
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>CANARY</html>", "malformed"),
        (b"", "malformed"),
        (b'{"a": CANARY}', "malformed"),
        (b'{"a": 1,}', "malformed"),
        (b'{"a": 1} // CANARY', "malformed"),
        (b'{"a": NaN}', "malformed"),
        (b'{"a": "\\ud800", "b": NaN}', "malformed"),
        (b"\xef\xbb\xbf{}", "malformed"),
        (b'{"a": "\xff\xfe CANARY"}', "UTF-8"),
        (b'{"a": "\\ud800 \xff"}', "UTF-8"),
        (b"[" * 100_000, "nested|malformed"),
    ],
)
async def test_what_is_not_json_is_named_by_its_place_and_never_quoted(
    server, client_for, body, why
):
    server.fault("*", reply=Reply(200, body))
    answer = await client_for(server.url).get("/organizations/o-1")

    with pytest.raises(UnexpectedResponse, match=why) as caught:
        answer.json()

    assert "/organizations/o-1" in str(caught.value)
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None


async def test_json_that_is_no_object_is_refused_where_one_is_expected(server, client_for):
    server.fault("*", reply=Reply(200, b"[]"))
    answer = await client_for(server.url).get("/x")

    assert answer.json() == []
    with pytest.raises(UnexpectedResponse, match="not an object"):
        answer.object()


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": "\\ud800x"}', {"a": "\ufffdx"}),
        (b'{"\\udfff": ["\\ud83d\\ude00"]}', {"\ufffd": ["\U0001f600"]}),
        (b'{"a": "\\u0000"}', {"a": "\0"}),
        (b'{"a": 9223372036854775808}', {"a": 2**63}),
    ],
)
async def test_odd_but_legal_json_is_read(server, client_for, body, value):
    server.fault("*", reply=Reply(200, body))

    assert (await client_for(server.url).get("/x")).json() == value


def tls_pair(*names: str) -> tuple[ssl.SSLContext, trustme.CA]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context, authority


@pytest.mark.parametrize("name", ["127.0.0.1", "other.example"])
async def test_a_certificate_nobody_vouches_for_is_refused_without_a_retry(client_for, name):
    context, _authority = tls_pair(name)
    with LoopbackServer(lambda _request: Reply(200, {}), tls=context) as server:
        with pytest.raises(Unavailable, match="ca_bundle"):
            await client_for(server.url).get("/x")
        assert server.requests == []


async def test_a_private_authority_is_trusted_through_its_bundle(client_for, tmp_path):
    context, authority = tls_pair("127.0.0.1")
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with LoopbackServer(lambda _request: Reply(200, {}), tls=context) as server:
        assert (await client_for(server.url, ca_bundle=bundle).get("/x")).status == 200


def test_a_bundle_that_cannot_be_read_is_a_configuration_error(tmp_path):
    bundle = tmp_path / "empty.pem"
    bundle.write_text("nothing")
    for path in (bundle, tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match="ca_bundle"):
            Client("https://api.example.com", ConnectionOptions(ca_bundle=path))


def test_a_proxy_that_is_no_url_is_a_configuration_error():
    with pytest.raises(ConfigError, match="proxy"):
        Client("https://api.example.com", ConnectionOptions(proxy="nonsense"))


@pytest.mark.parametrize("token", ["", " ", "a\nb", "a\r\nX: y", "töken", "a\0b"])
def test_a_token_no_header_can_carry_is_refused_without_quoting_it(token):
    with pytest.raises(ConfigError) as caught:
        bearer(token)

    if token.strip():
        assert token not in str(caught.value)


def test_white_space_around_a_token_is_forgiven():
    assert bearer(f" {TOKEN}\n")


@pytest.mark.parametrize(
    "wrong", [{"concurrency": 0}, {"timeout": "soon"}, {"attempts": 99}, {"verify": False}]
)
def test_options_are_checked(wrong):
    with pytest.raises(ValidationError):
        ConnectionOptions(**wrong)


def test_options_read_durations_as_people_write_them():
    options = ConnectionOptions(timeout="45s", request_deadline="10m")

    assert options.timeout == timedelta(seconds=45)
    assert options.request_deadline == timedelta(minutes=10)


async def test_no_failure_shows_the_token(server, other, client_for, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    client = client_for(server.url, auth=bearer(TOKEN), attempts=1)
    for what in (
        {"reply": Reply(401, {"echo": TOKEN})},
        {"reply": Reply(500, TOKEN.encode())},
        {"reply": Reply(302, headers={"Location": f"{other.url}/?{TOKEN}"})},
        {"reply": Reply(200, b"x", {"Content-Encoding": "gzip"})},
        {"reset": True},
        {"raw": TOKEN.encode()},
    ):
        server.faults.clear()
        server.fault("*", **what)
        with pytest.raises(SourceError) as caught:
            await client.get("/x")
        assert TOKEN not in "".join(traceback.format_exception(caught.value))

    assert TOKEN not in caplog.text


def test_what_httpcore_looks_for_with_every_request_comes_with_us():
    """It imports sniffio several times a request; to look in vain costs a third of the request."""
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]

    assert any(one.startswith("sniffio") for one in project["dependencies"])
