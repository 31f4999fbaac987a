"""AWS credential reports, row by row."""

from datetime import UTC, datetime, timedelta

import pytest

from auditor.model import (
    ExpiresState,
    LastUsedState,
    Organization,
    PrincipalType,
    Privilege,
    Status,
)

KEY_PARTS = ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")
COLUMNS = [
    *("user", "arn", "user_creation_time", "password_enabled", "password_last_used"),
    *("password_last_changed", "password_next_rotation", "mfa_active"),
    *(f"access_key_{slot}_{part}" for slot in (1, 2) for part in KEY_PARTS),
    *(f"cert_{slot}_{part}" for slot in (1, 2) for part in ("active", "last_rotated")),
]
EMPTY = {
    "user": "svc",
    "arn": "arn:aws:iam::123456789012:user/path/svc",
    "user_creation_time": "2022-06-08T12:41:09Z",
    "password_enabled": "false",
    "mfa_active": "false",
    "access_key_1_active": "false",
    "access_key_2_active": "false",
    "cert_1_active": "false",
    "cert_2_active": "false",
}
KEY = {
    "access_key_1_active": "true",
    "access_key_1_last_rotated": "2025-06-08T12:41:30+00:00",
    "access_key_1_last_used_date": "2026-02-20T23:10:00Z",
    "access_key_1_last_used_region": "eu-central-1",
    "access_key_1_last_used_service": "s3",
}


def report(*rows, columns=COLUMNS) -> str:
    lines = [",".join(columns)]
    lines += [",".join((EMPTY | row).get(name, "N/A") for name in columns) for row in rows]
    return "\n".join(lines) + "\n"


def test_a_key_is_named_by_its_slot(read) -> None:
    outcome = read(report(KEY), name="report.csv", data_as_of="2026-02-27T00:00:00Z")
    credential = outcome.only
    assert outcome.gaps == []
    assert credential.uid == "aws:123456789012:access_key_slot:svc/1"
    assert credential.name == "svc/access_key_1"
    assert credential.provider == "aws"
    assert credential.type == "Access Key"
    assert credential.organization == Organization("123456789012", "123456789012")
    assert credential.principal.id == "arn:aws:iam::123456789012:user/path/svc"
    assert credential.principal.type is PrincipalType.USER
    assert credential.principal.is_root is False
    assert credential.principal.has_mfa is False
    assert credential.status is Status.ACTIVE
    assert credential.created_at == datetime(2025, 6, 8, 12, 41, 30, tzinfo=UTC)
    assert credential.last_used_at == datetime(2026, 2, 20, 23, 10, tzinfo=UTC)
    assert credential.last_used_precision == timedelta(minutes=15)
    assert credential.expires_state is ExpiresState.UNSUPPORTED
    assert credential.permissions is None
    assert credential.privilege is Privilege.UNKNOWN
    assert credential.data_as_of == datetime(2026, 2, 27, tzinfo=UTC)
    assert credential.data_as_of.tzinfo is UTC
    assert credential.raw["access_key_1_last_used_service"] == "s3"
    assert "access_key_2_active" not in credential.raw


def test_two_keys_of_a_user_are_two_credentials(read) -> None:
    second = {"access_key_2_active": "FALSE", "access_key_2_last_rotated": "2024-01-01T00:00:00Z"}
    first, other = read(report(KEY | second), name="report.csv").credentials
    assert first.uid.endswith("svc/1")
    assert other.uid.endswith("svc/2")
    assert other.status is Status.INACTIVE
    assert other.last_used_state is LastUsedState.NEVER
    assert other.principal == first.principal


def test_empty_slots_are_no_credentials_but_the_account_was_read(read) -> None:
    outcome = read(report({}, {"user": "other"}), name="report.csv")
    assert outcome.credentials == []
    assert [page.organization.id for page in outcome.pages] == ["123456789012"]
    assert outcome.error is None


def test_root_keys_are_admin_by_nature(read) -> None:
    root = {"user": "<root_account>", "arn": "arn:aws:iam::123456789012:root", "mfa_active": "true"}
    credential = read(report(KEY | root), name="report.csv").only
    assert credential.uid == "aws:123456789012:access_key_slot:<root_account>/1"
    assert credential.principal.is_root is True
    assert credential.principal.has_mfa is True
    assert credential.privilege is Privilege.ADMIN


