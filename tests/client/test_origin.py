import httpx
import pytest

from auditor.client import checked_base_url, origin_of, segment
from auditor.client.origin import resolve_link
from auditor.errors import UnexpectedResponse

HERE = httpx.URL("https://api.example.com/v1/items?page=1")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "https://API.Example.COM/",
        "https://api.example.com:443/x",
    ],
)
def test_an_origin_is_compared_in_lower_case_with_its_port_spelled_out(url):
    assert origin_of(httpx.URL(url)) == ("https", "api.example.com", 443)


def test_a_unicode_host_and_its_punycode_are_one_origin():
    assert origin_of(httpx.URL("https://bücher.example")) == origin_of(
        httpx.URL("https://xn--bcher-kva.example:443/")
    )


def test_a_host_that_only_looks_alike_is_another_origin():
    cyrillic = httpx.URL("https://\u0430pi.example.com")

    assert origin_of(cyrillic) != origin_of(httpx.URL("https://api.example.com"))


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/next",
        "http://api.example.com/next",
        "https://api.example.com:8443/next",
        "//evil.example/next",
        "https://api.example.com.evil.example/",
        "https://api.example.com./next",
        "https://user:pw@api.example.com/next",
        "https://api.example.com@evil.example/",
        "https://[::1]/next",
        "javascript:alert(1)",
        "https://api.example.com/" + "x" * 8200,
        "https://exa mple.com\\@evil.example/",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_a_link_that_leaves_the_origin_is_not_followed(link):
    with pytest.raises(UnexpectedResponse, match="not followed") as caught:
        resolve_link(link, HERE, origin_of(HERE), "The next link")

    assert "user:pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("/v1/items?page=2", "https://api.example.com/v1/items?page=2"),
        ("?page=2", "https://api.example.com/v1/items?page=2"),
        ("../v2", "https://api.example.com/v2"),
        ("../../../..", "https://api.example.com/"),
        ("HTTPS://API.EXAMPLE.COM:443/a#b", "https://api.example.com/a"),
    ],
)
def test_a_link_within_the_origin_is_resolved(link, expected):
    assert resolve_link(link, HERE, origin_of(HERE), "The next link") == expected


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_an_id_that_would_change_the_path_is_refused(value):
    with pytest.raises(UnexpectedResponse):
        segment(value)


def test_an_id_stays_one_segment_whatever_it_holds():
    assert segment("a/../b?c#d@e:f%2e é") == "a%2F..%2Fb%3Fc%23d%40e%3Af%252e%20%C3%A9"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://api.example.com/", "https://api.example.com"),
        ("https://api.example.com/api/v3/", "https://api.example.com/api/v3"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("${env:KEYCARD_URL}", "${env:KEYCARD_URL}"),
    ],
)
def test_a_base_url_is_accepted(url, kept):
    assert checked_base_url(url) == kept


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.example.com", "https://"),
        ("http://127.0.0.1.evil.example", "https://"),
        ("https://user:CANARY@api.example.com", "user name"),
        ("https://api.example.com?x=1", "leave out"),
        ("https://api.example.com#x", "leave out"),
        ("https://169.254.169.254", "link-local"),
        ("https://metadata.google.internal", "link-local"),
        ("ftp://api.example.com", "web address"),
        ("api.example.com", "web address"),
        ("https://", "web address"),
        ("https://exa mple.com", "web address"),
        ("https://example.com:port", "not a URL"),
    ],
)
def test_a_base_url_that_cannot_be_right_is_refused_with_its_reason(url, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        checked_base_url(url)

    assert "CANARY" not in str(caught.value)
