"""Whose rights a permission map describes, decided at the end of each organization."""

import pytest

from auditor.model import Certainty, PermissionsSubject
from tests.fakes.http import Reply

READ = {"organizations": {"read": True, "update": False}}
WRITE = {"applications": {"read": True, "create": True}}
ADMIN = {"organizations": {"read": True, "update": True}}


def subjects(read):
    return {
        key: (credential.permissions_subject.value, credential.permissions_certainty.value)
        for key, credential in read.credentials.items()
    }


def own_grant(read):
    return [note for note in read.notes if "auditor's own grant" in note]


async def test_identical_maps_are_the_callers(keycard):
    read = (await keycard().read())["org-1"]

    assert set(subjects(read).values()) == {("caller", "inferred")}


async def test_the_auditors_own_grant_is_judged_once(fake, keycard):
    fake.grant = ADMIN

    (note,) = own_grant((await keycard().read())["org-1"])

    assert "on 3 credentials" in note
    assert "is admin (organizations:update)" in note
    assert "narrow it" in note


async def test_a_read_only_grant_of_the_auditor_is_fine(keycard):
    (note,) = own_grant((await keycard().read())["org-1"])

    assert "is read" in note
    assert "narrow it" not in note


async def test_differing_maps_are_the_credentials_own(fake, keycard):
    fake.credentials["sa-2"][0]["permissions"] = WRITE

    read = (await keycard().read())["org-1"]

    assert set(subjects(read).values()) == {("credential", "inferred")}
    assert own_grant(read) == []
    assert any("judged as the credentials' own" in note for note in read.notes)


async def test_a_single_map_is_the_credentials_own(keycard):
    read = (await keycard().read())["org-2"]

    assert subjects(read) == {"c-4": ("credential", "inferred")}


async def test_the_order_of_keys_makes_no_difference(fake, keycard):
    fake.credentials["sa-1"][0]["permissions"] = {"a": {"x": True, "y": False}, "b": {}}
    fake.credentials["sa-1"][1]["permissions"] = {"b": {}, "a": {"y": False, "x": True}}
    fake.credentials["sa-2"].clear()

    read = (await keycard().read())["org-1"]

    assert set(subjects(read).values()) == {("caller", "inferred")}


async def test_the_auditors_own_credential_is_judged_as_stated(fake, keycard):
    fake.clients["client-c-2"] = "s3cret-s3cret"

    read = await keycard(client_id="client-c-2", client_secret="s3cret-s3cret").read()

    assert subjects(read["org-1"]) == {
        "c-1": ("caller", "inferred"),
        "c-2": ("credential", "stated"),
        "c-3": ("caller", "inferred"),
    }
    assert subjects(read["org-2"]) == {"c-4": ("credential", "inferred")}


async def test_the_auditors_own_credential_is_stated_among_differing_maps_too(fake, keycard):
    fake.clients["client-c-2"] = "s3cret-s3cret"
    fake.credentials["sa-2"][0]["permissions"] = WRITE

    read = await keycard(client_id="client-c-2", client_secret="s3cret-s3cret").read()

    assert subjects(read["org-1"]) == {
        "c-1": ("credential", "inferred"),
        "c-2": ("credential", "stated"),
        "c-3": ("credential", "inferred"),
    }


@pytest.mark.parametrize("said", ["credential", "caller"])
async def test_what_the_operator_says_is_taken_as_stated(fake, keycard, said):
    fake.credentials["sa-2"][0]["permissions"] = WRITE

    read = await keycard(permissions_subject=said).read()

    assert set(subjects(read["org-1"]).values()) == {(said, "stated")}
    assert set(subjects(read["org-2"]).values()) == {(said, "stated")}
    assert len(own_grant(read["org-1"])) == (1 if said == "caller" else 0)


async def test_each_organization_is_decided_on_its_own(fake, keycard):
    fake.add_credential("sa-3", "c-5", permissions=WRITE)

    read = await keycard().read()

    assert set(subjects(read["org-1"]).values()) == {("caller", "inferred")}
    assert set(subjects(read["org-2"]).values()) == {("credential", "inferred")}


async def test_without_maps_nothing_is_decided(fake, keycard):
    fake.grant = None

    read = (await keycard().read())["org-1"]

    assert {one.permissions_subject for one in read.credentials.values()} == {
        PermissionsSubject.UNKNOWN
    }


async def test_a_single_map_of_a_partial_reading_decides_nothing(fake, keycard, server):
    fake.credentials["sa-1"].pop()
    server.fault("*/sa-2/credentials", reply=Reply(403))

    read = (await keycard().read())["org-1"]

    assert read.status == "partial"
    assert subjects(read) == {"c-1": ("unknown", "inferred")}


async def test_what_a_broken_off_reading_has_shown_is_decided_all_the_same(fake, keycard, server):
    for number in range(150):
        fake.add_account("org-1", f"account-{number}")
    server.fault("/organizations/org-1/service-accounts", after=1, reply=Reply(500))

    read = (await keycard().read())["org-1"]

    assert read.status == "partial"
    assert set(subjects(read).values()) == {("caller", "inferred")}


@pytest.mark.parametrize(
    "value", [{"a": {"x": "yes"}}, {"a": True}, ["read"], "all", {"a": {"x": 1}}, {"a": None}]
)
async def test_a_map_of_another_shape_is_unknown_and_noted(fake, keycard, value):
    fake.credentials["sa-3"][0]["permissions"] = value

    read = (await keycard().read())["org-2"]

    assert read.credentials["c-4"].permissions is None
    assert "permissions" not in read.credentials["c-4"].raw
    assert any(note.startswith("permissions is not a map") for note in read.notes)


async def test_an_empty_map_is_a_map(fake, keycard):
    fake.grant = {}

    read = (await keycard().read())["org-1"]

    assert {tuple(one.permissions or ()) for one in read.credentials.values()} == {()}
    assert set(subjects(read).values()) == {("caller", "inferred")}
    assert "is none" in own_grant(read)[0]


async def test_stated_is_the_certainty_of_a_credential_before_anything_is_decided(keycard):
    source = keycard(organizations=["org-2"])
    (unit,) = await source.collector.units()
    page = await anext(source.collector.collect(unit))

    (credential,) = page.credentials
    assert credential.permissions_subject is PermissionsSubject.UNKNOWN
    assert credential.permissions_certainty is Certainty.STATED
