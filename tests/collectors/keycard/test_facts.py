"""What a record means: times, use, identity, hostile and malformed values."""

from datetime import UTC, date, datetime, timedelta

import pytest

from auditor.model import (
    ExpiresState,
    LastUsedState,
    Organization,
    Principal,
    PrincipalType,
    Status,
)
from tests.fakes.keycard import SECRET, stamp

ACME = Organization("org-1", "Acme")
HOSTILE = [
    "<script>alert(1)</script>",
    '=HYPERLINK("http://x","y")',
    "a\r\nBcc: evil@x",
    "\x1b[31mred\x1b]0;title\x07",
    "a\x00b",
    "'; DROP TABLE finding;--",
    "../../etc/passwd",
    "\u202egnp.exe",
    "x" * 100_000,
]


async def only(keycard, fake, **fields):
    """Read org-2 with one credential of these fields."""
    fake.credentials["sa-3"].clear()
    fake.add_credential("sa-3", "c", **fields)
    read = (await keycard(organizations=["org-2"]).read())["org-2"]
    return read, next(iter(read.credentials.values()), None)


async def test_a_listed_credential_has_the_documented_meaning(keycard, now):
    read = (await keycard().read())["org-1"]
    credential = read.credentials["c-1"]

    assert credential.uid == "keycard:org-1:service_account_credential:c-1"
    assert credential.provider == "keycard"
    assert credential.source == "keycard-prod"
    assert credential.organization.name == "Acme"
    assert credential.principal == Principal("sa-1", "ci", PrincipalType.SERVICE_ACCOUNT)
    assert credential.client_id == "client-c-1"
    assert credential.name == "name of c-1"
    assert credential.type == "Service Account Key"
    assert credential.status is Status.ACTIVE
    assert credential.created_at == datetime(2025, 11, 2, 9, tzinfo=UTC)
    assert credential.last_used_at == datetime(2026, 2, 27, 18, 11, 19, 117000, UTC)
    assert credential.last_used_state is LastUsedState.USED
    assert credential.last_used_precision is None
    assert credential.expires_state is ExpiresState.UNSUPPORTED
    assert credential.observed_at == credential.data_as_of == now


@pytest.mark.parametrize("shows_null", [False, True])
async def test_no_recorded_use_is_never(fake, keycard, shows_null):
    fake.shows_null = shows_null

    credential = (await keycard().read())["org-1"].credentials["c-2"]

    assert credential.last_used_at is None
    assert credential.last_used_state is LastUsedState.NEVER


@pytest.mark.parametrize("since", ["2025-12-01", date(2025, 12, 1), "2025-12-01T00:00:00Z"])
async def test_before_use_was_tracked_no_use_is_only_not_in_the_window(fake, keycard, since):
    fake.add_credential("sa-1", "young", created_at="2025-12-01T00:00:00.000Z")

    found = (await keycard(usage_tracked_since=since).read())["org-1"].credentials

    assert found["c-2"].last_used_state is LastUsedState.NOT_IN_WINDOW
    assert found["c-2"].last_used_window_start == datetime(2025, 12, 1, tzinfo=UTC)
    assert found["young"].last_used_state is LastUsedState.NEVER
    assert found["young"].last_used_window_start is None
    assert found["c-1"].last_used_state is LastUsedState.USED


@pytest.mark.parametrize(
    "value",
    ["2026-02-27T18:11:19", "yesterday", 1767225600, True, {}, "", "0001-01-01T00:00:00Z"],
)
async def test_a_use_nobody_can_read_is_unknown_and_noted(fake, keycard, value):
    read, credential = await only(keycard, fake, last_used_at=value)

    assert credential.last_used_at is None
    assert credential.last_used_state is LastUsedState.UNKNOWN
    assert read.status == "complete"
    assert any(note.startswith("last_used_at ") for note in read.notes)


@pytest.mark.parametrize("value", [None, "2026-02-27T18:11:19", 0, "2026-02-30T00:00:00Z"])
async def test_a_creation_nobody_can_read_is_unknown_and_noted(fake, keycard, value):
    read, credential = await only(keycard, fake, created_at=value)

    assert credential.created_at is None
    assert any(note.startswith("created_at ") for note in read.notes)


