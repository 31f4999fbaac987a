"""One failure at a time: refusals, limits, broken answers, addresses that lead elsewhere."""

import asyncio
import builtins
import time

import httpx
import pytest
from pydantic import ValidationError

from auditor.collectors._github.paging import GithubDialect
from auditor.collectors.github import GithubOptions
from auditor.collectors.interface import Page
from auditor.errors import AuthenticationFailed, ConfigError, UnexpectedResponse
from auditor.model import Organization
from tests.collectors.reading import read_all, read_unit
from tests.fakes.github import APP_KEY, FakeGithub
from tests.fakes.http import Reply

LISTS = {
    "/orgs/acme/personal-access-tokens": "fine_grained_token",
    "/orgs/acme/credential-authorizations": "classic_token",
    "/orgs/acme/installations": "installation",
    "/orgs/acme/repos": "deploy_key",
}


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(403, {"message": "CANARY"}), "access_denied"),
        (Reply(200, b"<html>CANARY"), "unexpected_response"),
        (Reply(200, {"message": "CANARY"}), "unexpected_response"),
        (Reply(200, b"7"), "unexpected_response"),
        (Reply(418, b""), "unexpected_response"),
    ],
)
async def test_a_part_that_cannot_be_read_is_a_gap_and_the_rest_goes_on(
    github, server, path, reply, reason
):
    server.fault(path, reply=reply)

    read = (await read_all(github()))["1"]

    assert (read.status, read.reason) == ("partial", reason)
    assert {uid.split(":")[2] for uid in read.credentials} == set(LISTS.values()) - {LISTS[path]}
    assert "CANARY" not in read.shown()


@pytest.mark.parametrize("record", [None, 7, "x", [], {}, {"id": True}, {"token_id": None}])
async def test_records_of_the_wrong_type_are_gaps(github, server, record):
    for path in LISTS:
        body = {"installations": [record]} if path.endswith("installations") else [record]
        server.fault(path, reply=Reply(200, body))

    read = (await read_all(github()))["1"]

    assert (read.status, read.reason) == ("partial", "malformed_record")
    assert read.credentials == {}
    assert len(server.requests) < 20


async def test_fields_of_the_wrong_type_leave_facts_unknown(github, fake):
    wrong = {"permissions": [1], "owner": 7, "token_name": {}, "token_expires_at": {"a": 1}}
    fake.add_token("acme", 2, **wrong)
    fake.add_key("acme/web", 2, key=7, read_only="yes", created_at=[], added_by=3, last_used={})
    fake.add_installation("acme", 2, permissions={"a": 1}, app_slug=None, created_at=7)

    read = (await read_all(github()))["1"]

    assert read.status == "complete"
    assert read.one("fine_grained_token", "9002").permissions is None
    assert read.one("deploy_key", "2").permissions is None
    assert read.one("installation", "2").permissions is None


async def test_a_401_fails_the_organization(github, fake, server):
    server.fault("/orgs/acme/*", reply=Reply(401, {}))

    read = await read_all(github())

    assert (read["1"].status, read["1"].reason) == ("failed", "authentication_failed")
    assert read["2"].status == "complete"


async def test_a_refused_app_fails_the_source(github, server):
    server.fault("/app/installations", reply=Reply(401, {"message": "CANARY"}))

    with pytest.raises(AuthenticationFailed) as caught:
        await github().units()

    assert "CANARY" not in str(caught.value)


async def test_organizations_listed_before_the_list_broke_are_read(github, server):
    one = {"id": 41, "account": {"login": "acme", "id": 1, "type": "Organization"}}
    link = {"Link": f'<{server.url}/broken>; rel="next"'}
    server.fault("/app/installations", reply=Reply(200, [one], link))
    known = [Organization("2", "beta")]

    read = await read_all(github(known=known))

    assert {key: one.status for key, one in read.items()} == {
        "1": "complete",
        "*": "failed",
        "2": "failed",
    }


async def test_a_record_that_is_no_installation_is_not_passed_over(github, server):
    server.fault("/app/installations", reply=Reply(200, [None]))

    with pytest.raises(UnexpectedResponse):
        await github().units()


async def test_an_installation_token_that_ends_in_mid_run_is_renewed(github, fake):
    for number in range(30):
        fake.repositories["acme"].append(f"r{number}")
    fake.token_uses = 10

    read = (await read_all(github(concurrency=1)))["1"]

    assert read.status == "complete"
    assert len(fake.issued) >= 4


async def test_server_errors_make_what_is_left_unread(github, server):
    server.fault("/orgs/acme/personal-access-tokens", reply=Reply(502, b"CANARY"))

    read = (await read_all(github()))["1"]

    assert (read.status, read.reason) == ("partial", "unavailable")
    assert "CANARY" not in read.shown()


@pytest.mark.parametrize(
    "throttled",
    [
        Reply(429, {}, {"Retry-After": "0"}),
        Reply(403, {}, {"Retry-After": "0", "X-RateLimit-Remaining": "17"}),
    ],
)
async def test_a_secondary_limit_is_waited_for(github, server, throttled):
    server.fault("/repos/acme/web/keys", reply=throttled, times=2)

    read = (await read_all(github()))["1"]

    assert read.status == "complete"
    assert "github:1:deploy_key:1" in read.credentials


