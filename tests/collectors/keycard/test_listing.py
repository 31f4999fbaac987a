"""What is listed, over real HTTP: pages, spellings, concurrency, and one failure at a time."""

import asyncio

import pytest

from auditor.collectors.interface import Page
from auditor.errors import AccessDenied, AuthenticationFailed
from auditor.model import Organization
from tests.fakes.http import LoopbackServer, Reply
from tests.fakes.keycard import FakeKeycard

HTML = Reply(200, b"<html>CANARY</html>", {"Content-Type": "text/html"})


async def test_every_organization_account_and_credential_is_read(keycard):
    read = await keycard().read()

    assert {key: sorted(one.credentials) for key, one in read.items()} == {
        "org-1": ["c-1", "c-2", "c-3"],
        "org-2": ["c-4"],
    }
    assert {one.status for one in read.values()} == {"complete"}


async def test_an_organization_without_accounts_is_complete_and_empty(fake, keycard):
    fake.add_organization("org-0")

    read = (await keycard().read())["org-0"]

    assert (read.status, read.credentials) == ("complete", {})


@pytest.mark.parametrize("shows_null", [False, True])
async def test_every_page_of_every_list_is_followed(fake, keycard, server, shows_null):
    fake.shows_null = shows_null
    for number in range(230):
        fake.add_organization(f"more-{number:03}")
        fake.add_account("org-1", f"account-{number:03}")
        fake.add_credential("sa-1", f"credential-{number:03}", last_used_at="2026-02-01T00:00:00Z")

    read = await keycard().read()

    assert len(read) == 232
    assert len(read["org-1"].credentials) == 233
    assert any("limit=100" in request.target for request in server.requests)


async def test_equal_timestamps_and_names_do_not_merge_credentials(fake, keycard):
    for number in range(150):
        fake.add_credential("sa-3", f"same-{number}", name="same", last_used_at=None)

    read = await keycard().read()

    assert len(read["org-2"].credentials) == 151


async def test_a_credential_listed_twice_counts_once(fake, keycard):
    for _ in range(120):
        fake.credentials["sa-3"].append(fake.credentials["sa-3"][0])
    source = keycard()

    read = await source.read()

    assert sorted(read["org-2"].credentials) == ["c-4"]
    assert source.duplicates == 0


@pytest.mark.parametrize("ref", ["org-1", "acme"])
async def test_an_organization_is_named_by_id_or_label(keycard, ref):
    read = await keycard(organizations=[ref]).read()

    assert list(read) == ["org-1"]
    assert sorted(read["org-1"].credentials) == ["c-1", "c-2", "c-3"]


async def test_one_organization_may_be_named_without_a_list_and_twice(keycard):
    assert list(await keycard(organizations="acme").read()) == ["org-1"]
    assert list(await keycard(organizations=["acme", "org-1"]).read()) == ["org-1"]


async def test_ids_are_encoded_on_the_wire(fake, keycard, server):
    hostile = "a/../b?c#d e%2f@:\u202e"
    fake.add_organization(hostile)
    fake.add_account(hostile, hostile)
    fake.add_credential(hostile, hostile)

    read = (await keycard().read())[hostile]

    assert list(read.credentials) == [hostile]
    assert not any("/../" in request.target for request in server.requests)


@pytest.mark.parametrize(("expands", "asked"), [({"expand[]"}, {"expand[]"}), ({"expand"}, None)])
async def test_both_spellings_of_expand_are_understood(fake, keycard, server, expands, asked):
    fake.expands = expands

    read = await keycard().read()

    for one in read.values():
        assert all(credential.permissions for credential in one.credentials.values())
    used = {key for request in server.requests for key in request.query if "expand" in key}
    assert used == (asked or {"expand[]", "expand"})


async def test_the_other_spelling_is_tried_once_and_then_kept(fake, keycard, server):
    fake.expands = {"expand"}
    for number in range(20):
        fake.add_account("org-2", f"x-{number}")
        fake.add_credential(f"x-{number}", f"y-{number}")

    await keycard(organizations=["org-2"], concurrency=1).read()

    asked = [request.query for request in server.requests if "credentials" in request.path]
    assert sum("expand[]" in query for query in asked) == 1
    assert sum("expand" in query for query in asked) == 21


