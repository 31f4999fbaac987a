"""Credentials as QDM objects."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from auditor.inventory.qdm import programmatic_credential
from auditor.model import Credential, LastUsedState


def test_a_credential_has_the_attributes_of_qdm(credential: Callable[..., Credential]) -> None:
    used = datetime(2025, 6, 30, 10, 15, 0, 250_000, tzinfo=UTC)

    found = programmatic_credential(credential("key-1", last_used_at=used, raw={"id": "key-1"}))

    assert set(found) == {"uid", "type", "last_used_time", "raw_data", "record_id", "unmapped"}
    assert found["uid"] == "key-1"
    assert found["type"] == "Service Account Key"
    assert found["last_used_time"] == 1751278500250
    assert found["raw_data"] == {"id": "key-1"}
    assert found["record_id"] == "keycard:org-1:service_account_credential:key-1"


def test_a_credential_never_used_has_no_last_used_time(
    credential: Callable[..., Credential],
) -> None:
    found = programmatic_credential(
        credential(last_used_at=None, last_used_state=LastUsedState.NEVER)
    )

    assert "last_used_time" not in found
    state = next(one for one in found["unmapped"] if one["name"] == "last_used_state")
    assert state == {
        "name": "last_used_state",
        "type": "String",
        "is_array": False,
        "value": "never",
    }


def test_what_qdm_has_no_word_for_is_unmapped_once(credential: Callable[..., Credential]) -> None:
    found = programmatic_credential(credential(owner="team@example.com", key_bits=2048))

    names = [one["name"] for one in found["unmapped"]]
    assert len(names) == len(set(names))
    assert {"owner", "principal", "organization", "status", "key_bits"} <= set(names)
    assert not {"uid", "type", "last_used_at", "raw"} & set(names)


def test_the_object_is_utf8_whatever_the_name(credential: Callable[..., Credential]) -> None:
    found = programmatic_credential(credential(name="a\ud800b", raw={"\ud800": ["\ud800"]}))

    text = json.dumps(found, ensure_ascii=False)
    assert text.encode().decode() == text
