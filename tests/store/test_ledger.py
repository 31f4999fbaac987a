"""Every occurrence of a schedule is dealt with once, by whoever comes first."""

from datetime import timedelta

from auditor.store import Store
from tests.conftest import NOW


def test_an_occurrence_is_begun_once(store: Store):
    assert store.ledger.begin("nightly", "2026-03-01T03:00", at=NOW)
    assert not store.ledger.begin("nightly", "2026-03-01T03:00", at=NOW)
    assert store.ledger.begin("weekly", "2026-03-01T03:00", at=NOW)


def test_two_connections_cannot_both_begin_it(store: Store, url: str):
    with Store.open(url) as other:
        assert store.ledger.begin("nightly", "2026-03-01T03:00", at=NOW)
        assert not other.ledger.begin("nightly", "2026-03-01T03:00", at=NOW)


def test_what_does_not_run_is_kept_with_its_reason(store: Store):
    store.ledger.begin("nightly", "2026-03-01T03:00", at=NOW)
    for key in ("2026-03-01T03:00", "2026-03-02T03:00"):
        store.ledger.leave_out("nightly", key, state="missed", reason="down", at=NOW)
    newest, oldest = store.ledger.list("nightly")
    assert (newest.key, newest.state, newest.reason) == ("2026-03-02T03:00", "missed", "down")
    assert (oldest.key, oldest.state) == ("2026-03-01T03:00", "begun")


def test_a_schedule_is_known_since_it_was_seen_first(store: Store):
    assert store.ledger.known_since("nightly", NOW) == NOW
    assert store.ledger.known_since("nightly", NOW + timedelta(days=1)) == NOW
    assert store.ledger.occurrences("nightly") == []


def test_the_newest_hundred_keys_are_given_back(store: Store):
    for number in range(120):
        store.ledger.begin("often", f"{number:03}", at=NOW)
    assert sorted(store.ledger.occurrences("often")) == [f"{n:03}" for n in range(20, 120)]