@pytest.mark.parametrize(
    ("used", "rotated", "state"),
    [
        ("N/A", "2020-01-01T00:00:00Z", "never"),
        ("N/A", "2015-04-22T00:00:00Z", "never"),
        ("N/A", "2015-04-21T23:59:59Z", "not_in_window"),
        ("N/A", "N/A", "not_in_window"),
        ("no_information", "2020-01-01T00:00:00Z", "never"),
        ("not_supported", "2020-01-01T00:00:00Z", "unknown"),
        ("", "2020-01-01T00:00:00Z", "unknown"),
        ("2026-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "used"),
    ],
)
def test_the_words_for_no_use(read, used, rotated, state) -> None:
    row = KEY | {"access_key_1_last_used_date": used, "access_key_1_last_rotated": rotated}
    credential = read(report(row), name="report.csv").only
    assert credential.last_used_state == state
    is_windowed = state == "not_in_window"
    assert (credential.last_used_window_start is not None) is is_windowed


def test_a_time_that_cannot_be_read_is_said_and_unknown(read) -> None:
    outcome = read(report(KEY | {"access_key_1_last_used_date": "soon"}), name="report.csv")
    assert outcome.only.last_used_state is LastUsedState.UNKNOWN
    assert "report.csv, line 2: last_used_at" in outcome.messages


def test_certificates_are_listed_without_any_knowledge_of_use(read) -> None:
    row = {"cert_2_active": "true", "cert_2_last_rotated": "2018-01-01T00:00:00Z"}
    credential = read(report(row), name="report.csv").only
    assert credential.uid == "aws:123456789012:signing_certificate_slot:svc/2"
    assert credential.type == "Signing Certificate"
    assert credential.last_used_state is LastUsedState.UNKNOWN


def test_passwords_are_listed_on_demand(read) -> None:
    row = {
        "password_enabled": "true",
        "password_last_used": "no_information",
        "password_last_changed": "2020-01-01T00:00:00Z",
        "password_next_rotation": "2026-03-20T00:00:00Z",
    }
    assert read(report(row), name="report.csv").credentials == []
    credential = read(report(row), name="report.csv", include_passwords=True).only
    assert credential.uid == "aws:123456789012:password:svc"
    assert credential.last_used_state is LastUsedState.NEVER
    assert credential.expires_at == datetime(2026, 3, 20, tzinfo=UTC)
    assert credential.rotated_at == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rotation", "state"), [("N/A", "never"), ("not_supported", "unsupported")]
)
def test_a_password_without_rotation_does_not_expire(read, rotation, state) -> None:
    row = {
        "password_enabled": "not_supported",
        "password_last_used": "2026-01-01T00:00:00Z",
        "password_next_rotation": rotation,
    }
    credential = read(report(row), name="report.csv", include_passwords=True).only
    assert credential.expires_state == state
    assert credential.status is Status.UNKNOWN


def test_columns_are_found_by_name_and_new_ones_tolerated(read) -> None:
    columns = [*reversed(COLUMNS), "additional_credentials_info"]
    assert read(report(KEY, columns=columns), name="report.csv").only.name == "svc/access_key_1"


def test_a_report_without_its_columns_is_none(read) -> None:
    outcome = read("user,arn\na,b\n", name="report.csv", format="aws-credential-report")
    assert outcome.error is not None
    assert "is no AWS credential report" in str(outcome.error)


def test_a_row_that_breaks_off_is_lost_alone(read) -> None:
    content = report(KEY, KEY | {"user": "b"})
    outcome = read(content[:-60], name="report.csv")
    assert [c.principal.name for c in outcome.credentials] == ["svc"]
    (gap,) = outcome.gaps
    assert gap.reason == "malformed_record"
    assert "report.csv, line 3: this row is lost" in gap.message


def test_a_row_without_account_is_lost_alone(read) -> None:
    outcome = read(report(KEY | {"arn": "N/A"}, KEY), name="report.csv")
    assert len(outcome.credentials) == 1
    assert "user or arn is missing" in outcome.messages


def test_reports_of_several_accounts_stand_side_by_side(read, tmp_path) -> None:
    other = KEY | {"arn": "arn:aws-cn:iam::999999999999:user/svc"}
    (tmp_path / "a.csv").write_text(report(KEY))
    (tmp_path / "b.csv").write_text(report(other))
    outcome = read(path="*.csv", organization_names={"999999999999": "China"})
    assert {c.organization.name for c in outcome.credentials} == {"123456789012", "China"}
