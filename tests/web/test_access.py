"""Who is let in, under which name, and what every answer says to a browser."""

import pytest

from auditor.errors import ConfigError
from auditor.serving import WebSettings
from auditor.web.access import COOKIE

TOKEN = "a-token-of-more-than-sixteen-characters"  # a made-up one
HTML = {"accept": "text/html"}
EVERYWHERE = "0.0.0.0"  # noqa: S104 - as a text
PROXY = {"trusted_proxies": ["10.0.0.4/32"], "forward_auth_header": "X-Forwarded-User"}


async def test_on_this_machine_nobody_is_asked(open_web):
    async with open_web().visit() as visitor:
        assert (await visitor.get("/")).status_code == 200


async def test_every_answer_is_locked_down(open_web):
    async with open_web().visit() as visitor:
        for path in ("/", "/nothing", "/static/style.css", "/runs/1/report/json"):
            headers = (await visitor.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "script-src" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cache-control"] in ("no-store", "private, max-age=86400")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/findings", "/runs/1/report/json", "/static/style.css"])
async def test_pages_can_only_be_read(open_web, method, path):
    async with open_web().visit() as visitor:
        answer = await visitor.request(method, path)

        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"


async def test_head_answers_without_a_body(open_web):
    async with open_web().visit() as visitor:
        answer = await visitor.head("/findings")

        assert answer.status_code == 200
        assert answer.content == b""


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "127.0.0.1",
        "127.0.0.1:9",
        "[::1]:8080",
        "Audit.Example.com",
        "audit.example.com:443",
    ],
)
async def test_known_names_are_answered(open_web, host):
    async with open_web(allowed_hosts=["audit.example.com"]).visit() as visitor:
        assert (await visitor.get("/runs", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "audit.example.com.",
        "[::2]",
        "[x]",
        EVERYWHERE,
        "user@127.0.0.1",
        "127.0.0.1/x",
    ],
)
async def test_other_names_are_refused(open_web, host):
    async with open_web(allowed_hosts=["audit.example.com"]).visit() as visitor:
        answer = await visitor.get("/", headers={"host": host})

        assert answer.status_code == 421
        assert "deploy" not in answer.text


async def test_two_host_headers_are_refused(open_web):
    async with open_web().visit() as visitor:
        headers = [("host", "127.0.0.1"), ("host", "evil.example")]
        assert (await visitor.get("/", headers=headers)).status_code == 421


async def test_without_the_token_nothing_is_shown(open_web):
    async with open_web(token=TOKEN).visit() as visitor:
        for path in ("/", "/findings", "/runs/1/report/json", "/nothing"):
            answer = await visitor.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        for wrong in ("Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9"):
            headers = {"authorization": wrong.encode("latin-1")}
            assert (await visitor.get("/", headers=headers)).status_code == 401
        assert (await visitor.get("/static/style.css")).status_code == 200


async def test_programs_send_the_token(open_web):
    async with open_web(token=TOKEN).visit() as visitor:
        answer = await visitor.get("/", headers={"authorization": f"bearer {TOKEN}"})

        assert answer.status_code == 200


async def test_people_exchange_the_token_for_a_cookie(open_web):
    async with open_web(token=TOKEN).visit() as visitor:
        away = await visitor.get("/findings?q=a", headers=HTML)
        assert away.status_code == 303
        assert away.headers["location"] == "/login?next=%2Ffindings%3Fq%3Da"
        form = await visitor.get(away.headers["location"], headers=HTML)
        assert 'value="/findings?q=a"' in form.text
        wrong = await visitor.post("/login", data={"token": "wrong", "next": "/findings?q=a"})
        assert wrong.status_code == 403
        assert "set-cookie" not in wrong.headers
        right = await visitor.post("/login", data={"token": TOKEN, "next": "/findings?q=a"})
        cookie = right.headers["set-cookie"]
        assert right.headers["location"] == "/findings?q=a"
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        assert (await visitor.get("/findings?q=a", headers=HTML)).status_code == 200


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example", "/\\evil.example", "", "x", "/a\r\nb: c", "/login"],
)
async def test_the_login_leads_nowhere_else(open_web, wanted):
    async with open_web(token=TOKEN).visit() as visitor:
        answer = await visitor.post("/login", data={"token": TOKEN, "next": wanted})

        assert answer.headers["location"] == "/"


async def test_a_cookie_that_is_not_ours_opens_nothing(open_web):
    async with open_web(token=TOKEN).visit() as visitor:
        for value in ("", "x", TOKEN, "0" * 64):
            headers = {"cookie": f"{COOKIE}={value}"}
            assert (await visitor.get("/", headers=headers)).status_code == 401


async def test_a_huge_form_is_not_read(open_web):
    async with open_web(token=TOKEN).visit() as visitor:
        answer = await visitor.post("/login", content=b"token=" + b"x" * 100_000)

        assert answer.status_code == 403


async def test_a_trusted_proxy_is_believed_and_nobody_else(open_web):
    web = open_web(**PROXY)
    user = {"x-forwarded-user": "ada"}
    async with web.visit(peer="10.0.0.4") as proxy, web.visit(peer="10.0.0.9") as other:
        assert (await proxy.get("/", headers=user)).status_code == 200
        assert (await proxy.get("/")).status_code == 403
        assert (await proxy.get("/", headers={"x-forwarded-user": " "})).status_code == 403
        assert (await other.get("/", headers=user)).status_code == 403
        assert (
            await other.get("/", headers=user | {"x-forwarded-for": "10.0.0.4"})
        ).status_code == 403


async def test_behind_a_proxy_with_tls_the_cookie_is_secure(open_web):
    web = open_web(token=TOKEN, **PROXY)
    told = {"x-forwarded-proto": "https"}
    async with web.visit(peer="10.0.0.4") as proxy, web.visit(peer="10.0.0.9") as other:
        through = await proxy.post("/login", data={"token": TOKEN}, headers=told)
        beside = await other.post("/login", data={"token": TOKEN}, headers=told)

        assert "Secure" in through.headers["set-cookie"]
        assert "Secure" not in beside.headers["set-cookie"]


async def test_the_token_comes_from_where_the_configuration_says(open_web, monkeypatch):
    monkeypatch.setenv("AUDITOR_WEB_TOKEN", TOKEN)
    async with open_web(token="${env:AUDITOR_WEB_TOKEN}").visit() as visitor:
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert (await visitor.get("/", headers=headers)).status_code == 200
        headers = {"authorization": "Bearer ${env:AUDITOR_WEB_TOKEN}"}
        assert (await visitor.get("/", headers=headers)).status_code == 401


def test_a_short_token_is_refused(open_web):
    with pytest.raises(ConfigError, match="fewer than 16 characters"):
        open_web(token="short")


@pytest.mark.parametrize(
    "settings",
    [
        {"host": EVERYWHERE},
        {"host": "192.168.1.5"},
        {"host": "audit.example.com"},
        {"forward_auth_header": "X-User"},
        {"trusted_proxies": ["10.0.0.0/8"]},
        {"host": EVERYWHERE, "allowed_hosts": ["a"]},
        {"port": 70000},
        {"allowed_hosts": ["a b"]},
        {"colour": "red"},
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(settings):
    with pytest.raises(ValueError, match=r"validation error"):
        WebSettings(**settings)


def test_other_addresses_are_fine_with_a_token_or_a_proxy():
    assert not WebSettings(host=EVERYWHERE, token="x").is_loopback
    assert not WebSettings(host="10.0.0.5", **PROXY).is_loopback
    assert WebSettings(host="::1").is_loopback
    assert WebSettings(host="localhost").is_loopback