async def test_without_maps_in_either_spelling_permissions_are_unknown(fake, keycard, server):
    fake.expands = set()
    for number in range(20):
        fake.add_account("org-2", f"x-{number}")
        fake.add_credential(f"x-{number}", f"y-{number}")

    read = (await keycard(organizations=["org-2"], concurrency=1).read())["org-2"]

    assert {credential.permissions for credential in read.credentials.values()} == {None}
    assert read.status == "complete"
    assert any("both documented spellings" in note for note in read.notes)
    assert sum("expand" in request.query for request in server.requests) == 1


async def test_a_server_that_objects_to_the_other_spelling_is_left_alone(fake, keycard, server):
    fake.expands = set()
    server.fault("*", query={"expand": "permissions"}, reply=Reply(400))

    assert {one.status for one in (await keycard().read()).values()} == {"complete"}


async def test_accounts_are_read_side_by_side(fake, keycard):
    for number in range(60):
        fake.add_account("org-1", f"account-{number}")

    with fake.server(latency=0.002) as slow:
        source = keycard(base_url=slow.url)
        (unit, _other) = await source.collector.units()
        slow.together = 16
        await source.read_unit(unit)

        assert slow.most_in_flight == 16


async def test_memory_is_bounded_because_the_listing_waits_for_its_reader(fake, keycard, server):
    for number in range(2000):
        fake.add_account("org-1", f"account-{number:04}")
        fake.add_credential(f"account-{number:04}", f"credential-{number:04}")
    source = keycard(organizations=["org-1"], concurrency=4)
    (unit,) = await source.collector.units()

    items = source.collector.collect(unit)
    await anext(items)
    await asyncio.sleep(0.2)
    await items.aclose()

    assert sum("credentials" in path for path in server.paths()) < 40


async def test_an_account_that_vanishes_while_it_is_read_is_gone_not_missing(keycard, server):
    server.fault("*/service-accounts/sa-1/credentials", reply=Reply(404))

    read = (await keycard().read())["org-1"]

    assert read.status == "complete"
    assert sorted(read.credentials) == ["c-3"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(401), "authentication_failed"),
        (Reply(403), "access_denied"),
        (Reply(404), "not_found"),
        (Reply(429), "unavailable"),
        (Reply(429, headers={"Retry-After": "99999999"}), "unavailable"),
        (Reply(500), "unavailable"),
        (Reply(502, b"<html>bad gateway</html>"), "unavailable"),
        (Reply(418), "unexpected_response"),
        (HTML, "unexpected_response"),
        (Reply(200, b""), "unexpected_response"),
        (Reply(200, []), "unexpected_response"),
        (Reply(200, {"items": "none"}), "unexpected_response"),
        (Reply(200, {"items": []}), "unexpected_response"),
        (Reply(200, {"items": [], "page_info": {}}), "unexpected_response"),
        (Reply(200, b"[" * 50_000), "unexpected_response"),
        (Reply(302, headers={"Location": "https://evil.example/"}), "unexpected_response"),
    ],
)
async def test_what_befalls_one_organization_touches_it_alone(keycard, server, reply, reason):
    server.fault("/organizations/org-1/service-accounts", reply=reply)

    read = await keycard().read()

    assert (read["org-1"].status, read["org-1"].reason) == ("failed", reason)
    assert read["org-2"].status == "complete"
    assert list(read["org-2"].credentials) == ["c-4"]


@pytest.mark.parametrize("fault", [{"reset": True}, {"truncate": 30}])
async def test_a_broken_connection_of_one_organization_touches_it_alone(keycard, server, fault):
    server.fault("/organizations/org-1/*", **fault)

    read = await keycard().read()

    assert (read["org-1"].status, read["org-1"].reason) == ("failed", "unavailable")
    assert read["org-2"].status == "complete"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(403), "access_denied"),
        (Reply(500), "unavailable"),
        (HTML, "unexpected_response"),
    ],
)
async def test_one_unreadable_account_leaves_a_gap_and_the_others_are_read(
    keycard, server, reply, reason
):
    server.fault("*/service-accounts/sa-1/credentials", reply=reply)

    read = (await keycard().read())["org-1"]

    assert (read.status, read.reason) == ("partial", reason)
    assert sorted(read.credentials) == ["c-3"]
    assert "sa-1" in read.gaps[0].message
    assert "X-Client-Request-ID" in read.gaps[0].message
    assert "CANARY" not in read.gaps[0].message


