from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from auditor.errors import AccessDenied, StoreError, Unavailable
from auditor.evidence import Amendment, Gap, Note, Page, Unit
from auditor.model import (
    CoverageStatus,
    Credential,
    LastUsedState,
    Organization,
    PermissionsSubject,
    Privilege,
)
from auditor.store import StaleClaim, Store
from tests.store.conftest import ORGANIZATION, Line

Build = Callable[..., Credential]
At = Callable[[float], datetime]


def rows(store: Store) -> dict[str, int]:
    """Rows of every table that holds credentials."""
    names = ("credential", "presence", "version", "raw", "permission_set")
    with store._database.read() as connection:
        return {
            name: connection.scalar(text(f"SELECT count(*) FROM {name}")) or 0 for name in names
        }


def many(credential: Build, count: int, **facts: Any) -> list[Credential]:
    return [credential(f"key-{number:04}", **facts) for number in range(count)]


def test_what_was_written_is_read_back_as_it_was(
    line: Line, store: Store, credential: Build, now: datetime
) -> None:
    listed = [
        *many(credential, 3),
        credential("key-9", permissions={}, unused_permissions={"a": {"b": False}}),
        credential(
            "key-a",
            last_used_state=LastUsedState.NOT_IN_WINDOW,
            last_used_at=None,
            last_used_window_start=now - timedelta(days=400),
            last_used_precision=timedelta(hours=4),
            restrictions={"ips": ["10.0.0.0/8"]},
            tags={"b": "2", "a": "1"},
        ),
        credential("key-b", created_at=datetime.min.replace(tzinfo=now.tzinfo)),
        credential("key-c", expires_at=datetime.max.replace(tzinfo=now.tzinfo)),
    ]
    run_id = line.run(now, listed)
    assert list(store.credentials(run_id)) == listed


