"""Reading one credential again, and asking beforehand what may be read."""

import pytest

from auditor.errors import AccessDenied, AuthenticationFailed, Unavailable, UnexpectedResponse
from auditor.model import LastUsedState, Organization, PermissionsSubject
from tests.fakes.http import Reply


async def one(keycard, key="c-2", **options):
    source = keycard(**options)
    return source, (await source.read())["org-1"].credentials[key]


async def test_exactly_that_credential_is_read_again(fake, keycard, server):
    source, before = await one(keycard)
    fake.credentials["sa-1"][1]["last_used_at"] = "2026-02-28T00:00:00.000Z"
    server.requests.clear()

    after = await source.collector.refresh(before)

    assert after is not None
    assert after.uid == before.uid
    assert after.last_used_state is LastUsedState.USED
    assert server.paths() == ["/organizations/org-1/service-accounts/sa-1/credentials/c-2"]


async def test_whose_the_permissions_are_stays_as_it_was_decided(keycard):
    source, before = await one(keycard)

    after = await source.collector.refresh(before)

    assert after is not None
    assert after.permissions == before.permissions
    assert after.permissions_subject is PermissionsSubject.CALLER


async def test_the_other_spelling_of_expand_is_tried(fake, keycard):
    fake.expands = {"expand"}
    source, before = await one(keycard)

    after = await source.collector.refresh(before)

    assert after is not None
    assert after.permissions is not None


async def test_a_credential_that_is_gone_is_none(fake, keycard):
    source, before = await one(keycard)
    fake.credentials["sa-1"].clear()

    assert await source.collector.refresh(before) is None


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(401), AuthenticationFailed),
        (Reply(403), AccessDenied),
        (Reply(500), Unavailable),
        (Reply(200, b"<html>"), UnexpectedResponse),
        (Reply(200, {}), UnexpectedResponse),
    ],
)
async def test_doubt_is_not_taken_for_gone(keycard, server, reply, error):
    source, before = await one(keycard)
    server.fault("*/credentials/c-2", reply=reply)

    with pytest.raises(error):
        await source.collector.refresh(before)


async def test_an_application_credential_is_read_again_in_its_zone(fake, keycard, server):
    fake.add_zone("org-1", "zone-1")
    fake.add_application_credential("zone-1", "ac-1")
    source, before = await one(keycard, "ac-1", zone_credentials=True)
    server.requests.clear()

    assert await source.collector.refresh(before) == before
    assert server.paths() == ["/zones/zone-1/application-credentials/ac-1"]


async def test_check_tells_what_may_be_read(keycard, server):
    server.fault("/organizations/org-2/service-accounts", reply=Reply(403))

    rows = await keycard().collector.check()

    assert [(row.subject, row.permission, row.is_granted) for row in rows] == [
        ("Acme", "list service accounts", True),
        ("Beta", "list service accounts", False),
    ]
    assert "403" in rows[1].detail


async def test_check_asks_for_zones_where_they_are_wanted(fake, keycard, server):
    server.fault("/zones", reply=Reply(403))

    rows = await keycard(organizations=["acme"], zone_credentials=True).collector.check()

    assert [(row.permission, row.is_granted) for row in rows] == [
        ("list service accounts", True),
        ("list zones", False),
    ]


async def test_check_reads_no_credentials(keycard, server):
    await keycard().collector.check()

    assert not any("credentials" in path for path in server.paths())


async def test_check_names_an_organization_that_is_not_there(keycard):
    (row,) = await keycard(organizations=["nowhere"]).collector.check()

    assert (row.subject, row.is_granted) == ("nowhere", False)


async def test_check_names_an_organization_that_is_no_longer_listed(keycard, server):
    def without_acme(_request, reply):
        items = [item for item in reply.body["items"] if item["id"] != "org-1"]
        return Reply(200, reply.body | {"items": items})

    server.fault("/organizations", change=without_acme)
    source = keycard(known=[Organization("org-1", "Acme")])

    rows = {row.subject: row for row in await source.collector.check()}

    assert rows["Beta"].is_granted
    assert not rows["Acme"].is_granted


async def test_check_stops_where_nobody_may_log_in(fake, keycard):
    source = keycard()
    fake.token = None

    with pytest.raises(AuthenticationFailed):
        await source.collector.check()
