"""What neighbours tell about a credential."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from statistics import median_low

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.findings.crowd import (
    Crowd,
    Growth,
    Sharing,
    Siblings,
    _median,
    permission_growth,
)
from auditor.model import (
    Credential,
    Organization,
    PermissionMap,
    PermissionsSubject,
    Principal,
    Privilege,
    Status,
)

DAY = timedelta(days=1)


def crowd_of(credentials: Iterable[Credential]) -> Crowd:
    crowd = Crowd()
    for credential in credentials:
        crowd.add(credential)
    return crowd


def permissions(number: int) -> PermissionMap:
    return {"api": {f"p{n}": True for n in range(number)} | {"refused": False}}


# Siblings


def test_the_overlap_begins_with_the_second_of_several_active_credentials(
    credential: Callable[..., Credential], now: datetime
) -> None:
    keys = [credential(f"k{days}", created_at=now - days * DAY) for days in (3, 30, 400)]
    crowd = crowd_of(keys)

    assert {crowd.siblings(key, now) for key in keys} == {Siblings(3, 30 * DAY)}


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.INACTIVE},
        {"principal": Principal("sa-2", "other")},
        {"organization": Organization("org-2", "Other")},
        {"type": "SSH Key"},
    ],
)
def test_only_active_credentials_of_the_same_principal_and_type_are_siblings(
    credential: Callable[..., Credential], now: datetime, changes: dict[str, object]
) -> None:
    key, other = credential("a"), credential("b", **changes)

    assert crowd_of([key, other]).siblings(key, now) == Siblings(1, timedelta(0))


def test_an_inactive_credential_without_active_siblings_has_none(
    credential: Callable[..., Credential], now: datetime
) -> None:
    key = credential(status=Status.INACTIVE)

    assert crowd_of([key]).siblings(key, now) == Siblings(0, timedelta(0))


def test_an_unknown_creation_leaves_the_overlap_unknown(
    credential: Callable[..., Credential], now: datetime
) -> None:
    key = credential("a")

    assert crowd_of([key, credential("b", created_at=None)]).siblings(key, now) == Siblings(2, None)


# Sharing


def test_a_secret_used_by_several_principals_is_shared(
    credential: Callable[..., Credential],
) -> None:
    prod = credential("a", fingerprint="f", tags={"env": "prod"})
    test = credential("b", fingerprint="f", tags={"env": "test"}, principal=Principal("2", "t"))
    alone = credential("c", fingerprint="g")
    bare = credential("d")
    crowd = crowd_of([prod, test, alone, bare])

    assert crowd.sharing(prod) == crowd.sharing(test) == Sharing(2, is_across_production=True)
    assert crowd.sharing(alone) == Sharing(1, is_across_production=False)
    assert crowd.sharing(bare) is None


# Outliers


def test_a_credential_far_above_its_peers_stands_out_and_says_by_how_much(
    credential: Callable[..., Credential],
) -> None:
    keys = [credential(f"k{n}", permissions=permissions(8 + n % 5)) for n in range(30)]
    giant = credential("giant", permissions=permissions(212))
    crowd = crowd_of([*keys, giant])

    found = crowd.outlier(giant)

    assert str(found) == (
        "It has 212 permissions; half of its 31 peers have 10 or fewer, "
        "and more than 20 stands out."
    )
    assert not any(crowd.outlier(key) for key in keys)


def test_fewer_than_twenty_peers_make_no_crowd(credential: Callable[..., Credential]) -> None:
    giant = credential("giant", permissions=permissions(500))
    small = [credential(f"k{n}", permissions=permissions(2)) for n in range(19)]

    assert crowd_of([*small[:18], giant]).outlier(giant) is None
    assert crowd_of([*small, giant]).outlier(giant) is not None


def test_one_permission_more_than_a_crowd_of_twins_is_no_outlier(
    credential: Callable[..., Credential],
) -> None:
    twins = [credential(f"k{n}", permissions=permissions(1)) for n in range(40)]
    bigger = credential("bigger", permissions=permissions(2))

    assert crowd_of([*twins, bigger]).outlier(bigger) is None


def test_a_third_of_giants_does_not_hide_itself(credential: Callable[..., Credential]) -> None:
    giants = [credential(f"g{n}", permissions=permissions(300)) for n in range(10)]
    others = [credential(f"k{n}", permissions=permissions(5)) for n in range(20)]

    assert all(crowd_of([*giants, *others]).outlier(giant) for giant in giants)


@pytest.mark.parametrize(
    "changes",
    [{"permissions": None}, {"permissions_subject": PermissionsSubject.CALLER}],
)
def test_permissions_that_are_not_known_to_be_its_own_are_not_compared(
    credential: Callable[..., Credential], changes: dict[str, object]
) -> None:
    others = [credential(f"k{n}", permissions=permissions(5)) for n in range(20)]
    strange = credential("x", **({"permissions": permissions(500)} | changes))

    assert crowd_of([*others, strange]).outlier(strange) is None


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_the_median_of_a_histogram_is_that_of_its_numbers(numbers: list[int]) -> None:
    histogram = {number: numbers.count(number) for number in numbers}

    assert _median(histogram) == median_low(numbers)


# Growth


def test_permissions_won_are_named(credential: Callable[..., Credential]) -> None:
    before = credential(permissions={"s3": {"Get": True, "Put": False}}, privilege=Privilege.READ)
    after = credential(
        permissions={"s3": {"Get": True, "Put": True}, "iam": {"*": True}},
        privilege=Privilege.ADMIN,
    )

    assert permission_growth(before, after) == Growth(("iam:*", "s3:Put"), reaches_admin=True)
    assert permission_growth(after, before) is None


@pytest.mark.parametrize("side", ["before", "after"])
def test_growth_is_unknown_where_a_side_is(
    credential: Callable[..., Credential], side: str
) -> None:
    known, unknown = credential(permissions=permissions(3)), credential(permissions=None)
    pair = (unknown, known) if side == "before" else (known, unknown)

    assert permission_growth(*pair) is None