async def test_an_organization_whose_accounts_all_fail_is_given_up(fake, keycard, server):
    for number in range(300):
        fake.add_account("org-1", f"account-{number}")
    server.fault("/organizations/org-1/service-accounts/*", reply=Reply(403))

    read = (await keycard(concurrency=4).read())["org-1"]

    assert (read.status, read.reason) == ("failed", "access_denied")
    assert len(server.requests) < 60


async def test_of_many_gaps_the_first_are_told_and_the_rest_counted(fake, keycard, server):
    for number in range(40):
        fake.add_account("org-1", f"account-{number:02}")
        fake.add_credential(f"account-{number:02}", f"k-{number:02}")
    server.fault("/organizations/org-1/service-accounts/account-?[13579]/*", reply=Reply(403))

    read = (await keycard(concurrency=1).read())["org-1"]

    assert read.status == "partial"
    assert len(read.credentials) == 23
    assert [gap.reason for gap in read.gaps] == ["access_denied"] * 5 + ["incomplete"]
    assert "15 more" in read.gaps[-1].message


def with_info(**info):
    def change(_request, reply):
        return Reply(reply.status, reply.body | {"page_info": reply.body["page_info"] | info})

    return change


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        ({"has_next_page": True, "end_cursor": None}, "missing_cursor"),
        ({"has_next_page": True, "end_cursor": ""}, "missing_cursor"),
        ({"has_next_page": True, "end_cursor": 7}, "missing_cursor"),
    ],
)
@pytest.mark.parametrize("what", ["service-accounts", "service-accounts/sa-1/credentials"])
async def test_a_missing_cursor_makes_the_collection_partial(keycard, server, what, info, reason):
    server.fault(f"/organizations/org-1/{what}", change=with_info(**info))

    read = (await keycard().read())["org-1"]

    assert (read.status, read.reason) == ("partial", reason)
    assert sorted(read.credentials) == ["c-1", "c-2", "c-3"]


@pytest.mark.parametrize("what", ["service-accounts", "service-accounts/sa-1/credentials"])
async def test_a_repeated_cursor_makes_the_collection_partial_and_ends(keycard, server, what):
    def same_page(request, _reply):
        items = [{"id": "sa-1", "name": "ci"}] if what == "service-accounts" else []
        return Reply(
            200, {"items": items, "page_info": {"has_next_page": True, "end_cursor": "again"}}
        )

    server.fault(f"/organizations/org-1/{what}", change=same_page)

    read = (await keycard().read())["org-1"]

    assert (read.status, read.reason) == ("partial", "repeated_cursor")
    assert len(server.requests) < 20


async def test_an_error_on_a_later_page_of_accounts_leaves_what_was_read(fake, keycard, server):
    for number in range(150):
        fake.add_account("org-1", f"account-{number}")
    server.fault("/organizations/org-1/service-accounts", after=1, reply=Reply(500))

    read = (await keycard().read())["org-1"]

    assert (read.status, read.reason) == ("partial", "unavailable")
    assert sorted(read.credentials) == ["c-1", "c-2", "c-3"]


async def test_an_unreadable_list_of_organizations_fails_the_source(keycard, server):
    server.fault("/organizations", reply=Reply(403))

    with pytest.raises(AccessDenied, match=r"403.*`auditor providers show keycard`"):
        await keycard().collector.units()


async def test_a_list_of_organizations_that_breaks_off_is_told_beside_those_it_named(
    fake, keycard, server
):
    for number in range(120):
        fake.add_organization(f"more-{number}")
    server.fault("/organizations", after=1, reply=Reply(500))
    known = [Organization("more-119", "More"), Organization("org-1", "Acme")]

    read = await keycard(known=known).read()

    assert (read["*"].status, read["*"].reason) == ("failed", "unavailable")
    assert read["org-1"].status == "complete"
    assert read["more-119"].status == "complete"
    assert len(read) == 102


async def test_an_unreadable_named_organization_touches_it_alone(keycard, server):
    server.fault("/organizations/org-1", reply=Reply(403))

    read = await keycard(organizations=["org-1", "org-2"]).read()

    assert (read["org-1"].status, read["org-1"].reason) == ("failed", "access_denied")
    assert read["org-2"].status == "complete"


