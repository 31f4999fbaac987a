"""Our signatures are those of botocore, for everything that is ever sent."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.collectors._aws import calls
from auditor.collectors._aws.calls import ASSUME_ROLE, LIST_ACCESS_KEYS, LIST_ACCOUNTS
from auditor.collectors._aws.signing import Keys, Signer
from auditor.collectors._aws.wire import Message, query, rest, target

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40)
NAME = st.from_regex(r"[A-Za-z0-9+=,.@_/-]{1,40}", fullmatch=True)
HOSTS = st.sampled_from(
    ["iam.amazonaws.com", "sts.eu-west-1.amazonaws.com", "127.0.0.1:4566", "localhost:8443"]
)
MESSAGES = st.one_of(
    st.builds(lambda name: query(LIST_ACCESS_KEYS, {"UserName": name}), TEXT),
    st.builds(
        lambda arn, outer: query(ASSUME_ROLE, {"RoleArn": arn, "ExternalId": outer}), NAME, TEXT
    ),
    st.builds(lambda token: target(LIST_ACCOUNTS, f'{{"NextToken": "{token}"}}'.encode()), NAME),
    st.builds(
        lambda path, more: rest("GET", f"/analyzer/{path}", more),
        st.from_regex(r"[A-Za-z0-9%_~-][A-Za-z0-9%._~-]{0,29}", fullmatch=True),
        st.dictionaries(NAME, TEXT, max_size=4),
    ),
    st.builds(lambda body: rest("POST", "/findingv2", {}, body), st.binary(max_size=200)),
)


def theirs(keys: Keys, region: str, host: str, service: str, message: Message) -> dict[str, str]:
    url = f"http://{host}{message.path}"
    request = AWSRequest(message.method, url, dict(message.headers or {}), message.body)
    with patch("botocore.auth.get_current_datetime", return_value=NOW):
        SigV4Auth(ReadOnlyCredentials(*keys, None), service, region).add_auth(request)
    return dict(request.headers.items())


def ours(
    signer: Signer, keys: Keys, region: str, host: str, service: str, message: Message,
    now: datetime = NOW,
) -> dict[str, str]:  # fmt: skip
    return signer.headers(
        keys,
        service,
        region,
        method=message.method,
        host=host,
        target=message.path,
        headers=message.headers or {},
        body=message.body,
        now=now,
    )


@settings(max_examples=200, deadline=None)
@given(
    message=MESSAGES,
    host=HOSTS,
    secret=st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=40),
    token=st.none() | st.from_regex(r"[A-Za-z0-9+/=]{1,80}", fullmatch=True),
    service=st.sampled_from([one.value for one in calls.Api]),
)
def test_a_signature_is_that_of_botocore(
    message: Message, host: str, secret: str, token: str | None, service: str
) -> None:
    keys = Keys("AKIDEXAMPLE", secret, token)
    signed = ours(Signer(), keys, "eu-west-1", host, service, message)
    assert signed == theirs(keys, "eu-west-1", host, service, message)


def test_the_key_of_a_day_is_not_used_for_another_day_region_service_or_secret() -> None:
    signer, message = Signer(), query(LIST_ACCESS_KEYS, {"UserName": "ci"})
    for secret in ("one", "two"):
        for service in ("iam", "sts"):
            for region in ("us-east-1", "eu-west-1"):
                for later in (0, 1):
                    place = (Keys("AKIDEXAMPLE", secret), region, "x.example", service, message)
                    now = NOW + timedelta(days=later)
                    assert ours(signer, *place, now=now) == ours(Signer(), *place, now=now)


def test_what_signs_is_not_shown() -> None:
    shown = repr(Keys("AKIDEXAMPLE", "canary-secret", "canary-token"))
    assert "canary" not in shown


@pytest.mark.parametrize("path", ["/", "/analyzer/arn%3Aaws%3Ax", "/analyzer?x=%20a&y=b"])
def test_a_path_is_signed_as_it_is_sent(path: str) -> None:
    keys, message = Keys("AKIDEXAMPLE", "secret"), Message("GET", path)
    assert urlsplit(path).path in path
    assert ours(Signer(), keys, "us-east-1", "x.example", "iam", message) == theirs(
        keys, "us-east-1", "x.example", "iam", message
    )
