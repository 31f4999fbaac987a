"""What is old is forgotten; what open findings rest on is not."""

import shutil

import pytest
from click.testing import CliRunner

from auditor.cli import cli
from auditor.cli.daemon import work_of
from auditor.store import Store
from tests.house import DORMANT, House, key

EXTRA = "schedules: [{name: nightly, daily: '03:00'}]\nretention: {keep: 4d}"
DAYS = 8


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A house after eight nightly audits, the first three of which saw a third key."""
    made = House(tmp_path_factory.mktemp("audited"))
    made.extra = EXTRA
    for day in range(DAYS):
        made.export(key(1), key(2, **DORMANT), *([key(3, **DORMANT)] if day < 3 else []))
        made.audit()
        made.later(days=1)
    return made


@pytest.fixture
def house(audited, tmp_path):
    shutil.copytree(audited.root, tmp_path / "house")
    made = House(tmp_path / "house")
    made.extra, made.now = EXTRA, audited.now
    return made


def kept(house):
    with Store.open(house.config().database_url) as store:
        runs = [run.id for run in store.runs()]
        findings = {one.state.credential_uid: one.state for one in store.findings()}
        return runs, findings, [len(store.events(one.id)) for one in findings.values()]


async def test_the_daemon_forgets_old_runs_and_keeps_what_open_findings_rest_on(house):
    _, before, _ = kept(house)
    config = house.config()
    with Store.open(config.database_url) as store:
        await work_of(config, store, lambda: house.now).tidy()
    runs, after, events = kept(house)
    assert runs == [8, 7, 6, 5]
    ((uid, state),) = after.items()
    assert state.first_seen_at == before[uid].first_seen_at
    assert events == [1]
    with Store.open(config.database_url) as store:
        assert store.timeline(uid)
        assert {one.uid for one in store.credentials(runs[-1])} >= {uid}


async def test_nothing_is_forgotten_where_the_configuration_says_so(house):
    house.extra = house.extra.replace("4d", "null")
    config = house.config()
    with Store.open(config.database_url) as store:
        await work_of(config, store, lambda: house.now).tidy()
    assert len(kept(house)[0]) == DAYS


def prune(house, *arguments):
    path = house.config().path
    return CliRunner().invoke(cli, ["db", "prune", "-c", str(path), *arguments])


def test_forgetting_by_hand_says_what_went(house):
    answer = prune(house)  # by the clock, everything here is long ago
    assert answer.exit_code == 0
    assert answer.output.startswith("Forgot 7 runs, ")
    assert "older than 4 days" in answer.output
    assert kept(house)[0] == [DAYS]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--keep", "soon"), "--keep: 'soon'"), ((), "`retention.keep` is null")],
)
def test_forgetting_by_hand_needs_an_age(house, arguments, said):
    house.extra = house.extra.replace("4d", "null")
    answer = prune(house, *arguments)
    assert said in str(answer.exception)