async def test_a_primary_limit_waits_for_its_reset(github, server):
    reset = str(int(time.time()))
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    server.fault("/orgs/acme/installations", reply=Reply(403, {}, headers), times=1)
    begin = time.monotonic()

    read = (await read_all(github(read=["installations"])))["1"]

    assert read.status == "complete"
    assert time.monotonic() - begin > 0.5


async def test_a_reset_beyond_the_longest_wait_ends_the_organization_at_once(github, server):
    reset = str(int(time.time()) + 3000)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    server.fault("/orgs/acme/*", reply=Reply(403, {}, headers))

    read = (await read_all(github()))["1"]

    assert (read.status, read.reason) == ("failed", "unavailable")
    assert "longest_wait" in str(read.error)


def test_a_limit_without_a_word_is_a_minute():
    dialect = GithubDialect()
    silent = httpx.Response(429)
    refusal = httpx.Response(403, headers={"x-ratelimit-remaining": "4999"})

    assert dialect.pause(silent) == 60
    assert not dialect.is_throttled(refusal)


@pytest.mark.parametrize("kind", ["link", "redirect"])
async def test_nothing_is_sent_to_another_origin(github, fake, server, kind):
    with FakeGithub().server() as thief:
        link = {"Link": f'<{thief.url}/steal>; rel="next"'}
        reply = Reply(200, [], link)
        if kind == "redirect":
            reply = Reply(302, b"", {"Location": f"{thief.url}/steal"})
        server.fault("/orgs/acme/personal-access-tokens", reply=reply)

        read = (await read_all(github()))["1"]

        assert thief.requests == []
    assert (read.status, read.reason) == ("partial", "unexpected_response")


async def test_a_next_link_in_a_circle_ends_as_a_gap(github, server):
    link = {"Link": f'<{server.url}/orgs/acme/repos?page=2>; rel="next"'}
    server.fault("/orgs/acme/repos", reply=Reply(200, [{"id": 1, "name": "web"}], link))

    read = (await read_all(github()))["1"]

    assert (read.status, read.reason) == ("partial", "repeated_cursor")
    assert "github:1:deploy_key:1" in read.credentials


async def test_a_renamed_organization_is_followed_on_the_same_server(github, fake, server):
    moved = Reply(301, b"", {"Location": "/orgs/acme/installations?per_page=100&page=1"})
    server.fault("/orgs/acme/installations", reply=moved, times=1)

    assert (await read_all(github()))["1"].status == "complete"


async def test_keys_of_one_repository_that_may_not_be_read_are_counted(github, server):
    server.fault("/repos/acme/web/keys", reply=Reply(403, {}))
    server.fault("/repos/acme/api/keys", reply=Reply(404, {}))

    read = (await read_all(github()))["1"]

    assert read.reason == "access_denied"
    assert "2 repositories" in read.gaps[0].message


async def test_a_repository_deleted_after_it_was_listed_is_no_gap(github, server):
    server.fault("/repos/acme/api*", reply=Reply(404, {}))

    assert (await read_all(github()))["1"].status == "complete"


async def test_where_nothing_may_be_read_the_organization_fails(github, server):
    server.fault("/orgs/acme/*", reply=Reply(403, {}))

    read = (await read_all(github()))["1"]

    assert (read.status, read.reason) == ("failed", "access_denied")


async def test_reading_can_be_cancelled_in_mid_page(github, fake, server):
    fake.repositories["acme"] += [f"r{number}" for number in range(50)]
    server.fault("/repos/acme/r*", delay=30)
    source = github()
    unit = (await source.units())[0]

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await read_unit(source, unit)


async def test_a_stream_left_after_one_page_stops_asking(github, fake, server):
    fake.repositories["acme"] += [f"r{number}" for number in range(90)]
    source = github(read=["deploy_keys"], concurrency=2)
    unit = (await source.units())[0]
    stream = source.collect(unit)

    async for item in stream:
        if isinstance(item, Page):
            break
    await stream.aclose()
    asked = len(server.requests)
    await asyncio.sleep(0.1)

    assert len(server.requests) - asked <= 2


async def test_requests_in_flight_are_bounded(github, fake, server):
    fake.repositories["acme"] = [f"r{number}" for number in range(60)]
    server.latency = 0.005

    read = (await read_all(github(concurrency=4)))["1"]

    assert read.status == "complete"
    assert server.most_in_flight <= 4


@pytest.mark.parametrize("key", ["", "nothing", "-----BEGIN PRIVATE KEY-----\nx\n", APP_KEY[:200]])
async def test_a_key_that_cannot_sign_is_a_configuration_error(github, key):
    with pytest.raises(ConfigError, match="private_key"):
        github(private_key=key)


async def test_a_missing_library_is_named_with_its_extra(github, monkeypatch):
    real = builtins.__import__

    def without_jwt(name, *rest, **more):
        if name == "jwt":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_jwt)

    with pytest.raises(ConfigError, match=r"auditor\[github\]"):
        github()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"app_id": 7},
        {"private_key": "k"},
        {"token": "t", "app_id": 7, "private_key": "k"},
        {"token": "t", "read": []},
        {"token": "t", "read": ["secrets"]},
        {"token": "t", "organizations": []},
        {"token": "t", "base_url": "http://ghe.example.com/api/v3"},
    ],
)
def test_options_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValidationError):
        GithubOptions(name="g", provider="github", **wrong)


def test_options_do_not_show_their_secrets():
    shown = repr(GithubOptions(name="g", provider="github", app_id=1, private_key="CANARY-key"))

    assert "CANARY" not in shown
