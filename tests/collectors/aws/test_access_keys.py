"""What is said of one access key, and how few calls it takes to say it."""

from datetime import UTC, datetime, timedelta

import pytest

from auditor.model import ExpiresState, LastUsedState, PrincipalType, Privilege, Status
from tests.fakes.aws_account import EVERYTHING

DAY = timedelta(days=1)


async def test_a_key_is_named_by_its_id_and_explains_its_use(account, source, now):
    account.alias = "acme-prod"
    account.user("ci", now - 400 * DAY, Owner="platform@example.com", team="blue")
    key = account.key("ci", now - 100 * DAY, used_at=now - 3 * DAY)
    credential = (await source().read()).one()
    assert credential.uid == f"aws:123456789012:access_key:{key.access_key_id}"
    assert credential.name == f"ci/{key.access_key_id}"
    assert credential.type == "Access Key"
    assert credential.status is Status.ACTIVE
    assert credential.organization.name == "acme-prod"
    assert credential.created_at == credential.rotated_at == now - 100 * DAY
    assert credential.last_used_state is LastUsedState.USED
    assert credential.last_used_at == now - 3 * DAY
    assert credential.last_used_precision == timedelta(minutes=15)
    assert credential.expires_state is ExpiresState.UNSUPPORTED
    assert credential.owner == "platform@example.com"
    assert credential.tags == {"Owner": "platform@example.com", "team": "blue"}
    assert credential.principal.id == "arn:aws:iam::123456789012:user/ci"
    assert credential.principal.type is PrincipalType.SERVICE_ACCOUNT
    assert credential.principal.is_root is False
    assert credential.principal.has_mfa is False
    assert credential.raw["last_used_service"] == "s3"


async def test_other_tags_may_name_the_owner(account, source, now):
    account.user("ci", now - DAY, Contact=" a@example.com ", owner="b@example.com")
    account.key("ci", now - DAY)
    read = await source(owner_tags=["team", "contact"]).read()
    assert read.one().owner == "a@example.com"


async def test_a_user_with_a_console_password_is_a_person(account, source, now):
    user = account.user("ann", now - DAY)
    user.password = "canary-password"
    account.key("ann", now - DAY)
    assert (await source().read()).one().principal.type is PrincipalType.USER


async def test_both_keys_of_a_user_are_told_apart(account, source, now):
    account.user("ci", now - 400 * DAY)
    old = account.key("ci", now - 300 * DAY, active=False, changed_at=now - 20 * DAY)
    new = account.key("ci", now - 30 * DAY, used_at=now - DAY)
    read = await source().read()
    assert read.credentials[old.access_key_id].status is Status.INACTIVE
    assert read.credentials[old.access_key_id].last_used_state is LastUsedState.NEVER
    assert read.credentials[old.access_key_id].status_changed_at == now - 20 * DAY
    assert read.credentials[new.access_key_id].last_used_at == now - DAY


@pytest.mark.parametrize(
    ("created_at", "state"),
    [
        (datetime(2015, 4, 22, tzinfo=UTC), LastUsedState.NEVER),
        (datetime(2015, 4, 21, 23, 59, 59, tzinfo=UTC), LastUsedState.NOT_IN_WINDOW),
    ],
)
async def test_no_use_means_never_only_since_use_is_recorded(account, source, created_at, state):
    account.user("ci", created_at)
    account.key("ci", created_at)
    credential = (await source().read()).one()
    assert credential.last_used_state is state
    window = datetime(2015, 4, 22, tzinfo=UTC) if state is LastUsedState.NOT_IN_WINDOW else None
    assert credential.last_used_window_start == window


async def test_a_status_that_is_not_known_yet_is_unknown_and_expired_is_expired(
    account, source, now
):
    account.user("ci", now - 9 * DAY)
    expired, odd = account.key("ci", now - 9 * DAY), account.key("ci", now - 8 * DAY)
    expired.status, odd.status = "Expired", "Paused"
    read = await source().read()
    assert read.credentials[expired.access_key_id].status is Status.EXPIRED
    assert read.credentials[odd.access_key_id].status is Status.UNKNOWN


async def test_idleness_ends_at_the_time_of_the_report(account, source, now):
    account.user("ci", now - 9 * DAY)
    account.key("ci", now - 9 * DAY)
    account.make_report(now - timedelta(hours=3, minutes=59))
    credential = (await source().read()).one()
    assert credential.data_as_of == now - timedelta(hours=3, minutes=59)
    assert credential.observed_at == now


async def test_a_key_newer_than_the_report_is_asked_for_by_itself(account, fake, source, now):
    account.user("ci", now - 9 * DAY)
    old = account.key("ci", now - 9 * DAY, used_at=now - 8 * DAY)
    account.make_report(now - timedelta(hours=3))
    new = account.key("ci", now - timedelta(hours=1), used_at=now - timedelta(minutes=30))
    account.user("newcomer", now - timedelta(hours=1))
    first = account.key("newcomer", now - timedelta(hours=1))
    aws = source()
    await aws.read()
    # The slots did not change, so the key of "ci" is seen with the next report; who is not in the
    # report at all is asked at once.
    read = await source().read()
    assert read.credentials[old.access_key_id].data_as_of == now - timedelta(hours=3)
    assert read.credentials[new.access_key_id].data_as_of == now
    assert read.credentials[new.access_key_id].last_used_at == now - timedelta(minutes=30)
    assert read.credentials[first.access_key_id].last_used_state is LastUsedState.NEVER
    assert fake.calls["GetAccessKeyLastUsed"] == 4


