"""Credentials of applications in zones, which are listed by option."""

import pytest

from auditor.model import ExpiresState, LastUsedState, PrincipalType
from tests.fakes.http import Reply
from tests.fakes.keycard import SECRET


@pytest.fixture(autouse=True)
def _zones(fake):
    fake.add_zone("org-1", "zone-1")
    fake.add_zone("org-2", "zone-2")
    fake.applications["zone-1"].append({"id": "app-1", "name": "Portal"})
    fake.add_application_credential("zone-1", "ac-1", "password")
    fake.add_application_credential("zone-1", "ac-2", "token", provider_id="idp", subject="repo:x")
    fake.add_application_credential("zone-1", "ac-3", "token", provider_id="idp", identifier="*")
    fake.add_application_credential("zone-2", "ac-9", "public", application_id="app-9")


async def read_zones(keycard, **options):
    return await keycard(zone_credentials=True, **options).read()


async def test_they_are_not_listed_unless_asked_for(keycard, server):
    read = await keycard().read()

    assert "ac-1" not in read["org-1"].credentials
    assert not any(path.startswith("/zones") for path in server.paths())


async def test_they_are_listed_beside_those_of_service_accounts(keycard):
    read = await read_zones(keycard)

    assert sorted(read["org-1"].credentials) == ["ac-1", "ac-2", "ac-3", "c-1", "c-2", "c-3"]
    assert sorted(read["org-2"].credentials) == ["ac-9", "c-4"]
    assert {one.status for one in read.values()} == {"complete"}


async def test_their_use_and_rights_are_unknown(keycard):
    credential = (await read_zones(keycard))["org-1"].credentials["ac-1"]

    assert credential.uid == "keycard:org-1:application_credential:ac-1"
    assert credential.type == "Client Secret"
    assert credential.last_used_state is LastUsedState.UNKNOWN
    assert credential.permissions is None
    assert credential.expires_state is ExpiresState.UNSUPPORTED
    assert credential.principal.type is PrincipalType.APPLICATION
    assert credential.principal.name == "Portal"
    assert credential.client_id == "identifier-ac-1"
    assert credential.tags == {"zone": "Zone zone-1", "zone_id": "zone-1"}


async def test_an_application_nobody_lists_is_known_by_its_id(keycard):
    credential = (await read_zones(keycard))["org-2"].credentials["ac-9"]

    assert (credential.principal.id, credential.principal.name) == ("app-9", "app-9")


async def test_a_token_without_a_subject_is_noted_as_open_to_the_whole_provider(keycard):
    found = (await read_zones(keycard))["org-1"].credentials

    assert found["ac-1"].restrictions is None
    assert found["ac-2"].restrictions == {"provider_id": "idp", "subject": "repo:x"}
    assert found["ac-3"].restrictions == {
        "provider_id": "idp",
        "subject": None,
        "accepts": "any token of the provider",
    }


@pytest.mark.parametrize(
    ("kind", "noun"),
    [
        ("password", "Client Secret"),
        ("public-key", "Public Key"),
        ("url", "Client Metadata URL"),
        ("public", "Public Client"),
        ("token", "Federated Token"),
        ("smart-card", "Smart Card"),
        (None, "Unknown"),
    ],
)
async def test_every_kind_has_its_noun(fake, keycard, kind, noun):
    fake.application_credentials["zone-1"][0]["type"] = kind

    assert (await read_zones(keycard))["org-1"].credentials["ac-1"].type == noun


async def test_all_pages_of_zones_and_their_credentials_are_followed(fake, keycard):
    for number in range(120):
        fake.add_zone("org-2", f"z-{number}")
        fake.add_application_credential(f"z-{number}", f"zc-{number}", application_id="app")
        fake.add_application_credential("zone-2", f"more-{number}", application_id="app")

    read = await read_zones(keycard)

    assert len(read["org-2"].credentials) == 242


async def test_zones_of_other_organizations_are_left_out_even_if_listed(keycard, server, fake):
    def all_zones(request, reply):
        zones = [zone for zones in fake.zones.values() for zone in zones]
        return Reply(200, reply.body | {"items": zones})

    server.fault("/zones", change=all_zones)

    read = await read_zones(keycard)

    assert "ac-9" not in read["org-1"].credentials
    assert "ac-1" not in read["org-2"].credentials


async def test_a_zone_that_cannot_be_read_leaves_a_gap(keycard, server):
    server.fault("/zones/zone-1/*", reply=Reply(403))

    read = await read_zones(keycard)

    assert (read["org-1"].status, read["org-1"].reason) == ("partial", "access_denied")
    assert sorted(read["org-1"].credentials) == ["c-1", "c-2", "c-3"]
    assert read["org-2"].status == "complete"


async def test_zones_that_cannot_be_listed_leave_the_service_accounts_read(keycard, server):
    server.fault("/zones", reply=Reply(403))

    read = await read_zones(keycard)

    assert (read["org-1"].status, read["org-1"].reason) == ("partial", "access_denied")
    assert sorted(read["org-1"].credentials) == ["c-1", "c-2", "c-3"]


async def test_records_without_an_id_leave_a_gap(fake, keycard):
    fake.application_credentials["zone-1"][0]["id"] = None
    fake.add_zone("org-2", "..")

    read = await read_zones(keycard)

    assert {one.reason for one in read.values()} == {"malformed_record"}


async def test_secret_fields_never_enter(fake, keycard):
    fake.application_credentials["zone-1"][0] |= {"password": SECRET, "application": {"k": SECRET}}

    credential = (await read_zones(keycard))["org-1"].credentials["ac-1"]

    assert SECRET not in repr(credential)
