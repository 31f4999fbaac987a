"""Our own shape: what it means, what is forgiven, what is lost, and that all of it is said."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from auditor.model import (
    Certainty,
    ExpiresState,
    LastUsedState,
    LastUsedSubject,
    Organization,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Privilege,
    Status,
)


def lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_every_field_of_the_shape_arrives(read, record, now) -> None:
    full = record(
        client_id="client-1",
        description="pulls images",
        status="inactive",
        rotated_at="2025-12-01T10:00:00+02:00",
        last_used_state="used",
        last_used_window_start="2025-01-01T00:00:00Z",
        last_used_precision="PT4H",
        last_used_subject="principal",
        expires_at="2026-04-01T00:00:00Z",
        expires_state="at",
        permissions={"zones": {"read": True, "update": False}},
        permissions_subject="principal",
        permissions_certainty="inferred",
        unused_permissions={"zones": {"read": True}},
        privilege="read",
        owner="team@example.com",
        tags={"cadence": "daily"},
        restrictions={"ips": ["192.0.2.0/24"]},
        fingerprint="SHA256:abc",
        key_algorithm="RSA",
        key_bits=4096,
        reviewed_at="2026-01-01T00:00:00Z",
        url="https://example.com/keys/1",
        raw={"id": "key-1", "nested": {"state": "on"}},
    )
    outcome = read(lines(full), name="export.ndjson")
    credential = outcome.only
    assert outcome.gaps == []
    assert credential.uid == "acme:org-1:api_key:key-1"
    assert credential.provider == "acme"
    assert credential.source == "exports"
    assert credential.organization == Organization("org-1", "Example")
    assert credential.principal == Principal("sa-1", "ci", PrincipalType.SERVICE_ACCOUNT)
    assert credential.client_id == "client-1"
    assert credential.description == "pulls images"
    assert credential.type == "API Key"
    assert credential.status is Status.INACTIVE
    assert credential.created_at == datetime(2025, 6, 1, 10, tzinfo=UTC)
    assert credential.rotated_at == datetime(2025, 12, 1, 8, tzinfo=UTC)
    assert credential.rotated_at.tzinfo is UTC
    assert credential.observed_at == now
    assert credential.last_used_at == datetime(2026, 2, 1, 10, tzinfo=UTC)
    assert credential.last_used_state is LastUsedState.USED
    assert credential.last_used_window_start == datetime(2025, 1, 1, tzinfo=UTC)
    assert credential.last_used_precision == timedelta(hours=4)
    assert credential.last_used_subject is LastUsedSubject.PRINCIPAL
    assert credential.data_as_of == datetime(2026, 3, 1, tzinfo=UTC)
    assert credential.expires_at == datetime(2026, 4, 1, tzinfo=UTC)
    assert credential.expires_state is ExpiresState.AT
    assert credential.permissions == {"zones": {"read": True, "update": False}}
    assert credential.permissions_subject is PermissionsSubject.PRINCIPAL
    assert credential.permissions_certainty is Certainty.INFERRED
    assert credential.unused_permissions == {"zones": {"read": True}}
    assert credential.privilege is Privilege.READ
    assert credential.owner == "team@example.com"
    assert credential.tags == {"cadence": "daily"}
    assert credential.restrictions == {"ips": ["192.0.2.0/24"]}
    assert credential.fingerprint == "SHA256:abc"
    assert (credential.key_algorithm, credential.key_bits) == ("RSA", 4096)
    assert credential.reviewed_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert credential.url == "https://example.com/keys/1"
    assert credential.raw == {"id": "key-1", "nested": {"state": "on"}}


def test_the_patient_reading_gives_the_same_as_the_fast_one(read, record) -> None:
    full = record(
        status="active",
        last_used_precision="PT4H",
        expires_at="2026-04-01T00:00:00Z",
        permissions={"zones": {"read": True}},
        tags={"team": "x"},
        restrictions={"a": [1, 2.5, None]},
        key_bits=256,
        raw={"b": True},
    )
    (fast,) = read(lines(full), name="fast.ndjson").credentials
    # An escaped letter is enough to be read patiently.
    escaped = lines(full).replace('"API Key"', '"\\u0041PI Key"')
    (patient,) = read(escaped, name="patient.ndjson").credentials
    assert patient == fast


def test_a_minimal_record_needs_no_more_than_an_id(read, now) -> None:
    credential = read(lines({"id": "k:1"}), name="export.ndjson").only
    assert credential.uid == "file:exports:credential:k%3A1"
    assert credential.provider_id == "k:1"
    assert credential.name == "k:1"
    assert credential.organization == Organization("exports", "exports")
    assert credential.principal == Principal("unknown", "unknown")
    assert credential.status is Status.ACTIVE
    assert credential.last_used_state is LastUsedState.UNKNOWN
    assert credential.expires_state is ExpiresState.UNKNOWN
    assert credential.created_at is None
    assert credential.permissions is None
    assert credential.data_as_of <= now


def test_the_provider_is_taken_from_the_uid_where_it_is_missing(read) -> None:
    assert read([{"uid": "gcp:p:key:1"}]).only.provider == "gcp"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "unknown"),
        ({"last_used_at": None, "last_used_state": None}, "unknown"),
        ({"last_used_at": "2026-02-01T10:00:00Z"}, "used"),
        ({"last_used_state": "never"}, "never"),
        ({"last_used_state": "not_in_window"}, "not_in_window"),
        ({"last_used_at": "0001-01-01T00:00:00Z"}, "unknown"),
    ],
)
def test_a_missing_time_of_use_says_nothing_unless_the_state_does(read, given, expected) -> None:
    outcome = read([{"id": "1", **given}])
    assert outcome.only.last_used_state == expected
    assert outcome.gaps == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "unknown"),
        ({"expires_at": None}, "unknown"),
        ({"expires_at": "2026-05-01T00:00:00Z"}, "at"),
        ({"expires_at": "2026-05-01T00:00:00Z", "expires_state": "sliding"}, "sliding"),
        ({"expires_state": "never"}, "never"),
        ({"expires_state": "unsupported"}, "unsupported"),
        ({"expires_at": "9999-12-31T23:59:59Z"}, "never"),
    ],
)
def test_the_end_of_a_life_is_what_the_export_says_and_no_more(read, given, expected) -> None:
    outcome = read([{"id": "1", **given}])
    assert outcome.only.expires_state == expected
    assert outcome.gaps == []


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        (
            {"last_used_at": "2026-02-01T10:00:00Z", "last_used_state": "never"},
            "last_used_state",
            "used",
        ),
        ({"last_used_state": "used"}, "last_used_state", "unknown"),
        ({"last_used_at": "yesterday"}, "last_used_state", "unknown"),
        ({"last_used_at": "yesterday", "last_used_state": "never"}, "last_used_state", "unknown"),
        ({"expires_at": "2026-05-01T00:00:00Z", "expires_state": "never"}, "expires_state", "at"),
        ({"expires_state": "at"}, "expires_state", "unknown"),
        ({"expires_at": 5}, "expires_state", "unknown"),
    ],
)
def test_contradictions_are_said_and_never_decided_for_the_worse(
    read, record, given, field, expected
) -> None:
    outcome = read(lines(record(last_used_at=None) | given), name="export.ndjson")
    assert getattr(outcome.only, field) == expected
    (gap,) = outcome.gaps
    assert gap.reason == "malformed_field"
    assert gap.organization == Organization("org-1", "Example")
    assert "export.ndjson, line 1: " in gap.message


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("2026-02-01T10:00:00", "no time zone"),
        ("2026-02-30T10:00:00Z", "not a date and time that exists"),
        ("yesterday", "not an RFC 3339 time"),
        ("-8:00", "not an RFC 3339 time"),
        (1767225600000, "a number"),
        ({"$date": 1}, "a map"),
        (True, "a truth value"),
        ([], "a list"),
        ("1970-01-01T00:00:00Z", "out of range"),
    ],
)
def test_a_time_that_is_none_becomes_unknown_and_is_said(read, record, value, says) -> None:
    outcome = read([record(created_at=value), record("key-2")])
    assert len(outcome.credentials) == 2
    assert outcome.credentials[0].created_at is None
    assert outcome.credentials[0].last_used_state is LastUsedState.USED
    (gap,) = outcome.gaps
    assert "created_at" in gap.message
    assert says in gap.message
    assert "read as unknown" in gap.message


def test_times_without_a_zone_are_read_in_the_zone_of_the_source(read, record) -> None:
    outcome = read([record(created_at="2025-07-01T12:00:00")], time_zone="Europe/Berlin")
    assert outcome.only.created_at == datetime(2025, 7, 1, 10, tzinfo=UTC)
    assert outcome.gaps == []


def test_a_bare_date_of_use_is_coarse_by_a_day(read, record) -> None:
    credential = read([record(last_used_at="2026-02-01")]).only
    assert credential.last_used_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert credential.last_used_precision == timedelta(days=1)


def test_leap_seconds_and_nanoseconds_are_times(read, record) -> None:
    outcome = read(
        [
            record(created_at="2016-12-31T23:59:60Z"),
            record("key-2", created_at="2026-01-01T00:00:00.123456789Z"),
        ]
    )
    first, second = outcome.credentials
    assert first.created_at == datetime(2017, 1, 1, tzinfo=UTC)
    assert second.created_at is not None
    assert outcome.gaps == []


def test_a_use_in_the_future_is_unknown_and_noted(read, record) -> None:
    outcome = read(
        lines(record(last_used_at="2026-05-01T00:00:00Z"), record("key-2")), name="e.ndjson"
    )
    assert outcome.credentials[0].last_used_state is LastUsedState.UNKNOWN
    assert outcome.credentials[0].last_used_at is None
    assert outcome.gaps == []
    assert "last_used_at lies in the future in 1 record" in outcome.notes[0].text


def test_data_are_true_as_of_the_record_then_the_file_then_the_observation(read, record) -> None:
    records = [
        record(data_as_of="2026-01-01T00:00:00Z"),
        record("key-2", data_as_of=None, observed_at="2026-01-03T00:00:00Z"),
    ]
    stated = read({"data_as_of": "2026-01-02T00:00:00Z", "credentials": records})
    assert [c.data_as_of.day for c in stated.credentials] == [1, 2]
    unstated = read(records)
    assert [c.data_as_of.day for c in unstated.credentials] == [1, 3]
    assert unstated.pages[0].data_as_of == datetime(2026, 1, 1, tzinfo=UTC)


def test_data_are_never_true_later_than_now(read, record, now) -> None:
    outcome = read([record(data_as_of="2027-01-01T00:00:00Z")])
    assert outcome.only.data_as_of == now
    assert "data_as_of lies in the future in 1 record" in outcome.notes[0].text


def test_permissions_are_the_credentials_unless_the_export_says_otherwise(read, record) -> None:
    granted = {"zones": {"read": True}}
    stated, silent, absent = read(
        [
            record("1", permissions=granted, permissions_subject="caller"),
            record("2", permissions=granted),
            record("3"),
        ]
    ).credentials
    assert stated.permissions_subject is PermissionsSubject.CALLER
    assert silent.permissions_subject is PermissionsSubject.CREDENTIAL
    assert absent.permissions_subject is PermissionsSubject.UNKNOWN
    assert absent.permissions is None


@pytest.mark.parametrize("value", [["zones:read"], {"zones": {"read": "yes"}}, "admin", 7])
def test_permissions_of_another_shape_are_unknown_and_not_none(read, record, value) -> None:
    outcome = read([record(permissions=value)])
    assert outcome.only.permissions is None
    assert "permissions must map" in outcome.messages


def test_nothing_granted_is_not_the_same_as_unknown(read, record) -> None:
    assert read([record(permissions={})]).only.permissions == {}


def test_an_unknown_status_word_is_unknown_and_not_active(read, record) -> None:
    outcome = read([record(status="frozen")])
    assert outcome.only.status is Status.UNKNOWN
    assert "status is none of active, inactive" in outcome.messages


def test_fields_outside_the_shape_are_dropped(read, record) -> None:
    outcome = read([record(internal_notes="x", secret="hunter2-hunter2")])
    assert "hunter2" not in repr(outcome)
    assert outcome.gaps == []


def test_many_organizations_stand_in_one_file(read, record) -> None:
    records = [
        record(str(n), organization={"id": f"org-{n % 3}", "name": f"Org {n % 3}"})
        for n in range(30)
    ]
    outcome = read(lines(*records), name="export.ndjson")
    assert sorted(page.organization.id for page in outcome.pages) == ["org-0", "org-1", "org-2"]
    assert {len(page.credentials) for page in outcome.pages} == {10}
    for page in outcome.pages:
        assert {c.organization for c in page.credentials} == {page.organization}


def test_an_organization_keeps_the_first_name_it_is_given(read, record) -> None:
    outcome = read(
        [
            record("1", organization={"id": "o", "name": "First"}),
            record("2", organization={"id": "o", "name": "Second"}),
            record("3", organization="o"),
        ]
    )
    assert {page.organization for page in outcome.pages} == {Organization("o", "First")}


def test_an_organization_is_named_by_the_configuration_before_all(read, record) -> None:
    outcome = read([record()], organization_names={"org-1": "Ours"})
    assert outcome.only.organization == Organization("org-1", "Ours")


def test_the_configured_organization_and_principal_stand_in(read) -> None:
    credential = read(
        [{"id": "1"}],
        organization={"id": "o-9", "name": "Nine"},
        principal={"id": "bot", "type": "application"},
    ).only
    assert credential.uid == "file:o-9:credential:1"
    assert credential.organization == Organization("o-9", "Nine")
    assert credential.principal == Principal("bot", "bot", PrincipalType.APPLICATION)


def test_a_record_without_identity_is_lost_alone(read, record) -> None:
    outcome = read(lines(record("1"), {"name": "nameless"}, record("2")), name="e.ndjson")
    assert [c.name for c in outcome.credentials] == ["1", "2"]
    (gap,) = outcome.gaps
    assert gap.reason == "malformed_record"
    assert "e.ndjson, line 2: this record is lost" in gap.message
    assert "or an `id`" in gap.message


def test_a_line_that_is_not_json_is_lost_alone(read, record) -> None:
    content = lines(record("1")) + '{"uid": "acme:o:k:2", \n' + "\n" + lines(record("3"))
    outcome = read(content, name="export.ndjson")
    assert [c.name for c in outcome.credentials] == ["1", "3"]
    assert "export.ndjson, line 2: this line is not JSON" in outcome.messages


def test_many_gaps_are_counted_after_the_first_few(read, record) -> None:
    records = [record(str(n), created_at="soon") for n in range(47)]
    outcome = read(lines(*records), name="export.ndjson")
    assert len(outcome.credentials) == 47
    assert len(outcome.gaps) == 6
    assert outcome.gaps[-1].message == "export.ndjson: and 42 more like this"
    assert outcome.gaps[-1].organization == Organization("org-1", "Example")


def test_every_organization_with_a_gap_is_told_of_its_own(read, record) -> None:
    records = [
        record(str(n), created_at="soon", organization={"id": f"o{n % 4}", "name": "O"})
        for n in range(80)
    ]
    outcome = read(lines(*records), name="export.ndjson")
    assert {gap.organization.id for gap in outcome.gaps} == {"o0", "o1", "o2", "o3"}


def test_a_source_of_nothing_but_broken_records_has_failed(read) -> None:
    outcome = read([{"name": "a"}, {"name": "b"}])
    assert outcome.credentials == []
    assert outcome.error is not None
    assert "none of 2 records could be read (export.json, line 1: " in str(outcome.error)


def test_a_header_line_speaks_for_the_lines_after_it(read, record) -> None:
    content = lines(
        {"generated_at": "2026-02-10T00:00:00Z", "organization": {"id": "h", "name": "Head"}},
        {"uid": "acme:h:key:1", "provider": "acme", "name": "one", "type": "API Key"},
    )
    credential = read(content, name="export.ndjson").only
    assert credential.organization == Organization("h", "Head")
    assert credential.data_as_of == datetime(2026, 2, 10, tzinfo=UTC)


def test_a_uid_that_no_database_could_index_is_refused(read, record) -> None:
    outcome = read(lines(record("x" * 2000), record("2")), name="export.ndjson")
    assert [c.name for c in outcome.credentials] == ["2"]
    assert "this record is lost" in outcome.messages


@pytest.mark.parametrize("uid", ["1", ":tenant:key:1", 1, "x" * 20])
def test_a_uid_of_another_shape_is_refused(read, record, uid) -> None:
    outcome = read(lines(record("1") | {"uid": uid}, record("2")), name="export.ndjson")
    assert [c.name for c in outcome.credentials] == ["2"]
    assert "line 1: this record is lost: no usable uid" in outcome.messages
    assert "(provider:tenant:kind:id)" in outcome.messages


def test_a_uid_beats_the_provider_beside_it_and_the_contradiction_is_told(read, record) -> None:
    outcome = read(lines(record("1", uid="aws:o:key:1", provider="acme")), name="e.ndjson")
    assert outcome.only.provider == "aws"
    assert "provider is not the one that the uid begins with; read as aws" in outcome.messages


def test_a_provider_whose_name_is_encoded_in_the_uid_is_no_contradiction(read, record) -> None:
    outcome = read(lines(record("1", uid="a%3Ab:o:key:1", provider="a:b")), name="e.ndjson")
    assert outcome.only.provider == "a:b"
    assert outcome.gaps == []
