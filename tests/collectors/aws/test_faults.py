"""What goes wrong at AWS costs what it must, and no more."""

from datetime import timedelta

import pytest

from auditor.errors import AuthenticationFailed, SourceError
from auditor.model import LastUsedState

DAY = timedelta(days=1)


@pytest.fixture
def crowd(account, now):
    for number in range(40):
        account.user(f"svc-{number}", now - 90 * DAY)
        account.key(f"svc-{number}", now - 80 * DAY, used_at=now - 5 * DAY)
    return account


async def test_a_report_in_the_making_is_waited_for(crowd, fake, source):
    crowd.reporting.polls = 3
    read = await source().read()
    assert read.gaps == []
    assert len(read.credentials) == 40
    assert fake.calls["GenerateCredentialReport"] == 4


async def test_generation_that_is_refused_for_the_moment_is_asked_again(crowd, fake, source):
    fake.trouble("GenerateCredentialReport", 409, "LimitExceeded", times=2)
    assert (await source().read()).gaps == []


async def test_a_report_that_expires_between_two_calls_is_made_anew(crowd, fake, source):
    crowd.make_report()
    fake.trouble("GetCredentialReport", 410, "ReportExpired", times=1)
    assert (await source().read()).gaps == []


async def test_a_report_four_hours_old_is_replaced(crowd, source, now):
    crowd.make_report(now - timedelta(hours=4))
    read = await source().read()
    assert {c.data_as_of for c in read.credentials.values()} == {now}


async def test_an_older_report_that_aws_calls_complete_twice_is_believed(crowd, fake, source, now):
    """It tells its age; waiting out `report_wait`, ten minutes, would bring no other."""
    crowd.reporting.good_for = 30 * DAY
    crowd.make_report(now - 3 * DAY)
    read = await source().read()
    assert {c.data_as_of for c in read.credentials.values()} == {now - 3 * DAY}
    assert fake.calls["GenerateCredentialReport"] == 2


@pytest.mark.parametrize("is_denied", [True, False])
async def test_without_a_report_every_key_is_asked_for_and_the_gap_is_told(
    crowd, fake, source, now, is_denied
):
    crowd.reporting.polls = -1
    if is_denied:
        fake.trouble("GenerateCredentialReport", 403, "AccessDenied")
    read = await source(report_wait=timedelta(seconds=1)).read()
    assert read.reasons == ["access_denied" if is_denied else "report_not_ready"]
    assert "root user" in read.gaps[0].message
    assert len(read.credentials) == 40
    for credential in read.credentials.values():
        assert credential.last_used_state is LastUsedState.USED
        assert credential.last_used_at == now - 5 * DAY
        assert credential.data_as_of == now
        assert credential.principal.has_mfa is None
    assert fake.calls["GetAccessKeyLastUsed"] == 40


async def test_where_use_may_not_be_asked_for_it_is_unknown(crowd, fake, source):
    fake.trouble("GenerateCredentialReport", 403, "AccessDenied")
    fake.trouble("GetAccessKeyLastUsed", 403, "AccessDenied")
    read = await source().read()
    states = {c.last_used_state for c in read.credentials.values()}
    assert states == {LastUsedState.UNKNOWN}


async def test_a_denied_second_page_leaves_rights_unknown_and_keys_whole(crowd, fake, source):
    crowd.page_size = 15
    fake.trouble(
        "GetAccountAuthorizationDetails", 403, "AccessDenied", when=lambda f: "Marker" in f
    )
    read = await source().read()
    assert read.reasons == ["access_denied"]
    assert len(read.credentials) == 40
    assert sum(c.permissions is None for c in read.credentials.values()) == 25
    assert read.error is None


async def test_nothing_readable_at_all_is_a_failure(crowd, fake, source):
    fake.trouble("*", 403, "AccessDenied", when=lambda f: "Caller" not in f["Action"])
    read = await source().read()
    assert read.pages == 0
    assert read.error is not None
    assert read.error.kind == "access_denied"
    assert "iam:GetAccountAuthorizationDetails" in str(read.error)


async def test_a_throttling_storm_is_sat_out_with_fewer_calls_in_flight(
    crowd, fake, source, server
):
    storm = fake.trouble("ListAccessKeys", 400, "Throttling", times=60)
    read = await source().read()
    assert read.gaps == []
    assert read.error is None
    assert len(read.credentials) == 40
    assert storm.times == 0


async def test_throttling_without_end_costs_the_user_concerned_only(crowd, fake, source):
    fake.trouble("ListAccessKeys", 400, "Throttling", when=lambda f: f["UserName"] == "svc-7")
    read = await source(request_deadline=timedelta(seconds=1)).read()
    assert read.reasons == ["unavailable"]
    assert "svc-7" in read.gaps[0].message
    assert len(read.credentials) == 39


async def test_a_server_error_is_tried_again(crowd, fake, source):
    fake.trouble("GetAccountAuthorizationDetails", 503, "ServiceUnavailable", times=2)
    fake.trouble("ListAccessKeys", 500, "InternalFailure", times=3)
    read = await source().read()
    assert read.gaps == []
    assert len(read.credentials) == 40


async def test_broken_connections_are_tried_again(crowd, server, source):
    server.fault("/", reset=True, times=3, after=5)
    read = await source().read()
    assert read.error is None
    assert len(read.credentials) == 40


async def test_an_ended_session_of_the_auditor_keeps_what_was_read(crowd, fake, source):
    fake.trouble("ListAccessKeys", 403, "ExpiredToken", after=20)
    read = await source(concurrency=2).read()
    assert isinstance(read.error, AuthenticationFailed)
    assert "log in again" in str(read.error)
    assert 15 <= len(read.credentials) <= 20


async def test_a_user_deleted_meanwhile_is_not_missed(crowd, source):
    crowd.make_report()
    del crowd.backend.users["svc-3"]
    read = await source().read()
    assert read.gaps == []
    assert len(read.credentials) == 39


async def test_wrong_keys_are_told_apart_from_missing_rights(crowd, source):
    with pytest.raises(AuthenticationFailed, match="check the access key"):
        await source(access_key_id="AKIASOMEBODYELSE0000").read()


async def test_an_answer_that_is_not_aws_is_named(server, source, account):
    server.fault("/", raw=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    with pytest.raises(SourceError, match="endpoint_url"):
        await source().read()


async def test_entities_in_xml_are_refused(server, source, account):
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    server.fault("/", raw=head + bomb)
    with pytest.raises(SourceError, match="entities"):
        await source().read()


async def test_a_damaged_row_of_the_report_is_a_gap_and_its_user_is_asked(crowd, fake, source):
    crowd.make_report()
    made = crowd.reporting
    lines = made.content.splitlines()
    lines[5] = lines[5].replace("true,2", "true,the day before 2")
    made.content = "\n".join(lines)
    read = await source().read()
    assert read.reasons == ["malformed_record"]
    assert len(read.credentials) == 40


async def test_a_report_without_the_known_columns_is_refused(crowd, source):
    crowd.make_report()
    crowd.reporting.content = "name,arn\nx,y\n"
    read = await source().read()
    assert read.reasons == ["unexpected_response"]
    assert len(read.credentials) == 40


async def test_a_marker_that_repeats_ends_the_walk(crowd, fake, source):
    crowd.page_size = 15
    crowd.details_page("")
    crowd.rendered[1] = crowd.rendered[0]
    read = await source().read()
    assert read.reasons == ["repeated_cursor"]