async def test_a_named_organization_that_was_seen_before_fails_under_its_name(keycard, server):
    server.fault("/organizations/org-1", reply=Reply(500))
    source = keycard(organizations=["org-1"], known=[Organization("org-1", "Acme")])

    (unit,) = await source.collector.units()

    assert unit.organization == Organization("org-1", "Acme")
    assert (await source.read_unit(unit)).status == "failed"


async def test_a_label_that_leads_nowhere_fails_every_organization_it_may_have_meant(
    keycard, server
):
    server.fault("/organizations/acme", reply=Reply(500))
    known = [Organization("org-1", "Acme"), Organization("org-2", "Beta")]

    read = await keycard(organizations=["acme", "org-2"], known=known).read()

    assert {key: one.status for key, one in read.items()} == {
        "acme": "failed",
        "org-1": "failed",
        "org-2": "complete",
    }


ACME = Organization("org-1", "Acme")


async def test_an_organization_that_answers_404_itself_is_left_for_the_store_to_confirm(
    fake, keycard, server
):
    fake.organizations.pop(0)

    read = await keycard(known=[ACME, Organization("org-2", "Beta")]).read()

    assert list(read) == ["org-2"]
    assert "/organizations/org-1" in server.paths()
    assert "/organizations/org-2" not in server.paths()


async def test_an_organization_that_is_hidden_but_still_there_fails(keycard, server):
    server.fault("/organizations", change=without_acme)

    read = (await keycard(known=[ACME]).read())["org-1"]

    assert (read.status, read.reason) == ("failed", "not_listed")
    assert "`organizations:`" in str(read.error)


def without_acme(_request, reply):
    items = [item for item in reply.body["items"] if item["id"] != "org-1"]
    return Reply(200, reply.body | {"items": items})


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, "access_denied"), (500, "unavailable"), (418, "unexpected_response")],
)
async def test_doubt_about_an_unlisted_organization_is_told_as_it_is(
    fake, keycard, server, status, reason
):
    fake.organizations.pop(0)
    server.fault("/organizations/org-1", reply=Reply(status))

    read = (await keycard(known=[ACME]).read())["org-1"]

    assert (read.status, read.reason) == ("failed", reason)


async def test_a_token_that_ends_before_the_doubt_is_settled_fails_the_source(
    fake, keycard, server
):
    fake.organizations.pop(0)
    server.fault("/organizations/org-1", reply=Reply(401))

    with pytest.raises(AuthenticationFailed):
        await keycard(known=[ACME]).collector.units()


def test_naming_organizations_is_not_reading_all_of_them(keycard):
    assert keycard().collector.reads_all
    assert not keycard(organizations=["acme"]).collector.reads_all


async def test_only_reading_requests_are_sent_and_no_secret_endpoint_is_touched(
    fake, keycard, server
):
    fake.add_zone("org-1", "zone-1")
    fake.add_application_credential("zone-1", "ac-1")
    await keycard(zone_credentials=True).read()

    assert {request.method for request in server.requests} == {"GET"}
    assert not any("secret" in request.path for request in server.requests)
    assert all(request.headers["x-client-request-id"] for request in server.requests)


async def test_several_sources_with_credentials_of_their_own_do_not_mix(now, tmp_path, keycard):
    other = FakeKeycard(token="CANARY-other-token")
    other.add_organization("org-9")
    other.add_account("org-9", "sa-9")
    other.add_credential("sa-9", "c-9")
    with LoopbackServer(other.handle) as elsewhere:
        first = keycard()
        second = keycard(base_url=elsewhere.url, token="CANARY-other-token", name="second")
        here, there = await asyncio.gather(first.read(), second.read())

    assert set(here) == {"org-1", "org-2"}
    assert set(there) == {"org-9"}
    assert there["org-9"].credentials["c-9"].source == "second"
    assert {request.headers["authorization"] for request in elsewhere.requests} == {
        "Bearer CANARY-other-token"
    }


async def test_leaving_a_reading_early_leaves_nothing_running(fake, keycard):
    source = keycard(organizations=["org-1"])
    (unit,) = await source.collector.units()
    before = len(asyncio.all_tasks())

    items = source.collector.collect(unit)
    assert isinstance(await anext(items), Page)
    await items.aclose()
    await asyncio.sleep(0)

    assert len(asyncio.all_tasks()) == before