def test_an_unchanged_credential_costs_no_row(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    line.run(at(0), many(credential, 50, permissions={"zones": {"read": True}}))
    before = rows(store)
    assert before["permission_set"] == 1
    again = many(
        credential,
        50,
        permissions={"zones": {"read": True}},
        observed_at=at(1),
        data_as_of=at(1),
    )
    line.run(at(1), again[::-1])
    assert rows(store) == before


def test_the_order_of_keys_in_maps_is_no_change(
    line: Line, store: Store, credential: Build, now: datetime
) -> None:
    line.run(now, [credential(tags={"a": "1", "b": "2"}, restrictions={"x": {"a": 1, "b": 2}})])
    before = rows(store)
    line.run(now, [credential(tags={"b": "2", "a": "1"}, restrictions={"x": {"b": 2, "a": 1}})])
    assert rows(store) == before


def test_a_changed_last_use_alone_costs_a_few_bytes(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    line.run(at(0), many(credential, 1000))
    before = rows(store)
    changed = [
        replace(one, last_used_at=at(0) + timedelta(seconds=number * 37))
        for number, one in enumerate(many(credential, 1000, observed_at=at(1), data_as_of=at(1)))
    ]
    run_id = line.run(at(1), changed)
    assert rows(store) == before
    assert list(store.credentials(run_id)) == changed
    with store._database.read() as connection:
        size = connection.scalar(
            text("SELECT length(uses) FROM collection WHERE run_id = :run"), {"run": run_id}
        )
    assert size is not None
    assert size / 1000 < 8


def test_a_window_that_moves_with_the_clock_is_no_change(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    run_ids = []
    for day in range(5):
        one = credential(
            last_used_at=None,
            last_used_state=LastUsedState.NOT_IN_WINDOW,
            last_used_window_start=at(day - 400),
            observed_at=at(day),
            data_as_of=at(day),
        )
        run_ids.append((line.run(at(day), [one]), one))
    for run_id, one in run_ids:
        assert list(store.credentials(run_id)) == [one]
    with store._database.read() as connection:
        deltas = connection.scalars(text("SELECT uses FROM collection ORDER BY seq")).all()
    assert [blob is None for blob in deltas] == [False, False, True, True, True]


def test_two_observers_alternate_without_writing_versions(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    for day in range(6):
        source = ("one", "two")[day % 2]
        line.run(
            at(day),
            [credential(source=source, name=source, observed_at=at(day), data_as_of=at(day))],
            source=source,
        )
    counted = rows(store)
    assert (counted["credential"], counted["version"]) == (1, 2)
    assert [one.source for one in store.credentials(6)] == ["two"]
    assert [one.source for one in store.credentials(5)] == ["one"]


def test_duplicates_in_a_unit_are_one_credential_and_the_newer_data_count(
    line: Line, store: Store, credential: Build, now: datetime
) -> None:
    old, new = now - timedelta(hours=5), now
    filler = many(credential, 600)
    run_id = line.begin(now)
    (coverage,) = line.write(
        run_id,
        now,
        [credential("twice", name="new", data_as_of=new)],
        [credential("twice", name="old", data_as_of=old)],
        filler,
        [credential("twice", name="old again", data_as_of=old)],
        [filler[3], credential("late", name="old", data_as_of=old)],
        [credential("late", name="new", data_as_of=new)],
    )
    assert coverage.credentials == 602
    names = {one.provider_id: one.name for one in store.credentials(run_id)}
    assert (names["twice"], names["late"]) == ("new", "new")


def test_amendments_concern_what_came_before_them_and_the_later_wins(
    line: Line, store: Store, credential: Build, now: datetime
) -> None:
    first, second, third = many(credential, 3, permissions={"a": {"b": True}})
    run_id = line.run(
        now,
        [first, second],
        Amendment(ORGANIZATION, {"permissions_subject": PermissionsSubject.CALLER}),
        Amendment(
            ORGANIZATION, {"permissions_subject": "credential", "reviewed_at": now}, only=first.uid
        ),
        [third],
    )
    kept = {one.uid: one for one in store.credentials(run_id)}
    assert kept[first.uid].permissions_subject is PermissionsSubject.CREDENTIAL
    assert kept[first.uid].reviewed_at == now
    assert kept[second.uid].permissions_subject is PermissionsSubject.CALLER
    assert kept[third.uid].permissions_subject is PermissionsSubject.UNKNOWN


def test_every_credential_is_classified_before_it_is_kept(
    line: Line, store: Store, credential: Build, now: datetime
) -> None:
    run_id = line.run(
        now, [credential()], classify=lambda one: replace(one, privilege=Privilege.ADMIN)
    )
    assert [one.privilege for one in store.credentials(run_id)] == [Privilege.ADMIN]


HOSTILE = [
    "a\x00b",
    "lone \ud800 surrogate",
    "pair \U0001f600",
    "'; DROP TABLE credential;--",
    "%s %(x)s :after ?",
    "n" * 1_000_000,
    "a\u202eb\u2028c\x1b[31m",
    "",
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_hostile_name_costs_a_credential(
    line: Line, store: Store, credential: Build, now: datetime, name: str
) -> None:
    organization = Organization(id=f"org{name}", name=name)
    hostile = credential(
        f"id{name}",
        organization=organization,
        name=name,
        description=name,
        owner=name,
        tags={name: name},
        permissions={name: {name: True}},
        restrictions={name: [name, 2**70]},
        raw={name: name},
    )
    run_id = line.begin(now)
    coverage = line.write(
        run_id,
        now,
        [hostile],
        Gap(reason=name or "gap", message=name, organization=organization),
        Note(name),
        unit=Unit(f"org{name}"),
    )
    assert len(coverage) == 1
    (kept,) = store.credentials(run_id, raw=True)
    (again,) = store.credentials(line.run(now, [kept], unit=Unit(f"org{name}")))
    assert again == replace(kept, raw={})
    safe = name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert (kept.name, kept.tags, kept.owner) == (safe, {safe: safe}, safe)
    assert kept.permissions == {safe: {safe: True}}
    assert "\x00" not in kept.uid
    assert len(kept.uid.encode()) <= 1000


def test_an_identity_that_names_no_provider_leaves_the_one_stated(
    line: Line, store: Store, credential: Build, now: datetime
) -> None:
    odd = replace(credential("k1"), uid="42")
    (kept,) = store.credentials(line.run(now, [odd]))
    assert (kept.uid, kept.provider) == ("42", odd.provider)


def test_the_newest_raw_record_is_kept_and_no_older_one(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    first = line.run(at(0), [credential(raw={"used": 1})])
    second = line.run(at(1), [credential(raw={"used": 2})])
    for run_id in (first, second):
        assert [one.raw for one in store.credentials(run_id, raw=True)] == [{"used": 2}]
        assert [one.raw for one in store.credentials(run_id)] == [{}]


# -- coverage


def test_how_the_stream_ends_tells_how_much_was_read(
    line: Line, store: Store, credential: Build, now: datetime
) -> None:
    run_id = line.begin(now)
    gap = Gap("malformed_record", "record 7 has no id", ORGANIZATION)
    other = Gap("access_denied", "no", Organization(id="other", name="Other"))
    endings: dict[str, tuple[list[Any], Any]] = {
        "whole": ([[credential()], Note("judged as the caller's"), other], None),
        "gap": ([[credential()], gap], None),
        "error": ([[credential()]], Unavailable("no answer from keycard; try later")),
        "failed": ([], AccessDenied("may not list")),
        "empty": ([[]], None),
    }
    told = {}
    for source, (items, error) in endings.items():
        (told[source],) = line.write(run_id, now, *items, source=source, error=error)
    assert {source: (one.status.value, one.reason) for source, one in told.items()} == {
        "whole": ("complete", None),
        "gap": ("partial", "malformed_record"),
        "error": ("partial", "unavailable"),
        "failed": ("failed", "access_denied"),
        "empty": ("complete", None),
    }
    assert told["whole"].notes == ("judged as the caller's",)
    assert told["error"].error == "no answer from keycard; try later"
    assert told["whole"].data_as_of == now
    assert store.coverage(run_id) == sorted(told.values(), key=lambda one: one.source)


@pytest.mark.parametrize(
    ("before", "after", "suspicious"),
    [(1, 0, True), (19, 1, False), (20, 9, True), (20, 10, False), (0, 0, False), (100, 49, True)],
)
def test_a_sudden_drop_is_partial_until_the_same_is_read_again(
    line: Line, store: Store, credential: Build, at: At, before: int, after: int, suspicious: bool
) -> None:
    line.run(at(0), many(credential, before))
    counts = []
    for day in (1, 2, 3):
        run_id = line.begin(at(day))
        (coverage,) = line.write(run_id, at(day), many(credential, after))
        counts.append((coverage.reason, len(list(store.credentials(run_id)))))
    doubtful = ("suspicious_drop", before) if suspicious else (None, after)
    assert counts == [doubtful, (None, after), (None, after)]


def test_a_different_drop_does_not_confirm_the_first(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    listed = many(credential, 40)
    line.run(at(0), listed)
    told = [
        line.write(line.begin(at(day)), at(day), some)[0].reason
        for day, some in enumerate((listed[:5], listed[5:10], listed[:5], listed[:5]), start=1)
    ]
    assert told == ["suspicious_drop"] * 3 + [None]


def test_a_failed_reading_in_between_does_not_undo_a_confirmation(
    line: Line, credential: Build, at: At
) -> None:
    listed = many(credential, 40)
    line.run(at(0), listed)
    line.run(at(1), listed[:5])
    line.run(at(2), error=Unavailable("no answer"))
    (coverage,) = line.write(line.begin(at(3)), at(3), listed[:5])
    assert coverage.status == CoverageStatus.COMPLETE


def test_an_operator_can_accept_a_drop_at_once(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    line.run(at(0), many(credential, 40))
    run_id = line.begin(at(1))
    (coverage,) = line.write(run_id, at(1), [], accept_drop=True)
    assert coverage.status == CoverageStatus.COMPLETE
    assert list(store.credentials(run_id)) == []


def test_an_organization_that_a_whole_source_no_longer_shows_is_suspicious_then_gone(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    other = Organization(id="org-2", name="Other")
    both: list[Any] = [
        [credential("here")],
        Page(other, (credential("there", organization=other),)),
    ]
    whole = Unit("*")
    line.run(at(0), *both, unit=whole)
    told = []
    for day in (1, 2, 3):
        run_id = line.begin(at(day))
        coverage = line.write(run_id, at(day), both[0], unit=whole)
        told.append([(one.organization and one.organization.id, one.reason) for one in coverage])
    assert told == [
        [("org-1", None), ("org-2", "suspicious_drop")],
        [("org-1", None), ("org-2", None)],
        [("org-1", None)],
    ]


def test_an_error_before_any_page_fails_all_that_the_unit_used_to_show(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    other = Organization(id="org-2", name="Other")
    whole = Unit("*")
    shown = Page(other, (credential("there", organization=other),))
    line.run(at(0), [credential("here")], shown, unit=whole)
    run_id = line.begin(at(1))
    coverage = line.write(run_id, at(1), shown, unit=whole, error=Unavailable("cut"))
    assert [(one.organization and one.organization.id, one.status) for one in coverage] == [
        ("org-1", CoverageStatus.FAILED),
        ("org-2", CoverageStatus.PARTIAL),
    ]
    assert len(list(store.credentials(run_id))) == 2


def test_a_source_whose_units_cannot_be_told_fails_for_all_it_used_to_show(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    line.run(at(0), [credential()])
    run_id = line.begin(at(1))
    facts: dict[str, Any] = {"provider": "keycard", "error": Unavailable("no answer")}
    (known,) = store.fail_source(run_id, source="keycard-prod", **facts)
    (unknown,) = store.fail_source(run_id, source="never-read", **facts)
    assert (known.organization, known.status) == (ORGANIZATION, CoverageStatus.FAILED)
    assert (unknown.organization, unknown.reason) == (None, "unavailable")
    assert len(list(store.credentials(run_id))) == 1


def missing(store: Store, run_id: int, now: datetime, **options: Any) -> list[str]:
    coverage = store.missing_units(
        run_id, source="keycard-prod", provider="keycard", listed=[], now=now, **options
    )
    return [f"{one.status} {one.reason}" for one in coverage]


def test_an_organization_that_is_no_longer_listed_is_failed_until_that_is_confirmed(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    line.run(at(0), [credential()])
    told = []
    for day in (1, 2, 3):
        run_id = line.begin(at(day))
        told.append((missing(store, run_id, at(day)), len(list(store.credentials(run_id)))))
    assert told == [(["failed not_listed"], 1), (["complete None"], 0), ([], 0)]
    back = line.run(at(4), [credential()])
    assert len(list(store.credentials(back))) == 1


def test_an_organization_that_is_no_longer_configured_leaves_the_inventory_and_can_return(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    first = line.run(at(0), [credential()])
    run_id = line.begin(at(1))
    assert missing(store, run_id, at(1), is_deselected=True) == ["not_selected out_of_scope"]
    assert missing(store, run_id, at(1), is_deselected=True) == []
    assert list(store.credentials(run_id)) == []
    assert len(list(store.credentials(first))) == 1
    assert len(list(store.credentials(line.run(at(2), [credential()])))) == 1


def test_the_last_complete_collection_can_be_asked_for(
    line: Line, store: Store, credential: Build, at: At
) -> None:
    assert list(store.previous("keycard-prod", "org-1")) == []
    whole = many(credential, 3)
    line.run(at(0), whole)
    line.run(at(1), [credential("new")], Gap("repeated_cursor", "…"))
    assert list(store.previous("keycard-prod", "org-1")) == whole


# -- claims


def test_a_unit_that_is_written_stays_as_it_is(
    line: Line, store: Store, credential: Build, now: datetime
) -> None:
    run_id = line.begin(now)
    first = line.write(run_id, now, [credential()])
    again = line.write(run_id, now, [credential(), credential("key-2")])
    assert again == first
    assert len(list(store.credentials(run_id))) == 1


def test_a_claim_belongs_to_one_until_its_lease_ends_and_the_late_one_cannot_write(
    line: Line, store: Store, credential: Build, now: datetime
) -> None:
    run_id = line.begin(now)
    unit = Unit("org-1", ORGANIZATION)
    facts: dict[str, Any] = {"source": "keycard-prod", "provider": "keycard", "unit": unit}
    late = store.claim(run_id, **facts, owner="a", lease=timedelta(seconds=-1))
    held = store.claim(run_id, **facts, owner="b", lease=timedelta(minutes=5))
    assert late is not None
    assert held is not None
    assert held.fence == late.fence + 1
    assert store.claim(run_id, **facts, owner="c", lease=timedelta(minutes=5)) is None
    assert store.renew(held, timedelta(minutes=5))
    assert not store.renew(late, timedelta(minutes=5))
    assert store.coverage(run_id) == []
    with pytest.raises(StaleClaim):
        line.write(run_id, now, [credential("late")], claim=late)
    assert list(store.credentials(run_id)) == []
    line.write(run_id, now, [credential("held")], claim=held)
    assert [one.provider_id for one in store.credentials(run_id)] == ["held"]
    assert store.claim(run_id, **facts, owner="c", lease=timedelta(minutes=5)) is None


def test_an_exception_while_writing_leaves_nothing(
    line: Line, store: Store, credential: Build, now: datetime
) -> None:
    def fail(one: Credential) -> Credential:
        if one.provider_id == "key-0700":
            raise StoreError("stop")
        return one

    run_id = line.begin(now)
    before = rows(store)
    with pytest.raises(StoreError, match="stop"):
        line.write(run_id, now, many(credential, 800), classify=fail)
    assert rows(store) == before
    assert store.coverage(run_id) == []
    line.write(run_id, now, many(credential, 800))
    assert len(list(store.credentials(run_id))) == 800


def test_the_newest_notes_of_each_source_are_found_by_their_beginning(
    store: Store, line: Line, at, credential
):
    said, other = Note("The clock of 50%_a is late."), Note('No "The clock of" here.')
    line.run(at(0), [credential()], said, source="first")
    line.run(at(1), [credential()], said, other, source="second")
    assert store.newest_notes("The clock of ") == [("first", said.text), ("second", said.text)]
    line.run(at(2), [credential()], other, source="first")
    assert store.newest_notes("The clock of ") == [("second", said.text)]