async def test_two_keys_of_the_same_second_are_not_mixed_up(account, fake, source, now):
    account.user("ci", now - 90 * DAY)
    born = now - 80 * DAY
    idle = account.key("ci", born, used_at=now - 70 * DAY)
    busy = account.key("ci", born, used_at=now - DAY)
    account.backend.users["ci"].access_keys.reverse()
    account.make_report()
    account.backend.users["ci"].access_keys.reverse()
    aws = source()
    for _ in range(2):
        read = await aws.read()
        assert read.credentials[idle.access_key_id].last_used_at == now - 70 * DAY
        assert read.credentials[busy.access_key_id].last_used_at == now - DAY
    assert fake.calls["GetAccessKeyLastUsed"] == 4
    assert fake.calls["ListAccessKeys"] == 1


async def test_keys_that_tell_the_same_need_no_question(account, fake, source, now):
    account.user("ci", now - 90 * DAY)
    account.key("ci", now - 80 * DAY)
    account.key("ci", now - 80 * DAY)
    read = await source().read()
    assert [c.last_used_state for c in read.credentials.values()] == [LastUsedState.NEVER] * 2
    assert fake.calls["GetAccessKeyLastUsed"] == 0


async def test_two_inactive_keys_are_asked_for_once_and_recognized_later(
    account, fake, source, now
):
    account.user("ci", now - 90 * DAY)
    kinds = [(80, 30, 60), (70, 20, 50)]
    keys = [
        account.key(
            "ci",
            now - born * DAY,
            used_at=now - used * DAY,
            active=False,
            changed_at=now - changed * DAY,
        )
        for born, changed, used in kinds
    ]
    aws = source()
    for _ in range(2):
        read = await aws.read()
        for key, (_born, changed, used) in zip(keys, kinds, strict=True):
            credential = read.credentials[key.access_key_id]
            assert credential.last_used_at == now - used * DAY
            assert credential.status_changed_at == now - changed * DAY
    assert fake.calls["GetAccessKeyLastUsed"] == 2
    assert fake.calls["ListAccessKeys"] == 1


async def test_only_users_whose_slots_changed_are_asked_again(account, fake, source, now):
    for number in range(30):
        account.user(f"svc-{number}", now - 90 * DAY)
        account.key(f"svc-{number}", now - 80 * DAY)
    aws = source()
    assert len((await aws.read()).credentials) == 30
    assert fake.calls["ListAccessKeys"] == 30
    users = account.backend.users
    users["svc-1"].access_keys[0].status = "Inactive"
    users["svc-1"].access_keys[0].changed_at = now
    account.key("svc-2", now - DAY)
    users["svc-3"].access_keys.clear()
    users["svc-4"].access_keys.clear()
    replaced = account.key("svc-4", now - 2 * DAY)
    users["svc-5"].access_keys[0].last_used = now.replace(tzinfo=None)
    account.make_report()
    read = await aws.read()
    assert fake.calls["ListAccessKeys"] == 30 + 3
    assert len(read.credentials) == 30
    assert replaced.access_key_id in read.credentials
    by_user = {c.principal.name: c for c in read.credentials.values()}
    assert by_user["svc-1"].status is Status.INACTIVE
    assert by_user["svc-5"].last_used_at == now
    await aws.read()
    assert fake.calls["ListAccessKeys"] == 30 + 3


async def test_three_keys_of_a_user_are_all_found(account, source, now):
    account.user("ci", now - 90 * DAY)
    for days in (80, 70, 60):
        account.key("ci", now - days * DAY, used_at=now - days * DAY / 2, beyond_quota=True)
    read = await source().read()
    assert sorted(c.last_used_at for c in read.credentials.values()) == [
        now - days * DAY / 2 for days in (80, 70, 60)
    ]


async def test_keys_of_root_are_found_without_an_id(account, source, now):
    account.root_slots = [
        (True, now - 500 * DAY, now - DAY),
        (False, now - 400 * DAY, None),
    ]
    read = await source().read()
    first, second = read.credentials["root-1"], read.credentials["root-2"]
    assert first.principal.is_root
    assert first.privilege is Privilege.ADMIN
    assert first.last_used_at == now - DAY
    assert (first.status, second.status) == (Status.ACTIVE, Status.INACTIVE)
    assert second.last_used_state is LastUsedState.NEVER


async def test_a_key_of_root_deleted_since_the_report_is_gone_and_a_new_one_is_there(
    account, source, now
):
    account.root_slots = [(True, now - 500 * DAY, None)]
    account.make_report(now - timedelta(hours=2))
    account.root_slots = []
    assert (await source().read()).credentials == {}
    account.make_report(now - timedelta(hours=2))
    account.root_slots = [(True, now, None)]
    credential = (await source().read()).one()
    assert credential.last_used_state is LastUsedState.UNKNOWN
    assert credential.created_at is None


async def test_nothing_secret_is_kept(account, source, now):
    account.user("ci", now - DAY)
    key = account.key("ci", now - DAY)
    account.inline("ci", EVERYTHING)
    read = await source().read()
    assert key.secret_access_key not in str(read)
