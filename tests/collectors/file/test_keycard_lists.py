"""Saved answers of Keycard's list call."""

import json
from datetime import UTC, datetime

import pytest

from auditor.model import (
    Certainty,
    ExpiresState,
    LastUsedState,
    Organization,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Status,
)

DONE = {"has_next_page": False, "has_prev_page": False}
GRANTED = {"zones": {"read": True}}


def item(own_id: str = "cred1", **changes):
    return {
        "id": own_id,
        "client_id": f"client-{own_id}",
        "created_at": "2025-06-01T10:00:00.117Z",
        "name": "deploy",
        **changes,
    }


def answer(*items, **more):
    return {"items": list(items), "page_info": DONE, **more}


def saved(*items, **more):
    return answer(
        *items,
        organization={"id": "org1", "label": "aurora", "name": "Aurora"},
        service_account={"id": "sa1", "name": "ci"},
        data_as_of="2026-02-28T00:00:00Z",
        **more,
    )


def test_an_item_is_the_credential_that_the_api_would_give(read, now) -> None:
    outcome = read(saved(item(last_used_at="2026-02-01T10:00:00.402Z", description="x")))
    credential = outcome.only
    assert credential.uid == "keycard:org1:service_account_credential:cred1"
    assert credential.provider == "keycard"
    assert credential.organization == Organization("org1", "Aurora")
    assert credential.principal == Principal("sa1", "ci", PrincipalType.SERVICE_ACCOUNT)
    assert credential.client_id == "client-cred1"
    assert credential.type == "Service Account Key"
    assert credential.status is Status.ACTIVE
    assert credential.expires_state is ExpiresState.UNSUPPORTED
    assert credential.last_used_state is LastUsedState.USED
    assert credential.data_as_of == datetime(2026, 2, 28, tzinfo=UTC)
    assert credential.observed_at == now
    assert credential.raw["id"] == "cred1"
    assert outcome.gaps == []


@pytest.mark.parametrize("use", [{}, {"last_used_at": None}])
def test_no_time_of_use_means_that_none_was_recorded(read, use) -> None:
    assert read(saved(item(**use))).only.last_used_state is LastUsedState.NEVER


def test_before_use_was_tracked_nobody_knows(read) -> None:
    outcome = read(
        saved(item("old", created_at="2024-01-01T00:00:00Z"), item("new")),
        usage_tracked_since="2025-01-01T00:00:00Z",
    )
    old, new = outcome.credentials
    assert old.last_used_state is LastUsedState.NOT_IN_WINDOW
    assert old.last_used_window_start == datetime(2025, 1, 1, tzinfo=UTC)
    assert new.last_used_state is LastUsedState.NEVER


def test_a_use_that_cannot_be_read_is_not_never(read) -> None:
    outcome = read(saved(item(last_used_at="garbage")))
    assert outcome.only.last_used_state is LastUsedState.UNKNOWN
    assert "last_used_at" in outcome.messages


def test_the_options_say_what_the_bare_answer_does_not(read) -> None:
    credential = read(
        answer(item()), organization={"id": "org1", "name": "Aurora"}, principal="sa1"
    ).only
    assert credential.uid == "keycard:org1:service_account_credential:cred1"
    assert credential.principal.id == "sa1"


def test_a_bare_list_of_items_needs_the_format_said(read) -> None:
    credential = read([item()], format="keycard", organization="org1").only
    assert credential.uid == "keycard:org1:service_account_credential:cred1"


def test_answers_one_per_line(read) -> None:
    content = "".join(json.dumps(saved(item(f"c{n}"))) + "\n" for n in range(3))
    outcome = read(content, name="pages.ndjson")
    assert [c.provider_id for c in outcome.credentials] == ["c0", "c1", "c2"]


def test_what_is_not_on_the_list_of_fields_is_dropped(read) -> None:
    outcome = read(saved(item(client_secret="CANARY-secret", internal="CANARY-field")))
    assert "CANARY" not in repr(outcome)


def subject_of(outcome):
    (amendment,) = outcome.amendments
    assert amendment.organization == Organization("org1", "Aurora")
    return amendment.changes["permissions_subject"], amendment.changes["permissions_certainty"]


def test_one_map_on_all_is_the_callers(read) -> None:
    outcome = read(saved(item("a", permissions=GRANTED), item("b", permissions=GRANTED)))
    assert subject_of(outcome) == (PermissionsSubject.CALLER, Certainty.INFERRED)
    assert {c.permissions_subject for c in outcome.credentials} == {PermissionsSubject.UNKNOWN}
    assert "whoever saved it" in outcome.notes[0].text


def test_maps_that_differ_are_the_credentials_as_far_as_one_can_tell(read) -> None:
    other = {"zones": {"read": True, "delete": True}}
    outcome = read(saved(item("a", permissions=GRANTED), item("b", permissions=other)))
    assert subject_of(outcome) == (PermissionsSubject.CREDENTIAL, Certainty.INFERRED)
    assert "documents them as the caller's" in outcome.notes[0].text


def test_a_single_map_is_the_credentials_unless_pages_are_missing(read) -> None:
    outcome = read(saved(item(permissions=GRANTED), item("b")))
    assert subject_of(outcome) == (PermissionsSubject.CREDENTIAL, Certainty.INFERRED)
    cut = saved(item(permissions=GRANTED)) | {"page_info": {"has_next_page": True}}
    assert subject_of(read(cut))[0] is PermissionsSubject.UNKNOWN


@pytest.mark.parametrize("stated", ["caller", "credential"])
def test_the_configuration_may_state_whose_they_are(read, stated) -> None:
    outcome = read(
        saved(item("a", permissions=GRANTED), item("b", permissions=GRANTED)),
        permissions_subject=stated,
    )
    assert subject_of(outcome) == (PermissionsSubject(stated), Certainty.STATED)


def test_without_maps_nothing_is_concluded(read) -> None:
    assert read(saved(item("a"), item("b"))).amendments == []


def test_a_list_that_goes_on_elsewhere_is_partial(read) -> None:
    outcome = read(saved(item()) | {"page_info": {"has_next_page": True, "end_cursor": "x"}})
    assert len(outcome.credentials) == 1
    (gap,) = outcome.gaps
    assert gap.reason == "missing_pages"
    assert gap.organization == Organization("org1", "Aurora")


def test_pages_in_several_files_make_a_whole(read, tmp_path) -> None:
    first = saved(item("a")) | {"page_info": {"has_next_page": True}}
    (tmp_path / "page-1.json").write_text(json.dumps(first))
    (tmp_path / "page-2.json").write_text(json.dumps(saved(item("b"))))
    outcome = read(path="page-*.json")
    assert [c.provider_id for c in outcome.credentials] == ["a", "b"]
    assert outcome.gaps == []


def test_an_account_without_credentials_still_shows_its_organization(read) -> None:
    outcome = read(saved())
    (page,) = outcome.pages
    assert (page.organization.id, page.credentials) == ("org1", ())


def test_an_item_without_id_is_lost_alone(read) -> None:
    outcome = read(saved({"name": "x"}, item("b"), "not an item"))
    assert [c.provider_id for c in outcome.credentials] == ["b"]
    assert len(outcome.gaps) == 2
