from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.model import Organization, PrincipalType
from auditor.store.codec import (
    Frame,
    IdSet,
    IntMap,
    Packer,
    Use,
    instant,
    micros,
    pack_use,
    unpack,
    unpack_use,
)
from auditor.store.texts import safe_id, safe_text

numbers = st.integers(-(2**60), 2**60)
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_instant_survives(moment: datetime) -> None:
    assert instant(micros(moment)) == moment
    assert instant(micros(EARLIEST)) == EARLIEST
    assert instant(micros(LATEST)) == LATEST


@given(
    st.lists(st.tuples(st.integers(0, 2**40), st.none() | numbers, numbers)),
    st.integers(1, 5),
)
def test_packed_rows_read_back_in_order_whatever_the_frame(
    rows: list[tuple[int, int | None, int]], frame: int
) -> None:
    packer = Packer(3)
    packer._FRAME = frame
    for row in rows:
        packer.add(*row)
    blob = packer.finish()
    assert list(unpack(blob)) == rows
    assert (blob is None) == (not rows)
    for key, *_values in rows[:3]:
        assert list(unpack(blob, key)) == [row for row in rows if row[0] == key]


@given(
    st.integers(0, 7),
    st.none() | numbers,
    st.none() | numbers,
    st.integers(0, micros(datetime(2040, 1, 1, tzinfo=UTC))),
)
def test_a_last_use_told_from_any_time_reads_back(
    code: int, at: int | None, window: int | None, base: int
) -> None:
    use = Use(code, at, window)
    assert unpack_use(*pack_use(use, base), base) == use


@given(st.lists(st.integers(0, 30_000)))
def test_a_set_of_numbers_is_a_set(some: list[int]) -> None:
    chosen = IdSet()
    assert [chosen.add(number) for number in some] == [
        number not in some[:at] for at, number in enumerate(some)
    ]
    assert list(chosen) == sorted(set(some))
    assert chosen.count == len(set(some))
    assert all((number in chosen) == (number in some) for number in range(0, 30_000, 997))


@given(st.dictionaries(numbers, numbers), st.lists(numbers))
def test_a_map_of_numbers_is_a_map(pairs: dict[int, int], others: list[int]) -> None:
    packed = IntMap(sorted(pairs.items()))
    for key in (*pairs, *others):
        assert packed.get(key) == pairs.get(key)


@settings(max_examples=50)
@given(st.text(st.characters(), max_size=1500))
def test_an_identity_made_safe_stays_the_same_when_made_safe_again(name: str) -> None:
    safe = safe_id(name)
    assert safe_id(safe) == safe
    assert len(safe.encode()) <= 1000
    assert "\0" not in safe_text(name)


def test_long_identities_that_differ_stay_different() -> None:
    assert len({safe_id("n" * 5000 + str(number)) for number in range(100)}) == 100


def test_a_day_of_unchanged_lookback_packs_into_nothing() -> None:
    packer = Packer(4)
    for number in range(10_000):
        packer.add(number, *pack_use(Use(6, None, micros_of(400)), 0))
    assert len(packer.finish() or b"") < 400


def micros_of(days: int) -> int:
    return timedelta(days=days) // timedelta(microseconds=1)


PLACE = Organization(id="org-1", name="Example")
TIMES = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, 0, 0, 0, 5, tzinfo=UTC))
BODY = b'{"principal":{"id":"p","name":"P","type":"user"},"name":"key","type":"API Key"}'


@pytest.mark.parametrize(
    ("uid", "provider"),
    [("acme:o:k:1", "acme"), ("a%3Ab%25:o:k:1", "a:b%"), ("unparted", "file"), (":o", "")],
)
def test_the_uid_tells_whose_a_credential_is_and_the_scope_whose_it_is_otherwise(
    uid: str, provider: str
) -> None:
    frame = Frame("file", "exports", PLACE, TIMES)
    for _again in range(2):
        credential = frame.credential(uid, BODY, Use(1, None, None), TIMES, None, None)
        assert (credential.uid, credential.provider, credential.source) == (
            uid,
            provider,
            "exports",
        )
        assert credential.organization is PLACE
        assert credential.principal.type is PrincipalType.USER
        assert (credential.data_as_of, credential.observed_at) == TIMES


def test_a_scope_of_very_many_providers_keeps_them_apart() -> None:
    frame = Frame("file", "exports", PLACE, None)
    later = (TIMES[1], TIMES[1])
    for number in range(300):
        credential = frame.credential(f"p{number}:1", BODY, Use(3, None, None), later, {}, None)
        assert credential.provider == f"p{number}"
        assert (credential.data_as_of, credential.observed_at) == later
        assert credential.permissions == {}
