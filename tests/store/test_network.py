"""A network between the auditor and PostgreSQL that is cut, falls silent and comes back.

Nobody waits for ever, nothing is half-written, nobody who was overtaken commits.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import event, make_url

from auditor.errors import StoreError
from auditor.model import RunStatus
from auditor.store import Hold, StaleClaim, Store
from tests.fakes.proxy import TcpProxy
from tests.store.conftest import Line

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
LEASE = timedelta(minutes=5)
TIMEOUT = 1
SHORT = 2
"""Seconds that a test waits for an answer that may take longer."""


@pytest.fixture
def direct(empty_postgres_url: str) -> Iterator[Store]:
    """What somebody sees whose network works."""
    with Store.open(f"{empty_postgres_url}?timeout={TIMEOUT}") as opened:
        yield opened


@pytest.fixture
def network(direct: Store, empty_postgres_url: str) -> Iterator[TcpProxy]:
    address = make_url(empty_postgres_url)
    with TcpProxy(address.host or "127.0.0.1", address.port or 5432) as proxy:
        yield proxy


@pytest.fixture
def store(network: TcpProxy, empty_postgres_url: str) -> Iterator[Store]:
    """The same database behind a network that can fail."""
    address = make_url(empty_postgres_url).set(host="127.0.0.1", port=network.port)
    plain = address.render_as_string(hide_password=False)
    with Store.open(f"{plain}?timeout={TIMEOUT}") as opened:
        opened._database.busy_seconds = SHORT / 10  # what may take longer gives up sooner here
        yield opened
        network.cut()


def take(store: Store, run_id: int, holder: str = "one") -> Hold:
    return store.leases.take(run_id, holder=holder, lease=LEASE)


def judge(store: Store, hold: Hold) -> None:
    with store.judging(
        hold.run_id, selected=frozenset(), configured=frozenset(), hold=hold
    ) as book:
        book.finish(status=RunStatus.COMPLETE, finished_at=NOW, summary=b"")


def judge_but(store: Store, hold: Hold, fault: Callable[[], None]) -> None:
    """Judge, with *fault* in the moment of the commit."""
    engine = store._database.engine

    def strike(_connection: object) -> None:
        fault()

    event.listen(engine, "commit", strike)
    try:
        with pytest.raises(StoreError, match="was lost"):
            judge(store, hold)
    finally:
        event.remove(engine, "commit", strike)


FAULTS = pytest.mark.parametrize("fault", ["cut", "hang"])


def break_off(network: TcpProxy, fault: str) -> None:
    if fault == "cut":
        network.cut()
    else:
        network.hang()


@FAULTS
def test_a_network_lost_in_the_middle_of_a_collection_leaves_nothing_of_it(
    store: Store, direct: Store, network: TcpProxy, fault: str, credential
):
    line = Line(store)
    run_id = line.begin(NOW)
    listed = [credential(f"key-{n}") for n in range(1200)]

    def lose(one):
        if one.provider_id == "key-700":
            break_off(network, fault)
        return one

    with pytest.raises(StoreError, match=r"was lost .*try again"):
        line.write(run_id, NOW, listed, classify=lose)
    network.mend(is_lost=True)
    assert direct.coverage(run_id) == []
    line.write(run_id, NOW, listed)
    assert len(list(direct.credentials(run_id))) == 1200


@FAULTS
def test_a_network_lost_before_a_verdict_is_committed_leaves_it_to_be_judged_again(
    store: Store, direct: Store, network: TcpProxy, fault: str
):
    run_id = Line(store).begin(NOW)
    hold = take(store, run_id)
    judge_but(store, hold, lambda: break_off(network, fault))
    network.mend(is_lost=True)
    assert not store.run(run_id).is_judged
    judge(store, hold)
    assert direct.run(run_id).is_judged


def test_a_verdict_whose_commit_was_not_confirmed_counts_and_is_not_repeated(
    store: Store, direct: Store, network: TcpProxy
):
    run_id = Line(store).begin(NOW)
    hold = take(store, run_id)
    judge_but(store, hold, lambda: network.hang(answers_only=True))
    network.mend(is_lost=True)
    assert direct.run(run_id).is_judged
    with pytest.raises(StaleClaim):
        judge(store, hold)


def test_a_commit_that_arrives_late_is_before_whoever_takes_over_not_beside(
    store: Store, direct: Store, network: TcpProxy
):
    run_id = Line(store).begin(NOW)
    hold = take(store, run_id)
    judge_but(store, hold, network.hang)
    taken: list[Hold] = []
    other = threading.Thread(target=lambda: taken.append(take(direct, run_id, "two")))
    other.start()  # waits for the session whose commit is on its way
    time.sleep(0.2)
    network.mend()
    other.join(10)
    assert direct.run(run_id).is_judged
    with pytest.raises(StaleClaim, match="judged by another"):
        judge(direct, taken[0])


def test_a_commit_that_arrives_when_its_session_has_ended_counts_for_nothing(
    store: Store, direct: Store, network: TcpProxy
):
    run_id = Line(store).begin(NOW)
    hold = take(store, run_id)
    judge_but(store, hold, network.hang)
    time.sleep(5 * TIMEOUT)  # the server has ended it, and freed what it held
    network.mend()
    assert not direct.run(run_id).is_judged
    judge(direct, take(direct, run_id, "two"))


@FAULTS
def test_a_lease_is_renewed_when_the_network_is_back_unless_it_was_taken(
    store: Store, direct: Store, network: TcpProxy, fault: str
):
    run_id = Line(store).begin(NOW)
    hold = take(store, run_id)
    break_off(network, fault)
    with pytest.raises(StoreError):
        store.leases.renew(hold, LEASE)
    network.mend()
    assert store.leases.renew(hold, LEASE)
    break_off(network, fault)
    with pytest.raises(StoreError):
        store.leases.renew(hold, LEASE)
    taken = take(direct, run_id, "two")
    network.mend(is_lost=True)
    assert not store.leases.renew(hold, LEASE)
    with pytest.raises(StaleClaim):
        judge(store, hold)
    judge(direct, taken)


@FAULTS
def test_a_leader_that_lost_its_network_is_succeeded_and_told(
    store: Store, direct: Store, network: TcpProxy, fault: str
):
    brief = timedelta(milliseconds=500)
    first, second = store.leadership(lease=brief), direct.leadership(lease=brief)
    assert first.hold()
    break_off(network, fault)
    with pytest.raises(StoreError):
        first.hold()
    time.sleep(0.6)
    assert second.hold()
    network.mend(is_lost=True)
    assert not first.hold()


@FAULTS
def test_opening_a_database_that_cannot_be_reached_is_a_sentence(
    store: Store, network: TcpProxy, fault: str
):
    address = store._database.url.render_as_string(hide_password=False)
    break_off(network, fault)
    with pytest.raises(StoreError, match="cannot be reached"):
        Store.open(f"{address}?timeout={TIMEOUT}")


def test_the_servers_side_has_its_limits(direct: Store):
    with direct._database.read() as connection:
        shown = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("statement_timeout", "idle_in_transaction_session_timeout")
        }
    assert shown == {
        "statement_timeout": "10s",
        "idle_in_transaction_session_timeout": "5s",
    }


def test_what_the_address_says_of_the_connection_wins(empty_postgres_url: str):
    url = f"{empty_postgres_url}?connect_timeout=7&keepalives_idle=99&timeout=2"
    with Store.open(url) as store, store._database.read() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        told = driver.info.get_parameters()
    assert (told["connect_timeout"], told["keepalives_idle"]) == ("7", "99")
    assert told["tcp_user_timeout"] == "2000"


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "1e9", "nan"])
def test_a_timeout_that_is_none_is_refused(empty_postgres_url: str, seconds: str):
    with pytest.raises(StoreError, match=r"`timeout` in database\.url"):
        Store.open(f"{empty_postgres_url}?timeout={seconds}")
