"""The end of an exception is news by itself: told once at the configured notice, and once over."""

import pytest

from auditor.line.recall import recall
from auditor.line.setting import open_channels
from auditor.store import Store
from tests.house import DORMANT, House, key

ENDING = """
exceptions:
  - match: {policy: dormant-credential, name: key-1}
    reason: needed for the migration
    approver: ciso@example.com
    created: 2026-01-10
    expires: %s
"""


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    made.extra = (
        "exceptions: {path: exceptions.yaml, notice: 5d}\n"
        f"deliveries: [{{name: f, channel: folder, directory: {tmp_path}/sent, formats: [json],"
        " when: changes}]"
    )
    (tmp_path / "exceptions.yaml").write_text(ENDING % "2026-03-10")
    return made


def nights(house, number):
    """Audit for so many nights, and return the days on which the channel spoke."""
    spoken = set()
    for _ in range(number):
        house.export(key(1, **DORMANT), key(2, used=house.now.isoformat()))
        result, _ = house.audit()
        path = house.root / "sent" / f"report-{result.view.run.id}.json"
        if path.exists():
            spoken.add(f"{house.now:%m-%d}")
        house.later(days=1)
    return sorted(spoken)


def test_an_exception_that_ends_is_told_once_at_the_notice(house):
    assert nights(house, 9) == ["03-05"]  # 1 to 9 March; the last day is the 10th


def test_what_opens_when_an_exception_ends_is_told_with_the_end(house):
    assert nights(house, 14) == ["03-05", "03-11"]


def test_an_exception_that_ends_is_told_although_it_covers_nothing_any_more(house):
    (house.root / "exceptions.yaml").write_text((ENDING % "2026-03-10").replace("key-1", "gone"))
    house.extra = house.extra.replace("folder", "folder, min_severity: critical")
    assert nights(house, 14) == ["03-05", "03-11"]


def test_an_exception_that_was_prolonged_has_not_ended(house):
    assert nights(house, 6) == ["03-05"]
    (house.root / "exceptions.yaml").write_text(ENDING % "2026-06-10")
    assert nights(house, 10) == []


def test_a_run_nobody_was_told_of_does_not_swallow_the_notice(house):
    assert nights(house, 4) == []
    house.audit(deliver=False)  # 5 March, by hand
    assert nights(house, 2) == ["03-05"]


def test_the_mail_names_what_ends_and_what_has_ended(house):
    mail = (
        "deliveries: [{name: f, channel: email, host: localhost, from: a@example.com,"
        " to: [s@example.com], attach: []}]"
    )
    assert nights(house, 11) == ["03-05", "03-11"]
    house.extra = f"{house.extra.splitlines()[0]}\n{mail}"
    config = house.config()
    (channel,) = open_channels(config)
    said = {}
    with Store.open(config.database_url) as store:
        for run in (5, 6, 11):
            with recall(store, config, str(run)) as view:
                said[run] = [channel.render(view, one).decode() for one in channel.parcels(view)]
    assert said[6] == []
    assert "1 exception about to end" in said[5][0]
    assert "EXCEPTIONS ABOUT TO END" in said[5][0]
    assert "1 exception ended" in said[11][0]
    assert "EXCEPTIONS THAT ENDED" in said[11][0]