async def test_a_time_far_in_the_future_is_a_data_problem(fake, keycard, now):
    read, credential = await only(keycard, fake, last_used_at=stamp(now + timedelta(days=30)))

    assert credential.last_used_state is LastUsedState.UNKNOWN
    assert any("lies in the future in 1 record;" in note for note in read.notes)


async def test_a_use_during_the_run_itself_counts(fake, keycard, now):
    read, credential = await only(keycard, fake, last_used_at=stamp(now + timedelta(minutes=10)))

    assert credential.last_used_state is LastUsedState.USED
    assert read.notes == [note for note in read.notes if "future" not in note]


async def test_problems_are_counted_in_a_fixed_order(fake, keycard):
    for number in range(3):
        fake.add_credential("sa-3", f"x-{number}", last_used_at="soon", created_at="once")

    notes = (await keycard().read())["org-2"].notes

    problems = [note for note in notes if "the value is unknown there" in note]
    assert [note.split()[0] for note in problems] == ["created_at", "last_used_at"]
    assert all("in 3 records" in note for note in problems)


@pytest.mark.parametrize(
    "record", [{}, {"id": ""}, {"id": 7}, {"id": ".."}, {"id": "x" * 256}, "x"]
)
async def test_a_record_without_a_usable_id_leaves_a_gap(fake, keycard, record):
    fake.credentials["sa-3"].append(record)
    fake.shows_null = False
    if not isinstance(record, dict):
        fake.expands = set()

        def shown(_request, one):
            return one

        fake._shown = shown

    read = (await keycard(organizations=["org-2"]).read())["org-2"]

    assert (read.status, read.reason) == ("partial", "malformed_record")
    assert list(read.credentials) == ["c-4"]


async def test_an_account_without_a_usable_id_leaves_a_gap(fake, keycard):
    fake.accounts["org-2"].insert(0, {"id": "..", "name": "CANARY"})

    read = (await keycard().read())["org-2"]

    assert (read.status, read.reason) == ("partial", "malformed_record")
    assert list(read.credentials) == ["c-4"]


@pytest.mark.parametrize("name", [None, 7, {"client_secret": SECRET}, [], ""])
async def test_without_a_name_the_id_stands_in(fake, keycard, name):
    _read, credential = await only(keycard, fake, name=name, description=name, client_id=name)

    assert credential.name == "c"
    assert credential.description is None
    assert credential.client_id is None


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_is_carried_as_it_is(fake, keycard, text):
    _read, credential = await only(keycard, fake, name=text, description=text)

    assert credential.name == text
    assert credential.description == text


async def test_half_a_surrogate_does_not_hide_the_page(fake, keycard):
    _read, credential = await only(keycard, fake, name="a\ud800b")

    assert credential.name == "a\ufffdb"


async def test_a_missing_zone_id_and_unknown_fields_disturb_nobody(fake, keycard):
    for organization in fake.organizations:
        del organization["zone_id"]
        organization["new_in_2027"] = {"x": 1}

    assert len(await keycard().read()) == 2


async def test_the_raw_record_keeps_what_is_allowed_and_nothing_else(fake, keycard):
    _read, credential = await only(
        keycard,
        fake,
        client_secret=SECRET,
        password=SECRET,
        description={"client_secret": SECRET},
        nested={"client_secret": SECRET},
    )

    assert sorted(credential.raw) == ["client_id", "created_at", "id", "name", "permissions"]
    assert SECRET not in repr(credential)


async def test_a_token_pasted_into_a_description_is_struck_out(fake, keycard):
    token = "ghp_" + "a" * 36
    _read, credential = await only(keycard, fake, name=f"old {token}", description=f"uses {token}")

    assert token not in repr(credential)
    assert credential.description == "uses [redacted]"


async def test_the_tenant_of_another_host_is_part_of_the_identity(keycard):
    source = keycard(base_url="https://keycard.example.com")
    reading = source.collector._reading(ACME)

    assert reading._tenant == "keycard.example.com/org-1"


async def test_the_vendors_own_host_is_not(keycard):
    source = keycard(base_url="https://API.keycard.ai/")
    reading = source.collector._reading(ACME)

    assert reading._tenant == "org-1"
