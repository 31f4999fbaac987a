"""Reading one access key again before somebody deactivates it."""

from datetime import timedelta

import pytest

from auditor.errors import AccessDenied, UnexpectedResponse
from auditor.model import LastUsedState, Status

DAY = timedelta(days=1)


@pytest.fixture
async def before(account, source, now):
    account.user("ci", now - 400 * DAY)
    account.key("ci", now - 100 * DAY, used_at=now - 90 * DAY)
    return (await source().read()).one()


async def refresh(source, credential):
    collector = source().collector()
    try:
        return await collector.refresh(credential)
    finally:
        await collector.aclose()


async def test_nothing_new_is_the_same_key(source, before):
    after = await refresh(source, before)

    assert after == before


async def test_a_use_since_then_and_a_new_status_are_seen(account, source, before, now):
    (key,) = account.backend.users["ci"].access_keys
    key.last_used, key.status = (now - DAY).replace(tzinfo=None), "Inactive"

    after = await refresh(source, before)

    assert (after.last_used_at, after.status) == (now - DAY, Status.INACTIVE)
    assert after.permissions == before.permissions


async def test_only_that_user_is_asked(account, fake, source, before, now):
    for number in range(20):
        account.user(f"u{number}", now - DAY)
        account.key(f"u{number}", now - DAY)
    fake.calls.clear()

    await refresh(source, before)

    asked = {"GetCallerIdentity", "AssumeRole", "ListAccessKeys", "GetAccessKeyLastUsed"}
    assert asked >= set(fake.calls)
    assert fake.calls["GetAccessKeyLastUsed"] == 1


async def test_a_key_or_a_user_that_is_gone_is_none(account, source, before):
    account.backend.users["ci"].access_keys.clear()
    assert await refresh(source, before) is None

    del account.backend.users["ci"]
    assert await refresh(source, before) is None


async def test_a_missing_right_is_no_use(fake, source, before):
    fake.trouble("GetAccessKeyLastUsed", 403, "AccessDenied")

    with pytest.raises(AccessDenied, match="GetAccessKeyLastUsed"):
        await refresh(source, before)


async def test_a_refusal_is_not_taken_for_gone(fake, source, before):
    fake.trouble("ListAccessKeys", 403, "AccessDenied")

    with pytest.raises(AccessDenied):
        await refresh(source, before)


async def test_what_no_call_tells_of_alone_is_said_with_the_way_out(account, source, now):
    account.root_slots = [(True, now - 100 * DAY, now - DAY)]
    (key,) = (await source().read()).credentials.values()

    with pytest.raises(UnexpectedResponse, match=r"root user alone.*--source"):
        await refresh(source, key)
    assert key.last_used_state is not LastUsedState.UNKNOWN
