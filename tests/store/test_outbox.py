"""The outbox keeps a message until it is sent or given up, and lends it to one sender at a time."""

from datetime import timedelta

import pytest

from auditor.delivery.interface import Parcel
from auditor.store import Store, Undelivered
from tests.conftest import NOW


@pytest.fixture
def waiting(store: Store) -> int:
    """The row of one promised message."""
    promise(store, Parcel("sec@example.com", "<m-1@example.com>", NOW))
    (message,) = store.outbox.due(NOW)
    return message.id


def promise(store: Store, *parcels: Parcel) -> None:
    run_id = store.begin_run(now=NOW, started_at=NOW)
    with store.judging(run_id, selected=frozenset(), configured=frozenset()) as book:
        book.enqueue("security", parcels)


def test_a_message_is_promised_with_the_findings_or_not_at_all(store: Store):
    run_id = store.begin_run(now=NOW, started_at=NOW)

    def judge_and_fail() -> None:
        with store.judging(run_id, selected=frozenset(), configured=frozenset()) as book:
            book.enqueue("security", [Parcel("sec@example.com", "<m-1@example.com>", NOW)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        judge_and_fail()
    assert store.outbox.list() == []


def test_the_same_message_promised_twice_is_one(store: Store):
    parcel = Parcel("sec@example.com", "<m-1@example.com>", NOW)
    promise(store, parcel, parcel)
    assert len(store.outbox.list()) == 1


def test_a_message_is_lent_to_one_sender_until_the_lease_ends(store: Store, url: str, waiting: int):
    until = NOW + timedelta(minutes=5)
    with Store.open(url) as other:
        assert store.outbox.claim(waiting, NOW, until)
        assert not other.outbox.claim(waiting, NOW, until)
        assert other.outbox.due(NOW) == []
        assert other.outbox.claim(waiting, until, until + timedelta(minutes=5))


def test_a_failed_message_is_due_again_at_its_time(store: Store, waiting: int):
    later = NOW + timedelta(minutes=1)
    store.outbox.failed(waiting, error="451 come back", next_attempt_at=later)
    assert store.outbox.due(NOW) == []
    (message,) = store.outbox.due(later)
    assert (message.state, message.attempts, message.last_error) == ("pending", 1, "451 come back")


def test_a_message_in_doubt_says_so(store: Store, waiting: int):
    store.outbox.failed(waiting, error="cut", next_attempt_at=NOW, in_doubt=True)
    (message,) = store.outbox.due(NOW)
    assert message.state == "unknown"


def test_a_dead_message_stays_visible_and_is_never_due(store: Store, waiting: int):
    store.outbox.dead(waiting, error="550 no such user")
    assert store.outbox.due(NOW + timedelta(days=999)) == []
    (message,) = store.outbox.list(state="dead")
    assert message.last_error == "550 no such user"
    assert not store.outbox.claim(waiting, NOW, NOW)


def test_a_sent_message_is_never_due_again(store: Store, waiting: int):
    store.outbox.sent(waiting, NOW)
    assert store.outbox.due(NOW + timedelta(days=999)) == []
    (message,) = store.outbox.list(state="sent")
    assert message.sent_at == NOW


def test_channels_that_get_nothing_through_say_why_until_they_do(store: Store, waiting: int):
    assert store.outbox.undelivered() == []
    promise(store, Parcel("b@example.com", "<m-2>", NOW), Parcel("c@example.com", "<m-3>", NOW))
    (_, second, third) = sorted(message.id for message in store.outbox.list())
    store.outbox.dead(waiting, error="no such mailbox")
    store.outbox.failed(second, error="451 come back", next_attempt_at=NOW)
    (told,) = store.outbox.undelivered()
    assert told == Undelivered(channel="security", waiting=1, dead=1, error="451 come back")
    store.outbox.sent(second, NOW)
    store.outbox.sent(third, NOW)
    (told,) = store.outbox.undelivered()
    assert (told.waiting, told.dead, told.error) == (0, 1, "no such mailbox")
